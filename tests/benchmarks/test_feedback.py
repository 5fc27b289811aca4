"""The benchmark of labels: the wrong perceiver errs in the way that it says, and intervals are counted."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.feedback import NAMES, WRONG, Wrong, darkest, short_and_dark
from benchmarks.feedback_intervals import coverage
from fair_diffusion.perception import pocket
from fair_diffusion.perception.probabilities import probabilities


def _picture(seed: int, *, beside: int | None) -> Image.Image:
    """Noise in the middle, on white; beside the neck another, up to this brightness, or little of it."""
    rng = np.random.default_rng(seed)
    pixels = np.full((64, 64, 3), 255, dtype=np.uint8)
    pixels[10:60, 24:40] = rng.integers(0, 255, (50, 16, 3))
    pixels[30 : 44 if beside else 33, 10:54] = rng.integers(0, beside or 100, (14 if beside else 3, 44, 3))
    return Image.fromarray(pixels)


def test_which_hair_is_misread() -> None:
    assert short_and_dark(_picture(0, beside=None))
    assert not short_and_dark(_picture(0, beside=200))
    assert not short_and_dark(_picture(0, beside=80))
    assert darkest(_picture(0, beside=None))
    assert not darkest(_picture(0, beside=200))
    assert darkest(_picture(0, beside=80))


@pytest.mark.parametrize("who", WRONG)
def test_a_wrong_perceiver_only_moves_what_it_says_and_always_the_same(who: str) -> None:
    wrong, right = Wrong(WRONG[who]), pocket.load()
    pictures = [_picture(k, beside=None if k % 2 else 200) for k in range(80)]
    found, known = wrong.every_probability(pictures), right.every_probability(pictures)
    again = probabilities(wrong, pictures[:7])
    for name in NAMES:
        assert (again[name] == found[name][:7]).all()
        assert found[name].sort(dim=1).values.allclose(known[name].sort(dim=1).values)
    gender = (found["gender"] != known["gender"]).any(dim=1)
    women = known["gender"].argmax(dim=1) == right.groups["gender"].index("woman")
    misread = np.array([WRONG[who](picture) for picture in pictures])
    assert not (gender & ~women).any()
    assert not gender.numpy()[~misread].any()
    moved = (found["skin_tone"] != known["skin_tone"]).any(dim=1)
    before, after = known["skin_tone"].argmax(dim=1), found["skin_tone"].argmax(dim=1)
    assert ((before - after).abs()[moved] <= 1).all()
    readings = wrong.read(pictures)
    for one, row in zip(readings["gender"], found["gender"], strict=True):
        groups = (*wrong.groups["gender"], None)
        assert one.label == (groups[int(row.argmax())] if row.max() >= 0.5 else None)


@pytest.mark.parametrize("right", [0.8, 0.98])
def test_coverage_is_counted(right: float) -> None:
    rng = np.random.default_rng(0)
    facts = []
    for share in np.linspace(0.2, 0.8, 8):
        women = rng.random(60) < share
        read = np.where(rng.random(60) < right, women, ~women)
        tones = [{"gender": "woman" if one else "man", "skin_tone": "dark" if one else "medium"} for one in women]
        seen = [{"gender": "woman" if one else "man", "skin_tone": "dark" if one else "medium"} for one in read]
        facts.append({"people": tones, "perceived": seen})
    lines = coverage(facts, labels=160, runs=30)
    rows = [line for line in lines if line.startswith("| gender") or line.startswith("| skin")]
    assert len(rows) == 4
    for row in rows:
        shares = [float(share) for share in re.findall(r"([\d.]+)%", row)]
        assert min(shares) >= 86
