"""How often what is said about two sources holds: differences, labels of amplification, counts, chance and distances.

Each function yields how often it holds in one setting after the other, as those of `benchmarks.coverage`, which writes
their table. Of a test it is how often no false alarm is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, multinomial

from fair_diffusion.audit.deviations import tally_deviation
from fair_diffusion.audit.lines import relation
from fair_diffusion.statistics.amplification import (
    FEWEST_LEANS,
    Lean,
    fewest,
    label_probabilities,
    lean,
    mean_lean,
    tails,
)
from fair_diffusion.statistics.differences import agreed, fisher_p, mcnemar_p, newcombe, tango
from fair_diffusion.statistics.kid import kid

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
SHARES = (0.5, 0.3, 0.2)
"""Shares of three groups that do not change."""


def _fisher(n: int, m: int) -> Array:
    """p of every pair of counts, shape (n + 1, m + 1)."""
    return np.array([[fisher_p(x, n, y, m) for y in range(m + 1)] for x in range(n + 1)])


def no_false_alarm(runs: int, *, by_group: bool) -> Iterator[tuple[str, float]]:
    """Tables of prompts and three groups in which nothing changed: no p corrected by Holm is below 0.05.

    `by_group`: corrected over the prompts of each group alone.
    """
    rng = np.random.default_rng(0)
    for prompts, n, m in ((20, 50, 50), (20, 20, 250), (100, 50, 50)):
        p = _fisher(n, m)
        before, after = (rng.multinomial(size, SHARES, (runs, prompts)) for size in (n, m))
        smallest = p[before, after].min(axis=1)  # of each group
        least = (smallest * prompts).min(axis=1) if by_group else smallest.min(axis=1) * prompts * len(SHARES)
        yield f"{prompts} prompts, {n} and {m} images", float((least >= 0.05).mean())


def no_false_alarm_in_pairs(runs: int) -> Iterator[tuple[str, float]]:
    """The same with images of the same seeds, of which some are drawn anew."""
    rng = np.random.default_rng(1)
    n = 50
    p = np.array([[mcnemar_p(gained, lost) for lost in range(n + 1)] for gained in range(n + 1)])
    for prompts, part in ((20, 0.2), (20, 1.0), (100, 1.0)):
        anew = rng.binomial(n, part, (runs, prompts))
        least = np.full(runs, np.inf)
        moves = np.outer(SHARES, SHARES).ravel()
        moved = rng.multinomial(anew.ravel(), moves).reshape(runs, prompts, 3, 3)
        for group in range(3):
            gained = moved[..., group].sum(axis=-1) - moved[..., group, group]
            lost = moved[..., group, :].sum(axis=-1) - moved[..., group, group]
            least = np.minimum(least, p[gained, lost].min(axis=1))
        yield f"{prompts} prompts, {n} pairs, {part:.0%} drawn anew", float((least * prompts * 3 >= 0.05).mean())


def differences(n: int, m: int) -> Iterator[tuple[str, float]]:
    """The interval of a difference of independent shares, with which the test agrees; exactly."""
    ends = np.array(
        [[agreed(fisher_p(x, n, y, m), newcombe(x, n, y, m))[1] for y in range(m + 1)] for x in range(n + 1)]
    )
    for before in (0.02, 0.1, 0.3, 0.5):
        for after in (0.02, 0.1, 0.3, 0.5, 0.9):
            weight = np.outer(binom.pmf(np.arange(n + 1), n, before), binom.pmf(np.arange(m + 1), m, after))
            inside = (ends[..., 0] <= after - before) & (after - before <= ends[..., 1])
            yield f"{before:.2f} → {after:.2f}", float(weight[inside].sum())


def paired(n: int) -> Iterator[tuple[str, float]]:
    """The interval of a difference of paired shares, with which the test agrees; exactly."""
    gained, lost = np.array([(g, k) for g in range(n + 1) for k in range(n + 1 - g)]).T
    pairs = zip(gained.tolist(), lost.tolist(), strict=True)
    ends = np.array([agreed(mcnemar_p(g, k), tango(g, k, n))[1] for g, k in pairs])
    outcomes = np.column_stack([gained, lost, n - gained - lost])
    for before in (0.02, 0.1, 0.3, 0.5):
        for after in (0.02, 0.1, 0.3, 0.5, 0.9):
            # Of the images that could change in either direction, as many as independence would have it do.
            gain, loss = (1 - before) * after, before * (1 - after)
            weight = multinomial.pmf(outcomes, n, [gain, loss, 1 - gain - loss])
            inside = (ends[:, 0] <= after - before) & (after - before <= ends[:, 1])
            yield f"{before:.2f} → {after:.2f}", float(weight[inside].sum())


def within_chance(runs: int, *, exact: bool) -> Iterator[tuple[str, float]]:
    """Draws from the target that are said to lie within chance: by the exact test, or by the published band."""
    rng = np.random.default_rng(2)
    for target in ((0.2,) * 5, SHARES, (0.9, 0.05, 0.05), (0.96, 0.01, 0.01, 0.01, 0.01)):
        for n in (8, 20, 50, 250):
            found = [tally_deviation(tuple(own), 0, target) for own in rng.multinomial(n, target, runs).tolist()]
            said = np.mean([one.within_chance if exact else one.inside_band for one in found])
            yield f"{len(target)} groups, the rarest {min(target):.0%}, n {n}", float(said)


def not_called_amplified(runs: int, *, likely: bool) -> Iterator[tuple[str, float]]:
    """A model that draws the reference's shares is not called amplifying: by the likeliest or the observed relation."""
    rng = np.random.default_rng(3)
    for n, m in ((20, 20), (20, 2_000), (100, 2_000), (250, 2_000)):
        r = rng.beta(2, 2, runs)
        x, y = rng.binomial(n, r), rng.binomial(m, r)
        if likely:
            probabilities = label_probabilities(x, n, y, m, 0.5)
            called = (probabilities.argmax(axis=0) == 0) & (probabilities.max(axis=0) >= 0.8)
        else:
            called = np.array([relation(a, b) == "amplified" for a, b in zip(x / n, y / m, strict=True)])
        yield f"{n} images, {m:,} of the reference", float(1 - called.mean())


