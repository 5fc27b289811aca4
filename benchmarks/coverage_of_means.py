"""Coverage of the intervals over prompts: mean deviations of the process, phrasings of a concept, early stopping, ways.

Each function yields the coverage in one setting after the other, as those of `benchmarks.coverage`, which writes their
table. The truth is always that of the process, over all prompts of the same sort, and never that of the images drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import beta

from fair_diffusion.audit.deviations import tally_deviation
from fair_diffusion.statistics.bootstrap import paired_differences
from fair_diffusion.statistics.clustered import clustered_bounds
from fair_diffusion.statistics.intervals import score_bounds
from fair_diffusion.statistics.over_prompts import high_end, low_end
from fair_diffusion.statistics.process_deviation import process_bounds
from fair_diffusion.statistics.stopping import anytime_bounds

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int, int], Array]
"""Shares of two groups or more, of so many runs and prompts: shape (runs, prompts, groups)."""

_TOGETHER, _SPLITS = 200_000, 16
"""Counts that go through the estimate at once, and how often they are split: fewer times than in an audit."""
_EVEN = (0.5, 0.5)


def alike(*shares: float) -> Draw:
    """All prompts have these shares."""
    return lambda rng, runs, prompts: np.broadcast_to(np.array(shares), (runs, prompts, len(shares)))


def some_fail(rate: float, share: float) -> Draw:
    """This part of the prompts shows a group with this share, the others with one half."""

    def draw(rng: np.random.Generator, runs: int, prompts: int) -> Array:
        p = np.where(rng.random((runs, prompts)) < rate, share, 0.5)
        return np.stack([p, 1 - p], axis=-1)

    return draw


def spread(shape: float) -> Draw:
    """The shares of two groups follow a symmetric beta distribution: of 0.5 as those of occupations do."""

    def draw(rng: np.random.Generator, runs: int, prompts: int) -> Array:
        p = rng.beta(shape, shape, (runs, prompts))
        return np.stack([p, 1 - p], axis=-1)

    return draw


def _mean_of_spread(shape: float) -> float:
    return float(np.abs(beta.ppf((np.arange(100_000) + 0.5) / 100_000, shape, shape) - 0.5).mean())


FAIR: Sequence[tuple[str, Draw, Sequence[float], float]] = (
    ("fair coin", alike(0.5, 0.5), _EVEN, 0.0),
    ("fair five", alike(*[0.2] * 5), [0.2] * 5, 0.0),
)
NEAR: Sequence[tuple[str, Draw, Sequence[float], float]] = tuple(
    (f"share {0.5 + off:.2f}", alike(0.5 + off, 0.5 - off), _EVEN, off) for off in (0.01, 0.02, 0.03, 0.05)
)
FAIL: Sequence[tuple[str, Draw, Sequence[float], float]] = (
    ("1 of 10 fails", some_fail(0.1, 0.0), _EVEN, 0.05),
    ("1 of 10 shows 10 %", some_fail(0.1, 0.1), _EVEN, 0.04),
)
MOST: Sequence[tuple[str, Draw, Sequence[float], float]] = (("9 of 10 fail", some_fail(0.9, 0.0), _EVEN, 0.45),)
SPREAD: Sequence[tuple[str, Draw, Sequence[float], float]] = tuple(
    (name, spread(shape), _EVEN, _mean_of_spread(shape)) for shape, name in ((0.5, "extreme"), (2.0, "moderate"))
)


def of_process(
    runs: int,
    kinds: Sequence[tuple[str, Draw, Sequence[float], float]],
    prompts: Sequence[int] = (20, 50, 150),
    images: Sequence[int] = (20, 50, 250),
) -> Iterator[tuple[str, float]]:
    """The process's mean deviation by `process_bounds`."""
    for name, draw, target, truth in kinds:
        for many in prompts:
            for n in images:
                rng = np.random.default_rng([many, n])
                counts = rng.multinomial(n, draw(rng, runs, many))
                _, low, high = in_chunks(counts[:, :, None], target)
                yield f"{name}, {many} prompts × {n}", float(((low <= truth + 1e-9) & (truth <= high)).mean())


