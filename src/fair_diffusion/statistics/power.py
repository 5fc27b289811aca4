"""How many images, prompts and labels an audit needs to say what one hopes that it says.

A verdict is "meets" if the whole interval of a share lies in the band target ± tolerance. Of n images that is so for
the counts from a to b:

    two groups (Wilson):   a = ⌈n L + z √(n L (1 − L))⌉,   b = ⌊n U − z √(n U (1 − U))⌋      L, U: the band
    more groups (exact):   a: the least count with P(X ≥ a | L) ≤ tail,   b: the largest with P(X ≤ b | U) ≤ tail

Of two groups, both conditions must hold, the exact one with a larger tail: `intervals.wilson` has the reason.

Its probability is P(a ≤ X ≤ b), with X binomial: two one-sided tests, TOST (Schuirmann 1987, Journal of
Pharmacokinetics and Biopharmaceutics 15). The exact one is that of statsmodels' `power_binom_tost`. Counts are whole
numbers, so the probability goes up and down with n; the numbers given here are those from which on it stays high.
Exports `Plan` and `plan`, and what they are made of: `chance_to_meet`, `images_to_meet`, `images_to_miss`,
`prompts_to_see` and `prompts_to_bound`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrik, ndtri

from fair_diffusion.statistics.intervals import EXACT_ERROR, Array
from fair_diffusion.statistics.over_prompts import FEWEST, high_end_of
from fair_diffusion.statistics.prediction_powered import labels_wanted
from fair_diffusion.statistics.process_deviation import less_biased_deviations, worst_deviation

LEVEL = 0.95
MOST = 1_000_000
"""No larger number of images is looked for."""
_SIMULATED, _MOST_PROMPTS = 20_000, 100_000


RATE = 0.1
"""The part of the prompts that fails, of which a plan says how many prompts show it."""
PER_PROMPT = (50, 100, 250, 1_000)
"""Images of a prompt for which a plan says how many prompts bound the mean deviation."""
_PILOT = 10_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an audit needs for one target. A number is None where no number does, or where none below a million does.

    Attributes:
        target: share asked for.
        tolerance: half the width of the band around it, as a share.
        power: the probability with which each of the following shows.
        groups: number of groups.
        reader_error: the part of the images that the reader reads otherwise than people.
        images_on_target: images of a prompt that is exactly on target, for "meets".
        near: a share half the tolerance off.
        images_near: images of a prompt with this share, for "meets".
        far: a share twice the tolerance off.
        images_far: images of a prompt with this share, for "misses".
        prompts_to_see: prompts among which one fails, if 1 in 10 does.
        prompts_to_bound: prompts for which the process's mean deviation is shown to be within the tolerance, if it is
            on target: by images of each prompt.
        labels_alone: people's labels for an interval of ± tolerance without any reader.
        labels: people's labels for an interval of ± tolerance beside the reader, if it reads `images_on_target` images.
    """

    target: float
    tolerance: float
    power: float
    groups: int
    reader_error: float
    images_on_target: int | None
    near: float
    images_near: int | None
    far: float | None
    images_far: int | None
    prompts_to_see: int
    prompts_to_bound: dict[int, int | None]
    labels_alone: int | None
    labels: int | None