Model = Callable[[Array, np.random.Generator], Array]
MODELS: Sequence[tuple[str, Model]] = (
    ("draws the reference's shares", lambda r, rng: r),
    ("half again as far from even", lambda r, rng: np.clip(0.5 + (r - 0.5) * 1.5, 0, 1)),
    (
        "amplifies half of the prompts",
        lambda r, rng: np.clip(r + np.sign(r - 0.5) * np.where(rng.random(r.shape) < 0.5, 0.2, 0), 0, 1),
    ),
    ("even shares", lambda r, rng: np.full_like(r, 0.5)),
    ("off by ± 15 points", lambda r, rng: np.clip(r + rng.normal(0, 0.15, r.shape), 0, 1)),
)
"""What models make of the reference's shares of one of two groups."""
ODD: Sequence[tuple[str, Model]] = (
    ("1 of 10 shows one group alone", lambda r, rng: np.where(rng.random(r.shape) < 0.1, 1.0, r)),
    ("1 of 10 is mirrored", lambda r, rng: np.where(rng.random(r.shape) < 0.1, 1 - r, r)),
    ("1 of 10 shows the rarer group alone", lambda r, rng: np.where(rng.random(r.shape) < 0.1, (r < 0.5) * 1.0, r)),
)
"""Models that treat one prompt of ten unlike the others."""


def amplified(runs: int) -> Iterator[tuple[str, float]]:
    """The bounds of how many prompts are amplified."""
    rng = np.random.default_rng(4)
    for prompts, n in ((20, 20), (50, 100)):
        for name, model in MODELS:
            held = 0
            for _ in range(runs):
                r = rng.beta(2, 2, prompts)
                p = model(r, rng)
                truth = sum(relation(a, b) == "amplified" for a, b in zip(p, r, strict=True))
                found = tails(rng.binomial(n, p), n, rng.binomial(2_000, r), 2_000, 0.5)
                held += fewest(found.amplified) <= truth <= prompts - fewest(found.other)
            yield f"{prompts} prompts × {n} images, {name}", held / runs


def mean_amplification(runs: int, m: int, n: int = 50) -> Iterator[tuple[str, float]]:
    """The interval of the mean difference in the groups that the reference shows more than evenly.

    `m`: images of the reference in each prompt; `n`: of the model.
    """
    rng = np.random.default_rng(5)

    @cache
    def leaning(x: int, y: int) -> Lean:
        found = lean([x, n - x], [y, m - y], 0.5)
        assert found is not None
        return found

    for prompts in (FEWEST_LEANS, 200):
        for name, model in (*MODELS, *ODD):
            r = rng.beta(2, 2, 200_000)
            # The group that the reference shows more than evenly among all its images but one.
            favoured = binom.sf((m - 1) // 2, m - 1, r) - binom.cdf((m - 2) // 2, m - 1, r)
            truth, held = float((favoured * (model(r, rng) - r)).mean()), 0
            r = rng.beta(2, 2, (runs, prompts))
            counts = rng.binomial(n, model(r, rng)), rng.binomial(m, r)
            for xs, ys in zip(*(own.tolist() for own in counts), strict=True):
                _, interval = mean_lean([leaning(x, y) for x, y in zip(xs, ys, strict=True)])
                assert interval is not None
                held += interval[0] <= truth <= interval[1]
            yield f"{prompts} prompts, {name}", held / runs


def kernel_distance(runs: int) -> Iterator[tuple[str, float]]:
    """KID ± 1.96 standard errors, of normal features."""
    rng = np.random.default_rng(6)
    for m, n in ((50, 50), (50, 400), (200, 200)):
        for shift in (0.0, 0.1, 0.3, 1.0):
            held, width = 0, 16
            truth = _cubed(0, 0, width) - 2 * _cubed(0, shift, width) + _cubed(shift, shift, width)
            for _ in range(runs):
                found = kid(rng.normal(size=(m, width)), rng.normal(shift, 1, (n, width)))
                assert found.error is not None
                held += abs(found.value - truth) <= 1.96 * found.error
            yield f"{m} and {n} images, shift {shift:g}", held / runs


def _cubed(a: float, b: float, d: int) -> float:
    """E (x·y/d + 1)³ of independent normal x and y of d numbers each, with means a and b in each number."""
    mean, variance = d * a * b, d * (1 + a * a + b * b)
    # Of one product of normal numbers with means a and b, the third central moment is 6ab.
    third = mean**3 + 3 * mean * variance + 6 * d * a * b
    return third / d**3 + 3 * (variance + mean**2) / d**2 + 3 * mean / d + 1
