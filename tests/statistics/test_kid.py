import numpy as np
import pytest
from numpy.typing import NDArray

from fair_diffusion.statistics import kid as module
from fair_diffusion.statistics.kid import FEWEST_FOR_ERROR, kid

Array = NDArray[np.float64]


def features(n: int, shift: float = 0.0, seed: int = 0, width: int = 5) -> Array:
    return np.random.default_rng(seed).normal(shift, 1, size=(n, width))


def kernel(a: Array, b: Array) -> Array:
    return np.array([[(sum(u * v for u, v in zip(x, y, strict=True)) / len(x) + 1) ** 3 for y in b] for x in a])


def distance(within_a: Array, within_b: Array, across: Array) -> float:
    """The unbiased estimate from kernels: means over the pairs of different images."""
    m, n = across.shape
    same_a = (within_a.sum() - sum(within_a[i, i] for i in range(m))) / (m * (m - 1))
    same_b = (within_b.sum() - sum(within_b[j, j] for j in range(n))) / (n * (n - 1))
    return float(same_a + same_b - 2 * across.mean())


def test_it_agrees_with_a_double_loop() -> None:
    for n in (12, 19):
        a, b = features(12), features(n, shift=0.4, seed=1)
        found = kid(a, b)
        assert found.value == pytest.approx(distance(kernel(a, a), kernel(b, b), kernel(a, b)))
        assert found.error is None


def test_it_is_unbiased_under_no_difference_and_sees_a_difference() -> None:
    same = [kid(features(20, seed=2 * s), features(20, seed=2 * s + 1)).value for s in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300)
    assert kid(features(200), features(200, shift=1, seed=1)).value > 0.5


def test_the_error_is_the_jackknife_less_what_it_counts_twice() -> None:
    a, b = features(50), features(52, shift=0.3, seed=1)
    m, n, within_a, within_b, across = len(a), len(b), kernel(a, a), kernel(b, b), kernel(a, b)

    def without(i: int, j: int) -> float:
        rows, columns = (np.arange(own)[np.arange(own) != k] for own, k in ((m, i), (n, j)))
        return distance(within_a[np.ix_(rows, rows)], within_b[np.ix_(columns, columns)], across[np.ix_(rows, columns)])

    without_a, without_b = np.array([without(i, -1) for i in range(m)]), np.array([without(-1, j) for j in range(n)])
    jackknife = (m - 1) * without_a.var() + (n - 1) * without_b.var()

    def centred(matrix: Array) -> float:
        """The bias-corrected variance of Székely and Rizzo (2014), entry by entry."""
        k = len(matrix)
        matrix = matrix - np.diag(np.diag(matrix))
        rows, every = matrix.sum(axis=1) / (k - 2), matrix.sum() / ((k - 1) * (k - 2))
        left = matrix - rows[:, None] - rows[None, :] + every
        return float(((left - np.diag(np.diag(left))) ** 2).sum() / (k * (k - 3)))

    left = across - across.mean(axis=1)[:, None] - across.mean(axis=0)[None, :] + across.mean()
    pairs = 2 * centred(within_a) / (m * (m - 1)) + 2 * centred(within_b) / (n * (n - 1))
    pairs += 4 * float((left**2).sum()) / ((m - 1) * (n - 1)) / (m * n)
    assert kid(a, b).error == pytest.approx(np.sqrt(max(jackknife - pairs, pairs)))


@pytest.mark.parametrize(("m", "n"), [(60, 60), (60, 240)])
@pytest.mark.parametrize("shift", [0.0, 0.15, 0.5])
def test_the_error_is_the_spread_of_the_distance(m: int, n: int, shift: float) -> None:
    found = [kid(features(m, seed=2 * s, width=16), features(n, shift, seed=2 * s + 1, width=16)) for s in range(300)]
    values, errors = np.array([one.value for one in found]), np.array([one.error or 0.0 for one in found])
    # The spread of random halves, as it was printed before, is 1.3 to 3 times as large.
    assert 0.9 <= np.sqrt((errors**2).mean()) / values.std() <= 1.2
    held = np.abs(values - values.mean()) <= 1.96 * errors
    assert held.mean() >= 0.92


def test_few_images_have_no_error() -> None:
    many, few = features(FEWEST_FOR_ERROR), features(FEWEST_FOR_ERROR - 1, seed=1)
    assert FEWEST_FOR_ERROR == 50
    assert kid(many, few).error is kid(few, many).error is kid(few, few).error is None
    assert (kid(many, features(50, seed=2)).error or 0) > 0


def test_large_sets_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(70), features(90, seed=1)
    expected = kid(a, b)
    monkeypatch.setattr(module, "_ROWS", 16)
    assert tuple(kid(a, b)) == pytest.approx(tuple(expected))


def test_wrong_features_are_named() -> None:
    with pytest.raises(ValueError, match=r"shapes \(4, 5\) and \(4, 3\)"):
        kid(features(4), features(4)[:, :3])
    with pytest.raises(ValueError, match="there are 1 and 8 images: a kernel distance needs at least 2"):
        kid(features(1), features(8))
    with pytest.raises(ValueError, match="not finite"):
        kid(features(4) * np.nan, features(4))
