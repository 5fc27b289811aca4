"""The ways in docs/reference/methods.md: what `methods.METHODS` knows is written anew, what was measured is kept.

python -m recipes.methods_table        write the table anew

The last two cells of each row, what a way needs before and what it costs, are written by hand. A way that is new has
"?" there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fair_diffusion.compare.way import LEARNT, PLAIN, WAYS, Way
from fair_diffusion.methods import ALL, METHODS, Method, named

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "methods.md"
COMMAND = "python -m recipes.methods_table"
BEGIN, END = "<!-- recipes/methods_table.py writes from here -->", "<!-- to here -->"
HEAD = ("way", "method", "control", "acts on", "needs before", "evaluations")
BY_HAND = 2


def table(old: str) -> str:
    """The table; what is kept by hand comes from the table `old`."""
    kept = {row[0]: row[-BY_HAND:] for row in rows(old)}
    every = [HEAD, ("---",) * len(HEAD), *([*known, *kept.get(known[0], ["?"] * BY_HAND)] for known in _known())]
    return "".join(f"| {' | '.join(row)} |\n" for row in every)


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def page(text: str) -> str:
    """The text of the page with the table as it is now. `ValueError` if the page lacks the marks."""
    if text.count(BEGIN) != 1 or END not in text.partition(BEGIN)[2]:
        raise ValueError(f"{PAGE.name} lacks the lines {BEGIN!r} and {END!r}; put them where the table belongs")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(old)}\n{END}{after}"


def _known() -> Iterator[list[str]]:
    """For each way the cells that the table of methods knows: the plain model, the methods in their order, edits."""
    yield _cells(PLAIN.name, named(PLAIN.method), "none")
    for row in METHODS.values():
        for name in row.ways:
            yield _cells(name, row, _control(WAYS[name]))
        for name in LEARNT:
            if LEARNT[name] is row:
                yield _cells(f"{name}=FILE", row, row.controls[0])
    yield _cells("NAME=FILE", METHODS["edit"], ALL)


def _cells(name: str, row: Method, control: str) -> list[str]:
    return [f"`{name}`", f"`{row.name}`", control, row.acts_on]


def _control(way: Way) -> str:
    """The control of a way; where all images are steered, also who says to which group if the method has a choice."""
    row = named(way.method)
    if way.control != ALL or len(row.controls) == 1:
        return way.control
    return f"{way.control}, by a coin" if way.coin else f"{way.control}, by quota"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
