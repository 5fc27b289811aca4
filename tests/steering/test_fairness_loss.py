"""The fairness loss against scipy and finite differences; who is to show what is in `parity/test_transport.py`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from torch import Tensor

from fair_diffusion.steering.fairness_loss import (
    FLOOR,
    SURE,
    VARIANTS,
    Assigned,
    Mean,
    assign,
    cell_probabilities,
    entropy,
    fairness_loss,
    floored,
    kl,
)


def random_p(n: int, cells: int, seed: int = 0) -> Tensor:
    """Probabilities (n, cells + 1), the last unknown."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.dirichlet(np.ones(cells + 1), size=n))


@given(st.integers(0, 1000), st.integers(1, 6))
def test_kl_is_scipys(seed: int, cells: int) -> None:
    p, target = random_p(2, cells, seed)
    assert float(kl(p, target)) == pytest.approx(scipy_entropy(p.numpy(), target.numpy()), rel=1e-9)


def test_kl_where_a_share_is_none_and_where_the_target_is() -> None:
    p, target = torch.tensor([0.0, 1.0]).double().requires_grad_(), torch.tensor([0.25, 0.75]).double()
    value = kl(p, target)
    value.backward()
    assert value.item() == pytest.approx(-np.log(0.75))
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()
    assert kl(target, torch.tensor([0.0, 1.0]).double()) == torch.inf


def test_entropy_is_scipys() -> None:
    p = random_p(5, 3)
    np.testing.assert_allclose(entropy(p).numpy(), scipy_entropy(p.numpy(), axis=1), rtol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("shares", "quotas"), [([0.5, 0.5], [3, 3]), ([0.5, 0.25, 0.25, 0.0], [3, 2, 1, 0])])
