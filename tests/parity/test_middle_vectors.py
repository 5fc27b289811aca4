"""Vectors in the middle of the network against a plain hook in diffusers, and learning them against least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fair_diffusion.backbones import Conditioning, adapt, denoise
from fair_diffusion.backbones.adapter import MIDDLE
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.learn import bottleneck

WOMAN, MAN = ("gender", "woman"), ("gender", "man")
SEEDS = [3, 1, 7]


@pytest.mark.parametrize("guidance", [1.0, 7.0])
def test_a_hook_in_plain_diffusers_draws_the_same(tiny_sd: Any, guidance: float) -> None:
    """The hook adds each image's vector to the rows on the prompt, which diffusers puts after those on none."""
    backbone, generator = adapt(tiny_sd), torch.Generator().manual_seed(0)
    vectors = {group: 3 * torch.randn(bottleneck.middle_shape(backbone), generator=generator) for group in (WOMAN, MAN)}
    aims: list[tuple[dict[str, str], float]] = [({"gender": "woman"}, 1.0), ({"gender": "man"}, 0.5), ({}, 0.0)]
    cond, empty = Directions(vectors, Cost()).steer(backbone.encode(["a cook"] * 3), backbone.empty()[[0] * 3], aims)
    (ours,) = denoise(backbone, prompts_cond=cond, empty_cond=empty, seeds=SEEDS, steps=5, guidance=guidance)

    added = torch.stack([vectors[WOMAN], 0.5 * vectors[MAN], 0 * vectors[MAN]])

    def draw() -> Tensor:
        found: Tensor = tiny_sd(
            ["a cook"] * 3,
            num_inference_steps=5,
            guidance_scale=guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
            output_type="latent",
        ).images
        return found

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        return output + torch.cat([torch.zeros_like(output[: len(output) - 3]), added])

    hook = tiny_sd.unet.mid_block.register_forward_hook(add)
    try:
        theirs = draw()
    finally:
        hook.remove()
    torch.testing.assert_close(ours.latents, theirs, atol=1e-4, rtol=0)
    assert (theirs - draw()).abs().amax(dim=(1, 2, 3))[[0, 1]].min() > 1e-4


def predicting(pipeline: Any, kind: str) -> Any:
    """The same networks, taken to predict something else."""
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, prediction_type=kind)
    return type(pipeline)(**(pipeline.components | {"scheduler": scheduler}), requires_safety_checker=False)


def test_learning_comes_to_least_squares(tiny_sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that predicts clean latents and is linear in its middle, x̂0 = A·v: the best v is that of numpy."""
    backbone = adapt(predicting(tiny_sd, "sample"))
    rng = np.random.default_rng(0)
    a = np.linalg.qr(rng.normal(size=(4 * 8 * 8, 6)))[0] * np.linspace(2, 8, 6)
    drawn: list[Tensor] = []
    evaluate, draw = backbone.evaluate, bottleneck._draw

    def linear(latents: Tensor, t: Tensor, cond: Conditioning, **settings: Any) -> Tensor:
        if MIDDLE not in cond.added:
            return evaluate(latents, t, cond, **settings)
        return (cond.added[MIDDLE].flatten(1) @ torch.from_numpy(a).float().T).view_as(latents)

    def keep(*asked: Any) -> tuple[Tensor, Tensor]:
        clean, rows = draw(*asked)
        drawn.append(clean)
        return clean, rows

    monkeypatch.setattr(backbone, "evaluate", linear)
    monkeypatch.setattr(bottleneck, "_draw", keep)
    monkeypatch.setattr(bottleneck, "middle_shape", lambda _: (6, 1, 1))
    grouped = {WOMAN: ["a woman cook"], MAN: ["a man"]}
    found = bottleneck.learn(backbone, ["a cook"], grouped, images=bottleneck.BATCH, epochs=150, steps=2, guidance=2.0)
    for vector, clean in zip(found.vectors.values(), drawn, strict=True):
        best = np.linalg.lstsq(a, clean.mean(dim=0).double().flatten().numpy(), rcond=None)[0]
        assert np.abs(best).max() > 0.1
        np.testing.assert_allclose(vector.flatten().numpy(), best, atol=0.005)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_error_is_that_of_training_in_diffusers(tiny_sd: Any, kind: str) -> None:
    """Noise is added, and the target is made, by the scheduler's own methods."""
    pipeline = predicting(tiny_sd, kind)
    backbone, clean = adapt(pipeline), torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    cond = backbone.encode(["a cook", "a man", "a woman"])
    vector = torch.randn(bottleneck.middle_shape(backbone), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours = bottleneck._noise_error(backbone, clean, cond, vector, torch.Generator().manual_seed(5))

    generator = torch.Generator().manual_seed(5)
    t = torch.randint(1000, (3,), generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    noisy = pipeline.scheduler.add_noise(clean, noise, t)
    target = {"epsilon": noise, "v_prediction": pipeline.scheduler.get_velocity(clean, noise, t), "sample": clean}[kind]
    hook = pipeline.unet.mid_block.register_forward_hook(lambda _, __, output: output + vector)
    try:
        with torch.no_grad():
            output = pipeline.unet(noisy, t, cond.embeddings).sample
    finally:
        hook.remove()
    torch.testing.assert_close(ours, ((output - target) ** 2).mean())
