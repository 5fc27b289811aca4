"""Which pictures people should label next, and shares from labels that were drawn with known probabilities.

Pictures of which the reader is unsure tell more. A picture's inclusion probability therefore rises with the reader's
uncertainty, and is mixed with a uniform one, so that no picture is left out (Zrnic and Candès 2024, "Active statistical
inference", arXiv 2403.03208):

    π_i = b · ((1 − m) · u_i / Σ u + m / N),    at most 1        b: labels wanted, m: the uniform part, N: pictures

u_i is the reader's uncertainty. Each picture is then drawn or not by a lot of its own. `lot` makes it from the hash of
the picture, so the same picture has the same lot after a restart. Labels count by 1 / π_i:

    θ = λ mean(ŷ) + Σ w_i (y_i − λ ŷ_i) / Σ w_i        w_i = 1 / π_i, over the labelled pictures; mean over all N

(Hájek's ratio, so a queue of which only a random part is labelled so far needs no correction). Its variance is that of
a ratio, Σ w_i² (d_i − d̄)² / (Σ w_i)² with d = y − λ ŷ, plus θ(1 − θ) / N, because an interval speaks of the process
behind the pictures. Pictures that people skip, because they show nobody, have no y. θ is then the share among those
that can be labelled: the mean of y is taken over the labelled ones, and that of ŷ over all that were shown,

    θ = Σ z_i w_i y_i / Σ z_i w_i + λ (mean(ŷ) − Σ w_i ŷ_i / Σ w_i)        z_i: 1 if labelled, 0 if skipped

so that it does not matter what the reader says of pictures that are skipped.
As in `prediction_powered`, half a picture is added to each of the four pairs of labels, and t is Student's for the
effective number of labels, (Σ w)² / Σ w² (Kish 1965, "Survey sampling"). λ makes the variance smallest, within 0 … 1.
"Most uncertain first", without these weights, breaks every interval. Exports `uncertainty`, `inclusion`, `lot` and
`weighted_share`.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from fair_diffusion.statistics.intervals import Array, check_level
from fair_diffusion.statistics.prediction_powered import FEWEST_IN_ALL, PredictedShare

UNIFORM = 0.3
"""The usual uniform part: no picture's weight is more than 1 / 0.3 times the average."""
_ADDED = 0.5


