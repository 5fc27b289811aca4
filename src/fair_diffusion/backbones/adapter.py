"""What the adapters of all families share: prompts in rows, runs of the sampler, and the image encoder.

A family adds how its prompts are encoded and how its network is called. Networks, image encoder and scheduler are those
of its diffusers pipeline, and the same seeds give the same pictures as calling that with a list of generators.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones.backbone import Conditioning
from fair_diffusion.backbones.sampler import Sampler
from fair_diffusion.files.pictures import from_pixels

CHUNK = 16
"""Rows per call of the text encoder and of the image decoder: bounds memory, changes no result."""
MIDDLE = "mid_block"
"""The part of a conditioning, (n, channels, height, width), that is added after a UNet's middle block."""


class Adapter(ABC):
    """A loaded pipeline as a `Backbone`; its scheduler is copied and never touched. network: UNet or transformer."""

    distilled = False
    reads_text = True

    def __init__(self, pipeline: Any, network: Any) -> None:
        self.pipeline, self.network = pipeline, network
        self.sampler = Sampler(pipeline.scheduler)
        self._count = [0]  # a list, so that forks add to the same number

    @abstractmethod
    def _encode(self, prompts: list[str]) -> Conditioning:
        """Encode a few prompts as the pipeline does."""

    @abstractmethod
    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        """Call the network on scaled latents."""

    @abstractmethod
    def _longest(self) -> tuple[Any, int]:
        """The tokenizer that reads furthest, and how many tokens it reads."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image's latents: those that the network was made for."""
        size = self.network.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return int(self.network.config.in_channels), int(height), int(width)

    @property
    def device(self) -> torch.device:
        """Where latents live."""
        return torch.device(self.pipeline._execution_device)

    @property
    def dtype(self) -> torch.dtype:
        """Numbers of the network and of latents."""
        dtype: torch.dtype = self.network.dtype
        return dtype

    @property
    def evaluations(self) -> int:
        """Image rows that went through the network so far, all forks together."""
        return self._count[0]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep gradients from all weights; afterwards those take gradients that did before."""
        parts = [part for part in self.pipeline.components.values() if isinstance(part, torch.nn.Module)]
        learning = [weight for part in parts for weight in part.parameters() if weight.requires_grad]
        for weight in learning:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in learning:
                weight.requires_grad_(True)

    def fork(self) -> Self:
        """Return the same networks with a copy of the sampler's state."""
        return self._with(self.sampler.fork())

    def take(self, places: Sequence[int]) -> Self:
        """Return a fork whose sampler remembers only the images at these places."""
        return self._with(self.sampler.join([self.sampler], places))

    def join(self, parts: Sequence[Self]) -> Self:
        """Return a fork whose sampler remembers the images of all parts."""
        return self._with(self.sampler.join([part.sampler for part in parts]))

    def _with(self, sampler: Sampler) -> Self:
        twin = copy.copy(self)
        twin.sampler = sampler
        return twin

    def encode(self, prompts: Sequence[str], *, gradient: bool = False) -> Conditioning:
        """Encode as the pipeline: padded to the longest that it reads, cut there; equal prompts only once.

        gradient: whether gradients flow into the text encoders, where they are on at all."""
        if getattr(self.pipeline, "_all_hooks", None):
            self.pipeline.maybe_free_model_hooks()  # of an offloaded model, only the text encoders are needed now
        unique = list(dict.fromkeys(prompts)) or [""]
        with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
            rows = [self._encode(unique[i : i + CHUNK]) for i in range(0, len(unique), CHUNK)]
        place = {prompt: i for i, prompt in enumerate(unique)}
        return Conditioning.cat(rows)[[place[prompt] for prompt in prompts]]

    def empty(self) -> Conditioning:
        """What the pipeline takes where no negative prompt is given: one row."""
        return self.encode([""])

    def truncated_text(self, prompt: str) -> str:
        """The end of a prompt that is cut away because no text encoder reads so many tokens; or ""."""
        tokenizer, length = self._longest()
        ids = tokenizer(prompt, truncation=False, verbose=False).input_ids
        if len(ids) <= length:
            return ""
        read = tokenizer(prompt, truncation=True, max_length=length).input_ids
        same = next((i for i, (a, b) in enumerate(zip(ids, read, strict=False)) if a != b), length)
        end: str = tokenizer.decode(ids[same:], skip_special_tokens=True)
        return end

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run with a fresh sampler and return its times (those of second order make more)."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.sampler = Sampler(self.pipeline.scheduler)
        return self.sampler.begin(device=self.device, **self._schedule(steps))

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed: (n, *latent_shape)."""
        return self.sampler.noise(seeds, self.latent_shape, self.dtype).to(self.device)

    @property
    def noise_scale(self) -> float:
        """What noise of variance 1 is multiplied by at the run's first time."""
        if not self.sampler.running:
            raise RuntimeError("the noise scale depends on the run: call timesteps(steps) first")
        return float(self.sampler.noise_scale)

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed, scaled to the run's first time: (n, *latent_shape)."""
        return self.noise(seeds) * self.noise_scale

    def start_step(self, depth: float) -> int:
        """The step of the run with a share `depth` of it still to come, at least one step of the sampler."""
        return self.sampler.start_step(depth)

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Mix clean latents and noise as at time t of the run, in the network's scale."""
        return self.sampler.noised(clean, noise, t)

    def unstep(self, latents: Tensor, t: Tensor, lower: Tensor | None, cond: Conditioning) -> Tensor:
        """Undo the step from time t to `lower` (None: the last step), by the output at t; in the network's scale."""
        if lower is None and not self.sampler.tells_noise:
            raise ValueError(
                "this network predicts the clean image, so it does not say which noise led to one; use the way 'sdedit'"
            )
        self._count[0] += len(latents)
        output = self._evaluate(latents, t, cond, 1.0)
        return self.noised(*self.sampler.parts(latents, output, lower), t)

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step: latents in the network's scale come back in the sampler's."""
        return self.sampler.enter(latents, step)

    def to_sampler_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Latents in the network's scale at time t, in the sampler's."""
        return self.sampler.to_sampler_scale(latents, t)

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """Scale the latents for the network and return its raw output; counts one evaluation per row."""
        return self.evaluate(self.sampler.to_network_scale(latents, t), t, cond, guidance=guidance)

    def evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """As `predict`, on latents in the network's own scale; t may differ by row, (n,).

        What `cond.added` holds as `MIDDLE` is added to what comes out of the network's middle, for this call."""
        self._count[0] += len(latents)
        if MIDDLE not in cond.added:
            return self._evaluate(latents, t, cond, guidance)
        added = dict(cond.added)
        with _added(self.network, added.pop(MIDDLE)):
            return self._evaluate(latents, t, Conditioning(cond.embeddings, added), guidance)

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict x0 from latents at time t and the output there; leaves the sampler's state alone."""
        return self.sampler.clean(latents, output, t)

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Let the sampler move on; where it adds noise, it comes from each image's own generator."""
        return self.sampler.step(latents, output, t)

    def decode(self, latents: Tensor) -> Tensor:
        """Decode clean latents into pixels in [0, 1]: (n, 3, height, width), float32."""
        with self._image_coder() as vae:
            latents = latents.to(vae.dtype)
            scale, offset = self._vae_scale(latents)
            pixels: Tensor = vae.decode(latents / scale + offset, return_dict=False)[0]
        return (pixels.float() / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def images(self, latents: Tensor) -> list[Image.Image]:
        """Decode clean latents into pictures, in chunks."""
        pictures = []
        for part in torch.split(latents, CHUNK):
            pictures += from_pixels(self.decode(part))
        return pictures

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Encode pictures, resized to the model's size, into clean latents: the mode, so no randomness."""
        _, height, width = self.latent_shape
        factor = self.pipeline.vae_scale_factor
        pixels = self.pipeline.image_processor.preprocess(
            [image.convert("RGB") for image in images], height=height * factor, width=width * factor
        )
        with self._image_coder() as vae:
            chunks = torch.split(pixels.to(self.device, vae.dtype), CHUNK)
            codes = torch.cat([vae.encode(chunk).latent_dist.mode() for chunk in chunks])
        scale, offset = self._vae_scale(codes)
        latents: Tensor = (codes - offset) * scale
        return latents.to(self.device, self.dtype)

    @contextmanager
    def _image_coder(self) -> Iterator[Any]:
        """The image encoder and decoder, while it works."""
        yield self.pipeline.vae

    def _schedule(self, steps: int) -> dict[str, Any]:
        """What the scheduler's `set_timesteps` is told."""
        return {"num_inference_steps": steps}

    def _vae_scale(self, like: Tensor) -> tuple[Any, Any]:
        """(scale, offset): the image encoder's own numbers are latents / scale + offset."""
        config = self.pipeline.vae.config
        return config.scaling_factor, config.get("shift_factor") or 0.0


def middle_of(network: Any) -> Any:
    """The middle block of a UNet, to hook something into. `ValueError` if there is none, or hooks would not be seen."""
    middle = getattr(network, MIDDLE, None)
    if middle is None:
        raise ValueError(
            f"{type(network).__name__} has no middle block to work on; use a model with a UNet, or another method"
        )
    if getattr(network, "_compiled_call_impl", None) is not None or hasattr(network, "_orig_mod"):
        raise ValueError(
            "this method works in the middle of the network, which a compiled network does not let it; load the model "
            "without compile, or use another method"
        )
    return middle


@contextmanager
def _added(network: Any, direction: Tensor) -> Iterator[None]:
    """Add `direction` to what the network's middle block returns. `ValueError` if it has none or another shape."""

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        if direction.shape != output.shape:
            raise ValueError(
                f"the directions have shape {tuple(direction.shape[1:])}, but the middle of this model has "
                f"{tuple(output.shape[1:])}; learn them for this model"
            )
        return output + direction.to(output)

    hook = middle_of(network).register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


def text_length(tokenizer: Any) -> tuple[Any, int]:
    """A tokenizer and how many tokens its encoder reads."""
    return tokenizer, int(tokenizer.model_max_length)
