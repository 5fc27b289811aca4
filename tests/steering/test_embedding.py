"""The projection of text embeddings: its effect on tokens, in every family, and that the model stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_families import TEXT_FAMILIES
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.steering.embedding import learn, projected, projection

WOMEN, MEN = ["a woman", "a woman cook"], ["a man", "a man cook"]


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_groups_come_nearer_and_the_model_stays(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    backbone = adapt(pipeline)
    before, plain = weights(pipeline), plain_latents(backbone)
    p, cost = learn(backbone, [[WOMEN, MEN]])
    cond = backbone.encode(["a woman", "a man"])
    width = cond.embeddings.shape[-1]
    assert p.shape == (width, width)
    assert cost.evaluations == 0

    def apart(c: Any) -> float:
        mask = c.added.get("mask", torch.ones(c.embeddings.shape[:2])).float()
        woman, man = (c.embeddings * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return float((woman - man).norm())

    nearer = projected(cond, p)
    assert apart(nearer) < 0.95 * apart(cond)
    assert nearer.embeddings.dtype == cond.embeddings.dtype
    assert all(nearer.added[name] is cond.added[name] for name in cond.added)
    assert torch.equal(plain, plain_latents(backbone))
    assert before == weights(pipeline)


def test_what_the_pairs_do_not_span_stays() -> None:
    p = projection(torch.tensor([[2.0, 0, 0]]))
    torch.testing.assert_close(p, torch.diag(torch.tensor([1 / 2001, 1.0, 1.0], dtype=torch.float64)))


def test_every_image_is_drawn_from_projected_text(tiny_sd: Any) -> None:
    pipe = pipe_of(tiny_sd)
    result = pipe("a doctor", n=2, steps=2, method="embedding", instruct="doctor: half women", compare_plain=True)
    assert result.plain is not None
    assert {(record.control, record.used_prompt, record.strength) for record in result.records} == {
        ("all", "a doctor", 1.0)
    }
    assert result.summary()["cost"]["ratio"] == 1
    again = pipe("a doctor", n=2, steps=2, method="none")
    assert [a.tobytes() for a in again.images] == [b.tobytes() for b in result.plain.images]
    assert all(a.tobytes() != b.tobytes() for a, b in zip(result.images, result.plain.images, strict=True))


def test_a_projection_is_learnt_once_for_the_same_groups(tiny_sd: Any) -> None:
    pipe = pipe_of(tiny_sd)
    asked: dict[str, Any] = {"n": 1, "steps": 1, "method": "embedding"}
    first = pipe("a doctor", instruct="doctor: half women", **asked)
    (kept,) = pipe.projections.values()
    second = pipe("a cook", instruct="cook: 80% women", **asked)
    assert [*pipe.projections.values()] == [kept]
    assert first.learnt == second.learnt == {"gender: woman, man": kept[1].seconds}
    assert pipe("a cook", n=1, steps=1, method="none").learnt == {}
    pipe("a cook", instruct="cook: skin tone uniform", **asked)
    assert len(pipe.projections) == 2


@pytest.mark.parametrize("prompts", [[[WOMEN]], [[WOMEN, MEN[:1]]]])
def test_groups_without_pairs_are_refused(tiny_sd: Any, prompts: list[list[list[str]]]) -> None:
    with pytest.raises(ValueError, match="give two groups or more, as many for each"):
        learn(adapt(tiny_sd), prompts)


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="give at least one pair"):
        projection(torch.zeros(0, 3))
