"""The projection of text embeddings against the least-squares problem that it solves and as published, by numpy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fair_diffusion.backbones import adapt
from fair_diffusion.steering.embedding import learn, projected, projection


@pytest.mark.parametrize(("pairs", "width", "strength"), [(3, 5, 500.0), (9, 4, 500.0), (4, 6, 0.3)])
def test_it_minimises_its_objective(pairs: int, width: int, strength: float) -> None:
    """λ·mean ‖P·z‖² + ‖P − I‖²_F, row by row an ordinary least-squares problem."""
    z = np.random.default_rng(0).normal(size=(pairs, width))
    a = np.concatenate([np.sqrt(strength / pairs) * z, np.eye(width)])
    rows = [np.linalg.lstsq(a, np.concatenate([np.zeros(pairs), unit]), rcond=None)[0] for unit in np.eye(width)]
    found = projection(torch.from_numpy(z), strength).numpy()
    np.testing.assert_allclose(found, np.stack(rows), atol=1e-10)


def test_what_is_learnt_is_the_published_matrix(tiny_sd: Any) -> None:
    """P = (500·M + I)⁻¹, M the mean of (z_a − z_b)(z_a − z_b)ᵀ, from the encoder's own tokens, by numpy."""
    groups = [["a woman", "a woman cook"], ["a man", "a man cook"], ["a person", "a cook"]]

    def mean(text: str) -> NDArray[np.float64]:
        tokens = tiny_sd.encode_prompt([text], "cpu", 1, False)[0][0].detach().double().numpy()
        return np.asarray(tokens.mean(axis=0), dtype=np.float64)

    def z(text: str) -> NDArray[np.float64]:
        away = mean(text) - mean("")
        return np.asarray(away / np.linalg.norm(away), dtype=np.float64)

    pairs = [
        z(a[occupation]) - z(b[occupation]) for a, b in itertools.combinations(groups, 2) for occupation in range(2)
    ]
    moment = np.mean([np.outer(pair, pair) for pair in pairs], axis=0)
    with torch.no_grad():
        found, _ = learn(adapt(tiny_sd), [groups])
    np.testing.assert_allclose(found.numpy(), np.linalg.inv(500 * moment + np.eye(len(moment))), atol=1e-6)
    cond = adapt(tiny_sd).encode(["a woman"])
    expected = cond.embeddings[0].double().numpy() @ found.numpy()  # P is symmetric
    np.testing.assert_allclose(projected(cond, found).embeddings[0].numpy(), expected, atol=1e-5)
