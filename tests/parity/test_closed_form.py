"""Unified concept editing: its closed form against the quadratic problem that it solves, its loop on a linear toy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fair_diffusion.backbones import adapt
from fair_diffusion.steering.learn.concept_editing import closed_form, cross_attention, learn


def problem(edit: int, preserve: int) -> tuple[NDArray[np.float64], ...]:
    rng = np.random.default_rng(0)
    w0, c, u, p = (rng.normal(size=shape) for shape in ((5, 4), (edit, 4), (edit, 4), (preserve, 4)))
    return w0, c, u, p


def solved(*tokens: NDArray[np.float64], keep: float = 0.5) -> NDArray[np.float64]:
    c, u, p = (torch.from_numpy(part) for part in tokens)
    q: NDArray[np.float64] = closed_form(c, u, p, keep).numpy()
    return q


@pytest.mark.parametrize(("edit", "preserve", "keep"), [(3, 2, 0.5), (9, 0, 0.5), (1, 20, 2.0)])
def test_it_is_the_least_squares_solution(edit: int, preserve: int, keep: float) -> None:
    """Row by row of W an ordinary least-squares problem over stacked equations, by numpy."""
    w0, c, u, p = problem(edit, preserve)
    a = np.concatenate([c, p, np.sqrt(keep) * np.eye(4)])
    b = np.concatenate([u @ w0.T, p @ w0.T, np.sqrt(keep) * w0.T])
    solution = np.linalg.lstsq(a, b, rcond=None)[0].T
    q = solved(c, u, p, keep=keep)
    np.testing.assert_allclose(w0 @ q, solution, atol=1e-10)


def test_the_gradient_of_the_objective_is_zero_there() -> None:
    w0, c, u, p = (torch.from_numpy(part) for part in problem(6, 3))
    w = (w0 @ closed_form(c, u, p)).requires_grad_()
    v = u @ w0.T
    loss = ((c @ w.T - v) ** 2).sum() + ((p @ w.T - p @ w0.T) ** 2).sum() + 0.5 * ((w - w0) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, w)
    assert gradient.abs().max() < 1e-10


def test_the_published_sums() -> None:
    """W = (λ·W₀ + Σ v*·cᵀ + Σ W₀·c·cᵀ)·(λ·I + Σ c·cᵀ)⁻¹, term by term."""
    w0, c, u, p = problem(3, 2)
    left = 0.5 * w0 + sum(np.outer(w0 @ v, x) for x, v in zip(c, u, strict=True)) + sum(w0 @ np.outer(x, x) for x in p)
    right = 0.5 * np.eye(4) + sum(np.outer(x, x) for x in (*c, *p))
    q = solved(c, u, p)
    np.testing.assert_allclose(w0 @ q, left @ np.linalg.inv(right), atol=1e-10)


def test_nothing_wanted_changes_nothing() -> None:
    _, c, _, p = problem(3, 2)
    q = closed_form(torch.from_numpy(c), torch.from_numpy(c), torch.from_numpy(p)).numpy()
    np.testing.assert_allclose(q, np.eye(4), atol=1e-12)


def test_the_loop_closes_the_gap_as_an_integrator_does(tiny_sd: Any) -> None:
    """Where shares are linear in a map, α ← α + gap leaves (1 − gain)^k of the first gap after k steps.

    The gain is what one unit of (1, −1) in α adds to the share: one map's reading after a single closed form."""
    backbone, prompt, grouped = adapt(tiny_sd), "a cook", ["a woman cook", "a man cook"]
    name, plain = next((name, weight) for name, weight in cross_attention(backbone).items() if "to_v" in name)
    texts = [backbone.encode([text]).embeddings[0].double() for text in (prompt, *grouped, "")]
    told = texts[0][((texts[0] - texts[3]).abs() > 1e-5).any(dim=1)]  # tokens of the empty prompt are not edited
    towards = (texts[1] - texts[2]).mean(dim=0)
    unit = plain.double() @ (closed_form(told, told + towards, told[:0]) - torch.eye(told.shape[1], dtype=told.dtype))
    reading = 0.4 * unit / (unit**2).sum()  # linear, and such that the gain is 0.4
    seen: list[float] = []

    def observe(_: Sequence[str]) -> NDArray[np.float64]:
        share = 0.1 + float((reading * (cross_attention(backbone)[name].double() - plain)).sum())
        seen.append(share)
        return np.array([[share, 1 - share]])

    found = learn(
        backbone, [prompt], [[text] for text in grouped], desired=[0.7, 0.3], observe=observe, iterations=9, tolerance=0
    )
    np.testing.assert_allclose(0.7 - np.array(seen), 0.6 * (1 - 0.4) ** np.arange(9), atol=1e-4)
    assert found.observed[0, 0] == seen[-1]
