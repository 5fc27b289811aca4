"""The losses of several targets together."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fair_diffusion.policy import Policy, Target, built_in
from fair_diffusion.policy.target import cells
from fair_diffusion.steering.fairness_loss import VARIANTS
from fair_diffusion.steering.targets import Targets


def test_targets_add_up_and_gradients_reach_each_image() -> None:
    targets = Targets(Policy.from_sentence("doctor: half women, half men; skin tone uniform").rules[0].targets)
    widths = [len(target.shares) + 1 for target in targets.targets]
    noise = torch.Generator().manual_seed(0)
    p = torch.rand(3, sum(widths), dtype=torch.float64, generator=noise).requires_grad_()
    parts = targets.split(p)
    assert [part.shape[1] for part in parts] == widths
    (gradient,) = torch.autograd.grad(targets.divergence(p), p)
    assert (gradient != 0).any(dim=1).all()
    loss = targets.loss("assigned", p.detach(), [[1, 2, 0], [1, 1, 1, 0, 0]])
    torch.testing.assert_close(loss(p), sum(one(part) for one, part in zip(loss.losses, parts, strict=True)))
    assert loss(p).shape == (3,)
    assert torch.autograd.gradcheck(loss, p)
    assigned = loss.assignments(3)
    assert sorted(each["gender"] for each in assigned) == ["man", "man", "woman"]
    assert len({each["skin_tone"] for each in assigned}) == 3
    assert not targets.loss("mean", p.detach(), [[1, 2, 0], [1, 1, 1, 0, 0]]).assignments(1)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_through_joint_and_second_targets_are_those_of_finite_differences(variant: str) -> None:
    shares = dict.fromkeys(cells(("gender", "age")), Fraction(0)) | {
        ("woman", "old"): Fraction(1, 2),
        ("man", "young"): Fraction(1, 2),
    }
    tones = Policy.from_sentence("doctor: skin tone uniform").rules[0].targets
    targets = Targets([Target(("gender", "age"), shares), *tones])
    groups = {name: built_in()[name].group_names for name in ("gender", "age", "skin_tone")}
    noise = torch.Generator().manual_seed(0)
    logits = [torch.randn(3, len(own) + 1, dtype=torch.float64, generator=noise) for own in groups.values()]

    def read(*logits: Tensor) -> Tensor:
        tables = {name: table.softmax(dim=1) for name, table in zip(groups, logits, strict=True)}
        return targets.read(tables.__getitem__, groups)

    quotas = [[int(share > 0) + (cell == ("woman", "old")) for cell, share in shares.items()], [1, 1, 1, 0, 0]]
    loss = targets.loss(variant, read(*logits), quotas)
    assert torch.autograd.gradcheck(lambda *z: loss(read(*z)), [z.requires_grad_() for z in logits])


def test_an_image_is_settled_when_it_is_for_every_target() -> None:
    targets = Targets(Policy.from_sentence("doctor: all women; skin tone all light").rules[0].targets)
    names = [built_in()[name].group_names for name in ("gender", "skin_tone")]
    woman, light, none = (*names[0], None).index("woman"), (*names[1], None).index("light"), -1

    def row(gender: int, tone: int) -> Tensor:
        parts = [torch.zeros(len(groups) + 1, dtype=torch.float64) for groups in names]
        parts[0][gender], parts[1][tone] = 1.0, 1.0
        return torch.cat(parts)

    p = torch.stack([row(woman, light), row(woman, none), row(none, light), row(none, none)])
    quotas = [[4 * (group == asked) for group in own] for own, asked in zip(names, ("woman", "light"), strict=True)]
    assert targets.loss("assigned", p, quotas).settled(p).tolist() == [True, False, False, False]


def test_the_divergence_is_the_sum_of_that_of_each_target() -> None:
    both = Targets(Policy.from_sentence("doctor: half women, half men; skin tone uniform").rules[0].targets)
    p = torch.rand(3, sum(len(t.shares) + 1 for t in both.targets), generator=torch.Generator().manual_seed(0)).double()
    each = [Targets([t]).divergence(part) for t, part in zip(both.targets, both.split(p), strict=True)]
    torch.testing.assert_close(both.divergence(p), each[0] + each[1])
