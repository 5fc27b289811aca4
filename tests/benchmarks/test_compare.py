"""The standing table: the same code as the command, in small; its page, its figures, its place in the documentation."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from stub_readers import stub_pipeline

from benchmarks import compare
from fair_diffusion.compare import WAYS
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.pocket import OCCUPATIONS
from recipes.pocket.captions import TABLE

METHODS_PAGE = compare.METHODS_PAGE


def test_it_writes_the_table_where_it_is_shown(tiny_sd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no drawings were rendered
    own = copy.deepcopy(tiny_sd)
    monkeypatch.setattr(FairPipeline, "from_pretrained", lambda _: stub_pipeline(own))
    monkeypatch.setattr(compare, "STEPS", 1)
    monkeypatch.setattr(compare, "PAGE", tmp_path / "compare.md")
    methods = tmp_path / "methods.md"
    methods.write_text(f"before\n{compare.BEGIN}\nold\n{compare.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(compare, "METHODS_PAGE", methods)
    for _ in range(2):  # the second time it draws nothing and writes the same
        table, dear = compare.run(["plain,prompt"], 2, 2, 1, tmp_path / "kept")
        shown = methods.read_text(encoding="utf-8")
        assert shown.startswith("before\n")
        assert shown.endswith("after\n")
        assert "old" not in shown
        assert shown.count("\n### every occupation: half women: gender") == 1
        assert shown.count("\n#### every occupation: half women: gender") == 1
        assert re.findall("first (\\d+) of 20 occupations", shown) == ["2", "1"]
    assert len(table) == 4
    assert {line.way for line in dear} == {"plain", "switch", "latents", "latents-mean", "latents-confident"}
    text = (tmp_path / "compare.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((.+?\.svg)\)", text)
    assert pictures == [
        f"compare-{name}-{kind}.svg" for name in ("gender", "skin_tone") for kind in ("cost", "quality")
    ]
    assert all((tmp_path / name).is_file() for name in pictures)
    assert "KID is to the plain images" in text


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="put them where the table belongs"):
        compare.shown_in("no marks", "table")


def test_the_documentation_has_the_marks_and_names_every_way() -> None:
    page = METHODS_PAGE.read_text(encoding="utf-8")
    assert compare.shown_in(page, "| new |").count("| new |") == 1
    for name in WAYS:
        assert f"`{name}" in page


def test_the_suite_of_the_pocket_model_is_its_mix_with_each_drawing_once() -> None:
    concepts = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["concepts"]
    listed = OCCUPATIONS.read_text(encoding="utf-8").split("\n")[:-1]
    assert listed == [name for name in concepts if name != "doctor"]
    assert len({concepts[name]["drawing"] for name in listed}) == len(listed) == 20


def test_what_was_learnt_takes_part_where_it_is_there(tmp_path: Path) -> None:
    bare = compare.methods(tmp_path)
    assert sorted([*bare, *compare.DEAR]) == sorted(WAYS)
    (tmp_path / "retraining.safetensors").touch()
    (tmp_path / "directions.safetensors").touch()
    learnt = set(compare.methods(tmp_path)) - set(bare)
    assert learnt == {
        f"bottleneck={tmp_path / 'directions.safetensors'}",
        f"retraining={tmp_path / 'retraining.safetensors'}",
    }
