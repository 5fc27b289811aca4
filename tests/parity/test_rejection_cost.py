"""What rejection costs against the closed form: how long one waits for r of one group and s of the other.

P(N ≤ m) = P(r ≤ W_m ≤ m − s),  W_m binomial;  with s = 0 that is the negative binomial
"""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, nbinom

from fair_diffusion.control import rejection
from fair_diffusion.control.order import Order
from fair_diffusion.policy import Policy, built_in
from fair_diffusion.request import Request
from fair_diffusion.steering.brief import Brief

RUNS = 400


def expected(r: int, s: int, p: float) -> float:
    """E[N] = Σ_m P(N > m)."""
    m = np.arange(2000)
    return float((1 - (binom.cdf(m - s, m, p) - binom.cdf(r - 1, m, p)).clip(0)).sum())


def drawn(women: int, men: int, p: float, batch_size: int) -> NDArray[np.int64]:
    """Pictures that were drawn in each of many runs, in a world where every picture shows a woman with chance p."""
    chance, groups = np.random.default_rng(3), built_in()["gender"].group_names

    def arrival() -> Any:
        shown = "woman" if chance.random() < p else "man"
        shares = {"gender": np.array([0.95 if group == shown else 0.01 for group in groups])}
        return SimpleNamespace(evaluations=1, picture=None, shares=shares, finite=True)

    nothing: Any = None
    targets = Policy.from_sentence("doctor: half women").rules[0].targets
    quotas = [[women if cell == ("woman",) else men if cell == ("man",) else 0 for cell in targets[0].shares]]
    request = Request(
        prompt="a doctor", n=women + men, method="rejection", repair_budget=100, steps=1, batch_size=batch_size
    )
    counts = []
    for _ in range(RUNS):
        order = Order(brief=Brief(nothing, request, targets=targets), quotas=quotas, readers=nothing)
        control = rejection.draw(order)
        with suppress(StopIteration):
            while True:
                stretches = next(control)
                assert len(stretches) <= batch_size
                for stretch in stretches:
                    stretch.take(arrival())
        assert not any(shown.missed for shown in order.finished)
        counts.append(sum(shown.evaluations for shown in order.finished))
    return np.array(counts)


@pytest.mark.parametrize(("women", "men", "p"), [(3, 0, 0.2), (2, 2, 0.3), (4, 1, 0.5)])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_mean_is_that_of_waiting(women: int, men: int, p: float, batch_size: int) -> None:
    counts = drawn(women, men, p, batch_size)
    mean = expected(women, men, p)
    if not men:
        assert mean == pytest.approx(women + nbinom.mean(women, p)) == pytest.approx(women / p)
    assert counts.min() >= women + men
    assert abs(counts.mean() - mean) < 4 * counts.std() / np.sqrt(RUNS)
