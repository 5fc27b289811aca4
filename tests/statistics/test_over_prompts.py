import numpy as np
import pytest
from scipy import stats

from fair_diffusion.statistics.over_prompts import high_end, low_end


def test_the_high_end_is_students_of_the_prompts_and_one_that_fails() -> None:
    values = np.random.default_rng(0).uniform(0, 0.1, 30)
    more = np.append(values, 0.5)
    expected = more.mean() + stats.sem(more) * stats.t.ppf(1 - 0.015, 30)
    assert float(high_end(values, 0.5)) == pytest.approx(expected)


def test_the_low_end_is_nearer_where_the_longer_tail_is_above() -> None:
    values = np.array([0.1] * 10 + [0.2] * 5 + [0.5])
    k, t = len(values), stats.t.ppf(1 - 0.035, 15)
    skewness = ((values - values.mean()) ** 3).mean() / values.std(ddof=1) ** 3
    assert skewness > 1
    expected = values.mean() - stats.sem(values) * (t - skewness * (1 + 2 * t * t) / (6 * np.sqrt(k)))
    assert expected < 0.035 ** (1 / k) * values.mean()
    assert float(low_end(values)) == pytest.approx(expected)
    # Of prompts that are alike, a part may be on target although none was drawn.
    assert float(low_end(np.full(16, 0.2))) == pytest.approx(0.2 * 0.035 ** (1 / 16))
