"""Bowker's test of symmetry: do as many images change from each group to another one as back?

χ² = Σ_{i<j} (n_ij − n_ji)² / (n_ij + n_ji)      over pairs of groups with n_ij + n_ji > 0; as many degrees of freedom

n_ij: images that show group i before and group j after. With two groups it is McNemar's test, whose mid-p value is
exact and taken there. (Bowker 1948, JASA 43.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from fair_diffusion.statistics.differences import mcnemar_p


def bowker_p(counts: ArrayLike) -> float:
    """The p value of Bowker's test.

    Args:
        counts: n, (groups, groups): rows before, columns after.

    Returns:
        The p value; 1 if no image changed.

    Raises:
        ValueError: the counts are no square table.
    """
    n = np.asarray(counts, dtype=np.int64)
    if n.ndim != 2 or n.shape[0] != n.shape[1]:
        raise ValueError(f"counts have the shape {n.shape}; give one row and one column per group")
    upper = np.triu_indices(len(n), 1)
    there, back = n[upper], n.T[upper]
    changed = there + back > 0
    if changed.sum() < 2:
        return mcnemar_p(int(there.sum()), int(back.sum()))
    there, back = there[changed], back[changed]
    return float(chdtrc(changed.sum(), ((there - back) ** 2 / (there + back)).sum()))
