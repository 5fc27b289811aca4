"""A line of the table: what was measured, the bar, and whether it meets the bar. Lines are kept from run to run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "serving.md"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A measured figure.

    Attributes:
        what: what was measured, and over how much.
        figure: with its unit.
        bar: with its unit; empty if there is none.
        meets: whether the figure meets the bar; None if there is none.
    """

    what: str
    figure: str
    bar: str = ""
    meets: bool | None = None

    @property
    def row(self) -> str:
        """As a row of the table."""
        verdict = "" if self.meets is None else "meets" if self.meets else "misses"
        return f"| {self.what} | {self.figure} | {self.bar} | {verdict} |"


def kept(page: Path = PAGE) -> dict[str, list[Line]]:
    """The lines of former runs, by part: they lie beside the page."""
    file = page.with_suffix(".json")
    if not file.is_file():
        return {}
    return {part: [Line(**line) for line in lines] for part, lines in json.loads(file.read_text()).items()}


def keep(part: str, lines: Sequence[Line], order: Sequence[str], note: str, page: Path = PAGE) -> None:
    """Put the lines of a part in the place of former ones, and write the page anew, with the parts in this order."""
    found = kept(page) | {part: list(lines)}
    found = {name: found[name] for name in order if name in found}
    plain = {name: [asdict(line) for line in lines] for name, lines in found.items()}
    page.with_suffix(".json").write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    rows = [line.row for lines in found.values() for line in lines]
    table = "\n".join(["| measured | figure | bar | verdict |", "|---|---|---|---|", *rows])
    page.write_text(f"# {page.stem.capitalize()}\n\n{note}\n{table}\n")
