"""Quality by a folder of pictures: the number is `kid` of the very features, and what cannot be measured is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audit_examples import put, record, write_run
from PIL import Image, ImageDraw

from fair_diffusion.audit.study import Study
from fair_diffusion.perception import judge
from fair_diffusion.perception.skin_tone import SkinTone
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.kid_reference import KidReference
from fair_diffusion.readers.run import read_run
from fair_diffusion.statistics.kid import kid

NAME = "KID to faces (features of judge; lower is nearer)"


def figures(folder: Path, n: int, *, seed: int, colour: tuple[int, int, int]) -> list[Path]:
    """Pictures of one circle each, somewhere, on a ground of one colour."""
    rng = np.random.default_rng(seed)
    paths = []
    for k in range(n):
        image = Image.new("RGB", (64, 64), colour)
        x, y, r = rng.integers(10, 40), rng.integers(10, 40), rng.integers(5, 20)
        ImageDraw.Draw(image).ellipse((int(x), int(y), int(x + r), int(y + r)), fill=(200, 150, 120))
        path = put(folder, f"{k:02d}.png")
        image.save(path)
        paths.append(path)
    return paths


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    figures(tmp_path / "faces", 24, seed=0, colour=(230, 230, 230))
    return tmp_path / "faces"


def run_of(folder: Path, colour: tuple[int, int, int], n: int = 20) -> Path:
    write_run(folder, [record(k, "woman") for k in range(n)])
    for k, path in enumerate(figures(folder.with_suffix(".made"), n, seed=1, colour=colour)):
        path.replace(folder / f"image-{k:05d}.png")
    return folder


def opened(folder: Path) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]


def test_it_is_kid_over_the_perceivers_features_and_tells_near_from_far(faces: Path, tmp_path: Path) -> None:
    kid_reference = KidReference.of(faces, judge.load(), by="judge")
    values = {}
    for name, colour in (("near", (230, 230, 230)), ("far", (20, 20, 60))):
        run = run_of(tmp_path / name, colour)
        findings = kid_reference.measured(read_run(run, scratch=tmp_path), run)
        (source,) = findings.study.sources
        values[name] = source.quality[NAME]
        features = judge.load().embed(opened(run)).numpy()
        assert values[name] == pytest.approx(kid(features, judge.load().embed(opened(faces)).numpy()).value)
        assert any("from 20 images against 24" in note for note in findings.study.notes)
    assert values["far"] > 10 * abs(values["near"])


def test_a_broken_picture_is_left_out_and_few_are_too_few(faces: Path, tmp_path: Path) -> None:
    put(faces, "broken.png", b"no picture")
    figures(faces, 1, seed=5, colour=(0, 0, 0))[0].replace(faces / "contact-sheet.png")  # a run's own, no image of it
    figures(faces, 1, seed=0, colour=(230, 230, 230))
    kid_reference = KidReference.of(faces, judge.load(), by="judge")
    assert kid_reference.features.shape == (24, 256)
    (said,) = kid_reference.notes
    assert said.startswith("1 pictures of the reference cannot be read, such as broken.png (")
    run = run_of(tmp_path / "run", (230, 230, 230), n=5)
    study = kid_reference.measured(read_run(run, scratch=tmp_path), run).study
    assert NAME not in study.sources[0].quality
    assert any("5 images are too few" in note for note in study.notes)
    assert said in study.notes


def test_a_broken_image_of_a_run_is_named_though_its_record_counts(faces: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (230, 230, 230))
    put(run, "image-00003.png", b"no picture")
    study = KidReference.of(faces, judge.load(), by="judge").measured(read_run(run, scratch=tmp_path), run).study
    assert any("1 images cannot be compared, such as image-00003.png (" in note for note in study.notes)
    assert any("from 19 images against 24" in note for note in study.notes)


def test_a_run_as_reference_is_its_images_without_their_plain_twins(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (230, 230, 230))
    own = judge.load().embed(opened(run)).numpy()
    for path in figures(tmp_path / "twins", 3, seed=2, colour=(20, 20, 60)):
        path.replace(run / f"plain-000{path.name}")
    kid_reference = KidReference.of(run, judge.load(), by="judge")
    assert np.array_equal(kid_reference.features, own)
    assert kid_reference.notes == ("3 plain twins in the reference were left out",)


def test_what_cannot_be_measured_is_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'skin_tone' has no features.*use pocket, judge"):
        KidReference.of(faces, SkinTone(), by="skin_tone")
    with pytest.raises(ValueError, match="no folder"):
        KidReference.of(tmp_path / "none", judge.load(), by="judge")
    put(tmp_path, "empty/a.png", b"no picture")
    with pytest.raises(ValueError, match="0 pictures that can be read"):
        KidReference.of(tmp_path / "empty", judge.load(), by="judge")
    counted = Findings(Study(title="t", sources=[], tallies=[]))
    with pytest.raises(ValueError, match="no image that was counted"):
        KidReference.of(faces, judge.load(), by="judge").measured(counted, tmp_path)
