"""Labels of images that a control chose by what was read."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.feedback_world import NAMES, WOMAN, Known, World
from fair_diffusion.allocation import least_change
from fair_diffusion.perception.kept_chances import kept_chances


def test_an_image_left_alone_stands_for_those_that_the_look_read_alike() -> None:
    natural = ["man", "man", "man", "man", "woman", None, None]
    steered = [True, True, True, False, False, True, False]
    assert kept_chances(natural, steered) == [0, 0, 0, 0.25, 1.0, 0, 0.5]
    assert kept_chances([], []) == []


def test_weighted_labels_show_the_errors_that_a_control_hides() -> None:
    """A fifth of women are read as men. Of the images that read as men a third are left alone."""
    rng = np.random.default_rng(0)
    women = rng.random(20_000) < 0.4
    natural = ["woman" if w and rng.random() < 0.8 else "man" for w in women]
    steered = [group == "man" and rng.random() < 2 / 3 for group in natural]
    chances = np.array(kept_chances(natural, steered))
    left = chances > 0
    weights = np.divide(1, chances, out=np.zeros_like(chances), where=left)
    missed = women & (np.array(natural) == "man")
    assert weights.sum() == pytest.approx(len(women))
    assert weights[missed].sum() / weights[women].sum() == pytest.approx(0.2, abs=0.015)
    assert missed[left].sum() / women[left].sum() < 0.1


def test_what_a_calibration_chose_hides_half_of_the_errors_whatever_it_weighs() -> None:
    """Natural-first control in a known world: the share of the misread among women, weighted, by the true share."""
    told = {}
    for calibrated in (False, True):
        rng, seen, truth = np.random.default_rng(1), np.zeros(2), np.zeros(2)
        for name in NAMES * 2:
            world = World(rng, "wrong")
            drawn = world.draw(80, Known({name: world}) if calibrated else None, name)
            for people, read, chance in zip(drawn.people, drawn.read, drawn.chances, strict=True):
                if people == WOMAN and chance > 0:
                    seen[int(read != WOMAN)] += 1 / chance
            truth += np.array([1 - world.missed, world.missed]) * world.women
        told[calibrated] = seen[1] / seen.sum() * truth.sum() / truth[1]
    assert told[False] == pytest.approx(1, abs=0.25)
    assert told[True] < 0.7


def test_where_all_images_that_read_alike_were_steered_none_tells_anything() -> None:
    """Of the men, those that read as women alone would be seen: the perceiver would never be right about a man."""
    natural, steered = ["man", "man", "woman", "woman", None], [True, True, False, False, True]
    assert kept_chances(natural, steered) == [0.0] * 5
    assert kept_chances(natural[2:], steered[2:]) == [1.0, 1.0, 0.0]  # nobody tells what an unsure look would show


def test_the_surest_images_are_left_alone_so_errors_are_hidden_all_the_same() -> None:
    """A right confidence: what is read with 0.7 is wrong in 3 of 10. Of 900 men at the look 500 are left alone."""
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.6, 1, 1000)
    natural = [0] * 100 + [1] * 900
    p = np.where(np.array(natural)[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
    wrong = rng.random(1000) > sure
    steered = [k != own for k, own in zip(least_change(natural, p, [500, 500]), natural, strict=True)]
    chances = np.array(kept_chances([str(k) for k in natural], steered))
    left = chances > 0
    weighted = np.average(wrong[left], weights=1 / chances[left])
    assert wrong.mean() == pytest.approx(0.2, abs=0.03)
    assert weighted < 0.15
