"""How a reader errs in each concept, from few labels: rates that are pooled over concepts as far as the labels say.

n_c[i, j] are the images of concept c in which people saw group i and the reader read j. Row i of a concept's rates is

    θ_c[i] ~ Dirichlet(s[i] · m[i]),     n_c[i] ~ Multinomial(θ_c[i])

with the pooled row m[i] = (Σ_c n_c[i] + e_i) / (Σ_c n_c[i] · 1 + 1): all labels together, and one imagined label on
which the reader is right (e_i). So a reader is believed until labels contradict it: without an error among the labels,
m is the identity. The mean of a concept's row, given s, is (n_c[i] + s m[i]) / (n_c[i] · 1 + s). The strength s[i] says
how alike the concepts are in group i. It is not known, so the mean is taken over a grid of it, by its posterior under
equal prior weights:

    P(s[i]) ∝ Π_c  Γ(s) / Γ(s + n_c[i] · 1) · Π_j Γ(s m[i, j] + n_c[i, j]) / Γ(s m[i, j])

This is the Dirichlet-multinomial (Pólya) distribution, a hierarchical model as in Gelman et al. (2013, "Bayesian data
analysis", section 5.3), with m put in its place as in empirical Bayes. Exports `pooled_rates`, its result
`PooledRates`, and `rate_intervals`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, gammaln

from fair_diffusion.statistics.intervals import Array, check_level

STRENGTHS = 2.0 ** np.arange(0, 13)
"""The grid of s, in labels: from concepts that tell hardly anything of each other to concepts that are alike."""


class PooledRates(NamedTuple):
    """Rates of readings by group.

    Attributes:
        pooled: for a concept without labels, shape (groups, readings); each row sums to 1.
        own: for each concept, shape (concepts, groups, readings).
        strengths: for each group the mean of s on a logarithmic scale, shape (groups,): as many labels of other
            concepts count in a concept.
    """

    pooled: Array
    own: Array
    strengths: Array


def pooled_rates(counts: ArrayLike) -> PooledRates:
    """The rates of each concept and of all together.

    Args:
        counts: images by concept, group that people saw, and reading, shape (concepts, groups, readings). Reading i is
            the right one for group i. Weighted labels give fractions.

    Raises:
        ValueError: another shape, or counts that are negative or no numbers.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 3 or n.shape[2] < n.shape[1] or not (np.isfinite(n) & (n >= 0)).all():
        raise ValueError(f"counts of shape {n.shape}: give numbers of 0 or more by concept, group and reading")
    right = np.eye(n.shape[1], n.shape[2])
    whole = n.sum(axis=0) + right
    pooled = whole / whole.sum(axis=1, keepdims=True)
    likelihood = np.array([_log_likelihood(n, s * pooled) for s in STRENGTHS])
    weight = np.exp(likelihood - likelihood.max(axis=0))
    weight /= weight.sum(axis=0)  # (strengths, groups)
    each = np.stack([(n + s * pooled) / (n.sum(axis=2, keepdims=True) + s) for s in STRENGTHS])
    own = np.einsum("sg,scgr->cgr", weight, each)
    return PooledRates(pooled, own, np.exp(np.log(STRENGTHS) @ weight))


def _log_likelihood(n: Array, prior: Array) -> Array:
    """log P(s) for each group, up to what does not depend on s. Readings that never occurred do not count."""
    row, total = n.sum(axis=2), prior.sum(axis=1)
    known = prior > 0
    cells = gammaln(np.where(known, prior, 1) + n) - gammaln(np.where(known, prior, 1))
    whole = gammaln(total) - gammaln(total + row)
    return np.asarray((whole + np.where(known, cells, 0).sum(axis=2)).sum(axis=0))


def rate_intervals(counts: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper ends of each pooled rate, each by itself: Beta(n + ½, rest + ½), as Jeffreys has it.

    Args:
        counts: images by group that people saw, and reading, shape (groups, readings).
        level: credibility, strictly between 0 and 1.
    """
    check_level(level)
    n = np.asarray(counts, dtype=np.float64)
    rest = n.sum(axis=1, keepdims=True) - n
    low = np.where(n > 0, betaincinv(n + 0.5, rest + 0.5, (1 - level) / 2), 0.0)
    high = np.where(rest > 0, betaincinv(n + 0.5, rest + 0.5, (1 + level) / 2), 1.0)
    return low, high
