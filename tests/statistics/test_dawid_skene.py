"""Dawid and Skene's estimate: against `crowd-kit`, and against raters whose errors are known."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from fair_diffusion.statistics.dawid_skene import NONE, dawid_skene

ERRORS = np.array([[[0.95, 0.05], [0.1, 0.9]], [[0.85, 0.15], [0.2, 0.8]], [[0.75, 0.25], [0.3, 0.7]]])
"""Of three raters; the last one is careless."""


def _labelled(pictures: int, *, seen: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What pictures show, and what the three raters said of those that they saw."""
    rng = np.random.default_rng(seed)
    shown = (rng.random(pictures) < 0.3).astype(int)
    said = np.stack([(rng.random(pictures) < ERRORS[r, shown, 1]).astype(int) for r in range(3)], axis=1)
    said[rng.random(said.shape) > seen] = NONE
    said[(said == NONE).all(axis=1), 0] = 0
    return shown, said


def test_step_by_step_it_is_that_of_crowd_kit() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from crowdkit.aggregation import DawidSkene
    _, said = _labelled(200, seen=0.8, seed=1)
    rows = [(picture, rater, said[picture, rater]) for picture, rater in np.argwhere(said != NONE)]
    theirs = DawidSkene(n_iter=25, tol=-np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(pd.DataFrame(rows, columns=["task", "worker", "label"]))
    ours = dawid_skene(said, 2, steps=25, tolerance=0)
    assert ours.shown[:, 1] == pytest.approx(theirs.probas_.sort_index()[1].to_numpy(), abs=1e-6)


def test_it_finds_the_errors_of_raters_who_overlap() -> None:
    shown, said = _labelled(20000, seen=0.9, seed=2)
    found = dawid_skene(said, 2)
    assert found.errors == pytest.approx(ERRORS, abs=0.03)
    assert found.shares == pytest.approx([0.7, 0.3], abs=0.03)
    assert found.accuracy[0] > found.accuracy[1] > found.accuracy[2]
    majority = np.where((said == 1).sum(axis=1) > (said == 0).sum(axis=1), 1, 0)
    assert (found.shown.argmax(axis=1) == shown).mean() > (majority == shown).mean() + 0.005


def test_probabilities_are_some() -> None:
    found = dawid_skene([[0, NONE], [1, 1], [NONE, 0]], 3)
    assert found.shown.sum(axis=1) == pytest.approx(1)
    assert found.errors.sum(axis=2) == pytest.approx(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("labels", "said"), [([[2, 0]], "give -1 to 1"), ([[0, 1], [NONE, NONE]], "no label"), ([0, 1], "one row")]
)
def test_what_is_no_table_is_refused(labels: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dawid_skene(labels, 2)  # type: ignore[arg-type]
