"""The same pictures found more than once: copies of runs and files, and runs of one prompt with the same seed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from audit_examples import ByColour, picture, put, record, result, write_run
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.files.picture_hash import picture_hash
from fair_diffusion.readers.folder import read_folder
from fair_diffusion.readers.run import read_run

TARGET = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}


def steered(index: int, judged: str, sure: float, **changes: Any) -> dict[str, Any]:
    told = {"control": "natural-first", "steered_to": {}, "strength": 0.0, "confidence": {"gender": sure}}
    return record(index, judged, **told | changes)


def twin(index: int, sure: float, **changes: Any) -> dict[str, Any]:
    return steered(index, "man", sure, **{"method": "none", "rule": None, "control": "none"} | changes)


def counts(folder: Path, scratch: Path) -> dict[str, int]:
    found = read_run(folder, scratch=scratch, attributes=["gender"]).study
    return {tally.source: tally.n for tally in found.tallies}


def test_a_copy_of_a_run_counts_once(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "all" / "a",
        [steered(0, "woman", 0.9), steered(1, "man", 0.8)],
        twins=[twin(0, 0.7), twin(1, 0.6)],
        target=TARGET,
    )
    shutil.copytree(run, tmp_path / "all" / "b")
    found = read_run(tmp_path / "all", scratch=tmp_path, attributes=["gender"])
    assert {tally.source: tally.n for tally in found.study.tallies} == {"plain": 2, "instructed": 2}
    assert found.images is not None
    assert found.images["file"].to_pylist() == [f"a/{kind}-0000{k}.png" for kind in ("plain", "image") for k in (0, 1)]
    assert [source.seconds for source in found.study.sources] == [2.0, 2.0]  # the copy took none
    assert [note for note in found.study.notes if "same" in note] == [
        "plain: 2 images are the same as others and are counted once, such as b/plain-00000.png, as a/plain-00000.png",
        "instructed: 2 images are the same as others and are counted once, such as b/image-00000.png, as "
        "a/image-00000.png",
    ]


def test_runs_of_one_prompt_and_seed_share_their_plain_twins(tmp_path: Path) -> None:
    """The second run has more images: its first two twins are those of the first run, its images are others."""
    twins = [twin(k, 0.5 + k / 10) for k in range(3)]
    write_run(tmp_path / "all" / "a", [steered(k, "woman", 0.9) for k in range(2)], twins=twins[:2], target=TARGET)
    write_run(
        tmp_path / "all" / "b",
        [steered(k, "woman", 0.95, strength=2.0) for k in range(3)],
        twins=twins,
        target=TARGET,
    )
    assert counts(tmp_path / "all", tmp_path) == {"plain": 3, "instructed": 5}


def test_runs_that_differ_only_in_control_are_sources_of_their_own(tmp_path: Path) -> None:
    for control in ("natural-first", "all"):
        write_run(tmp_path / "all" / control, [steered(0, "woman", 0.9, control=control)])
    assert counts(tmp_path / "all", tmp_path) == {"instructed, all": 1, "instructed, natural-first": 1}


def test_other_pictures_with_the_same_readings_are_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "all" / name, [steered(0, "woman", 1.0)])
    Image.new("RGB", (16, 16), (201, 20, 20)).save(tmp_path / "all" / "b" / "image-00000.png")
    assert counts(tmp_path / "all", tmp_path) == {"instructed": 2}
    (tmp_path / "all" / "b" / "image-00000.png").unlink()  # then the records alone tell
    assert counts(tmp_path / "all", tmp_path) == {"instructed": 1}


@pytest.mark.parametrize("changes", [{"seed": None}, {"confidence": {}}])
def test_records_that_do_not_tell_pass_for_new_pictures(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "all" / name, [{**steered(0, "woman", 0.9), **changes}])
    assert counts(tmp_path / "all", tmp_path) == {"instructed": 2}


def test_what_generate_writes_twice_counts_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        result(["woman", "man", None]).save(tmp_path / "all" / name)
    assert counts(tmp_path / "all", tmp_path) == {"instructed": 3}


def test_files_with_the_same_content_count_once_in_a_concept(tmp_path: Path) -> None:
    one, other = picture("woman"), picture("man")
    for name in ("cook/a.png", "cook/copy of a.png", "nurse/a.png"):
        put(tmp_path / "photos", name, one)
    put(tmp_path / "photos", "cook/b.png", other)
    found = read_folder(tmp_path / "photos", ByColour(), scratch=tmp_path).study
    assert {tally.concept: dict(tally.counts) for tally in found.tallies} == {
        "cook": {"woman": 1, "man": 1},
        "nurse": {"woman": 1, "man": 0},
    }
    assert found.notes[0] == "one image is the same as another and is counted once: cook/copy of a.png, as cook/a.png"


def test_the_hash_is_that_of_the_picture_and_not_of_its_notes(tmp_path: Path) -> None:
    picture, info = Image.new("RGB", (16, 16), (200, 20, 20)), PngInfo()
    info.add_itxt("fair-diffusion", "a record")
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.png", pnginfo=info)
    Image.new("RGB", (16, 16), (200, 20, 21)).save(tmp_path / "c.png")
    put(tmp_path, "cut.png", (tmp_path / "a.png").read_bytes()[:40])
    one, same, *others = (picture_hash(tmp_path / f"{name}.png") for name in ("a", "b", "c", "cut"))
    assert one == same
    assert len({one, *others}) == 3
