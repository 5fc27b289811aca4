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
from benchmarks.standing import Standing
from fair_diffusion.compare import WAYS, Way
from fair_diffusion.compare.measure import measure
from fair_diffusion.compare.way import LEARNT
from fair_diffusion.models.pocket import OCCUPATIONS
from fair_diffusion.pipeline import FairPipeline
from recipes import methods_table
from recipes.pocket.captions import TABLE

SHOWN_ON = compare.SHOWN_ON


@pytest.fixture
def standing_in(tiny_sd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the benchmark works in small, without rendered drawings."""
    own = copy.deepcopy(tiny_sd)
    monkeypatch.setattr(FairPipeline, "from_pretrained", lambda _: stub_pipeline(own))
    (tmp_path / "occupations.txt").write_text("nurse\nguard\n", encoding="utf-8")
    (tmp_path / "methods.md").write_text(f"before\n{compare.BEGIN}\nold\n{compare.END}\nafter\n", encoding="utf-8")
    places = {"TABLE": "compare.parquet", "PAGE": "compare.md", "SHOWN_ON": "methods.md", "WORK": "work"}
    for name, file in {**places, "OCCUPATIONS": "occupations.txt"}.items():
        monkeypatch.setattr(compare, name, tmp_path / file)
    monkeypatch.setattr(compare, "STEPS", 1)
    monkeypatch.setattr(compare, "IMAGES", 2)
    return tmp_path


def test_it_writes_the_table_where_it_is_shown(standing_in: Path) -> None:
    written = []
    for _ in range(2):  # the second time it draws nothing and writes the same
        standing = compare.run(["prompt"], standing_in / "kept")
        written.append([path.read_bytes() for path in (compare.TABLE, compare.PAGE, compare.SHOWN_ON)])
    assert written[0] == written[1]
    shown = (standing_in / "methods.md").read_text(encoding="utf-8")
    assert shown.startswith("before\n")
    assert shown.endswith("after\n")
    assert "old" not in shown
    assert shown.count("\n### every occupation: half women: gender") == 1
    assert "Over 2 occupations." in shown
    assert "Not measured yet under “every occupation: half women”: hint, embedding," in shown
    assert [(line.attribute, line.way) for line in standing.table(compare.ORDER)] == [
        ("gender", "plain"),
        ("gender", "prompt"),
        ("skin_tone", "plain"),
        ("skin_tone", "prompt"),
    ]
    text = (standing_in / "compare.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((.+?\.svg)\)", text)
    assert pictures == [
        f"compare-{name}-{kind}.svg" for name in ("gender", "skin_tone") for kind in ("cost", "quality")
    ]
    assert all((standing_in / name).is_file() for name in pictures)
    assert "KID is to the plain images" in text


def test_it_grows_from_run_to_run_without_the_images(standing_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "ORDER", ("plain", "prompt", "hint"))
    first = compare.run(["prompt"], standing_in / "kept")
    second = compare.run(None, standing_in / "elsewhere")  # as on another machine
    assert list(second.lines) == list(compare.INSTRUCTIONS)
    for name, ways in second.lines.items():
        assert list(ways) == ["plain", "prompt", "hint"]
        assert {way: ways[way] for way in first.lines[name]} == first.lines[name]
    assert Standing.read(compare.TABLE, second.settings) == second
    third = compare.run(None, standing_in / "nowhere")  # whole: nothing is drawn
    assert third == second
    assert not (standing_in / "nowhere").exists()


def test_a_way_that_failed_is_tried_again_and_never_stands_over_what_was_measured(
    standing_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(pipe: Any, way: Way, *args: Any, **kwargs: Any) -> Any:
        if way.name == "prompt":
            raise RuntimeError("no memory")
        return measure(pipe, way, *args, **kwargs)

    monkeypatch.setattr(compare, "ORDER", ("plain", "prompt"))
    with monkeypatch.context() as patch:
        patch.setattr("fair_diffusion.compare.comparison.measure", broken)
        failed = compare.run(None, standing_in / "kept")
    assert _failures(failed) == ["'a photo of a nurse': RuntimeError: no memory"] * 2
    assert Standing.read(compare.TABLE, failed.settings) == failed
    whole = compare.run(None, standing_in / "kept")
    assert _failures(whole) == [None] * 2
    monkeypatch.setattr("fair_diffusion.compare.comparison.measure", broken)
    assert compare.run(["prompt"], standing_in / "elsewhere") == whole


def _failures(standing: Standing) -> list[str | None]:
    return [line.failed for ways in standing.lines.values() for line in ways["prompt"]]


def test_each_target_lands_by_itself(standing_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half, uniform = compare.INSTRUCTIONS

    def interrupted(pipe: Any, way: Way, asks: Any, *args: Any, **kwargs: Any) -> Any:
        if way.name == "prompt" and asks[0].instruction == uniform:
            raise KeyboardInterrupt
        return measure(pipe, way, asks, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("fair_diffusion.compare.comparison.measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare.run(["prompt"], standing_in / "kept")
    page = compare.PAGE.read_text(encoding="utf-8")
    assert f"Not measured yet under “{half}”: hint," in page
    assert f"Not measured yet under “{uniform}”: prompt, hint," in page
    monkeypatch.setattr(compare, "ORDER", ("plain", "prompt"))
    whole = compare.run(None, standing_in / "elsewhere")
    assert [line.way for line in whole.table(compare.ORDER)] == ["plain", "prompt"] * 2
    drawn = [path.name.split("-")[0] for path in (standing_in / "elsewhere" / "cells").iterdir()]
    assert sorted(drawn) == ["plain", "plain", "prompt", "prompt"]  # two occupations, the target that lacked


def test_a_way_with_another_file_is_another_way(tmp_path: Path) -> None:
    standing = Standing({})
    for weights in (b"one", b"two"):
        (tmp_path / "edit.safetensors").write_bytes(weights)
        way = Way(name="edit", method="edit", options={"file": tmp_path / "edit.safetensors"})
        assert not standing.holds(way, "half")
        standing.add(way, "half", [])
        assert standing.holds(way, "half")
        assert not standing.holds(way, "uniform")


def test_a_damaged_table_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "compare.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="is damaged"):
        Standing.read(tmp_path / "compare.parquet", {})


def test_lines_that_were_measured_otherwise_are_not_mixed(standing_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare.run(["prompt"], standing_in / "kept")
    before = compare.TABLE.read_bytes()
    monkeypatch.setattr(compare, "STEPS", 2)
    with pytest.raises(ValueError, match="was measured with steps 1, not 2"):
        compare.run(["hint"], standing_in / "other")
    assert compare.TABLE.read_bytes() == before
    assert not (standing_in / "other").exists()


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="put them where the table belongs"):
        compare.shown_in("no marks", "table")


def test_the_documentation_has_the_marks_and_names_every_way() -> None:
    assert compare.shown_in(SHOWN_ON.read_text(encoding="utf-8"), "| new |").count("| new |") == 1
    page = methods_table.PAGE.read_text(encoding="utf-8")
    ways, rest = page.split("\n## One paragraph each\n")
    paragraphs, _ = rest.split("\n## Weight edits and what is learnt beforehand\n")
    for name in WAYS:
        assert f"| `{name}`" in ways or f", `{name}` |" in ways
        assert f"(`{name}`)" in paragraphs or name in ("plain", *compare.DEAR)
    for name in LEARNT:
        assert f"| `{name}=FILE`" in ways
        assert f"`{name}=FILE`" in paragraphs


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
