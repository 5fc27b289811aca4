"""A policy whose shares are those of a labour statistic: pictures of an occupation as its people are, in one country.

    python examples/policies/from_statistics.py examples/policies/occupations.csv \
        --source "Bureau of Labor Statistics, Current Population Survey, table 11, 2025" --out out/occupations.yaml
    fair-diffusion explain "a photo of a nurse" --policy out/occupations.yaml

The table has the columns occupation, women and men: numbers of people who work, of one statistic and one year. Its
numbers are for you to fill in; examples/README.md says where statistics of some countries are.
"""

from __future__ import annotations

import argparse
import csv
import sys
from fractions import Fraction
from pathlib import Path

import yaml

from fair_diffusion import Policy


def shares(table: Path) -> dict[str, Fraction]:
    """For each occupation the share of women, exactly as counted."""
    found = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                women, men = (Fraction(row[column].replace(",", "")) for column in ("women", "men"))
                found[row["occupation"]] = women / (women + men)
            except (ValueError, ZeroDivisionError):
                raise ValueError(f"{table}: fill in women and men of {row['occupation']!r}, as numbers") from None
    return found


def policy(found: dict[str, Fraction], source: str) -> str:
    """The policy file. Shares are rounded to whole per cent: pictures are few, and statistics have their errors."""
    rules = []
    for occupation, share in found.items():
        women = round(100 * share)
        gender = {"woman": f"{women}%", "man": f"{100 - women}%"}
        rules.append({"name": f"{occupation} ({source})", "concepts": [occupation], "targets": {"gender": gender}})
    return yaml.safe_dump({"version": 1, "rules": rules}, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Read the table, write the policy, and see that it is one."""
    options = argparse.ArgumentParser(description="make a policy of a labour statistic")
    options.add_argument("table", type=Path, help="CSV: occupation,women,men")
    options.add_argument("--source", required=True, help="who counted what, and when: it stands in every rule")
    options.add_argument("--out", type=Path, required=True, help="the policy file")
    given = options.parse_args()
    try:
        text = policy(shares(given.table), given.source)
    except (KeyError, ValueError) as error:
        sys.exit(str(error))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    print(f"wrote {len(Policy.from_file(given.out).rules)} rules to {given.out}")


if __name__ == "__main__":
    main()
