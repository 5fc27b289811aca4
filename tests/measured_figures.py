"""Measured figures in the documentation: the blocks of a page, their numbers, and the files that the numbers come from.

A block is a paragraph, a list item or a table. A line `<!-- from FILE, FILE -->` before it names the files that hold
its figures; `<!-- set, not measured -->` says that they are settings, thresholds, definitions or arithmetic. A comment
holds for its own block alone. What a benchmark wrote after `<!-- benchmarks/NAME.py writes from here -->` has its
figures from the page of that benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "cli.md")]
"""The pages; docs/reference/cli.md is made from the program."""
_WRITTEN = re.compile(r"<!-- (benchmarks/\w+)\.py writes from here -->")
FROM, SET = re.compile(r"<!-- from (.+) -->"), "<!-- set, not measured -->"
_NAMES = re.compile(
    r"`[^`]*`|\]\([^)]*\)|arXiv [\d.]+|"
    r"(Diffusion|SD|SDXL|FLUX|Python|SD3|v|CFR|RCNY §|chapter) ?[\d.]+(x|-\d+)?( \d+\.\d+)?"
)
"""What holds digits that are no figures: code, links, names of models, papers and rules."""
_NUMBER = r"[−-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MEASURED = re.compile(rf"({_NUMBER})(\s?(?:%|×|s\b|GiB|MiB)| times of)?")


@dataclass(frozen=True)
class Block:
    """A block of a page: its first line (from 1), its text, and the files that its comment names; None without one."""

    page: Path
    line: int
    text: str
    sources: tuple[str, ...] | None

    @property
    def figures(self) -> list[str]:
        """The numbers that look measured: with decimals, or in %, ×, s, GiB, MiB or times of 100."""
        found = []
        for number, unit in _MEASURED.findall(_NAMES.sub("", self.text)):
            if "." in number or unit:
                found.append(number.replace(",", ""))
        return found

    @property
    def where(self) -> str:
        """The place, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, without code and headings."""
    own: list[str] = []
    first, sources = 0, None
    code, written = False, None  # written: the source of the region that a benchmark wrote
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            code = not code
        comment = FROM.fullmatch(line.strip())
        begins = not line.strip() or line.startswith("#") or code or comment or line.strip().startswith("<!--")
        item = re.match(r"\s*([-*]|\d+\.) ", line)
        if own and (begins or item or (line.startswith("|") != own[-1].startswith("|"))):
            yield Block(page, first, "\n".join(own), written if sources is None else sources)
            own, sources = [], None
        if marker := _WRITTEN.fullmatch(line.strip()):
            written = (f"{marker[1]}.md",)
        elif line.strip() == "<!-- to here -->":
            written = None
        if comment:
            sources = tuple(part.strip() for part in comment[1].split(","))
        elif line.strip() == SET:
            sources = ()
        elif line.strip() and not begins and not line.lstrip().startswith("```"):
            first = first if own else number
            own.append(line)


@lru_cache(maxsize=64)
def numbers_in(source: str) -> frozenset[float]:
    """All numbers in a file of the repository."""
    path = ROOT / source
    if path.suffix == ".parquet":
        columns = (column.to_pylist() for column in pq.read_table(path).columns)
        return frozenset(float(v) for column in columns for v in column if isinstance(v, int | float))
    text = path.read_text(encoding="utf-8")
    return frozenset(abs(float(number.replace(",", "").replace("−", "-"))) for number in re.findall(_NUMBER, text))


def found(figure: str, source: str) -> bool:
    """Whether a file holds a figure, rounded as it is on the page; of a share in per cent also the share itself."""
    digits, value = len(figure.partition(".")[2]), abs(float(figure.replace("−", "-")))
    half = 0.5 * 10**-digits + 1e-9
    return any(abs(number - value) <= half or abs(100 * number - value) <= half for number in numbers_in(source))
