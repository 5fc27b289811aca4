"""The cases whose pictures must stay the same: each draws with the pocket model, through the public interface alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.backbones import StepInfo
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy
from fair_diffusion.rebalance import rebalance
from fair_diffusion.result import Result

PROMPT = "a photo of a firefighter"
HALF = "firefighter: 50% woman, 50% man"
N, STEPS = 4, 8
MIDDLE = (192, 8, 8)
"""Channels, height and width of the middle of the pocket model's network."""


@dataclass(frozen=True)
class Case:
    """A case: `draw` takes a new, empty folder. steers: whether at least one image is to be drawn otherwise than plain.

    A result may show pictures that lie in the folder."""

    name: str
    draw: Callable[[Path], Sequence[Result]]
    steers: bool = True


@cache
def pipe() -> FairPipeline:
    """The pocket model, loaded once."""
    return FairPipeline.from_pretrained("pocket")


def _draw(folder: Path, **asked: Any) -> list[Result]:
    request: dict[str, Any] = {"prompt": PROMPT, "n": N, "steps": STEPS, "instruct": HALF, "hold": "none"} | asked
    return [pipe()(**request)]


def _bottleneck(folder: Path) -> list[Result]:
    generator = torch.Generator().manual_seed(0)
    vectors = {f"gender/{group}": torch.randn(MIDDLE, generator=generator).half() for group in ("woman", "man")}
    save_file(vectors, folder / "directions.safetensors")
    return _draw(folder, method="bottleneck", control="all", file=folder / "directions.safetensors")


def _edit(folder: Path) -> list[Result]:
    own = pipe().backbone.pipeline.unet.state_dict()
    weights = {name: 1.5 * weight for name, weight in own.items() if name.endswith("attn2.to_v.weight")}
    save_file(weights, folder / "edit.safetensors")
    return _draw(folder, method="edit", file=folder / "edit.safetensors")


def _heads(folder: Path) -> list[Result]:
    generator = torch.Generator().manual_seed(0)
    channels, height, width = MIDDLE
    tensors = {
        "times": torch.tensor([876.0, 501.0, 126.0]),
        "gender.weight": torch.randn(3, 4, channels * height * width, generator=generator).half() / 20,
        "gender.bias": torch.zeros(3, 4).half(),
    }
    told = {"heads": json.dumps({"gender": ["woman", "man", "androgynous"]}), "temperature": "8.0"}
    save_file(tensors, folder / "heads.safetensors", told)
    return _draw(folder, method="distribution", file=folder / "heads.safetensors")


def _joint(folder: Path) -> list[Result]:
    policy = Policy.from_yaml(
        "version: 1\n"
        "rules:\n"
        "  - name: firefighters\n"
        "    concepts: [firefighter]\n"
        "    joint:\n"
        "      - {gender: woman, skin_tone: dark, share: 50%}\n"
        "      - {gender: man, skin_tone: light, share: 50%}\n"
    )
    return _draw(folder, instruct=None, policy=policy)


def _ledger(folder: Path) -> list[Result]:
    """Two requests of one ledger: the quotas of the second make up for the first."""
    ledger = Ledger(folder / "ledger.db")
    asked: dict[str, Any] = {"n": 2, "instruct": "firefighter: 70% woman, 30% man", "ledger": ledger}
    return [*_draw(folder, **asked), *_draw(folder, **asked, seed=2)]


def _interrupted(folder: Path) -> list[Result]:
    """Interrupted in the second of two batches: the images of the first are kept."""
    taken = 0

    def on_step(info: StepInfo) -> None:
        nonlocal taken
        taken += 1
        if taken > 6:
            raise KeyboardInterrupt

    return _draw(folder, method="semantic", steps=4, batch_size=2, on_step=on_step)


@cache
def _originals() -> Result:
    (plain,) = _draw(Path(), method="none", instruct=None)
    return plain


def _rebalance(folder: Path, **asked: Any) -> Sequence[Result]:
    (folder / "originals").mkdir()
    for i, image in enumerate(_originals().images):
        image.save(folder / "originals" / f"{i}.png")
    return rebalance(
        pipe(),
        folder / "originals",
        folder / "out",
        prompt=PROMPT,
        policy=Policy.from_sentence(HALF),
        steps=STEPS,
        **{"hold": "none"} | asked,
    )


def _case(name: str, *, steers: bool = True, **asked: Any) -> Case:
    return Case(name, partial(_draw, **asked), steers)


CASES = (
    _case("none", method="none", steers=False),
    _case("switch", method="switch"),
    _case("semantic", method="semantic"),
    _case("prompt", method="prompt", control="all"),
    _case("hint", method="hint"),
    _case("embedding", method="embedding"),
    Case("bottleneck", _bottleneck),
    Case("edit", _edit),
    _case("rejection", method="rejection", steers=False),
    _case("distribution", method="distribution"),
    _case("latents", method="latents", steps=1),
    _case("latents-mean", method="latents", loss="mean", n=2, steps=1),
    Case("distribution-heads", _heads),
    _case("no-rule", instruct=None, seed=4, steers=False),
    _case("semantic-all", method="semantic", control="all"),
    _case("repairs", method="semantic", steps=8, seed=20),
    _case("new-seed", method="semantic", steps=8, seed=4),
    _case("batches", method="switch", seed=20, batch_size=3),
    _case("one-step", method="switch", steps=1),
    _case("separate-targets", instruct=f"{HALF}; skin tone: 50% light, 50% dark"),
    Case("joint-target", _joint),
    Case("ledger", _ledger),
    _case(
        "negative-prompt-and-twins",
        method="semantic",
        negative_prompt="a drawing",
        guidance_rescale=0.5,
        compare_plain=True,
    ),
    Case("interrupted", _interrupted, steers=False),
    Case("rebalance-inversion", partial(_rebalance, way="inversion")),
    Case("rebalance-sdedit", partial(_rebalance, way="sdedit", method="semantic")),
)
