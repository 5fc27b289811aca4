import numpy as np
import pytest
from numpy.typing import NDArray

from fair_diffusion.statistics.kid import kid


def features(n: int, shift: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(shift, 1, size=(n, 5))


def double_loop(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    def k(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return (sum(float(u) * float(v) for u, v in zip(x, y, strict=True)) / len(x) + 1) ** 3

    m, n = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_b = sum(k(b[i], b[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (m * n)


def test_whole_sets_agree_with_a_double_loop() -> None:
    a, b = features(12), features(12, shift=0.4, seed=1)
    result = kid(a, b, subsets=3, subset_size=12)
    assert result.mean == pytest.approx(double_loop(a, b))
    assert result.std == pytest.approx(0, abs=1e-9)


def test_subsets_centre_on_the_whole() -> None:
    a, b = features(40), features(60, shift=0.4, seed=1)
    result = kid(a, b, subsets=2000, subset_size=10)
    assert abs(result.mean - double_loop(a, b)) < 5 * result.std / np.sqrt(2000)


def test_it_is_unbiased_under_no_difference_and_sees_a_difference() -> None:
    same = [kid(features(20, seed=2 * s), features(20, seed=2 * s + 1), subsets=1).mean for s in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300)
    assert kid(features(200), features(200, shift=1, seed=1)).mean > 0.5


def test_subsets_have_half_of_the_smaller_set_by_default() -> None:
    a, b = features(20), features(31, seed=1)
    assert kid(a, b, subsets=5) == kid(a, b, subsets=5, subset_size=10)
    assert kid(a, b, subsets=5) != kid(a, b, subsets=5, subset_size=20)


def test_the_spread_is_that_of_the_subsets() -> None:
    a, b = features(40), features(40, shift=0.4, seed=1)
    few, many = (kid(a, b, subsets=subsets, subset_size=10).std for subsets in (100, 1600))
    assert many == pytest.approx(few, rel=0.3)  # a standard error would be a quarter


def test_the_seed_fixes_the_subsets() -> None:
    a, b = features(20), features(20, seed=1)
    assert kid(a, b, seed=3) == kid(a, b, seed=3)
    assert kid(a, b, seed=3) != kid(a, b, seed=4)


def test_wrong_features_are_named() -> None:
    with pytest.raises(ValueError, match=r"shapes \(4, 5\) and \(4, 3\)"):
        kid(features(4), features(4)[:, :3])
    with pytest.raises(ValueError, match="subset_size is 9: with 4 and 8 images, give 2 to 4"):
        kid(features(4), features(8), subset_size=9)
    with pytest.raises(ValueError, match="subset_size is 2: with 1 and 8 images"):
        kid(features(1), features(8))
    with pytest.raises(ValueError, match="subsets is 0"):
        kid(features(4), features(4), subsets=0)
    with pytest.raises(ValueError, match="not finite"):
        kid(features(4) * np.nan, features(4))
