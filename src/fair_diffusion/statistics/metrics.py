"""Deviations from a target: short pure functions on distributions.

A distribution is a sequence of shares, one per group, shape (groups,); shares are not negative and sum to 1. The names
follow the fairness literature on text-to-image models. Values of different metrics must not be compared.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, rel_entr, xlog1py, xlogy

_SUM_TOLERANCE = 1e-6
_RUNS = 20_000


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Total variation distance ½ Σ|p_k − q_k|: the share of images that would have to change, 0 to 1."""
    p, q = _pair(p, q)
    return float(np.abs(p - q).sum() / 2)


def kl(p: ArrayLike, q: ArrayLike) -> float:
    """Kullback-Leibler divergence Σ p_k log(p_k / q_k) in nats, with 0·log 0 = 0.

    It is infinite if `p` has a group that `q` excludes (q_k = 0 < p_k).
    """
    p, q = _pair(p, q)
    return float(rel_entr(p, q).sum())


def smoothed_kl(counts: ArrayLike, target: ArrayLike) -> float:
    """Kullback-Leibler divergence with half an image added to each group, in nats.

    It compares (x_k + ½) / (n + K/2) with (n τ_k + ½) / (n + K/2), for n images and K groups (Krichevsky and Trofimov
    1981, IEEE Transactions on Information Theory 27). It is 0 where the counts are the target's, and never infinite:
    one image that is misread as a group with target zero does not decide alone.

    Args:
        counts: images per group, shape (groups,), at least 1 in sum.
        target: share asked for of each group, shape (groups,).
    """
    shown, share = np.asarray(counts, dtype=np.float64), _distribution(target, "target")
    if shown.shape != share.shape or shown.sum() < 1 or (shown < 0).any():
        raise ValueError(f"counts is {shown.tolist()}: give 0 or more images for each group of the target, 1 in sum")
    n, groups = shown.sum(), len(share)
    return kl((shown + 0.5) / (n + groups / 2), (n * share + 0.5) / (n + groups / 2))


def fd(p: ArrayLike, target: ArrayLike) -> float:
    """Fairness discrepancy ‖p − target‖₂ (Choi et al. 2020, arXiv 1910.12008), 0 to √2.

    It is not the Fréchet distance of image quality, which has the same abbreviation.
    """
    p, target = _pair(p, target)
    return float(np.linalg.norm(p - target))


def pairwise_bias(p: ArrayLike) -> float:
    """Mean of |p_i − p_j| over all pairs of groups (Shen et al. 2024, arXiv 2311.07604).

    It measures the distance of `p` from uniform, 0 to 1, and is meaningful for uniform targets only.
    """
    p = _distribution(p, "p")
    if len(p) < 2:
        raise ValueError("p has 1 group: a pairwise bias needs at least 2")
    first, second = np.triu_indices(len(p), k=1)
    return float(np.abs(p[first] - p[second]).mean())


def deviation_ratio(p: ArrayLike) -> float:
    """Largest deviation from uniform, relative to the largest possible: max_k |p_k − 1/K| / (1 − 1/K).

    It is 0 if `p` is uniform and 1 if every image shows the same group (Li et al. 2024, arXiv 2311.17216).
    """
    p = _distribution(p, "p")
    if len(p) < 2:
        raise ValueError("p has 1 group: a deviation ratio needs at least 2")
    uniform = 1 / len(p)
    return float(np.abs(p - uniform).max() / (1 - uniform))


def parity_gap(p: ArrayLike) -> float:
    """Mean distance of a share from an even one: Σ_k |p_k − 1/K| / K (EquiSteer, arXiv 2607.01147).

    It is 0 if `p` is uniform, and at most 2 (K − 1) / K² if every image shows the same group: 0.5 for two groups.
    """
    p = _distribution(p, "p")
    if len(p) < 2:
        raise ValueError("p has 1 group: a parity gap needs at least 2")
    return float(np.abs(p - 1 / len(p)).mean())


