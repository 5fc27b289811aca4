"""The recipe's features are those of each image's own row in the middle of the network, and drawing is undisturbed."""

from __future__ import annotations

from typing import Any

import torch

from fair_diffusion.backbones import Guide, StableDiffusion, denoise
from fair_diffusion.models.pocket import GUIDANCE
from recipes.pocket.bottleneck_heads import KEPT, STEPS, features


def test_features_of_each_image(tiny_sd: Any) -> None:
    backbone = StableDiffusion(tiny_sd)
    prompts = ["a man", "a cook"]
    h, times, latents = features(backbone, prompts, 7)
    assert h.shape == (2, KEPT, 32, 4, 4)
    assert times.tolist() == backbone.fork().timesteps(STEPS)[:KEPT].tolist()
    cond, empty = backbone.encode(prompts), backbone.empty()
    settings: dict[str, Any] = {"steps": STEPS, "guidance": GUIDANCE}
    (batch,) = denoise(backbone, prompts_cond=cond, empty_cond=empty, seeds=[7, 8], **settings)
    assert torch.equal(batch.latents, latents)
    # the first step's features are the middle of a call on the prompt's row alone
    caught: list[torch.Tensor] = []
    hook = tiny_sd.unet.mid_block.register_forward_hook(lambda module, args, output: caught.append(output))
    own = backbone.fork()
    t = own.timesteps(STEPS)[0]
    with torch.no_grad():
        Guide(cond[[1]], empty, 1.0).predict(own, own.initial_latents([8]), t, 0)
    hook.remove()
    torch.testing.assert_close(caught[0][0], h[1, 0].float(), atol=2e-3, rtol=2e-3)
