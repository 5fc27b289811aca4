import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from fair_diffusion.statistics.intervals import score_bounds, simultaneous, verdict, wilson, wilson_bounds

counts_of = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts_of, levels)
def test_wilson_is_that_of_statsmodels_and_no_narrower_than_an_exact_one(case: tuple[int, int], level: float) -> None:
    count, n = case
    own = proportion_confint(count, n, 1 - level, method="wilson")
    low, high = score_bounds(count, n, level)
    assert (low, high) == pytest.approx(own, abs=1e-12)
    least, most = proportion_confint(count, n, 1.4 * (1 - level), method="beta")
    assert wilson(count, n, level) == pytest.approx((min(own[0], least), max(own[1], most)), abs=1e-9)


@pytest.mark.parametrize("n", [5, 8, 12, 20, 32, 50, 100, 250])
def test_wilson_holds_93_of_100_at_every_share(n: int) -> None:
    shares, counts = np.linspace(0.001, 0.999, 999)[:, None], np.arange(n + 1)

    def coverage(low: np.ndarray, high: np.ndarray) -> float:
        held = (low <= shares) & (shares <= high)
        return float((stats.binom.pmf(counts, n, shares) * held).sum(axis=1).min())

    assert coverage(*wilson_bounds(counts, n)) >= 0.93
    assert coverage(*score_bounds(counts, n)) < 0.91  # Wilson's own


def test_large_counts_have_wilsons_own_interval() -> None:
    counts = np.arange(45, 956)
    assert np.array_equal(wilson_bounds(counts, 1_000), score_bounds(counts, 1_000))
    # Read off Clopper and Pearson's interval with an error of 7 %: P(X ≥ 1 | 0.000713) = 0.035 of 50 images.
    assert wilson(1, 50)[0] == pytest.approx(1 - 0.965 ** (1 / 50), abs=1e-12)


@given(st.lists(st.integers(0, 300), min_size=3, max_size=8).filter(any), levels)
def test_simultaneous_is_bonferroni_over_exact_intervals(counts: list[int], level: float) -> None:
    n, alpha = sum(counts), (1 - level) / len(counts)
    expected = [proportion_confint(count, n, alpha, method="beta") for count in counts]
    for interval, (low, high) in zip(simultaneous(counts, level=level), expected, strict=True):
        assert interval == pytest.approx((low, high), abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 30), levels)
def test_an_interval_does_not_depend_on_what_else_was_seen(count: int, other: int, unread: int, level: float) -> None:
    n = count + other + unread
    first, _ = simultaneous([count, other], n=n, level=level)
    assert first == simultaneous([count, other + unread], n=n, level=level)[0]  # had all been read
    assert first == pytest.approx(proportion_confint(count, n, (1 - level) / 2, method="beta"), abs=1e-9)


@pytest.mark.parametrize("unread", [0.0, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.85])
def test_two_groups_are_covered_together_whether_or_not_an_unread_image_turns_up(share: float, unread: float) -> None:
    n, truth = 25, (share, 1 - share - unread)
    covered = 0.0
    for first in range(n + 1):
        for second in range(n + 1 - first):
            chance = stats.multinomial.pmf([first, second, n - first - second], n, [*truth, unread])
            if chance > 1e-12:
                pairs = zip(truth, simultaneous([first, second], n=n), strict=True)
                covered += float(chance) * all(low <= p <= high for p, (low, high) in pairs)
    assert covered >= 0.95


@pytest.mark.parametrize(("share", "n"), [(0.5, 32), (0.1, 50), (0.3, 100)])
def test_wilson_covers_the_truth(share: float, n: int) -> None:
    k = range(n + 1)
    covered = sum(
        float(stats.binom.pmf(x, n, share)) for x, (low, high) in ((x, wilson(x, n)) for x in k) if low <= share <= high
    )
    assert covered == pytest.approx(0.95, abs=0.03)


def test_simultaneous_intervals_cover_all_shares_together() -> None:
    truth = np.array([0.5, 0.3, 0.15, 0.05])
    draws = np.random.default_rng(0).multinomial(40, truth, size=600)
    covered = 0
    for draw in draws:
        intervals = simultaneous([int(count) for count in draw])
        covered += all(low <= share <= high for share, (low, high) in zip(truth, intervals, strict=True))
    assert covered / 600 >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 600)


def test_intervals_at_the_ends() -> None:
    for n in range(1, 300):
        assert wilson(0, n)[0] == 0
        assert wilson(n, n)[1] == 1
    assert simultaneous([0, 5, 5])[0][0] == 0
    assert simultaneous([10, 0, 0])[0][1] == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.46, 0.54, "meets"),
        (0.34, 0.66, "cannot tell"),
        (0.40, 0.50, "cannot tell"),
        (0.54, 0.70, "cannot tell"),
        (0.10, 0.44, "misses"),
        (0.56, 0.90, "misses"),
        # An end on the edge of the band lies inside it.
        (0.45, 0.55, "meets"),
        (0.30, 0.45, "cannot tell"),
        (0.55, 0.70, "cannot tell"),
    ],
)
def test_verdict_compares_the_interval_with_the_band(low: float, high: float, expected: str) -> None:
    assert verdict(low, high, 0.5, 0.05) == expected


def test_thirty_two_images_cannot_tell_and_four_hundred_can() -> None:
    assert verdict(*wilson(16, 32), 0.5, 0.05) == "cannot tell"
    assert verdict(*wilson(1, 32), 0.5, 0.05) == "misses"
    assert verdict(*wilson(190, 380), 0.5, 0.05) == "cannot tell"
    assert verdict(*wilson(192, 384), 0.5, 0.05) == "meets"


def test_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match="n is 0: an interval needs at least 1 image"):
        wilson(0, 0)
    with pytest.raises(ValueError, match=r"counts \[5\] do not fit 4 images"):
        wilson(5, 4)
    with pytest.raises(ValueError, match="do not fit"):
        simultaneous([-1, 5])
    with pytest.raises(ValueError, match=r"level is 95: give a number between 0 and 1, such as 0\.95"):
        wilson(1, 2, 95)
    with pytest.raises(ValueError, match="counts is empty"):
        simultaneous([])
    with pytest.raises(ValueError, match="its lower end must come first"):
        verdict(0.6, 0.4, 0.5, 0.05)
    with pytest.raises(ValueError, match="tolerance is -1"):
        verdict(0.4, 0.6, 0.5, -1)
