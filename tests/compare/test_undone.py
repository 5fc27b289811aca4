"""Every way is undone completely: after it has drawn, or failed on the way, the model is bit-identical."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.compare.drawn import Drawn
from fair_diffusion.compare.measure import Ask, Drawing, PlainImages, measure
from fair_diffusion.compare.way import LEARNT, PLAIN, WAYS, Way, read_ways
from fair_diffusion.control import descent
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, match
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.latents import LatentDescent
from fair_diffusion.steering.learn.bottleneck import middle_shape
from fair_diffusion.steering.learn.concept_editing import cross_attention

POLICY, PROMPT = Policy.from_sentence("every occupation: half women"), "a doctor"
ASK = Ask(instruction="half", policy=POLICY, prompt=PROMPT, matched=match(POLICY, PROMPT), seed=0)
DRAWING = Drawing(n=2, steps=2, batch_size=2)


def directions(pipeline: Any, path: Path) -> None:
    shape = middle_shape(adapt(pipeline))
    Directions({("gender", group): torch.ones(shape) for group in ("woman", "man")}, Cost()).save(path)


def concepts(pipeline: Any, path: Path) -> None:
    save_file({name: 2 * weight for name, weight in cross_attention(adapt(pipeline)).items()}, path)


def network(pipeline: Any, path: Path) -> None:
    save_file({name: weight + 0.01 for name, weight in pipeline.unet.state_dict().items()}, path)


def lora(pipeline: Any, path: Path) -> None:
    """Of the UNet and the text encoder, as diffusers keeps it."""
    maps = {"unet": "attn2.to_v", "text_encoder": "self_attn.v_proj"}
    tensors, generator = {}, torch.Generator().manual_seed(0)
    for part, ending in maps.items():
        for name, module in getattr(pipeline, part).named_modules():
            if name.endswith(ending):
                tensors[f"{part}.{name}.lora_A.weight"] = torch.randn(2, module.in_features, generator=generator)
                tensors[f"{part}.{name}.lora_B.weight"] = torch.randn(module.out_features, 2, generator=generator)
    save_file(tensors, path)


def heads(pipeline: Any, path: Path) -> None:
    backbone = adapt(pipeline)
    width, times = math.prod(middle_shape(backbone)), backbone.fork().timesteps(DRAWING.steps).float()
    weights = torch.randn(len(times), 3, width, generator=torch.Generator().manual_seed(0))
    biases = torch.zeros(len(times), 3)
    BottleneckHeads(times, {"gender": ("woman", "man")}, {"gender": weights}, {"gender": biases}).save(path, Cost())


FILES: dict[str, Callable[[Any, Path], None]] = {
    "bottleneck": directions,
    "distribution-heads": heads,
    "concepts": concepts,
    "network": network,
    "lora": lora,
}


def state(pipeline: Any) -> tuple[Any, ...]:
    """All that a way may touch: weights, hooks, what learns and is trained, schedules, and the names of modules."""
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    modules = [(name, module) for part in networks for name, module in part.named_modules()]
    return (
        weights(pipeline),
        [(name, type(module), module.training) for name, module in modules],
        [(len(module._forward_hooks), len(module._forward_pre_hooks)) for _, module in modules],
        [(weight.requires_grad, weight.grad is None) for part in networks for weight in part.parameters()],
        dict(pipeline.scheduler.config),
        pipeline.scheduler.timesteps.tolist(),
        pipeline.get_list_adapters(),
    )


def drawn(pipe: FairPipeline, way: Way, plain: PlainImages | None = None, **more: Any) -> Drawn:
    ((_, found),) = measure(pipe, way, [ASK], DRAWING, plain=[plain], **more)
    return found


@pytest.fixture(scope="module")
def plain(tiny_sd: Any) -> Drawn:
    return drawn(pipe_of(tiny_sd), PLAIN)


@pytest.mark.parametrize("name", dict.fromkeys([*WAYS, *LEARNT, *FILES]))
def test_the_model_is_as_it_was(
    tiny_sd: Any, plain: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(descent, "LatentDescent", partial(LatentDescent, iterations=2))
    pipe = pipe_of(tiny_sd)
    file = tmp_path / "learnt.safetensors"
    if name in FILES:
        FILES[name](tiny_sd, file)
    (way,) = read_ways([f"{name}={file}" if name in FILES else name])
    before, latents = state(tiny_sd), plain_latents(adapt(tiny_sd))

    found = drawn(pipe, way, PlainImages.of(plain))
    if name in FILES:
        assert min(found.column("pixels")) > 0
    assert state(tiny_sd) == before
    assert torch.equal(plain_latents(adapt(tiny_sd)), latents)
    assert drawn(pipe, PLAIN).pictures == plain.pictures

    def fail(_: Any) -> None:
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        drawn(pipe, way, on_step=fail)
    assert state(tiny_sd) == before
    assert torch.equal(plain_latents(adapt(tiny_sd)), latents)
