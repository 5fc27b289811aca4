"""Pictures through a perceiver: in batches, broken ones named, samples drawn without favour."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from audit_examples import ByColour, picture
from PIL import Image

from fair_diffusion.files.picture_batches import BATCH
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.readers.perceive import SAMPLES, Picture, perceive, samples_of


def pictures(n: int, *, broken: frozenset[int] = frozenset()) -> list[Picture]:
    good = {group: picture(group) for group in ("woman", "man")}
    return [
        Picture(f"{k}.png", "here", "nurse", b"no picture" if k in broken else good["woman" if k % 4 else "man"])
        for k in range(n)
    ]


def test_broken_pictures_are_named_and_in_no_count() -> None:
    reader = ByColour()
    told: list[tuple[int, int | None]] = []
    found = perceive(pictures(70, broken=frozenset([0, 33])), reader, total=70, progress=lambda *k: told.append(k))
    assert reader.largest_batch == BATCH - 1
    assert told[-1] == (70, 70)
    assert [name.split(":")[0] for name in found.broken] == ["0.png", "33.png"]
    (tally,) = found.rows.tallies()
    assert tally.counts == {"woman": 51, "man": 17}
    assert found.rows.files == [f"{k}.png" for k in range(70) if k not in (0, 33)]


def test_no_more_pictures_are_in_memory_than_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Image.Image]] = []
    alive, taken = [], 0

    def opened(data: Path | bytes, name: str) -> Image.Image:
        image = open_picture(data, name)
        made.append(weakref.ref(image))
        alive.append(sum(one() is not None for one in made))
        assert taken - len(made) < BATCH  # nor are their bytes taken long before
        return image

    def stream() -> Iterator[Picture]:
        nonlocal taken
        for taken, one in enumerate(pictures(8 * BATCH), start=1):  # noqa: B007
            yield one

    monkeypatch.setattr("fair_diffusion.files.picture_batches.open_picture", opened)
    assert len(perceive(stream(), ByColour()).rows) == len(made) == 8 * BATCH
    assert BATCH <= max(alive) <= 2 * BATCH  # one batch is let go as the next is opened


class Crowd(ByColour):
    """Sees as many people of one colour as there are tens in a picture's number."""

    def people(self, images: Sequence[Image.Image]) -> list[list[dict[str, Reading]]]:
        readings = self.read(images)["gender"]
        tens = [1 + int(image.info["file"].split(".")[0]) // 10 for image in images]
        return [[{"gender": reading}] * k for reading, k in zip(readings, tens, strict=True)]


def test_a_perceiver_that_tells_people_apart_counts_each_of_them() -> None:
    found = perceive(pictures(25, broken=frozenset([0])), Crowd())
    assert (len(found.rows), found.pictures) == (9 + 2 * 10 + 3 * 5, 24)
    assert found.rows.files[-4:] == ["23.png, person 3", "24.png", "24.png, person 2", "24.png, person 3"]
    (tally,) = found.rows.tallies()
    assert tally.counts == {"woman": 32, "man": 12}
    assert "44 people in 24 pictures, each counted" in found.notes[0]
    assert perceive(pictures(3), ByColour()).notes == []


def test_nothing_but_broken_pictures_is_no_error() -> None:
    found = perceive(pictures(3, broken=frozenset(range(3))), ByColour())
    assert (len(found.rows), len(found.broken), found.samples) == (0, 3, [])


def test_every_picture_is_as_likely_in_the_sample() -> None:
    shown: Counter[int] = Counter()
    runs, n = 60, 40
    for seed in range(runs):
        found = perceive(pictures(n), ByColour(), seed=seed)
        assert len({row for row, _ in found.samples}) == SAMPLES
        shown.update(row for row, _ in found.samples)
    expected = runs * SAMPLES / n
    assert max(abs(shown[k] - expected) for k in range(n)) < 5 * (expected * (1 - SAMPLES / n)) ** 0.5


def test_samples_carry_their_own_labels_and_pictures(tmp_path: Path) -> None:
    found = perceive(pictures(40), ByColour())
    for sample, (row, _) in zip(samples_of(found, tmp_path), found.samples, strict=True):
        assert sample.image.is_file()
        assert sample.labels == {"gender": "woman" if row % 4 else "man"}
        assert sample.confidence == {"gender": 0.9}
