import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.stopping import anytime, anytime_bounds, enough


def game(p: float, s: int, n: int, half_width: float, alpha: float) -> float:
    """The mixture of likelihood ratios at p, integrated numerically over its beta distribution."""
    # From Howard et al.: the best mixture at intrinsic time m; here √w / √m / 2 is to be the half width.
    m = next(m for m in itertools.count(1) if best_half_width(m, alpha) <= half_width)
    r = m / (best_factor(alpha) - 1)
    prior = stats.beta(r * p, r * (1 - p))

    def ratio(q: float) -> float:
        return float(np.exp(s * np.log(q / p) + (n - s) * np.log((1 - q) / (1 - p))) * prior.pdf(q))

    return float(integrate.quad(ratio, 0, 1, points=[s / n, p], limit=200)[0])


def best_factor(alpha: float) -> float:
    """The smallest possible square of a normal mixture's width in standard errors, found by search."""
    ratios = np.exp(np.linspace(0.1, 5, 20_001))
    return float(((1 + 1 / ratios) * (np.log1p(ratios) - 2 * np.log(alpha))).min())


def best_half_width(m: int, alpha: float) -> float:
    return float(np.sqrt(best_factor(alpha) / m) / 2)


@pytest.mark.parametrize(("s", "n"), [(30, 100), (5, 40), (200, 500)])
def test_the_ends_are_where_the_game_pays_twentyfold(s: int, n: int) -> None:
    low, high = (float(end) for end in anytime_bounds(s, n, 0.05, 0.05))
    for p in (low, high):
        assert game(p, s, n, 0.05, 0.05) == pytest.approx(20, rel=0.02)
    assert game((low + s / n) / 2, s, n, 0.05, 0.05) < 20


def test_no_interval_ever_lies_beside_the_truth_more_than_once_in_twenty() -> None:
    rng = np.random.default_rng(0)
    n = np.arange(2, 401, 2)
    for share in (0.1, 0.5):
        counts = (rng.random((400, 400)) < share).cumsum(axis=1)[:, 1::2]
        low, high = anytime_bounds(counts, n, 0.05, 0.05)
        held = ((low <= share) & (share <= high)).all(axis=1).mean()
        assert held >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 400)


def test_wilsons_interval_does_not_stand_being_looked_at() -> None:
    rng = np.random.default_rng(0)
    counts = (rng.random((200, 600)) < 0.3).cumsum(axis=1)
    ever_outside = [
        any(not low <= 0.3 <= high for low, high in (wilson(int(row[n - 1]), n) for n in range(20, 600, 20)))
        for row in counts
    ]
    assert np.mean(ever_outside) > 0.15


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_two_groups_mirror_each_other(case: tuple[int, int]) -> None:
    s, n = case
    (low, high), (low_other, high_other) = anytime([s, n - s])
    assert 0 <= low <= s / n <= high <= 1
    assert (low_other, high_other) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_groups_are_corrected_for_one_another() -> None:
    three = anytime([30, 40, 30])
    alone = anytime_bounds([30, 40, 30], 100, 0.05 / 3, 0.05)
    assert three == list(zip(*(end.tolist() for end in alone), strict=True))
    two = pytest.approx(tuple(float(x) for x in anytime_bounds(30, 100, 0.025, 0.05)))
    assert anytime([30, 70])[0] == two
    assert anytime([30, 60], n=100)[0] == two  # an unread image changes no interval but its own


def test_two_groups_hold_together_at_all_looks_whether_or_not_an_unread_image_turns_up() -> None:
    truth, looks = np.array([0.3, 0.69]), np.arange(20, 601, 20)
    shown = np.random.default_rng(3).choice(3, size=(400, 600), p=[*truth, 0.01])
    outside = np.zeros(400, dtype=bool)
    for group, share in enumerate(truth):
        counts = (shown == group).cumsum(axis=1)[:, looks - 1]
        low, high = anytime_bounds(counts, looks, 0.05 / 2, 0.1)
        outside |= ((share < low) | (share > high)).any(axis=1)
        assert (low[0, 9], high[0, 9]) == pytest.approx(
            anytime([int(counts[0, 9]), 200 - int(counts[0, 9])], half_width=0.1)[0]
        )
    assert outside.mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_when_an_audit_may_stop() -> None:
    assert not enough([0, 0], 0, 0.05)
    assert not enough([530, 530], 1060, 0.05)
    assert enough([540, 540], 1080, 0.05)
    # Rare groups are known sooner, and a wider aim is reached sooner.
    assert enough([10, 290], 300, 0.05)
    assert enough([50, 50], 100, 0.2)
    assert not enough([540, 540], 1080, 0.05, level=0.99)
    for n in (200, 1070, 1072, 1200):
        narrow = all(high - low <= 0.1 for low, high in anytime([n // 2, n - n // 2]))
        assert enough([n // 2, n - n // 2], n, 0.05) == narrow


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"half_width is 5: give a share between 0 and 0\.5, such as 0\.05"):
        enough([1, 2], 3, 5)
    with pytest.raises(ValueError, match="do not fit 4 images"):
        anytime([3, 3], n=4)
    with pytest.raises(ValueError, match="level is 1"):
        anytime([3, 3], level=1)
