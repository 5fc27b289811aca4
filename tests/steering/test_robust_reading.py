"""Whom descent has to convince: views of a picture, and what two readers agree about."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fair_diffusion.steering.robust_reading import NOISE, four_views, geometric_mean, mean_over_views


def rows(seed: int, n: int, cells: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, cells + 1, generator=generator, dtype=torch.float64).softmax(dim=1)


@pytest.mark.parametrize("scale", [1, 8])
def test_views_are_moved_towards_the_corners_and_differ_by_little_noise(scale: int) -> None:
    height, width, by = 64 * scale, 96 * scale, 2 * scale
    pixels = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0))
    shown = four_views(pixels)
    assert shown.shape == (4, 3, 3, height, width)
    inside, noises = slice(by, -by), []
    for view, (down, right) in zip(shown, [(-by, -by), (-by, by), (by, -by), (by, by)], strict=True):
        moved = torch.roll(pixels, (-down, -right), dims=(2, 3))
        noises.append((view - moved)[0, :, inside, inside].flatten())
        assert noises[-1].std().item() == pytest.approx(NOISE, rel=0.05)
        assert abs(noises[-1].mean().item()) < 0.1 * NOISE
        # nor is it lost on a classifier that looks at 64×64
        small = torch.nn.functional.interpolate(view - moved, size=(64, 64), mode="area")[..., 2:-2, 2:-2]
        assert small.std().item() > 0.7 * NOISE
    correlations = torch.corrcoef(torch.stack(noises))
    assert (correlations - torch.eye(4)).abs().max() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
def test_small_pictures_have_views_too(size: tuple[int, int]) -> None:
    shown = four_views(torch.full((2, 3, *size), 0.5))
    assert shown.shape == (4, 2, 3, *size)
    assert (shown - 0.5).abs().max() < 6 * NOISE


def test_views_depend_neither_on_the_batch_nor_on_the_call() -> None:
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(four_views(pixels)[:, 1:2], four_views(pixels[1:2]))
    assert torch.equal(four_views(pixels), four_views(pixels))


def test_the_mean_over_views_lets_gradients_through_to_every_pixel() -> None:
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    seen = mean_over_views(lambda x, _: x.flatten(1), four_views(pixels), "gender")
    torch.testing.assert_close(seen, four_views(pixels).mean(dim=0).flatten(1))
    (gradient,) = torch.autograd.grad(seen.sum(), pixels)
    # what a view leaves out at one side, it repeats at the other
    torch.testing.assert_close(gradient.sum(), torch.tensor(float(pixels.numel())))
    assert (gradient > 0).all()


@given(st.integers(0, 1000), st.integers(1, 6))
def test_two_readers_agree_about_what_both_see(seed: int, cells: int) -> None:
    p, q = rows(seed, 4, cells), rows(seed + 1, 4, cells)
    found = geometric_mean(p, q)
    torch.testing.assert_close(found, geometric_mean(q, p))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(geometric_mean(p, p), p)
    assert (found[:, :-1] <= torch.maximum(p, q)[:, :-1]).all()
    assert (found[:, :-1] >= torch.minimum(p, q)[:, :-1]).all()
    # Cauchy and Schwarz: no more than all can be geometric_mean about
    assert (found[:, -1] >= (p[:, -1] * q[:, -1]).sqrt() - 1e-12).all()


def test_what_they_contradict_each_other_about_is_unknown() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    q = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = geometric_mean(p, q)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(found[:, 1].sum(), p)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_gradients_reach_both_readers_however_little_they_see(dtype: torch.dtype) -> None:
    p = torch.tensor([[1e-5, 1 - 1e-5, 0.0], [0.0, 1.0, 0.0]], dtype=dtype, requires_grad=True)
    q = torch.tensor([[1e-9, 1 - 1e-9, 0.0], [1e-9, 1.0, 0.0]], requires_grad=True)
    loss = -geometric_mean(p, q)[:, 0].log().sum()
    by_p, by_q = torch.autograd.grad(loss, (p, q))
    assert by_p.isfinite().all()
    assert by_q.isfinite().all()
    assert by_p[0, 0] < 0
    # where the first sees nothing at all, the second still leads
    assert (by_q[:, 0] < 0).all()
