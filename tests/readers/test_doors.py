"""Every door through which a file comes in: private pictures beside a folder stay out, and pipes are not waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_examples import ByColour, both, picture, put, record, write_run

from fair_diffusion.audit.folder import load_images, load_study, save_study
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.cli.associations import members
from fair_diffusion.cli.compare import read_prompts
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.models.edits import read
from fair_diffusion.perception.clip import read_phrases
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.trained import TrainedPerceiver
from fair_diffusion.policy import Policy
from fair_diffusion.readers.counts import read_counts
from fair_diffusion.readers.folder import read_concepts
from fair_diffusion.readers.kid_reference import pictures_of, read_features
from fair_diffusion.readers.labelled_folder import read_labelled
from fair_diffusion.readers.target import read_target
from fair_diffusion.rebalance import find_originals
from fair_diffusion.report.report import report
from fair_diffusion.runs.occupations import read_occupations

PRIVATE = ("../private.png", "more/../../private.png", "ABSOLUTE", "link.png", "folder/private.png")


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A private picture, of a woman, beside the folders that come from elsewhere."""
    return put(tmp_path, "private.png", picture("woman"))


def links(folder: Path) -> None:
    (folder / "link.png").symlink_to("../private.png")
    (folder / "folder").symlink_to("..")


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("again", [True, False])
def test_a_record_leads_to_no_picture_outside_of_its_run(name: str, again: bool, tmp_path: Path, private: Path) -> None:
    named = str(private) if name == "ABSOLUTE" else name
    folder = write_run(tmp_path / "run", [record(0, "man", file="image-00000.png"), record(1, "man", file=named)])
    links(folder)
    found = read_target(folder, scratch=tmp_path, reader=ByColour() if again else None)
    assert [sample.image.name for sample in found.study.samples] == ["image-00000.png"]
    assert len(found.study.broken) == 1
    save_study(found.study, tmp_path / "study", found.images)
    assert [path.name for path in (tmp_path / "study" / "samples").iterdir()] == ["00000.png"]
    assert report(numbers(found.study)).count("data:image/jpeg") == 1
    gender = next(tally for tally in found.study.tallies if tally.attribute == "gender")
    assert gender.counts["woman"] == 0


def test_links_to_runs_and_to_their_files_are_not_followed(tmp_path: Path) -> None:
    write_run(tmp_path / "private", [record(0, "woman"), record(1, "woman")])
    write_run(tmp_path / "runs" / "own", [record(0, "man")])
    (tmp_path / "runs" / "linked").symlink_to("../private")
    inside = tmp_path / "runs" / "inside"
    inside.mkdir()
    for name in ("records.parquet", "result.json", "image-00000.png"):
        (inside / name).symlink_to(f"../../private/{name}")
    found = read_target(tmp_path / "runs", scratch=tmp_path, attributes=["gender"]).study
    assert [(tally.n, tally.counts["woman"]) for tally in found.tallies] == [(1, 0)]
    assert "links to folders were not followed: 1, such as linked" in found.notes


def test_a_study_shows_no_picture_and_no_table_from_outside(tmp_path: Path, private: Path) -> None:
    found = read_target(write_run(tmp_path / "run", [record(0, "man")]), scratch=tmp_path)
    save_study(found.study, tmp_path / "study", found.images)
    for name, target in (("samples/00000.png", private), ("images.parquet", tmp_path / "run" / "records.parquet")):
        (tmp_path / "study" / name).unlink()
        (tmp_path / "study" / name).symlink_to(target)
    study = load_study(tmp_path / "study")
    assert study.samples == []
    assert "samples/00000.png (a link out of the folder, not followed)" in study.notes[-1]
    assert load_images(tmp_path / "study") is None
    for name in ("tallies.parquet", "study.json"):
        (tmp_path / "study" / name).rename(tmp_path / name)
        (tmp_path / "study" / name).symlink_to(tmp_path / name)
        with pytest.raises(ValueError, match="study"):
            load_study(tmp_path / "study")


def test_folders_of_pictures_show_nothing_from_outside(tmp_path: Path, private: Path) -> None:
    folder = tmp_path / "photos"
    for k in range(2):
        put(folder, f"nurse/{k}.png", picture("man"))
        put(folder, f"cook/{k}.png", picture("woman"))
    links(folder)
    (folder / "nurse" / "link.png").symlink_to("../../private.png")
    reader = ByColour()
    found = read_target(folder, scratch=tmp_path, reader=reader)
    assert len(found.study.samples) == 4
    assert sorted(found.study.broken) == [
        f"{name}: a link out of the folder, not followed" for name in ("link.png", "nurse/link.png")
    ]
    assert len(find_originals(folder, prompt="a nurse").images) == 4
    (folder / "folder").unlink()
    assert read_labelled(folder, attribute="job", side=8).names == ["cook", "nurse"]

    class Featured(ByColour):
        def embed(self, images: object) -> object:
            raise AssertionError("it was opened")

    files = [file for file in pictures_of(folder)[0] if file.name == "link.png"]
    assert len(files) == 2
    assert len(read_features(files, Featured())[1]) == 2  # type: ignore[arg-type]


FILES: dict[str, Callable[[Path], object]] = {
    "counts.csv": read_counts,
    "counts.parquet": lambda path: read_target(path, scratch=path.parent),
    "captions.tar": lambda path: read_target(path, scratch=path.parent),
    "concepts.csv": read_concepts,
    "labels.csv": HumanLabels.load,
    "policy.yaml": Policy.from_file,
    "suite.txt": lambda path: read_occupations(str(path)),
    "prompts.txt": lambda path: read_prompts([str(path)], None, "{}"),
    "words.txt": lambda path: members("X", str(path)),
    "phrases.yaml": read_phrases,
    "edit.safetensors": read,
    "strengths.json": Strengths.load,
    "picture.png": open_picture,
    "reader/perceiver.json": lambda path: TrainedPerceiver.load(path.parent),
    "run/records.parquet": lambda path: read_target(path.parent, scratch=path.parent, reader=ByColour()),
    "run/result.json": lambda path: read_target(path.parent, scratch=path.parent, reader=ByColour()),
    "study/study.json": lambda path: load_study(path.parent),
}


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, f"{Path(name).parent}/beside.txt").with_name(Path(name).name)
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"no regular file|is no study|no images in"):
        FILES[name](path)


def test_pipes_beside_pictures_are_named(tmp_path: Path) -> None:
    both().save(tmp_path / "run")
    (tmp_path / "run" / "image-00000.png").unlink()
    os.mkfifo(tmp_path / "run" / "image-00000.png")
    found = read_target(tmp_path / "run", scratch=tmp_path).study
    assert found.broken == ["image-00000.png: no regular file; not shown, its record counts"]
