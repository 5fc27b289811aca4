"""Association test: does an encoder put one set of words or images nearer to one attribute than to another?

    s(w) = mean over a of cos(w, a) − mean over b of cos(w, b)         how much nearer w is to A than to B
    d    = (mean over x of s − mean over y of s) / std of s over X ∪ Y
    p    = share of the partitions of X ∪ Y into two halves whose Σ_x s − Σ_y s is at least the observed one

The test is WEAT for words (Caliskan, Bryson and Narayanan 2017, Science 356) and iEAT for images (Steed and Caliskan
2021, arXiv 2010.15052). As published, it is one-sided: p is small if X is associated with A and Y with B, and near 1 in
the opposite case. d lies between −2 and 2. The standard deviation has ddof = 1 and ties count towards p, as in the code
of May et al. (2019, arXiv 1903.10561), which the field uses. The observed partition counts too, so p is never 0.
Exports `association`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array

_DRAWS = 10_000
_MOST_EXACT = 200_000


@dataclass(frozen=True, kw_only=True)
class Association:
    """The outcome of one test.

    Attributes:
        effect: d, in standard deviations; above 0 if X is associated with A and Y with B.
        p: one-sided permutation p.
        exact: whether p is over all partitions, not over 10,000 random ones.
        partitions: number of partitions that p is over, the observed one included.
        associations_x: s of each target in X.
        associations_y: s of each target in Y.
    """

    effect: float
    p: float
    exact: bool
    partitions: int
    associations_x: tuple[float, ...]
    associations_y: tuple[float, ...]


def association(x: ArrayLike, y: ArrayLike, a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> Association:
    """Test whether targets X and Y differ in their association with attributes A and B.

    Args:
        x: embeddings of the targets X, shape (targets, d); their lengths do not matter.
        y: embeddings of the targets Y, shape (targets, d).
        a: embeddings of the attribute A, shape (members, d).
        b: embeddings of the attribute B, shape (members, d).
        seed: seed of the random partitions, used if there are more than 200,000 partitions.

    Raises:
        ValueError: a set with fewer than 2 members, X and Y of different size, embeddings of different width,
            embeddings that are zero or not finite, or targets that all have the same association.
    """
    sets = {name: _unit(name, values) for name, values in (("X", x), ("Y", y), ("A", a), ("B", b))}
    widths = {name: values.shape[1] for name, values in sets.items()}
    if len(set(widths.values())) != 1:
        raise ValueError(f"embeddings have widths {widths}: make them all with the same encoder")
    if len(sets["X"]) != len(sets["Y"]):
        raise ValueError(f"X has {len(sets['X'])} members and Y {len(sets['Y'])}: the test needs as many in both")
    towards, away = sets["A"].mean(axis=0), sets["B"].mean(axis=0)
    s = np.concatenate([sets["X"], sets["Y"]]) @ (towards - away)
    spread = float(np.std(s, ddof=1))
    if spread < 1e-12:
        raise ValueError("all targets are equally associated with A and B: there is no effect to measure")
    size = len(sets["X"])
    p, exact, partitions = _permutation_p(s, size, seed)
    return Association(
        effect=float(s[:size].mean() - s[size:].mean()) / spread,
        p=p,
        exact=exact,
        partitions=partitions,
        associations_x=tuple(s[:size].tolist()),
        associations_y=tuple(s[size:].tolist()),
    )


def _permutation_p(s: Array, size: int, seed: int) -> tuple[float, bool, int]:
    """p, whether it is exact, and the number of partitions. The first `size` values of `s` belong to X."""
    # The sum over X ∪ Y is fixed, so Σ_x s alone orders the partitions. The margin keeps ties despite rounding.
    least = s[:size].sum() - 1e-9 * np.abs(s).sum()
    partitions = math.comb(len(s), size)
    if partitions <= _MOST_EXACT:
        chosen = np.fromiter(itertools.chain.from_iterable(itertools.combinations(range(len(s)), size)), np.intp)
        sums = s[chosen.reshape(partitions, size)].sum(axis=1)
        return float((sums >= least).mean()), True, partitions
    generator = np.random.default_rng(seed)
    drawn = sum(generator.permutation(s)[:size].sum() >= least for _ in range(_DRAWS))
    return float(1 + drawn) / (1 + _DRAWS), False, 1 + _DRAWS


def _unit(name: str, values: ArrayLike) -> Array:
    """The embeddings of one set, each scaled to length 1, shape (members, d)."""
    rows: Array = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name} has shape {rows.shape}: give one row per member")
    if len(rows) < 2:
        raise ValueError(f"{name} has {len(rows)} members: the test needs at least 2 in each set")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds embeddings that are not finite: check the encoder")
    lengths: Array = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"{name} holds an embedding that is zero and so has no direction: check the encoder")
    unit: Array = rows / lengths
    return unit
