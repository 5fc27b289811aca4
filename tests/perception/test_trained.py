"""A perceiver trained on coloured pictures: it learns, repeats itself, errs where it must, and survives a file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.trained import CARD, FEWEST, TrainedPerceiver, _split, train
from fair_diffusion.readers.labelled_folder import read_labelled

COLOURS = {"woman": (200, 30, 30), "man": (30, 30, 200), "unknown": (30, 200, 30)}


def labelled(folder: Path, groups: dict[str, int]) -> Path:
    generator = torch.Generator().manual_seed(0)
    for group, n in groups.items():
        (folder / group).mkdir(parents=True)
        for k in range(n):
            colour = [int(c + torch.randint(-25, 26, (), generator=generator)) for c in COLOURS[group]]
            Image.new("RGB", (20, 30), tuple(colour)).save(folder / group / f"{k}.png")
    return folder


def fit(folder: Path, epochs: int = 25) -> TrainedPerceiver:
    found = read_labelled(folder, attribute="gender", side=16)
    return train(found.images, found.groups, attribute="gender", names=found.names, epochs=epochs, seed=3)


def weights(perceiver: TrainedPerceiver) -> list[Tensor]:
    return list(perceiver.reader.state_dict().values())


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedPerceiver]:
    folder = labelled(tmp_path_factory.mktemp("labelled"), {"woman": 15, "man": 15, "unknown": 15})
    return folder, fit(folder)


def test_it_learns_and_its_held_out_matrix_says_so(learnt: tuple[Path, TrainedPerceiver]) -> None:
    folder, perceiver = learnt
    assert perceiver.groups == {"gender": ("woman", "man")}
    assert perceiver.confusion.counts == [[3, 0, 0], [0, 3, 0]]
    assert perceiver.confusion.measured_on == "6 held-out pictures"
    pictures = [Image.open(folder / group / "0.png") for group in COLOURS]
    assert [reading.label for reading in perceiver.read(pictures)["gender"]] == ["woman", "man", None]


def test_the_same_seed_gives_the_same_weights(learnt: tuple[Path, TrainedPerceiver]) -> None:
    first = fit(learnt[0], epochs=3)
    torch.rand(7)  # what else draws does not matter
    again = fit(learnt[0], epochs=3)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(again), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights(first), weights(learnt[1]), strict=True))


def test_what_is_learnt_by_heart_is_confused_on_held_out_pictures() -> None:
    # Noise shows nobody: the pictures that taught can be remembered, and only a matrix of others is honest about it.
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (80, 3, 16, 16), generator=generator).byte()
    groups = ["woman", "man"] * 40
    found = train(images, groups, attribute="gender", names=["woman", "man"], held_out=0.5, epochs=25)
    counts = torch.tensor(found.confusion.counts)
    assert counts.sum(dim=1).tolist() == [20, 20]
    held_out = int(counts[0, 0] + counts[1, 1])
    assert 10 <= held_out <= 30  # 40 tosses of a coin fall outside once in 700 times
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    labels = [reading.label for reading in found.read(pictures)["gender"]]
    right = sum(label == group for label, group in zip(labels, groups, strict=True))
    assert right - held_out >= 36  # of the 40 that taught


def test_a_saved_perceiver_reads_the_same(learnt: tuple[Path, TrainedPerceiver], tmp_path: Path) -> None:
    folder, perceiver = learnt
    perceiver.save(tmp_path / "new")
    again = TrainedPerceiver.load(tmp_path / "new")
    pictures = [Image.open(path) for path in sorted((folder / "man").iterdir())[:5]]
    for one, other in zip(perceiver.read(pictures)["gender"], again.read(pictures)["gender"], strict=True):
        assert one.label == other.label
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)  # weights are kept in half precision
    assert again.confusion == perceiver.confusion
    assert again.reader.side == 16
    with pytest.raises(ValueError, match="not empty"):
        perceiver.save(tmp_path / "new")


@pytest.mark.parametrize("damage", ["card", "weights", "nothing"])
def test_a_damaged_one_is_named(damage: str, learnt: tuple[Path, TrainedPerceiver], tmp_path: Path) -> None:
    if damage != "nothing":
        learnt[1].save(tmp_path / "new")
        path = tmp_path / "new" / (CARD if damage == "card" else "perceiver.safetensors")
        path.write_text(json.dumps({"attribute": "gender"}))
    with pytest.raises(ValueError, match="no trained perceiver") as error:
        TrainedPerceiver.load(tmp_path / "new")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (lambda file: os.mkfifo(file), "no regular file"),
        (lambda file: file.symlink_to(file.parents[1] / "elsewhere.safetensors"), "a link out of the folder"),
        (lambda file: save_file({"heads.gender.bias": torch.full((3,), torch.nan)}, file), "not finite"),
    ],
    ids=["a pipe", "a link out", "no numbers"],
)
def test_weights_that_would_hang_or_read_nothing_are_refused(
    put: Callable[[Path], None], said: str, learnt: tuple[Path, TrainedPerceiver], tmp_path: Path
) -> None:
    learnt[1].save(tmp_path / "new")
    weights = tmp_path / "new" / "perceiver.safetensors"
    shutil.copy(weights, tmp_path / "elsewhere.safetensors")
    weights.unlink()
    put(weights)
    with pytest.raises(ValueError, match=said) as error:
        TrainedPerceiver.load(tmp_path / "new")
    assert "no trained perceiver" in str(error.value)


def test_a_confidence_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="a confidence of nan"):
        Reading(None, float("nan"))


def test_folders_broken_pictures_and_order(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "here", {"woman": 2, "man": 2})
    (folder / "man" / "bad.png").write_bytes(b"no picture")
    (folder / "man" / "notes.txt").write_text("x")
    (folder / "woman" / "link.png").symlink_to(folder / "man" / "0.png")
    Image.new("RGB", (8, 8)).save(folder / "loose.png")
    (folder / "man" / "more" / "yet").mkdir(parents=True)
    (folder / "man" / "more" / ".tmp").mkdir()
    for place in ("man/more/yet/5.png", "man/more/.tmp/6.png"):
        Image.new("RGB", (8, 8)).save(folder / place)
    found = read_labelled(folder, attribute="gender", side=16)
    assert (found.groups, found.names) == (["man"] * 3 + ["woman"] * 2, ["woman", "man"])
    assert found.images.shape == (5, 3, 16, 16)
    assert {said.split(": ")[0] for said in found.broken} == {"loose.png", "man/bad.png", "woman/link.png"}
    assert "loose.png: in no sub-folder, and so of no group" in found.broken
    (folder / "androgynous").mkdir()
    with pytest.raises(ValueError, match="androgynous has no pictures that can be read"):
        read_labelled(folder, attribute="gender", side=16)


def test_wrong_use_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        read_labelled(tmp_path / "gone", attribute="gender", side=16)
    with pytest.raises(ValueError, match="no pictures"):
        read_labelled(tmp_path, attribute="gender", side=16)
    images, groups = torch.zeros(20, 3, 16, 16, dtype=torch.uint8), ["a"] * 10 + ["b"] * 10
    with pytest.raises(ValueError, match="give at least two"):
        train(images, ["a"] * 20, attribute="x", names=["a"])
    with pytest.raises(ValueError, match="'b' has 4 pictures; give at least 5, better"):
        train(images, ["a"] * 16 + ["b"] * 4, attribute="x", names=["a", "b"])
    with pytest.raises(ValueError, match="'unknown' has 1 pictures"):
        train(images, [*groups[:-1], "unknown"], attribute="x", names=["a", "b"])
    with pytest.raises(ValueError, match="held_out is 1;"):
        train(images, groups, attribute="x", names=["a", "b"], held_out=1)
    with pytest.raises(ValueError, match=r"held_out is 0\.99, which leaves 0 of 10 pictures of 'a' to learn from"):
        train(images, groups, attribute="x", names=["a", "b"], held_out=0.99)


@given(st.lists(st.integers(FEWEST, 60), min_size=2, max_size=4), st.floats(0.01, 0.6))
def test_of_every_class_the_same_share_is_held_out_and_none_is_whole(sizes: list[int], share: float) -> None:
    classes = torch.cat([torch.full((n,), k) for k, n in enumerate(sizes)])
    seen, held = _split(classes, share, torch.Generator().manual_seed(0))
    assert sorted([*seen.tolist(), *held.tolist()]) == list(range(len(classes)))
    for k, n in enumerate(sizes):
        assert int((classes[held] == k).sum()) == max(1, round(share * n))
        assert int((classes[seen] == k).sum()) >= 2
