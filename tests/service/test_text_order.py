"""No query hangs on the order of texts: databases sort them by their locale, where "~" may stand before "1"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Text

import fair_diffusion
from fair_diffusion.service.tables import tables

ROOT = Path(fair_diffusion.__file__).parent
COLUMNS = [column for table in tables.tables.values() for column in table.columns]
NUMBERS = {column.name for column in COLUMNS if not isinstance(column.type, Text)}
TEXTS = {column.name for column in COLUMNS} - NUMBERS
RANGES = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def ranges_of_texts(module: str) -> Iterator[str]:
    """The comparisons of a module that ask whether a column of text lies before or behind something."""
    for node in ast.walk(ast.parse(module)):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare) and any(isinstance(op, RANGES) for op in node.ops):
            sides = [node.left, *node.comparators]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "between":
            sides = [node.func.value, *node.args]
        if any(_is_text(side) for side in sides):
            yield ast.unparse(node)


def _is_text(node: ast.expr) -> bool:
    """Whether it is `table.c.name` of a column that holds texts in every table that has it."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Attribute):
        return False
    return node.value.attr == "c" and node.attr in TEXTS


def test_no_range_of_texts_is_asked_for() -> None:
    found = [
        f"{module.relative_to(ROOT)}: {said}"
        for part in ("service", "studio", "scale", "cli")
        for module in sorted((ROOT / part).rglob("*.py"))
        for said in ranges_of_texts(module.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_ranges_of_texts_are_noticed() -> None:
    assert list(ranges_of_texts('jobs.c.idempotency.between(start, start + "~")')) == [
        "jobs.c.idempotency.between(start, start + '~')"
    ]
    assert list(ranges_of_texts("jobs.c.worker >= name")) == ["jobs.c.worker >= name"]
    assert list(ranges_of_texts("jobs.c.created.between(a, b), jobs.c.priority > 1, jobs.c.worker == name")) == []
