"""Who shows what by optimal transport, against every possible assignment and every possible draw of groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fair_diffusion.steering.fairness_loss import assign
from fair_diffusion.steering.learn.alignment import DRAWS, targets

Floats = NDArray[np.float64]


def random_p(n: int, cells: int, seed: int) -> Floats:
    """Probabilities of cells and of unknown, (n, cells + 1)."""
    return np.random.default_rng(seed).dirichlet(np.ones(cells + 1), size=n)


@pytest.mark.parametrize("quotas", [[2, 3, 1], [3, 3], [1, 0, 2, 2], [0, 4]])
def test_the_assignment_is_the_best_of_all(quotas: list[int]) -> None:
    places = [k for k, count in enumerate(quotas) for _ in range(count)]
    for seed in range(5):
        p = random_p(len(places), len(quotas), seed)
        best = min(
            set(itertools.permutations(places)), key=lambda cells: -sum(np.log(p[i, k]) for i, k in enumerate(cells))
        )
        assert assign(torch.from_numpy(p), quotas).tolist() == list(best)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=5).filter(any), st.integers(0, 999))
def test_the_assignment_is_as_probable_as_scipys(quotas: list[int], seed: int) -> None:
    """One column per place, as the transport problem is put in textbooks."""
    places = np.repeat(np.arange(len(quotas)), quotas)
    p = random_p(len(places), len(quotas), seed)
    rows, chosen = linear_sum_assignment(np.log(p)[:, places], maximize=True)
    ours = np.log(p)[np.arange(len(p)), assign(torch.from_numpy(p), quotas).numpy()].sum()
    assert ours == pytest.approx(np.log(p)[rows, places[chosen]].sum(), rel=1e-9)


def expected(p: Floats, shares: list[float]) -> Floats:
    """How often each image gets each group, (n, groups): over all draws of groups, each at its probability, the
    assignment of the least total squared distance to one-hot vectors, found among all."""
    n, k = p.shape
    distances = ((p[:, None] - np.eye(k)) ** 2).sum(axis=2)
    often = np.zeros_like(p)
    for counts in itertools.product(range(n + 1), repeat=k):
        if sum(counts) == n:
            drawn = [group for group, count in enumerate(counts) for _ in range(count)]
            ways = set(itertools.permutations(drawn))
            best = min(ways, key=lambda cells: sum(distances[i, cell] for i, cell in enumerate(cells)))
            often[range(n), best] += len(ways) * np.prod([shares[cell] for cell in drawn])
    return often


@settings(max_examples=20)
@given(st.integers(0, 999), st.integers(2, 6), st.floats(0.05, 0.95))
def test_two_groups_are_exactly_as_often_as_over_all_draws(seed: int, n: int, share: float) -> None:
    first = np.random.default_rng(seed).uniform(size=n)
    often = expected(np.stack([first, 1 - first], axis=1), [share, 1 - share])
    assert often.sum(axis=1) == pytest.approx(1)
    chosen, unsure = targets(np.stack([first, 1 - first], axis=1), [share, 1 - share])
    assert unsure == pytest.approx(1 - often.max(axis=1), abs=1e-9)
    assert often[range(n), chosen] == pytest.approx(often.max(axis=1))


@pytest.mark.parametrize("shares", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1], [0.5, 0.5, 0.0]])
def test_several_groups_are_as_often_but_for_the_draws(shares: list[float]) -> None:
    five_errors = 5 * 0.5 / np.sqrt(DRAWS)
    for seed in range(3):
        p = np.random.default_rng(seed).dirichlet(np.ones(3), size=5)
        often = expected(p, shares)
        chosen, unsure = targets(p, shares, seed=seed)
        assert unsure == pytest.approx(1 - often.max(axis=1), abs=five_errors)
        assert (often[range(5), chosen] > often.max(axis=1) - five_errors).all()
