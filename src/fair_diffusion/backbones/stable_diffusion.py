"""Stable Diffusion and all models of its shape: text encoder, UNet over VAE latents, scheduler over ᾱ_t.

x_t = √ᾱ_t·x0 + √(1−ᾱ_t)·ε; the UNet predicts ε, v = √ᾱ_t·ε − √(1−ᾱ_t)·x0, or x0
(Rombach et al. 2022, arXiv 2112.10752; v-prediction: Salimans & Ho 2022, arXiv 2202.00512).
Encoders, UNet, VAE and scheduler are those of a `diffusers.StableDiffusionPipeline`, and the same seeds give
the same pictures as calling it with a list of generators.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones.backbone import Conditioning

CHUNK = 16
"""Rows per call of the text encoder and of the VAE decoder: bounds memory, changes no result."""


class StableDiffusion:
    """Adapter of a loaded `StableDiffusionPipeline`, whose scheduler is copied and never touched."""

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        if pipeline.unet.config.time_cond_proj_dim is not None:
            raise ValueError(
                "this UNet was distilled with its guidance scale as an input (time_cond_proj_dim="
                f"{pipeline.unet.config.time_cond_proj_dim}); use a model without guidance embedding"
            )
        self.pipeline = pipeline
        self._scheduler = _fresh(pipeline.scheduler)
        self._generators: list[torch.Generator] | None = None
        self._count = [0]  # a list, so that forks add to the same number

    @property
    def device(self) -> torch.device:
        """Where latents live."""
        return torch.device(self.pipeline.unet.device)

    @property
    def evaluations(self) -> int:
        """Image rows that went through the UNet so far, all forks together."""
        return self._count[0]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image's latents."""
        config = self.pipeline.unet.config
        size = config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return int(config.in_channels), int(height), int(width)

    def fork(self) -> StableDiffusion:
        """Return the same networks with a copy of the scheduler's and the generators' state."""
        twin = copy.copy(self)
        twin._scheduler = copy.deepcopy(self._scheduler)
        if self._generators is not None:
            twin._generators = [generator.clone_state() for generator in self._generators]
        return twin

    def take(self, places: Sequence[int]) -> StableDiffusion:
        """Return a fork whose scheduler remembers only the images at these places."""
        return self.join([self], places)

    def join(self, parts: Sequence[StableDiffusion], places: Sequence[int] | None = None) -> StableDiffusion:
        """Return a fork whose scheduler remembers the images of all parts, or those at `places` of them."""
        twin = self.fork()
        for name, value in vars(twin._scheduler).items():
            setattr(twin._scheduler, name, _rows([vars(part._scheduler)[name] for part in parts], value, places))
        if self._generators is not None:
            every = [g.clone_state() for part in parts for g in part._generators or ()]
            twin._generators = every if places is None else [every[place] for place in places]
        return twin

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Encode as the pipeline: padded to the tokenizer's length, cut there; equal prompts only once."""
        unique = list(dict.fromkeys(prompts)) or [""]
        rows = [
            self.pipeline.encode_prompt(unique[i : i + CHUNK], self.device, 1, False)[0]
            for i in range(0, len(unique), CHUNK)
        ]
        place = {prompt: i for i, prompt in enumerate(unique)}
        return Conditioning(torch.cat(rows))[[place[prompt] for prompt in prompts]]

    def unseen(self, prompt: str) -> str:
        """The end of a prompt that is cut away because the text encoder takes `model_max_length` tokens; or ""."""
        tokenizer: Any = self.pipeline.tokenizer
        ids = tokenizer(prompt, truncation=False, verbose=False).input_ids
        end: str = tokenizer.decode(ids[tokenizer.model_max_length - 1 :], skip_special_tokens=True)
        return end if len(ids) > tokenizer.model_max_length else ""

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run with a fresh scheduler and return its times (second-order samplers make more)."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self._scheduler = _fresh(self.pipeline.scheduler)
        self._generators = None
        self._scheduler.set_timesteps(steps, device=self.device)
        times: Tensor = self._scheduler.timesteps
        return times

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed, scaled to the run's first time: (n, *latent_shape)."""
        if self._scheduler.num_inference_steps is None:
            raise RuntimeError("the noise scale depends on the run: call timesteps(steps) first")
        # drawn on the CPU, so that a seed means the same picture on every device
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        dtype = self.pipeline.unet.dtype
        noise = [torch.randn((1, *self.latent_shape), generator=g, dtype=dtype) for g in self._generators]
        latents: Tensor = torch.cat(noise).to(self.device) * self._scheduler.init_noise_sigma
        return latents

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Scale the latents for the UNet and return its raw output; counts one evaluation per row."""
        self._count[0] += len(latents)
        scaled = self._scheduler.scale_model_input(latents, t)
        output: Tensor = self.pipeline.unet(scaled, t, encoder_hidden_states=cond.embeddings, return_dict=False)[0]
        return output

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict x0 from latents at time t and the output there; leaves the scheduler's state alone."""
        signal = self._signal(t).to(latents)
        a, b = signal.sqrt(), (1 - signal).sqrt()
        # samplers in Karras' scale hold x0 + σ·ε with σ = b/a
        noisy = latents * a if float(self._scheduler.init_noise_sigma) > 1 else latents
        kind = self._scheduler.config.prediction_type
        if kind == "epsilon":
            return (noisy - b * output) / a
        if kind == "v_prediction":
            return a * noisy - b * output
        if kind == "sample":
            return output
        raise ValueError(f"prediction_type {kind!r} is none of epsilon, v_prediction, sample")

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Let the scheduler move on; where it adds noise, it comes from each image's own generator."""
        takes_generator = "generator" in inspect.signature(self._scheduler.step).parameters
        noise: dict[str, Any] = {"generator": self._generators} if takes_generator else {}
        moved: Tensor = self._scheduler.step(output, t, latents, return_dict=False, **noise)[0]
        return moved

    def decode(self, latents: Tensor) -> Tensor:
        """Decode clean latents into pixels in [0, 1]: (n, 3, height, width), float32."""
        vae = self.pipeline.vae
        pixels: Tensor = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        return (pixels.float() / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def images(self, latents: Tensor) -> list[Image.Image]:
        """Decode clean latents into pictures, in chunks."""
        pictures = []
        for part in torch.split(latents, CHUNK):
            pixels = (self.decode(part) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            pictures += [Image.fromarray(picture) for picture in pixels]
        return pictures

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Encode pictures, resized to the model's size, into clean latents: the mode, so no randomness."""
        vae = self.pipeline.vae
        _, height, width = self.latent_shape
        scale = self.pipeline.vae_scale_factor
        pixels = self.pipeline.image_processor.preprocess(
            [image.convert("RGB") for image in images], height=height * scale, width=width * scale
        )
        chunks = torch.split(pixels.to(vae.device, vae.dtype), CHUNK)
        parts = [vae.encode(chunk).latent_dist.mode() for chunk in chunks]
        latents: Tensor = torch.cat(parts) * vae.config.scaling_factor
        return latents.to(self.device, self.pipeline.unet.dtype)

    def _signal(self, t: Tensor) -> Tensor:
        """ᾱ at time t: from the run's own σ where it has one (Karras' spacings leave the training grid)."""
        sigmas = getattr(self._scheduler, "sigmas", None)
        times = self._scheduler.timesteps
        if sigmas is not None and self._scheduler.num_inference_steps is not None:
            found = (times == t.to(times)).nonzero()
            if len(found):
                sigma: Tensor = sigmas[found[0, 0].to(sigmas.device)]
                return 1 / (1 + sigma**2)
        table: Tensor = self._scheduler.alphas_cumprod
        return table[t.round().long().to(table.device)]


def _fresh(scheduler: Any) -> Any:
    """Return a scheduler of the same settings and without history."""
    return type(scheduler).from_config(scheduler.config)


def _rows(values: Sequence[Any], own: Any, places: Sequence[int] | None) -> Any:
    """What a scheduler remembers of the images, joined: tensors shaped as latents; all else is the same for all."""
    if isinstance(own, list):
        return [_rows(each, mine, places) for *each, mine in zip(*values, own, strict=True)]
    if not isinstance(own, Tensor) or own.ndim != 4:
        return own
    whole = torch.cat(list(values))
    return whole if places is None else whole[torch.as_tensor(places, dtype=torch.long)]
