"""Impact ratios against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from fair_diffusion.statistics.impact import impact_ratios


def test_two_groups_have_the_interval_of_a_binomial_share() -> None:
    ratios, low, high = impact_ratios([30, 70])
    p_low, p_high = beta.ppf([0.025, 0.975], 30.5, 70.5)
    assert ratios.tolist() == [pytest.approx(30 / 70), 1]
    assert (low[0], high[0]) == (pytest.approx(p_low / (1 - p_low)), pytest.approx(p_high / (1 - p_high)))
    assert (low[1], high[1]) == (1, 1)  # surely shown most


def test_several_groups_have_the_ends_of_the_nearest_rival() -> None:
    _, low, high = impact_ratios([10, 60, 50, 20])

    def odds(p: float) -> float:
        return p / (1 - p)

    lows = [odds(beta.ppf(0.025, 10.5, other + 0.5)) for other in (60, 50, 20)]
    highs = [odds(beta.ppf(1 - 0.025 / 3, 10.5, other + 0.5)) for other in (60, 50, 20)]
    assert low[0] == pytest.approx(min(lows))
    assert low[0] == pytest.approx(lows[0])
    assert high[0] == pytest.approx(min(highs))
    assert high[0] == pytest.approx(highs[0])


def test_unread_images_widen_to_the_worst_case() -> None:
    _, low, high = impact_ratios([30, 70], 20)
    _, all_to_other, _ = impact_ratios([30, 90])
    _, _, all_to_own = impact_ratios([50, 70])
    assert (low[0], high[0]) == (pytest.approx(all_to_other[0]), pytest.approx(all_to_own[0]))


def test_groups_without_images_have_a_ratio_of_0_and_no_certainty() -> None:
    ratios, low, high = impact_ratios([[0, 50, 50], [0, 0, 5]])
    assert ratios[:, 0].tolist() == [0, 0]
    assert low[:, 0].tolist() == [0, 0]
    assert 0 < high[0, 0] < 0.2
    assert 0 < high[1, 0] < 1
    assert high[1, 0] > high[0, 0]


def test_many_samples_are_as_one_by_one() -> None:
    counts = np.array([[3, 9, 4], [20, 1, 0]])
    together = impact_ratios(counts, [0, 2])
    for k, unread in enumerate((0, 2)):
        for whole, one in zip(together, impact_ratios(counts[k], unread), strict=True):
            assert whole[k].tolist() == one.tolist()


def test_a_higher_level_is_wider() -> None:
    _, low, high = impact_ratios([30, 70], level=0.99)
    _, usual_low, usual_high = impact_ratios([30, 70])
    assert low[0] < usual_low[0]
    assert high[0] > usual_high[0]
    with pytest.raises(ValueError, match="level is 1"):
        impact_ratios([30, 70], level=1)


@pytest.mark.parametrize(
    ("shares", "least", "most"),
    [((0.3, 0.7), 0.93, 0.97), ((0.8, 0.1, 0.1), 0.945, 0.98), ((0.4, 0.3, 0.15, 0.1, 0.05), 0.945, 0.98)],
)
def test_the_interval_holds_in_simulation(shares: tuple[float, ...], least: float, most: float) -> None:
    p = np.array(shares)
    truth = p / p.max()
    _, low, high = impact_ratios(np.random.default_rng(0).multinomial(200, p, 3_000))
    held = ((low <= truth + 1e-12) & (truth <= high + 1e-12)).mean(axis=0)
    below = truth < 1
    assert (held[below] >= least).all()
    assert (held[below] <= most).all()
    assert (held[~below] == 1).all()  # nothing is above 1: the interval can err on no side