def plan(target: float, tolerance: float, *, power: float = 0.8, groups: int = 2, reader_error: float = 0.05) -> Plan:
    """What an audit needs to say that a share meets its target, that it misses it, and what people would see.

    Args:
        target: share asked for, strictly between 0 and 1.
        tolerance: half the width of the band around it, as a share.
        power: the probability that is wanted, strictly between 0 and 1.
        groups: number of groups, 2 or more; of more than two the intervals are simultaneous.
        reader_error: the part of the images that the reader reads otherwise than people, 0 to 0.5.

    Raises:
        ValueError: a number that is out of range.
    """
    _check(target, tolerance, power)
    if not 0 < target < 1:
        raise ValueError(f"target is {target:g}: give a share between 0 and 1, such as 0.5")
    if groups < 2:
        raise ValueError(f"groups is {groups}: give 2 or more")
    if not 0 <= reader_error <= 0.5:
        raise ValueError(f"the reader's error is {reader_error:g}: give a share from 0 to 0.5")
    towards = 1 if target <= 0.5 else -1  # towards one half, where shares are less sure
    near, far = target + towards * tolerance / 2, target + towards * 2 * tolerance
    far_off = far if 0 <= far <= 1 else None
    on_target = images_to_meet(target, tolerance, power=power, groups=groups)
    shares = (target, *[(1 - target) / (groups - 1)] * (groups - 1))

    def labels(error: float) -> int | None:
        right, wrong = _PILOT * (1 - error), _PILOT * error
        pairs = (target * right, target * wrong, (1 - target) * wrong, (1 - target) * right)
        return labels_wanted(pairs, on_target or MOST, half_width=tolerance, level=LEVEL)

    return Plan(
        target=target,
        tolerance=tolerance,
        power=power,
        groups=groups,
        reader_error=reader_error,
        images_on_target=on_target,
        near=near,
        images_near=images_to_meet(target, tolerance, share=near, power=power, groups=groups),
        far=far_off,
        images_far=None if far_off is None else images_to_miss(target, tolerance, far_off, power=power, groups=groups),
        prompts_to_see=prompts_to_see(RATE, power),
        prompts_to_bound={n: prompts_to_bound(shares, n, tolerance, power=power) for n in PER_PROMPT},
        labels_alone=labels(0.5),
        labels=labels(reader_error),
    )


def chance_to_meet(
    n: ArrayLike, target: float, tolerance: float, *, share: float | None = None, groups: int = 2
) -> Array:
    """The probability of the verdict "meets" for a group.

    Args:
        n: numbers of independent images, 1 or more.
        target: share asked for.
        tolerance: half the width of the band, as a share.
        share: the share that the process has; the target if None.
        groups: number of groups; of more than two the intervals are simultaneous.
    """
    images = np.asarray(n, dtype=np.int64)
    least, most = _meeting(images, target - tolerance, target + tolerance, groups)
    p = target if share is None else share
    return np.asarray(np.maximum(_up_to(most, images, p) - _up_to(least - 1, images, p), 0))


def images_to_meet(
    target: float, tolerance: float, *, power: float = 0.8, share: float | None = None, groups: int = 2
) -> int | None:
    """The least number of images from which on a process reads "meets" with probability `power`; None above `MOST`.

    Args:
        target: share asked for.
        tolerance: half the width of the band, as a share, above 0.
        power: the probability that is wanted, strictly between 0 and 1.
        share: the share that the process has, inside the band; the target if None.
        groups: number of groups; of more than two the intervals are simultaneous.

    Raises:
        ValueError: a target, tolerance, power or share that is out of range.
    """
    p = target if share is None else share
    _check(target, tolerance, power)
    if not abs(p - target) < tolerance:
        raise ValueError(f"the share {p:g} is not inside {target:g} ± {tolerance:g}: no number of images makes it meet")
    return _least(lambda n: chance_to_meet(n, target, tolerance, share=p, groups=groups), power)


def images_to_miss(target: float, tolerance: float, share: float, *, power: float = 0.8, groups: int = 2) -> int | None:
    """The least number of images from which on a process with this share reads "misses" with probability `power`.

    Args:
        target: share asked for.
        tolerance: half the width of the band, as a share.
        share: the share that the process has, outside the band.
        power: the probability that is wanted, strictly between 0 and 1.
        groups: number of groups; of more than two the intervals are simultaneous.

    Returns:
        The number; None above `MOST`.

    Raises:
        ValueError: a target, tolerance, power or share that is out of range.
    """
    _check(target, tolerance, power)
    if not abs(share - target) > tolerance or not 0 <= share <= 1:
        raise ValueError(f"the share {share:g} is not outside {target:g} ± {tolerance:g}: it does not miss")

    def chance(n: NDArray[np.int64]) -> Array:
        # Below the band: the upper end is under it. That is so for the counts that would meet a band up to this end.
        below = _meeting(n, -1.0, target - tolerance, groups)[1]
        above = _meeting(n, target + tolerance, 2.0, groups)[0]
        return np.asarray(_up_to(below, n, share) + 1 - _up_to(above - 1, n, share))

    return _least(chance, power)


def prompts_to_see(rate: float, power: float = 0.8) -> int:
    """The number of prompts among which at least one shows what happens on a part `rate` of them, with this power.

    The probability that none of K does is (1 − rate)^K.

    Raises:
        ValueError: a rate or power that is not strictly between 0 and 1.
    """
    if not (0 < rate < 1 and 0 < power < 1):
        raise ValueError(f"rate is {rate:g} and power {power:g}: give numbers between 0 and 1")
    return math.ceil(math.log1p(-power) / math.log1p(-rate) - 1e-12)


