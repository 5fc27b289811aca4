"""docs/reference/formats.md: the files that are written and read back, with their versions and fields.

python -m recipes.formats_page        write the tables of the page anew, and keep its text
"""

from __future__ import annotations

import re
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.audit.impact import Impact
from fair_diffusion.audit.lines import Line
from fair_diffusion.rebalance.result import RebalancedRecord
from fair_diffusion.result import Record

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "formats.md"
COMMAND = "python -m recipes.formats_page"
KINDS = {
    "runs.format.FORMAT": (
        "a run",
        "`result.json`, `records.parquet`, the record in each PNG; `suite.json` of a suite",
    ),
    "audit.folder.FORMAT": ("a study", "`study.json`, `tallies.parquet`, `images.parquet`"),
    "compare.folder.FORMAT": ("a comparison's work folder", "`settings.json`"),
    "compare.drawn.FORMAT": ("one way and prompt of a comparison", "`cells/*.parquet`"),
    "control.strengths.FORMAT": ("learnt strengths", "`NAME.strengths.json` beside a policy"),
    "steering.bottleneck.FORMAT": ("bottleneck vectors", "`.safetensors`"),
    "steering.bottleneck_heads.FORMAT": ("heads of distribution guidance", "`.safetensors`"),
    "models.edits.FORMAT": ("edited weights", "`.safetensors`"),
    "perception.reader.FORMAT": ("a reader's weights", "`.safetensors`"),
    "perception.trained.FORMAT": ("a trained perceiver", "`perceiver.json` beside its weights"),
    "perception.calibration.FORMAT": ("a calibration", "`calibration.json`"),
    "allocation.ledger_file.SCHEMA": ("a ledger", "SQLite"),
    "service.database.SCHEMA": ("the database of a service", "SQLite or PostgreSQL"),
}
"""For each constant that numbers a format: what has it, and where it lies."""
FIELDS: dict[str, type[Any]] = {
    "record": Record,
    "rebalanced": RebalancedRecord,
    "lines": Line,
    "deviations": Deviation,
    "impact": Impact,
}
"""For each table of fields the class whose docstring lists them."""
END = "<!-- to here -->"


def page(text: str) -> str:
    """The text of the page with its tables as they are now. `ValueError` if it lacks the marks of one."""
    parts = {"versions": versions(), **{name: fields(kind) for name, kind in FIELDS.items()}}
    for name, table in parts.items():
        begin = f"<!-- recipes/formats_page.py writes {name} from here -->"
        before, found, rest = text.partition(begin)
        _, ends, after = rest.partition(END)
        if not found or not ends:
            raise ValueError(f"{PAGE.name} lacks the lines {begin!r} and {END!r}; put them where the table belongs")
        text = f"{before}{begin}\n\n{table}\n{END}{after}"
    return text


def versions() -> str:
    """The table of formats with the number that each constant has."""
    rows = ["| of | where | version | constant |", "|---|---|---|---|"]
    for constant, (of, where) in KINDS.items():
        module, _, name = constant.rpartition(".")
        number = getattr(import_module(f"fair_diffusion.{module}"), name)
        rows.append(f"| {of} | {where} | {int(number)} | `{constant}` |")
    return "\n".join(rows) + "\n"


def fields(kind: type) -> str:
    """A table of the fields that a class's docstring lists under "Attributes"."""
    told = cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    rows = ["<!-- set, not measured -->", "| field | meaning |", "|---|---|"]
    for name, meaning in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", told, re.MULTILINE):
        rows.append(f"| `{name}` | {' '.join(meaning.split()).removesuffix('.')} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
