"""The projection of text embeddings against the least-squares problem that it solves, by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fair_diffusion.steering.embedding import projection


@pytest.mark.parametrize(("pairs", "width", "strength"), [(3, 5, 500.0), (9, 4, 500.0), (4, 6, 0.3)])
def test_it_minimises_its_objective(pairs: int, width: int, strength: float) -> None:
    """λ·mean ‖P·z‖² + ‖P − I‖²_F, row by row an ordinary least-squares problem."""
    z = np.random.default_rng(0).normal(size=(pairs, width))
    a = np.concatenate([np.sqrt(strength / pairs) * z, np.eye(width)])
    rows = [np.linalg.lstsq(a, np.concatenate([np.zeros(pairs), unit]), rcond=None)[0] for unit in np.eye(width)]
    found = projection(torch.from_numpy(z), strength).numpy()
    np.testing.assert_allclose(found, np.stack(rows), atol=1e-10)
