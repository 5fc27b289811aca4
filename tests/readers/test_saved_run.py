"""Runs read as studies: written by `Result.save` itself, from pictures and readings that are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from audit_examples import GROUPS, READ, TARGET, both, result

from fair_diffusion.audit.folder import load_study, save_study
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Study
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.readers.perceive import SAMPLES
from fair_diffusion.readers.target import read_target
from fair_diffusion.report.report import report


def study_of(folder: Path) -> Study:
    return read_target(folder, scratch=folder).study


def test_a_run_with_its_plain_twins(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    found = study_of(tmp_path / "run")
    assert (found.title, found.unit) == ("a cook", "prompt")
    assert [(source.name, source.kind, source.ratio, source.seconds) for source in found.sources] == [
        ("plain", "plain", 1.0, 3.0),
        ("instructed", "instructed", 2.0, 3.0),
    ]
    plain, instructed = (source.facts for source in found.sources)
    assert instructed["seeds"] == "7 to 10"
    assert instructed["images"] == "4 of 5 asked for"
    assert (instructed["weights"], instructed["policy"]) == ("sha256 ab", "cooks.yaml")
    assert instructed["instruction"] == "rules:\n  - <b>cook</b>"
    assert '<td class="text">rules:\n  - &lt;b&gt;cook&lt;/b&gt;</td>' in report(numbers(found))
    assert instructed["what was done"] == "4 untouched, 0 steered, 0 repaired, 0 reseeded, 0 missed"
    assert "what was done" not in plain
    assert "judge" in plain["perceiver"]
    assert [(tally.source, dict(tally.counts), tally.unknown, tally.target) for tally in found.tallies] == [
        ("plain", {"woman": 0, "man": 4, "androgynous": 0}, 0, dict(zip(GROUPS, TARGET, strict=True))),
        ("instructed", {"woman": 2, "man": 1, "androgynous": 0}, 1, dict(zip(GROUPS, TARGET, strict=True))),
    ]
    assert [(tally.counts["man"], tally.unknown) for tally in found.perceived] == [(4, 0), (4, 0)]
    assert list(found.confusions) == [READ]
    assert list(found.notes) == ["about a cook"]


def test_pictures_are_drawn_at_random_in_pairs(tmp_path: Path) -> None:
    n = 3 * SAMPLES
    plain = result(["man"] * n, instructed=False)
    replace(result(["woman"] * n), plain=plain).save(tmp_path / "run")
    found = study_of(tmp_path / "run")
    names = [sample.image.name for sample in found.samples]
    assert [sample.source for sample in found.samples] == ["plain"] * SAMPLES + ["instructed"] * SAMPLES
    assert [name.removeprefix("plain") for name in names[:SAMPLES]] == [
        name.removeprefix("image") for name in names[SAMPLES:]
    ]
    assert len(set(names)) == 2 * SAMPLES
    thirds = [sum(third * SAMPLES <= int(name[6:11]) < (third + 1) * SAMPLES for name in names) for third in range(3)]
    assert min(thirds) > 0
    assert study_of(tmp_path / "run").samples == found.samples
    assert f"{2 * SAMPLES} of {2 * n} images, drawn at random" in found.drawn


def test_a_picture_is_shown_with_what_was_read_in_it(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    third = next(sample for sample in study_of(tmp_path / "run").samples if sample.image.name == "image-00002.png")
    assert (third.labels, third.confidence) == ({"gender": None}, {"gender": 0.27})
    assert open_picture(third.image).getpixel((0, 0)) == (2, 100, 0)


def test_runs_in_sub_folders(tmp_path: Path) -> None:
    both("a cook").save(tmp_path / "run" / "000")
    both("a nurse").save(tmp_path / "run" / "001")
    found = study_of(tmp_path / "run")
    assert (found.title, found.unit) == ("Audit of run", "prompt")
    assert [(tally.source, tally.concept) for tally in found.tallies] == [
        ("plain", "a cook"),
        ("instructed", "a cook"),
        ("plain", "a nurse"),
        ("instructed", "a nurse"),
    ]
    assert [source.seconds for source in found.sources] == [6.0, 6.0]
    assert list(found.confusions) == [READ]
    save_study(found, tmp_path / "study")
    again = load_study(tmp_path / "study")
    assert list(again.tallies) == list(found.tallies)
    assert list(again.confusions) == [READ]
    assert list(again.perceived) == list(found.perceived)
    replace(result(["man"] * 3, prompt="a nurse", seed=40), requested=3).save(tmp_path / "run" / "002")
    more = study_of(tmp_path / "run")
    assert {(tally.source, tally.concept): tally.n for tally in more.tallies} == {
        ("plain", "a cook"): 4,
        ("instructed", "a cook"): 4,
        ("plain", "a nurse"): 4,
        ("instructed", "a nurse"): 7,
    }
    assert more.sources[1].facts["seeds"] == "7 to 10, 40 to 42"
    assert more.sources[1].facts["images"] == "11 of 13 asked for"
    assert more.unit == "prompt"


def test_prompts_that_share_a_concept_are_no_unit(tmp_path: Path) -> None:
    for k, prompt in enumerate(["a photo of a cook", "a portrait of a cook"]):
        result(["man"], prompt=prompt).save(tmp_path / "run" / str(k))
    found = study_of(tmp_path / "run")
    assert (found.unit, [tally.n for tally in found.tallies]) == ("concept", [2])


def test_plain_images_alone_and_twins_that_are_the_same(tmp_path: Path) -> None:
    plain = result(["man", "woman"], instructed=False)
    plain.save(tmp_path / "alone")
    replace(plain, plain=plain).save(tmp_path / "twins")
    for name in ("alone", "twins"):
        found = study_of(tmp_path / name)
        assert [(source.name, source.seconds) for source in found.sources] == [("plain", 3.0)]
        assert found.sources[0].facts["images"] == "2 of 3 asked for"
        assert [tally.n for tally in found.tallies] == [2]
        assert len(found.samples) == 2


def test_damaged_and_empty_runs(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    whole = json.loads((tmp_path / "run" / "result.json").read_text())
    changes: list[dict[str, object]] = [
        {"plain": 3},
        {"n": -7},
        {"audit": [{"x": 1}]},
        {"audit": [{"attribute": "gender", "group": "woman", "target": 0.5, "count": -5}]},
        {"cost": {"seconds": "long"}},
        {"made_with": ["x"]},
        {"images": {"steered": None}},
        {"confusions": [{"groups": []}]},
        {"notes": 3},
    ]
    for damaged in ("", "[]", *(json.dumps(whole | change) for change in changes)):
        (tmp_path / "run" / "result.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"result\.json is no result"):
            study_of(tmp_path / "run")
    replace(result(["man"]), images=[], records=[], audit=[], perceived_audit=[]).save(tmp_path / "empty")
    with pytest.raises(ValueError, match="holds no records of images"):
        study_of(tmp_path / "empty")
