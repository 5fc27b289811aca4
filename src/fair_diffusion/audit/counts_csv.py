"""A table of counts, `prompt,attribute,group,count[,source][,target]`, as a study. "unknown" is a group of its own."""

from __future__ import annotations

import csv
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally

COLUMNS = ("prompt", "attribute", "group", "count")
UNKNOWN = "unknown"
KINDS = ("data", "plain", "instructed")


def load_counts(path: Path) -> Study:
    """Read a CSV of counts.

    Without a column `source` all counts are from one that is called like the file. A source called data, plain or
    instructed is of that kind.

    Raises:
        ValueError: a column is missing, a count or target is no number, or a group is counted twice.
        OSError: the file cannot be read.
    """
    counts: dict[tuple[str, str, str], dict[str, int]] = {}
    targets: dict[tuple[str, str, str], dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}; its first line must name {','.join(COLUMNS)}")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            key = (row.get("source") or path.stem, row["prompt"], row["attribute"])
            group, number = row["group"], row["count"] or ""
            if not (number.isascii() and number.isdigit()):
                raise ValueError(f"{where}: count is {number!r}; give a whole number, 0 or more")
            if group in counts.setdefault(key, {}):
                raise ValueError(f"{where}: {group!r} of {key[1]!r} is counted twice; add the counts up")
            counts[key][group] = int(number)
            if row.get("target"):
                try:
                    targets.setdefault(key, {})[group] = float(row["target"])
                except ValueError as error:
                    raise ValueError(f"{where}: target is {row['target']!r}; give a share such as 0.5") from error
    if not counts:
        raise ValueError(f"{path} holds no counts; give one line per prompt and group")
    sources = dict.fromkeys(source for source, _, _ in counts)
    return Study(
        title=path.stem.replace("_", " "),
        sources=[
            Source(name=name, kind=name if name in KINDS else "other", facts={"counts": path.name}) for name in sources
        ],
        tallies=[
            Tally(
                source=source,
                concept=concept,
                attribute=attribute,
                counts={group: count for group, count in found.items() if group != UNKNOWN},
                unknown=found.get(UNKNOWN, 0),
                target=targets.get((source, concept, attribute)),
            )
            for (source, concept, attribute), found in counts.items()
        ],
    )