def uncertainty(probabilities: ArrayLike) -> Array:
    """How unsure a reader is of each picture: √(1 − Σ_k p_k²), the root of the variance of what it shows.

    Args:
        probabilities: by picture and group, shape (pictures, groups); what is missing to 1 is "unknown".

    Returns:
        Shape (pictures,), 0 where the reader is certain.

    Raises:
        ValueError: another shape, or probabilities outside 0 … 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise ValueError(f"probabilities of shape {p.shape}: give numbers of 0 … 1 by picture and group")
    unknown = np.clip(1 - p.sum(axis=1), 0, 1)
    return np.asarray(np.sqrt(np.clip(1 - (p**2).sum(axis=1) - unknown**2, 0, 1)))


def inclusion(unsure: ArrayLike, wanted: float, *, uniform: float = UNIFORM) -> Array:
    """The probability with which each picture should be shown, so that about `wanted` pictures are.

    Args:
        unsure: the reader's uncertainty of each picture, 0 or more, shape (pictures,); its scale does not matter.
        wanted: labels wanted, above 0. With as many as there are pictures, all are shown.
        uniform: the part of the labels that is drawn uniformly, above 0 and up to 1. At 1 all pictures have the same
            probability.

    Returns:
        Probabilities above 0 and up to 1, shape (pictures,). Their sum is `wanted`, or the number of pictures if that
        is smaller.

    Raises:
        ValueError: a number out of range.
    """
    u = np.asarray(unsure, dtype=np.float64)
    if u.ndim != 1 or not u.size or not (np.isfinite(u) & (u >= 0)).all():
        raise ValueError("the uncertainties are no finite numbers of 0 or more: give one for each picture")
    if not wanted > 0:
        raise ValueError(f"wanted is {wanted:g}: give a number of labels above 0")
    if not 0 < uniform <= 1:
        raise ValueError(f"uniform is {uniform:g}: give a part above 0 and up to 1, such as {UNIFORM}")
    u = u / u.max() if u.max() > 0 else np.ones(u.size)
    share = uniform / u.size + (1 - uniform) * u / u.sum()
    sure = np.zeros(u.size, dtype=bool)
    while True:  # what is cut off at 1 goes to the other pictures
        left, rest = min(wanted, u.size) - sure.sum(), share[~sure].sum()
        probability = np.where(sure, 1.0, share * (left / rest if rest else 1.0))
        over = (probability > 1) & ~sure
        if not over.any():
            return np.asarray(np.minimum(probability, 1.0))
        sure |= over


def lot(picture: str, seed: int = 0) -> float:
    """The lot of a picture, in [0, 1): the picture is drawn if its lot is below its inclusion probability.

    Args:
        picture: what names it, such as the hash of its file.
        seed: another seed draws other pictures.
    """
    digest = hashlib.sha256(f"{seed}:{picture}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def weighted_share(
    human: ArrayLike, machine: ArrayLike, probability: ArrayLike, seen: float, n: int, *, level: float = 0.95
) -> PredictedShare:
    """The share of one group that people would see, from labels with known inclusion probabilities.

    Args:
        human: 1 where people saw the group, else 0, for each picture that people were shown; NaN where they skipped it.
        machine: 1 where the machine saw it, for the same pictures; probabilities of the group do as well.
        probability: with which each of these pictures was shown, above 0 and up to 1, up to a common factor.
        seen: pictures in which the machine saw the group, among all `n` (a sum of probabilities does as well).
        n: all pictures, those that were shown included.
        level: confidence of the interval, strictly between 0 and 1.

    Returns:
        As `prediction_powered.predict` does, among the pictures that can be labelled; `human` is weighted.

    Raises:
        ValueError: fewer than 30 labels, or numbers that do not fit or are out of range.
    """
    y, f, pi = (np.asarray(values, dtype=np.float64) for values in (human, machine, probability))
    if not y.shape == f.shape == pi.shape or y.ndim != 1:
        raise ValueError(f"{y.size} labels do not fit {f.size} readings and {pi.size} probabilities: give one of each")
    z = ~np.isnan(y)
    if z.sum() < FEWEST_IN_ALL:
        raise ValueError(f"{z.sum()} labels are too few: label at least {FEWEST_IN_ALL} pictures")
    if not ((pi > 0) & (pi <= 1)).all():
        raise ValueError("a label has no probability above 0 and up to 1: leave labels of chosen pictures out")
    if not y.size <= n or not 0 <= seen <= n:
        raise ValueError(f"seen is {seen:g} of n = {n}: give the machine's counts over all pictures")
    check_level(level)
    w = pi.min() / pi
    trust, estimate, _ = _fitted(y, f, w, seen / n)
    # Half a picture of each kind of pair, with the average weight.
    more = np.full(4, _ADDED * w.mean())
    _, middle, apart = _fitted(np.append(y, [1, 1, 0, 0]), np.append(f, [1, 0, 1, 0]), np.append(w, more), seen / n)
    # An added half picture counts half as often as a picture of its weight, so its square is halved, too.
    squares = np.append(w**2, _ADDED * np.full(4, w.mean() ** 2))
    sampling = float((squares * apart**2).sum() / (w.sum() + more.sum()) ** 2)
    share = min(1.0, max(0.0, middle))
    effective = w[z].sum() ** 2 / (w[z] ** 2).sum()
    spread = math.sqrt(sampling * effective / max(effective - 1, 1) + share * (1 - share) / n)
    half = float(stdtrit(max(effective - 1, 1), (1 + level) / 2)) * spread
    return PredictedShare(
        human=float(np.average(y[z], weights=w[z])),
        machine=seen / n,
        estimate=min(1.0, max(0.0, estimate)),
        low=max(0.0, middle - half),
        high=min(1.0, middle + half),
        weight=trust,
    )


def _fitted(y: Array, f: Array, w: Array, machine: float) -> tuple[float, float, Array]:
    """λ, θ, and how much each picture pulls θ (the terms of its linearised variance); `machine` is mean(ŷ).

    λ makes the variance smallest: a regression on ŷ with the squares of the weights."""
    z = ~np.isnan(y)
    people = float(np.average(y[z], weights=w[z]))
    pulls = np.where(z, y - people, 0.0) * w.sum() / w[z].sum()
    shown = float(np.average(f, weights=w))
    centred = f - shown
    variance, covariance = float((w**2 * centred**2).sum()), float((w**2 * centred * pulls).sum())
    trust = min(1.0, max(0.0, covariance / variance)) if variance > 0 else 0.0
    return trust, people + trust * (machine - shown), pulls - trust * centred
