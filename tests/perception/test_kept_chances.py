"""Labels of images that a control chose by what was read."""

from __future__ import annotations

import numpy as np
import pytest

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
