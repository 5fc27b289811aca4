"""The embedded model: it runs unchanged in diffusers' own pipelines, draws what it is asked, and follows a target."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import SemanticStableDiffusionPipeline, StableDiffusionPipeline

from fair_diffusion import FairPipeline
from fair_diffusion.backbones import StableDiffusion, denoise
from fair_diffusion.models.pocket import export, load
from fair_diffusion.models.pocket.folder import WEIGHTS

PROMPT, SEED, STEPS, GUIDANCE = "a photo of a nurse", 3, 4, 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "pocket"
    export(folder)
    return folder


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    """One image by our own loop."""
    backbone = StableDiffusion(load())
    (batch,) = denoise(
        backbone,
        prompts_cond=backbone.encode([PROMPT]),
        empty_cond=backbone.encode([""]),
        seeds=[SEED],
        steps=STEPS,
        guidance=GUIDANCE,
    )
    return np.asarray(backbone.images(batch.latents)[0]).astype(int)


@pytest.mark.parametrize("kind", [StableDiffusionPipeline, SemanticStableDiffusionPipeline])
def test_an_export_runs_unchanged_in_diffusers(kind: Any, folder: Path, ours: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the semantic pipeline is deprecated
        pipeline = kind.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(SEED)
    (image,) = pipeline(PROMPT, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generator).images
    assert np.abs(np.asarray(image).astype(int) - ours).max() <= 1


def test_an_export_never_overwrites(folder: Path) -> None:
    with pytest.raises(ValueError, match="name a new folder"):
        export(folder)


def test_the_weights_stay_small_and_safe() -> None:
    files = [file for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 40e6
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".md", ".csv"}


@pytest.fixture(scope="module")
def pipe() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


def test_firefighters_as_the_model_draws_them_and_as_instructed(pipe: FairPipeline) -> None:
    result = pipe("a photo of a firefighter", n=12, instruct="firefighter: half women", compare_plain=True)
    assert result.plain is not None
    natural = [record.judged["gender"] for record in result.plain.records]
    instructed = [record.judged["gender"] for record in result.records]
    assert natural.count("woman") <= 2
    assert 4 <= instructed.count("woman") <= 8
    assert all(record.judged["occupation"] == "firefighter" for record in result.plain.records)


def test_words_are_followed(pipe: FairPipeline) -> None:
    women = pipe("a photo of a dark-skinned female judge", n=6, steps=15)
    assert all(record.judged["gender"] == "woman" for record in women.records)
    assert sum(record.judged["skin_tone"] in ("dark", "medium-dark") for record in women.records) >= 5
