import numpy as np
import pytest
from scipy import stats

from fair_diffusion.statistics.bootstrap import bootstrap_mean


def bca_by_hand(values: list[float], seed: int, level: float) -> tuple[float, float]:
    """Efron's interval at Hesterberg's percentiles, written from its definition, with resamples of its own."""
    sample = np.array(values)
    n, mean = len(sample), sample.mean()
    means = np.random.default_rng(seed).choice(sample, (40_000, n)).mean(axis=1)
    bias = stats.norm.ppf((np.sum(means < mean) + np.sum(means <= mean)) / 2 / len(means))
    left = (sample.sum() - sample) / (n - 1)
    centred = left.mean() - left
    acceleration = (centred**3).sum() / 6 / (centred**2).sum() ** 1.5
    ends = []
    for t in stats.t.ppf([(1 - level) / 2, (1 + level) / 2], n - 1):
        z = t * np.sqrt(n / (n - 1))
        shifted = bias + (bias + z) / (1 - acceleration * (bias + z))
        ends.append(float(np.quantile(means, stats.norm.cdf(shifted))))
    return ends[0], ends[1]


@pytest.mark.parametrize(("n", "error", "level"), [(10, 0.05, 0.95), (40, 0.02, 0.95), (40, 0.02, 0.8)])
def test_it_is_efrons_interval_for_few_values_too(n: int, error: float, level: float) -> None:
    values = np.random.default_rng(3).exponential(size=n).tolist()
    assert bootstrap_mean(values, level=level) == pytest.approx(bca_by_hand(values, 7, level), abs=error)


def test_two_values_are_held_whole() -> None:
    assert bootstrap_mean([0.2, 0.4]) == (0.2, 0.4)


def test_many_values_give_the_normal_interval() -> None:
    values = np.random.default_rng(4).random(30_000)
    error = values.std() / np.sqrt(len(values))
    expected = (values.mean() - 1.96 * error, values.mean() + 1.96 * error)
    assert bootstrap_mean(values) == pytest.approx(expected, abs=0.15 * error)


def test_it_is_reproducible_and_needs_spread() -> None:
    values = np.random.default_rng(6).random(12).tolist()
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    assert bootstrap_mean(values, seed=5) != bootstrap_mean(values, seed=6)
    assert bootstrap_mean([0.25] * 9) == (0.25, 0.25)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="at least 2 of them"):
        bootstrap_mean([0.5])
    with pytest.raises(ValueError, match="not finite: leave those prompts out"):
        bootstrap_mean([0.5, np.inf])
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_mean([0.5, 0.4], level=95)