def noise_floor(target: ArrayLike, n: int) -> float:
    """Expected total variation from `target` of `n` independent draws from `target` itself.

    A perfect coin would score it. A method does better only if it counts, not if it draws lots. The value is
    ½ Σ_k E|X_k/n − τ_k| with X_k binomial, in closed form by de Moivre's formula for the mean absolute deviation,
    E|X − nτ| = 2 m (1 − τ) P(X = m), m = ⌊nτ⌋ + 1 (Diaconis and Zabell 1991, Statistical Science 6(3)).

    Args:
        target: the distribution drawn from, shape (groups,).
        n: number of draws, 1 or more.
    """
    if n < 1:
        raise ValueError(f"n is {n}: give at least 1 image")
    share = _distribution(target, "target")
    # For a share of 1, m would be n + 1, which cannot occur. It is clipped, and 1 − τ = 0 removes the term below.
    m = np.minimum(np.floor(n * share) + 1, n)
    log_choose = gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
    probability = np.exp(log_choose + xlogy(m, share) + xlog1py(n - m, -share))
    return float((m * (1 - share) * probability).sum() / n)


@lru_cache(maxsize=65_536)
def cached_noise_floor(target: tuple[float, ...], n: int) -> float:
    """`noise_floor` with a cache: thousands of tallies have few different targets and numbers of images."""
    return noise_floor(target, n)


def noise_floors(target: ArrayLike, n: int, *, seed: int = 0) -> dict[str, float]:
    """Expected value of each metric of this file for `n` independent draws from the target, by name of the metric.

    `total_variation` is exact (see `noise_floor`). The other metrics have no short closed form; they are means over
    20,000 simulated runs, within 1 % of the exact value.

    Args:
        target: the distribution drawn from, shape (groups,), at least 2 groups.
        n: number of draws, 1 or more.
        seed: seed of the simulated runs.
    """
    exact = noise_floor(target, n)
    share = _distribution(target, "target")
    if len(share) < 2:
        raise ValueError("target has 1 group: noise floors need at least 2")
    drawn = np.random.default_rng(seed).multinomial(n, share / share.sum(), _RUNS) / n
    first, second = np.triu_indices(len(share), k=1)
    uniform = 1 / len(share)
    return {
        "total_variation": exact,
        "kl": float(rel_entr(drawn, share).sum(axis=1).mean()),
        "fd": float(np.linalg.norm(drawn - share, axis=1).mean()),
        "pairwise_bias": float(np.abs(drawn[:, first] - drawn[:, second]).mean()),
        "parity_gap": float(np.abs(drawn - uniform).mean()),
        "deviation_ratio": float(np.abs(drawn - uniform).max(axis=1).mean() / (1 - uniform)),
    }


def two_group_noise_floor(n: int) -> float:
    """Expected |p̂₁ − p̂₂| between the shares of two groups in `n` throws of a fair coin.

    It is the noise floor of `pairwise_bias` and of `deviation_ratio` for two groups: 0.246 at n = 10, 0.103 at 60,
    0.050 at 250.
    """
    return 2 * noise_floor((0.5, 0.5), n)


def _distribution(values: ArrayLike | Sequence[float], name: str) -> NDArray[np.float64]:
    shares = np.asarray(values, dtype=np.float64)
    if shares.ndim != 1 or len(shares) == 0:
        raise ValueError(f"{name} has shape {shares.shape}: give a flat sequence of shares")
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError(f"{name} is {shares.tolist()}: shares must be finite and not negative")
    if abs(shares.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(f"{name} sums to {shares.sum():.6g}, not 1: divide counts by their sum first")
    return shares


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = _distribution(p, "p"), _distribution(q, "the second distribution")
    if len(first) != len(second):
        raise ValueError(f"{len(first)} shares against {len(second)}: compare distributions over the same groups")
    return first, second