def in_chunks(counts: Counts, target: Sequence[float]) -> tuple[Array, Array, Array]:
    """`process_bounds` of counts (runs, prompts, phrasings, groups), some runs at a time."""
    size = max(1, _TOGETHER // counts[0].size)
    parts = [process_bounds(counts[k : k + size], target, splits=_SPLITS, seed=k) for k in range(0, len(counts), size)]
    estimate, low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return estimate, low, high


def of_plain_mean(runs: int) -> Iterator[tuple[str, float]]:
    """What Student's interval of the plain mean deviation says of the process: the failure that `of_process` mends."""
    for name, draw, target, truth in (FAIR[0], *NEAR, *FAIL):
        rng = np.random.default_rng(0)
        plain = deviations(rng.multinomial(50, draw(rng, runs, 20)), target)
        half = stdtrit(19, 0.975) * plain.std(axis=1, ddof=1) / np.sqrt(20)
        yield f"{name}, 20 prompts × 50", float((np.abs(plain.mean(axis=1) - truth) <= half).mean())


def of_many_images(runs: int) -> Iterator[tuple[str, float]]:
    """The mean deviation itself, of as many images of other prompts, by `over_prompts`."""
    for name, draw, target, _ in (FAIR[0], NEAR[2], FAIL[0], *SPREAD):
        for many in (20, 50):
            rng = np.random.default_rng(many)
            truth = float(deviations(rng.multinomial(50, draw(rng, 20_000, many)), target).mean())
            plain = deviations(rng.multinomial(50, draw(rng, runs, many)), target)
            held = (low_end(plain) <= truth) & (truth <= high_end(plain, 0.5))
            yield f"{name}, {many} prompts × 50", float(held.mean())


def deviations(counts: Counts, target: Sequence[float]) -> Array:
    """The total variation of counts (…, groups) from a target."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.abs(shares - np.array(target)).sum(axis=-1) / 2)


def phrased_concepts(runs: int) -> Iterator[tuple[str, float]]:
    """The process's mean deviation over 20 concepts on target, each of 5 phrasings × 20 that differ by 15 points."""
    for name, middle in (("on target", 0.5), ("share 0.55", 0.55)):
        rng = np.random.default_rng(0)
        shares = _phrasings(rng, middle, 0.15, (runs, 20, 5))
        x = rng.binomial(20, shares)
        _, low, high = in_chunks(np.stack([x, 20 - x], axis=-1), _EVEN)
        yield name, float(((low <= middle - 0.5) & (middle - 0.5 <= high)).mean())


def phrasings(runs: int, *, clustered: bool) -> Iterator[tuple[str, float]]:
    """The share of a concept over phrasings whose shares differ, by Wilson's own interval or by the clustered one."""
    for many, n in ((5, 20), (10, 20), (20, 5)):
        for middle, points in ((0.5, 0.05), (0.5, 0.15), (0.3, 0.15), (0.1, 0.05)):
            rng = np.random.default_rng(0)
            x = rng.binomial(n, _phrasings(rng, middle, points, (runs, many)))
            low, high = clustered_bounds(x, n) if clustered else score_bounds(x.sum(axis=1), many * n)
            held = float(((low <= middle) & (middle <= high)).mean())
            yield f"{many} phrasings × {n}, share {middle:g} ± {points:g}", held


def _phrasings(rng: np.random.Generator, middle: float, points: float, shape: tuple[int, ...]) -> Array:
    """Beta-distributed shares with this mean and standard deviation."""
    size = middle * (1 - middle) / points**2 - 1
    return rng.beta(middle * size, (1 - middle) * size, shape)


def stopped_prompts(runs: int) -> Iterator[tuple[str, float]]:
    """The process's mean deviation over 20 prompts, each drawn until its intervals are within ±10 points."""
    for name, draw, target, truth in (FAIR[0], NEAR[2], FAIL[0], *SPREAD):
        rng = np.random.default_rng(0)
        _, low, high = in_chunks(_until_narrow(rng, draw(rng, runs, 20)[..., 0])[:, :, None], target)
        yield name, float(((low <= truth + 1e-9) & (truth <= high)).mean())


def stopped_within_chance(runs: int) -> Iterator[tuple[str, float]]:
    """How often a prompt on target is "within chance" when it was drawn until its intervals are within ±10 points."""
    for share in (0.1, 0.3, 0.5):
        counts = _until_narrow(np.random.default_rng(0), np.full((runs, 1), share))[:, 0]
        within = [tally_deviation(tuple(own), 0, (share, 1 - share)).within_chance for own in counts.tolist()]
        yield f"share {share:g}", float(np.mean(within))


def _until_narrow(rng: np.random.Generator, shares: Array) -> Counts:
    """Counts of two groups by run and prompt: a look after every 50 images, until both intervals are narrow."""
    looks = np.arange(50, 601, 50)
    shown = rng.binomial(50, shares[..., None], (*shares.shape, len(looks))).cumsum(axis=-1)
    narrow = np.stack(
        [np.concatenate([_width(np.arange(n + 1), n) <= 0.2, np.zeros(600 - n, dtype=bool)]) for n in looks.tolist()]
    )
    done = narrow[np.arange(len(looks)), shown]
    last = np.where(done.any(axis=-1), done.argmax(axis=-1), len(looks) - 1)
    women = np.take_along_axis(shown, last[..., None], axis=-1)[..., 0]
    return np.stack([women, looks[last] - women], axis=-1)


def _width(counts: Counts, n: int) -> Array:
    low, high = anytime_bounds(counts, n, 0.05 / 2, 0.1)
    return high - low


def ways(runs: int, *, few: bool) -> Iterator[tuple[str, float]]:
    """All differences of four ways over the same prompts, 50 images each, together.

    few: one way fails on 1 of 10 prompts and is on target on the others, against one that is always on target.
    """
    for prompts in (10, 20, 50):
        rng = np.random.default_rng(prompts)
        truth = _ways(rng, 20_000, prompts, few).mean(axis=(0, 1))
        held = []
        for values in _ways(rng, runs, prompts, few):
            _, low, high = paired_differences(values, 0.5)
            inside = (low <= truth[:, None] - truth) & (truth[:, None] - truth <= high)
            held.append(bool((inside | ~np.isfinite(low)).all()))
        yield f"{prompts} prompts × 50", float(np.mean(held))


def _ways(rng: np.random.Generator, runs: int, prompts: int, few: bool) -> Array:
    """Total variations of the ways; shape (runs, prompts, ways)."""
    plain = rng.beta(0.5, 0.5, (runs, prompts))
    half = np.full((runs, prompts), 0.5)
    if few:
        shares = [half, np.where(rng.random((runs, prompts)) < 0.1, 0.0, 0.5)]
    else:
        shares = [plain, 0.5 + (plain - 0.5) * 0.3, 0.5 + (plain - 0.5) * 0.2, half]
    return np.abs(rng.binomial(50, np.stack(shares, axis=-1)) / 50 - 0.5)