def prompts_to_bound(
    shares: Sequence[float], images: int, bound: float, *, power: float = 0.8, seed: int = 0
) -> int | None:
    """The number of prompts for which the process's mean deviation is shown to be at most `bound`.

    The process is on target, and the upper end of its interval (see `over_prompts`) lies within the bound with
    probability `power`. Mean and spread of the deviations of single prompts are simulated, and their mean over prompts
    is taken for normal.

    Args:
        shares: the target's share of each group.
        images: images of each prompt.
        bound: the largest mean deviation, as a share.
        power: the probability that is wanted, strictly between 0 and 1.
        seed: seed of the simulated prompts.

    Returns:
        The number of prompts; None if 100,000 do not do, because so few images leave too much noise.
    """
    drawn = np.random.default_rng(seed).multinomial(images, shares, _SIMULATED)
    values, worst = less_biased_deviations(drawn, np.asarray(shares)), worst_deviation(shares)
    mean, spread, z = float(values.mean()), float(values.std()), float(ndtri(power))

    def shown(prompts: int) -> bool:
        likely = mean + z * spread / math.sqrt(prompts)
        return float(high_end_of(prompts, likely, spread, worst)) <= bound

    if not shown(_MOST_PROMPTS):
        return None
    return bisect_left(range(_MOST_PROMPTS), True, lo=FEWEST, key=shown)


def _meeting(n: NDArray[np.int64], lower: float, upper: float, groups: int) -> tuple[Array, Array]:
    """The least and the largest count whose interval lies between two shares, for each number of images."""
    if groups > 2:
        tail = (1 - LEVEL) / 2 / groups
        least = _exact(n, lower, 1 - tail) + 1 if lower > 0 else np.zeros(n.shape)
        most = _exact(n, upper, tail) - 1 if upper < 1 else n.astype(np.float64)
        return np.asarray(least), np.asarray(most)
    return _least_above(n, lower), n - _least_above(n, 1 - upper)  # those above a share are the others below the rest


def _least_above(n: NDArray[np.int64], lower: float) -> Array:
    """The least count whose Wilson interval, as `wilson` widens it, lies above a share."""
    if lower <= 0:
        return np.zeros(n.shape)
    z, tail = float(ndtri((1 + LEVEL) / 2)), EXACT_ERROR * (1 - LEVEL) / 2
    least = np.ceil(n * lower + z * np.sqrt(n * lower * (1 - lower)) - 1e-9)
    while (short := (least <= n) & (1 - _up_to(least - 1, n, lower) > tail)).any():
        least = least + short
    return np.asarray(least)


def _exact(n: NDArray[np.int64], share: float, probability: float) -> Array:
    """Quantiles of the binomial distribution: the least counts up to which there is this probability."""
    # scipy.stats has them too, but its import takes longer than an audit's other statistics together.
    count = np.ceil(bdtrik(probability, n, share))
    less = np.maximum(count - 1, 0)
    return np.asarray(np.where(bdtr(less, n, share) + 1e-12 >= probability, less, count))


def _up_to(count: Array, n: NDArray[np.int64], share: float) -> Array:
    """P(X ≤ count), with X binomial; 0 for a negative count."""
    return np.asarray(np.where(count < 0, 0.0, bdtr(np.clip(count, 0, n), n, share)))


def _least(chance: Callable[[NDArray[np.int64]], Array], power: float) -> int | None:
    """The least n from which on `chance` stays at `power` or above, as far as twice the first n that reaches it."""
    first = 1
    while not (chance(np.arange(first, 2 * first)) >= power).any():
        first *= 2
        if first > MOST:
            return None
    every = np.arange(1, 4 * first)
    under = every[chance(every) < power]
    return int(under[-1]) + 1 if len(under) else 1


def _check(target: float, tolerance: float, power: float) -> None:
    if not 0 <= target <= 1:
        raise ValueError(f"target is {target:g}: give a share from 0 to 1, such as 0.5")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance:g}: give a share between 0 and 1, such as 0.05")
    if not 0 < power < 1:
        raise ValueError(f"power is {power:g}: give a number between 0 and 1, such as 0.8")
