"""Pages of the reference hold what the code says."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from recipes import formats_page, policy_page

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fair_diffusion"


def test_the_page_of_the_policy_file_is_current() -> None:
    text = policy_page.PAGE.read_text(encoding="utf-8")
    assert text == policy_page.page(), (
        f"docs/reference/policy-file.md is not current; make it anew: {policy_page.COMMAND}"
    )


def test_every_key_of_a_policy_file_is_explained() -> None:
    rows = [line for line in policy_page.page().splitlines() if line.startswith("| `")]
    bare = [row.split("`")[1] for row in rows if row.endswith("|  |")]
    assert len(rows) > 40
    assert set(bare) == {"gender", "skin_tone", "age", "share"}  # their values and a paragraph say it


def test_the_tables_of_the_page_of_formats_are_current() -> None:
    text = formats_page.PAGE.read_text(encoding="utf-8")
    assert text == formats_page.page(text), f"docs/reference/formats.md is not current: {formats_page.COMMAND}"
    with pytest.raises(ValueError, match="lacks the lines"):
        formats_page.page(text.replace("writes record from", ""))


def test_every_numbered_format_is_on_the_page() -> None:
    found = {
        f"{'.'.join(path.relative_to(SOURCE).with_suffix('').parts)}.{name}"
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"^(FORMAT|SCHEMA) = [\"\d]", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == set(formats_page.KINDS), f"recipes/formats_page.py, KINDS: then {formats_page.COMMAND}"


def test_a_table_of_fields_has_every_field_once() -> None:
    for kind in formats_page.FIELDS.values():
        told = re.findall(r"^\| `(\w+)` \|", formats_page.fields(kind), re.MULTILINE)
        inherited = {one.name for base in kind.__bases__ if is_dataclass(base) for one in fields(base)}
        assert len(told) == len(set(told))
        assert set(told) == {one.name for one in fields(kind)} - inherited


def test_every_metric_is_on_the_page_of_metrics() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    for said in (
        "total variation",
        "KL",
        "fairness discrepancy",
        "pairwise bias",
        "deviation ratio",
        "parity gap",
        "KID",
    ):
        assert said in page
    for module in re.findall(r"statistics/(\w+)\.py", page):
        assert (SOURCE / "statistics" / f"{module}.py").is_file()
