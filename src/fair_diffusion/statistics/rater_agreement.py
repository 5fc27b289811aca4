"""How far raters agree, when not every rater sees every picture.

Krippendorff's alpha for groups without an order (Krippendorff 2018, Content Analysis, 4th edition, chapter 12):

    α = 1 − D_o / D_e      D_o = Σ_u Σ_{c≠k} n_uc n_uk / (m_u − 1) / n      D_e = Σ_{c≠k} n_c n_k / (n (n − 1))

n_uc raters saw group c in picture u, m_u raters labelled it, n_c = Σ_u n_uc and n = Σ_c n_c, over the pictures that two
raters or more labelled. 1 is full agreement, 0 what chance would give.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array


def krippendorff_alpha(counts: ArrayLike) -> float | None:
    """Krippendorff's alpha, nominal.

    Args:
        counts: how many raters saw each group in each picture, shape (pictures, groups). "Cannot tell" may be a group.

    Returns:
        Alpha; None if no picture has two labels, or if all labels are of one group.
    """
    table = _checked(counts)
    table = table[table.sum(axis=1) >= 2]
    raters = table.sum(axis=1)
    total = float(raters.sum())
    if total == 0:
        return None
    squares = (table**2).sum(axis=1)
    observed = float(((raters**2 - squares) / (raters - 1)).sum()) / total
    groups = table.sum(axis=0)
    expected = float(total**2 - (groups**2).sum()) / (total * (total - 1))
    return None if expected == 0 else 1 - observed / expected


def pairs_that_agree(counts: ArrayLike) -> tuple[float, float]:
    """How many pairs of labels of one picture agree, and how many pairs there are; each picture counts once in sum.

    Args:
        counts: as for `krippendorff_alpha`.
    """
    table = _checked(counts)
    table = table[table.sum(axis=1) >= 2]
    raters = table.sum(axis=1)
    agreed = (table * (table - 1)).sum(axis=1) / (raters * (raters - 1))
    return float(agreed.sum()), float(len(table))


def _checked(counts: ArrayLike) -> Array:
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"counts have the shape {table.shape}; give one row for each picture, one column for a group")
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise ValueError("counts are negative or not finite; give numbers of raters")
    return table
