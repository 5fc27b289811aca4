"""Pictures through a perceiver: in batches, broken ones named, samples drawn without favour."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from audit_examples import ByColour, picture

from fair_diffusion.audit.sources.perceive import BATCH, SAMPLES, Picture, perceive, samples_of


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