def test_gradients_are_those_of_finite_differences(variant: str, shares: list[float], quotas: list[int]) -> None:
    logits = torch.randn(6, len(shares) + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = fairness_loss(variant, logits.softmax(dim=1), shares, quotas)
    assert torch.autograd.gradcheck(lambda z: loss(z.softmax(dim=1)), logits.requires_grad_())


def test_the_mean_alone_is_content_with_images_that_are_half_of_each_and_the_others_are_not() -> None:
    half, sides = torch.tensor([[0.5, 0.5, 0.0]] * 4).double(), torch.tensor([[1.0, 0, 0], [0, 1.0, 0]] * 2).double()
    mean, confident, assigned = Mean([0.5, 0.5]), Mean([0.5, 0.5], 1.0), Assigned(torch.tensor([0, 1, 0, 1]))
    np.testing.assert_allclose(mean(half), mean(sides), atol=1e-12)
    np.testing.assert_allclose(confident(half), mean(half) + np.log(2))
    assert (confident(sides) < confident(half)).all()
    np.testing.assert_allclose(assigned(sides), 0, atol=1e-12)
    np.testing.assert_allclose(assigned(half), np.log(2))


def test_under_assignment_the_loss_falls_apart_by_image_and_a_mean_is_the_same_to_all() -> None:
    p, other = random_p(3, 2), random_p(3, 2, 1)
    changed = torch.cat([p[:2], other[2:]])
    assigned, mean = Assigned(torch.tensor([0, 1, 1])), Mean([0.5, 0.5], 0.5)
    assert assigned(changed)[:2].tolist() == assigned(p)[:2].tolist()
    assert assigned(changed)[2] != assigned(p)[2]
    assert len(set(mean(p).tolist())) == 1
    assert (mean(changed) != mean(p)).all()


def test_unknown_is_a_cell_of_its_own_that_counts_against_the_target() -> None:
    target = floored([0.5, 0.5])
    np.testing.assert_allclose(target.numpy(), [0.5 * (1 - FLOOR), 0.5 * (1 - FLOOR), FLOOR])
    known, unread = torch.tensor([[0.5, 0.5, 0.0]]).double(), torch.tensor([[0.3, 0.3, 0.4]]).double()
    assert Mean([0.5, 0.5])(unread) > Mean([0.5, 0.5])(known) + 0.5


@given(st.lists(st.integers(0, 20), min_size=2, max_size=12).filter(any))
def test_the_floor_is_small_however_many_cells_are_none_and_bends_no_share(parts: list[int]) -> None:
    """What was asked for stays in proportion, and all that was not gets the floor together."""
    shares = np.array(parts) / sum(parts)
    target = floored(list(shares)).numpy()
    assert target.sum() == pytest.approx(1)
    assert target[:-1][shares > 0] / target[:-1][shares > 0].sum() == pytest.approx(shares[shares > 0])
    rest = target[np.append(shares, 0.0) == 0]
    assert rest.sum() == pytest.approx(FLOOR)
    assert rest == pytest.approx(rest[0])
    assert rest[0] > 0


@given(st.lists(st.integers(0, 4), min_size=2, max_size=4).filter(lambda quotas: sum(quotas) > 0), st.integers(0, 99))
def test_quotas_are_met_exactly(quotas: list[int], seed: int) -> None:
    counts = Counter(assign(random_p(sum(quotas), len(quotas), seed), quotas).tolist())
    assert [counts[k] for k in range(len(quotas))] == quotas


@given(st.integers(0, 99), st.integers(0, 8), st.sampled_from([-2, -20]))
def test_two_groups_are_assigned_by_rank(seed: int, women: int, least: int) -> None:
    """However little an image has of a group."""
    first = torch.tensor(10 ** np.random.default_rng(seed).uniform(least, -0.01, 8))
    cells = assign(torch.stack([first, 1 - first, 0 * first], dim=1), [women, 8 - women])
    assert set(cells.argsort()[:women].tolist()) == set(first.argsort(descending=True)[:women].tolist())


def test_an_image_that_cannot_be_read_is_assigned_what_is_left() -> None:
    p = torch.tensor([[torch.nan] * 3, [0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    assert assign(p, [1, 2]).tolist() == [1, 0, 1]
    assert assign(p, [2, 1]).tolist() == [0, 0, 1]


def test_the_gradient_reaches_an_image_that_has_nearly_nothing_of_its_cell() -> None:
    p = torch.tensor([[1e-20, 1.0, 0.0]]).double().requires_grad_()
    Assigned(torch.tensor([0]))(p).sum().backward()
    assert p.grad is not None
    np.testing.assert_allclose(p.grad[0], [-1e20, 0, 0])


def test_settled_is_each_image_for_assignments_and_all_or_none_for_means() -> None:
    p = torch.tensor([[(1 + SURE) / 2, (1 - SURE) / 2, 0.0], [0.03, 0.97, 0.0], [0.5, 0.5, 0.0]]).double()
    assert Assigned(torch.tensor([0, 0, 1])).settled(p).tolist() == [True, False, False]
    assert Mean([0.5, 0.5]).settled(p).tolist() == [True] * 3
    assert Mean([0.9, 0.1]).settled(p).tolist() == [False] * 3
    assert Mean([0.5, 0.5], 1.0).settled(p).tolist() == [False] * 3  # not sure enough


def test_settled_begins_at_the_bars() -> None:
    """From 0.97 of the assigned cell on; up to a total variation of 0.02 from the target."""
    p = torch.tensor([[0.98, 0.02, 0.0], [0.96, 0.04, 0.0]]).double()
    assert Assigned(torch.tensor([0, 0])).settled(p).tolist() == [True, False]
    near = torch.tensor([[0.515, 0.485, 0.0]]).double()  # 0.015 from one half, while the differences sum to 0.03
    assert Mean([0.5, 0.5]).settled(near).tolist() == [True]
    assert Mean([0.5, 0.5]).settled(torch.tensor([[0.525, 0.475, 0.0]]).double()).tolist() == [False]


def test_cells_of_joint_targets() -> None:
    groups = {"gender": ("woman", "man"), "tone": ("light", "dark")}
    tables = {"gender": torch.tensor([[0.6, 0.3, 0.1]]), "tone": torch.tensor([[0.5, 0.5, 0.0]])}
    cells = [("woman", "light"), ("man", "dark"), ("other", "dark")]
    p = cell_probabilities(tables.__getitem__, groups, cells, ("gender", "tone"))
    torch.testing.assert_close(p, torch.tensor([[0.3, 0.15, 0.0, 0.55]]))


def test_what_no_cell_takes_is_never_below_0() -> None:
    table = torch.tensor([[0.6, 0.400001, 0.0]])  # as low precision rounds
    p = cell_probabilities(lambda name: table, {"gender": ("woman", "man")}, [("woman",), ("man",)], ["gender"])
    assert p[0, -1] == 0


def test_wrong_values_are_named() -> None:
    p = random_p(4, 2)
    with pytest.raises(ValueError, match=r"'median'; use one of mean, confident, assigned"):
        fairness_loss("median", p, [0.5, 0.5], [2, 2])
    with pytest.raises(ValueError, match="3 probabilities for 3 cells"):
        fairness_loss("mean", p, [0.5, 0.25, 0.25], [2, 1, 1])
    with pytest.raises(ValueError, match=r"sum to 0.9; give shares"):
        floored([0.5, 0.4])
