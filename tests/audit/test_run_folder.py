"""Runs read as studies: written by `Result.save` itself, from pictures and readings that are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fair_diffusion.audit import audit_rows
from fair_diffusion.audit.run_folder import load_runs
from fair_diffusion.audit.study_folder import load_study, save_study
from fair_diffusion.result import Record, Result

GROUPS = ["woman", "man", "androgynous"]
TARGET = [0.5, 0.5, 0.0]


def result(labels: list[str | None], *, prompt: str = "a cook", instructed: bool = True, seed: int = 7) -> Result:
    def record(k: int, label: str | None) -> Record:
        return Record(
            index=k,
            prompt=prompt,
            used_prompt=prompt,
            seed=seed + k,
            model="pocket",
            method="semantic" if instructed else "none",
            control="all",
            rule="cooks" if instructed else None,
            steps=10,
            guidance=2.0,
            assigned={},
            natural={},
            natural_confidence={},
            steered=instructed,
            strength={},
            repairs=0,
            reseeds=0,
            missed=False,
            judged={"gender": label, "occupation": "cook"},
            perceived={"gender": "man", "occupation": "cook"},
            confidence={"gender": 0.25 + k / 100, "occupation": 0.5},
            evaluations=40 if instructed else 20,
            plain_evaluations=20,
        )

    return Result(
        prompt=prompt,
        model="pocket",
        method="semantic" if instructed else "none",
        control="all",
        seed=seed,
        rule="cooks" if instructed else None,
        reason="because",
        images=[Image.new("RGB", (8, 8), (k, 100 if instructed else 0, 0)) for k in range(len(labels))],
        records=[record(k, label) for k, label in enumerate(labels)],
        audit=audit_rows(labels, attribute="gender", groups=GROUPS, target=TARGET, quota=[2, 2, 0]),
        perceived_audit=audit_rows(
            ["man"] * len(labels), attribute="gender", groups=GROUPS, target=TARGET, quota=[2, 2, 0]
        ),
        seconds=3.0,
        requested=len(labels),
        notes=[f"about {prompt}"],
    )


def both(prompt: str = "a cook") -> Result:
    plain = result(["man"] * 4, prompt=prompt, instructed=False)
    return replace(result(["woman", "man", None, "woman"], prompt=prompt), plain=plain)


def test_a_run_with_its_plain_twins(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    found = load_study(tmp_path / "run")
    assert (found.title, found.unit) == ("a cook", "prompt")
    assert [(source.name, source.kind, source.ratio, source.seconds) for source in found.sources] == [
        ("plain", "plain", 1.0, 3.0),
        ("instructed", "instructed", 2.0, 3.0),
    ]
    assert found.sources[1].facts["seeds"] == "7 to 10"
    assert found.sources[1].facts["images"] == "4 of 4 asked for"
    assert [(tally.source, dict(tally.counts), tally.unknown, tally.target) for tally in found.tallies] == [
        ("plain", {"woman": 0, "man": 4, "androgynous": 0}, 0, dict(zip(GROUPS, TARGET, strict=True))),
        ("instructed", {"woman": 2, "man": 1, "androgynous": 0}, 1, dict(zip(GROUPS, TARGET, strict=True))),
    ]
    assert [(tally.counts["man"], tally.unknown) for tally in found.perceived] == [(4, 0), (4, 0)]
    assert list(found.notes) == ["about a cook"]


def test_pictures_are_drawn_at_random_in_pairs(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    drawn = [load_runs(tmp_path / "run", samples=2, seed=seed) for seed in range(8)]
    places = set()
    for found in drawn:
        names = [sample.image.name for sample in found.samples]
        assert [name.removeprefix("plain") for name in names[:2]] == [name.removeprefix("image") for name in names[2:]]
        assert [sample.source for sample in found.samples] == ["plain"] * 2 + ["instructed"] * 2
        assert all(list(sample.labels) == list(sample.confidence) == ["gender"] for sample in found.samples)
        places.add(tuple(names[:2]))
    assert len(places) > 1
    again = load_runs(tmp_path / "run", samples=2, seed=3)
    assert again.samples == drawn[3].samples
    assert "4 of 8 images, drawn at random with seed 3" in again.drawn
    third = next(sample for sample in load_runs(tmp_path / "run").samples if sample.image.name == "image-00002.png")
    assert (third.labels, third.confidence) == ({"gender": None}, {"gender": 0.27})
    with Image.open(third.image) as image:
        assert image.getpixel((0, 0)) == (2, 100, 0)


def test_runs_in_sub_folders(tmp_path: Path) -> None:
    both("a cook").save(tmp_path / "run" / "000")
    both("a nurse").save(tmp_path / "run" / "001")
    found = load_study(tmp_path / "run")
    assert found.title == "run"
    assert [(tally.source, tally.concept) for tally in found.tallies] == [
        ("plain", "a cook"),
        ("instructed", "a cook"),
        ("plain", "a nurse"),
        ("instructed", "a nurse"),
    ]
    assert [source.seconds for source in found.sources] == [6.0, 6.0]
    save_study(found, tmp_path / "study")
    again = load_study(tmp_path / "study")
    assert list(again.tallies) == list(found.tallies)
    assert list(again.perceived) == list(found.perceived)
    both("a nurse").save(tmp_path / "run" / "002")
    with pytest.raises(ValueError, match="two runs of 'a nurse'"):
        load_study(tmp_path / "run")


def test_plain_images_alone_and_twins_that_are_the_same(tmp_path: Path) -> None:
    plain = result(["man", "woman"], instructed=False)
    plain.save(tmp_path / "alone")
    replace(plain, plain=plain).save(tmp_path / "twins")
    for name in ("alone", "twins"):
        found = load_study(tmp_path / name)
        assert [source.name for source in found.sources] == ["plain"]
        assert [tally.n for tally in found.tallies] == [2]
        assert len(found.samples) == 2


def test_damaged_and_empty_runs(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    whole = json.loads((tmp_path / "run" / "result.json").read_text())
    for damaged in ("", "[]", json.dumps({**whole, "plain": 3}), json.dumps({**whole, "audit": [{"x": 1}]})):
        (tmp_path / "run" / "result.json").write_text(damaged)
        with pytest.raises(ValueError, match="damaged run"):
            load_study(tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(json.dumps({**whole, "audit": [], "plain": None}))
    with pytest.raises(ValueError, match="no finished image"):
        load_study(tmp_path / "run")
