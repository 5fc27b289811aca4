"""Studies that hold the same images: counted once, whatever their folders are called."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from audit_examples import both, result

from fair_diffusion.audit.combine import combine, combined_images
from fair_diffusion.audit.copies import without_copies
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.readers.run import read_run


def test_a_copy_of_a_run_is_left_out_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        both().save(tmp_path / name)
    found = [read_run(tmp_path / name, scratch=tmp_path) for name in ("a", "b")]
    named, rows, notes = without_copies(
        [(name, one.study) for name, one in zip("ab", found, strict=True)], [one.images for one in found]
    )
    assert named == [("a", found[0].study)]
    assert rows == [found[0].images]
    assert notes == [
        "b: plain holds the same images as a: plain, counted once",
        "b: instructed holds the same images as a: instructed, counted once",
    ]


def test_runs_of_one_prompt_and_seed_share_their_plain_twins(tmp_path: Path) -> None:
    """Two instructions, one seed: one plain source, with which both are compared seed by seed."""
    both().save(tmp_path / "a")
    other = result(["man", "man", "woman", "woman"])
    object.__setattr__(other, "plain", both().plain)
    other.save(tmp_path / "b")
    found = [read_run(tmp_path / name, scratch=tmp_path) for name in ("a", "b")]
    named, rows, notes = without_copies(
        [(name, one.study) for name, one in zip("ab", found, strict=True)], [one.images for one in found]
    )
    study = combine(named)
    assert [source.name for source in study.sources] == ["plain", "a: instructed", "b: instructed"]
    assert notes == ["b: plain holds the same images as a: plain, counted once"]
    compared = numbers(study, images=combined_images(named, rows)).comparisons
    assert [(one.before, one.after, one.paired) for one in compared if one.attribute == "gender"] == [
        ("plain", "a: instructed", 1),
        ("plain", "b: instructed", 1),
    ]


def rows(*files: str, confidence: float = 0.5) -> pa.Table:
    count = len(files)
    return pa.table(
        {
            "file": list(files),
            "source": ["photos"] * count,
            "concept": ["cook"] * count,
            "gender": ["woman"] * count,
            "gender_confidence": pa.array([confidence] * count, pa.float32()),
        }
    )


def test_without_seeds_the_names_of_the_files_must_agree_too() -> None:
    tally = Tally(source="photos", concept="cook", attribute="gender", counts={"woman": 2, "man": 0})
    study = Study(title="t", sources=[], tallies=[tally])
    for table, left in (
        (rows("x/a.png", "x/b.png"), 1),
        (rows("a.png", "c.png"), 2),
        (rows("a.png", "b.png", confidence=0.6), 2),
    ):
        named, _, _ = without_copies([("a", study), ("b", study)], [rows("a.png", "b.png"), table])
        assert len(named) == left
    named, _, notes = without_copies([("a", study), ("b", study)], [None, None])  # counts alone prove no copy
    assert (len(named), notes) == (2, [])
