"""Unified concept editing on small models: the loop, the file, plain diffusers, and that nothing of it stays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from untrained import plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.models.edits import edited
from fair_diffusion.steering.cost import cost_of
from fair_diffusion.steering.learn.concept_editing import cross_attention, learn, observer

PROMPTS = ["a cook", "a pilot"]
GROUPED = [["a woman cook", "a woman pilot"], ["a man cook", "a man pilot"]]


def reading(backbone: Any) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    """A world in which the share of women is how near a prompt's first value map reads it to that of women."""
    name = next(name for name in cross_attention(backbone) if "to_v" in name)
    before = cross_attention(backbone)[name]

    def read(w: Any, texts: Sequence[str]) -> Any:
        return (backbone.encode(texts).embeddings @ w.T).mean(dim=1)

    women, men = read(before, GROUPED[0]), read(before, GROUPED[1])

    def observe(prompts: Sequence[str]) -> NDArray[np.float64]:
        now = read(cross_attention(backbone)[name], prompts)
        along = ((now - men) * (women - men)).sum(dim=1) / ((women - men) ** 2).sum(dim=1)
        share = along.clamp(0, 1).double().numpy()
        return np.stack([share, 1 - share], axis=1)

    return observe


@pytest.mark.parametrize("family", ["sd", "sdxl", "lcm"])
def test_the_loop_comes_to_the_shares(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    backbone = adapt(pipeline)
    before = weights(pipeline)
    observe = reading(backbone)
    desired = [0.9, 0.1]
    off = np.abs(observe(PROMPTS) - desired).max()
    found = learn(backbone, PROMPTS, GROUPED, desired=desired, observe=observe, iterations=30, tolerance=0.02)
    assert off > 0.05
    assert np.abs(found.observed - desired).max() <= 0.02
    assert found.cost.steps is not None
    assert 1 < found.cost.steps <= 30
    assert weights(pipeline) == before
    assert set(found.weights) == {
        n for n, _ in backbone.network.named_parameters() if "attn2.to_k" in n or "attn2.to_v" in n
    }


def test_what_is_preserved_is_read_as_before(tiny_sd: Any) -> None:
    """With so few tokens beside the width, both the edit and what is preserved can hold."""
    backbone = adapt(tiny_sd)
    old = cross_attention(backbone)
    seen = iter([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    found = learn(
        backbone,
        PROMPTS,
        GROUPED,
        desired=[0.5, 0.5],
        observe=lambda _: np.array(next(seen)),
        preserve=["b"],
    )
    kept, moved = (backbone.encode([text]).embeddings[0] for text in ("b", "a cook"))
    for name, weight in found.weights.items():
        away = [
            float((tokens @ (weight - old[name]).T).norm() / (tokens @ old[name].T).norm()) for tokens in (kept, moved)
        ]
        assert away[0] < 0.3 * away[1]


def test_it_keeps_the_best_and_ruined_images_are_not_that(tiny_sd: Any) -> None:
    seen = iter([[[0.4, 0.4]], [[0.9, 0.1]], [[0.0, 0.0]]])
    found = learn(
        adapt(tiny_sd),
        PROMPTS[:1],
        [texts[:1] for texts in GROUPED],
        desired=[0.6, 0.4],
        observe=lambda _: np.array(next(seen)),
        iterations=3,
    )
    assert found.observed.tolist() == [[0.4, 0.4]]
    assert all(torch.equal(found.weights[name], w) for name, w in cross_attention(adapt(tiny_sd)).items())


def test_what_is_unknown_pulls_nowhere(tiny_sd: Any) -> None:
    backbone, before = adapt(tiny_sd), cross_attention(adapt(tiny_sd))
    met: list[bool] = []

    def observe(_: Sequence[str]) -> NDArray[np.float64]:
        met.append(all(torch.allclose(w, before[name], atol=1e-6) for name, w in cross_attention(backbone).items()))
        return np.array([[0.0, 0.0]] if len(met) < 3 else [[0.1, 0.1]])

    learn(
        backbone,
        PROMPTS[:1],
        [texts[:1] for texts in GROUPED],
        desired=[0.9, 0.1],
        observe=observe,
        iterations=4,
    )
    assert met == [True, True, True, False]


def test_the_file_in_plain_diffusers(tiny_sd: Any, tmp_path: Path) -> None:
    backbone, before, path = adapt(tiny_sd), weights(tiny_sd), tmp_path / "edit.safetensors"
    found = learn(backbone, PROMPTS, GROUPED, desired=[0.9, 0.1], observe=reading(backbone), iterations=5)
    found.save(path)
    assert cost_of(path).steps == found.cost.steps
    assert [file.name for file in tmp_path.iterdir()] == ["edit.safetensors"]

    twin = copy.copy(tiny_sd)
    twin.unet = copy.deepcopy(tiny_sd.unet)
    missing, unexpected = twin.unet.load_state_dict(load_file(path), strict=False)
    assert not unexpected
    assert len(missing) == len(tiny_sd.unet.state_dict()) - len(found.weights)
    plain = plain_latents(backbone)
    with edited(tiny_sd, path):
        assert torch.equal(plain_latents(backbone), plain_latents(adapt(twin)))
        assert not torch.equal(plain_latents(backbone), plain)
    assert torch.equal(plain_latents(backbone), plain)
    assert weights(tiny_sd) == before


def test_the_observer_draws_the_same_images_again(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    seen: list[bytes] = []

    def perceive(images: Sequence[Any]) -> NDArray[np.float64]:
        seen.extend(image.tobytes() for image in images)
        return np.tile([0.25, 0.5], (len(images), 1))

    observe = observer(backbone, perceive, images=5, steps=2, guidance=2.0)
    assert observe(PROMPTS).tolist() == [[0.25, 0.5]] * 2
    observe(PROMPTS)
    assert len(set(seen[:10])) == 10
    assert seen[:10] == seen[10:]
    assert backbone.evaluations == 2 * 10 * 4


@pytest.mark.parametrize("family", ["pixart", "sd3", "flux-dev"])
def test_other_families_are_told(tiny: Callable[[str], Any], family: str) -> None:
    with pytest.raises(ValueError, match="concepts cannot be edited in it"):
        cross_attention(adapt(tiny(family)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"desired": [0.5, 0.6]}, "summing to 1"),
        ({"desired": [1.0]}, "desired shares .* for 2 groups"),
        ({"iterations": 0}, "iterations is 0"),
        ({"prompts": PROMPTS[:1]}, "give as many for each"),
    ],
)
def test_wrong_arguments_are_named(tiny_sd: Any, asked: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {"prompts": PROMPTS, "grouped": GROUPED, "desired": [0.5, 0.5], "observe": None} | asked
    with pytest.raises(ValueError, match=message):
        learn(adapt(tiny_sd), **whole)
