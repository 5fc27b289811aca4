"""Images that come out as no numbers: they fail by name, and take nothing else with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from untrained import pipe_of

from fair_diffusion import backbones
from fair_diffusion.backbones import adapt
from fair_diffusion.control import loop, natural_first
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.seeds import SEEDS


@pytest.fixture
def pipe(tiny_sd: Any) -> FairPipeline:
    return pipe_of(tiny_sd)


def spoil(monkeypatch: pytest.MonkeyPatch, seeds: set[int], until: int | None) -> None:
    """Let images of these seeds come out as no numbers: at the look (until=1) or at the end (None)."""
    drawn = dict[int, int]()

    def begin(backbone: Any, images: Sequence[int], *, seeds: Sequence[int], steps: int) -> Any:
        drawn.update(zip(images, seeds, strict=True))
        return backbones.begin(backbone, images, seeds=seeds, steps=steps)

    def advance(batch: Any, guide: Any, **asked: Any) -> Any:
        end = backbones.advance(batch, guide, **asked)
        if asked["until"] == (len(end.times) if until is None else until):
            for place, image in enumerate(end.images):
                if drawn[image] in seeds:
                    end.latents[place] = math.nan
        return end

    monkeypatch.setattr(loop, "begin", begin)
    monkeypatch.setattr(loop, "advance", advance)


@pytest.mark.parametrize("method", ["none", "prompt", "rejection", "distribution"])
def test_an_image_that_is_no_numbers_fails_by_name_and_the_others_are_drawn(
    pipe: FairPipeline, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    asked: dict[str, Any] = {"n": 3, "seed": 7, "steps": 2, "method": method, "repair_budget": 0}
    if method != "none":
        asked["instruct"] = "doctor: all women"
    usual = pipe("a doctor", **asked)
    spoil(monkeypatch, {8}, None)
    result = pipe("a doctor", **asked)
    assert [record.seed for record in result.records] == [7, 9]
    kept = [usual.images[0], usual.images[2]]
    if method != "distribution":  # whose images follow those before
        assert [image.tobytes() for image in result.images] == [image.tobytes() for image in kept]
    assert result.notes[-1] == (
        "1 of 3 images are missing: the numbers of seed 8 were not finite; use float32, or other weights"
    )


@pytest.mark.parametrize("until", [1, None])
def test_natural_first_draws_an_image_that_is_no_numbers_from_a_new_seed(
    pipe: FairPipeline, monkeypatch: pytest.MonkeyPatch, until: int | None
) -> None:
    asked: dict[str, Any] = {"n": 3, "seed": 7, "steps": 4, "instruct": "doctor: all women"}
    spoil(monkeypatch, {8}, until)
    result = pipe("a doctor", repair_budget=9, **asked)
    assert len(result.images) == 3
    assert all(np.asarray(image).any() for image in result.images)
    assert result.records[1].seed != 8
    assert result.records[1].reseeds > 0
    assert not any("finite" in note for note in result.notes)
    once = pipe("a doctor", repair_budget=0, **asked)
    assert [record.seed for record in once.records] == [7, 9]
    assert "the numbers of seed 8 were" in once.notes[-1]


@pytest.mark.parametrize(("method", "until"), [("none", None), ("switch", None), ("switch", 1)])
def test_a_request_without_one_image_of_numbers_is_refused(
    pipe: FairPipeline, monkeypatch: pytest.MonkeyPatch, method: str, until: int | None
) -> None:
    seeds = {1, 2, *((k + natural_first.NEW_SEED * j) % SEEDS for k in (1, 2) for j in range(4))}
    spoil(monkeypatch, seeds, until)
    asked: dict[str, Any] = {"n": 2, "seed": 1, "steps": 2, "method": method, "repair_budget": 50}
    if method != "none":
        asked["instruct"] = "doctor: all women"
    with pytest.raises(ValueError, match=r"'a doctor': 2 of 2 images are missing: the numbers of seed "):
        pipe("a doctor", **asked)


def test_a_decoder_that_overflows_in_half_precision_decodes_in_float32(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = adapt(tiny("sd"))
    vae, latents = backbone.pipeline.vae, torch.randn(2, *backbone.latent_shape)
    expected, usual = backbone.decode(latents), vae.decode

    def decode(latents: torch.Tensor, **asked: Any) -> Any:
        if latents.dtype == torch.float32:
            return usual(latents, **asked)
        return (torch.full((len(latents), 3, 16, 16), math.inf, dtype=latents.dtype),)

    monkeypatch.setattr(vae, "decode", decode)
    try:
        vae.to(torch.bfloat16)
        pixels = backbone.decode(latents)
        assert vae.dtype == torch.bfloat16
    finally:
        vae.to(torch.float32)
    torch.testing.assert_close(pixels, expected, atol=0.02, rtol=0)  # the weights were rounded on the way
