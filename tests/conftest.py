"""Small random models, built from configurations: nothing is loaded from anywhere."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from hypothesis import settings
from tiny_families import TOKENS, build, clip_tokenizer, ddim, heeding, shallow_unet, unet
from transformers import CLIPTextConfig, CLIPTextModel

from fair_diffusion.control import descent
from fair_diffusion.steering.latents import LatentDescent

pytest_plugins = ["databases", "left_out", "package_environment", "studio_fixtures"]
# What is imported and collected stays: to look through a million objects for garbage takes a second each time.
gc.disable()
# No test is timed: a busy machine proves nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass the one warning that diffusers' sigma schedulers cause: they hand tensors to NumPy 2."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, in what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _fast_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine adds no line to a command's: that a model is still being loaded, or how far a command is."""
    monkeypatch.setattr("fair_diffusion.cli.progress.PATIENCE", 3600.0)


@pytest.fixture
def short_descent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descent ends after a few iterations: for tests of everything around it."""
    monkeypatch.setattr(descent, "LatentDescent", functools.partial(LatentDescent, iterations=4, steps=2))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Any) -> Callable[[str], Any]:
    """The random pipeline of a family by its name in `tiny_families`. Shared: change no part of it."""

    @functools.cache
    def pipeline(family: str) -> Any:
        return tiny_sd if family == "sd" else build(family, tmp_path_factory.mktemp(family))

    return pipeline


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A random StableDiffusionPipeline: 8×8 latents, 16×16 pixels, seed 0. Shared: change no part of it."""
    tokenizer = clip_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=37,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=TOKENS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        network = heeding(unet(cross_attention_dim=32))
        vae = AutoencoderKL(
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            latent_channels=4,
            norm_num_groups=8,
            sample_size=16,
        )
    pipeline = StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        unet=network.eval(),
        scheduler=ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def shallow_sd(tiny_sd: Any) -> Any:
    """`tiny_sd` with a smaller network: for tests that call it often and look at no layer. Shared: change no part."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = heeding(shallow_unet(cross_attention_dim=32))
    pipeline = StableDiffusionPipeline(
        **tiny_sd.components | {"unet": network.eval(), "scheduler": ddim()}, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
