"""The part of an adapter that all families share: prompts in rows, runs of the sampler, and the image encoder.

A family adds how it encodes prompts and how it calls its network. Networks, image encoder and scheduler belong to the
diffusers pipeline. The same seeds give the same pictures as calling the pipeline with a list of generators.
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
"""Rows per call of the text encoder and of the image decoder. It bounds memory and does not change results."""
MIDDLE = "mid_block"
"""The key in `Conditioning.added` of a direction that is added to the output of a UNet's middle block.

Its shape is (n, channels, height, width).
"""


class Adapter(ABC):
    """A loaded pipeline as a `Backbone`. The pipeline's scheduler is copied and never changed.

    Args:
        pipeline: a loaded diffusers pipeline.
        network: its denoising network, a UNet or a transformer.
    """

    distilled = False
    reads_text = True

    def __init__(self, pipeline: Any, network: Any) -> None:
        self.pipeline, self.network = pipeline, network
        self.sampler = Sampler(pipeline.scheduler)
        self._count = [0]  # a list, so that forks add to the same number
        self._visits: dict[tuple[Any, int], int] = {}  # forks share it
        self._placed: tuple[tuple[torch.device, torch.dtype], tuple[torch.device, torch.dtype]] | None = None
        self._size: tuple[int, int] | None = None

    @abstractmethod
    def _encode(self, prompts: list[str]) -> Conditioning:
        """Encode at most `CHUNK` prompts as the pipeline does."""

    @abstractmethod
    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        """Call the network on latents in the network's scale."""

    @abstractmethod
    def _longest(self) -> tuple[Any, int]:
        """The tokenizer with the largest token limit, and that limit."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image's latents: at the size for which the network was trained, if no
        other is set."""
        height, width = self._size or self._trained_size()
        return self._channels(), height, width

    def sized(self, width: int, height: int) -> Self:
        """Return the same networks for pictures of another size, in pixels.

        Raises:
            ValueError: the network cannot draw this size.
        """
        factor, grain = getattr(self.pipeline, "vae_scale_factor", 1), self._grain()
        for name, side in (("wide", width), ("high", height)):
            if side % (factor * grain):
                raise ValueError(f"{width}x{height} is {side} {name}; this model needs multiples of {factor * grain}")
        twin = self.fork()
        twin._size = height // factor, width // factor
        return twin

    def _trained_size(self) -> tuple[int, int]:
        """Height and width of latents for which the network was trained."""
        size = self.network.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return int(height), int(width)

    def _channels(self) -> int:
        return int(self.network.config.in_channels)

    def _grain(self) -> int:
        """What height and width of latents must be multiples of: the side of a transformer's patches."""
        return int(self.network.config.get("patch_size") or 1)

    @property
    def device(self) -> torch.device:
        """Where latents live."""
        return self._place()[0]

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the network and of the latents."""
        return self._place()[1]

    def _place(self) -> tuple[torch.device, torch.dtype]:
        """Device and number type. diffusers walks through all modules for them, so they are asked for again only when
        a weight has moved."""
        weight = next(self.network.parameters())
        at = weight.device, weight.dtype
        if self._placed is None or self._placed[0] != at:
            self._placed = at, (torch.device(self.pipeline._execution_device), self.network.dtype)
        return self._placed[1]

    @property
    def evaluations(self) -> int:
        """Image rows that went through the network so far, summed over all forks."""
        return self._count[0]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Turn off the gradients of all weights, and turn on afterwards those that were on before."""
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
        """Return a fork whose sampler keeps only the images at these places."""
        return self._with(self.sampler.join([self.sampler], places))

    def join(self, parts: Sequence[Self]) -> Self:
        """Return a fork whose sampler holds the images of all parts."""
        return self._with(self.sampler.join([part.sampler for part in parts]))

    def _with(self, sampler: Sampler) -> Self:
        twin = copy.copy(self)
        twin.sampler = sampler
        return twin

    def encode(self, prompts: Sequence[str], *, gradient: bool = False) -> Conditioning:
        """Encode prompts as the pipeline does: padded to its token limit, and cut there. Equal prompts share a pass.

        Args:
            prompts: one prompt per row.
            gradient: whether gradients flow into the text encoders, where gradients are enabled at all.
        """
        if getattr(self.pipeline, "_all_hooks", None):
            self.pipeline.maybe_free_model_hooks()  # an offloaded model needs only its text encoders now
        unique = list(dict.fromkeys(prompts)) or [""]
        with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
            rows = [self._encode(unique[i : i + CHUNK]) for i in range(0, len(unique), CHUNK)]
        place = {prompt: i for i, prompt in enumerate(unique)}
        return Conditioning.cat(rows)[[place[prompt] for prompt in prompts]]

    def empty(self) -> Conditioning:
        """The conditioning of the pipeline without a negative prompt, one row."""
        return self.encode([""])

    def truncated_text(self, prompt: str) -> str:
        """The end of the prompt that the longest token limit cuts off. Empty if the whole prompt is read."""
        tokenizer, length = self._longest()
        ids = tokenizer(prompt, truncation=False, verbose=False).input_ids
        if len(ids) <= length:
            return ""
        read = tokenizer(prompt, truncation=True, max_length=length).input_ids
        same = next((i for i, (a, b) in enumerate(zip(ids, read, strict=False)) if a != b), length)
        end: str = tokenizer.decode(ids[same:], skip_special_tokens=True)
        return end

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run with a fresh sampler and return its times.

        Samplers of second order make more times than `steps`.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.sampler = Sampler(self.pipeline.scheduler)
        return self.sampler.begin(device=self.device, **self._schedule(steps))

    def visits(self, steps: int) -> int:
        """How many times a run of `timesteps` has, without beginning one."""
        key = self.pipeline.scheduler, steps
        if key not in self._visits:
            self._visits[key] = len(self.fork().timesteps(steps))
        return self._visits[key]

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed: (n, *latent_shape)."""
        return self.sampler.noise(seeds, self.latent_shape, self.dtype).to(self.device)

    @property
    def noise_scale(self) -> float:
        """The factor by which noise of variance 1 is scaled at the first time of the run."""
        if not self.sampler.running:
            raise RuntimeError("the noise scale depends on the run: call timesteps(steps) first")
        return float(self.sampler.noise_scale)

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed, scaled to the first time of the run: (n, *latent_shape)."""
        return self.noise(seeds) * self.noise_scale

    def start_step(self, depth: float) -> int:
        """The step at which a share `depth` of the run remains: at least one step of the sampler."""
        return self.sampler.start_step(depth)

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Mix clean latents with noise at the level of time t, in the network's scale."""
        return self.sampler.noised(clean, noise, t)

    def unstep(self, latents: Tensor, t: Tensor, lower: Tensor | None, cond: Conditioning) -> Tensor:
        """One inversion step from `lower` (None: the end of the run) to t, in the network's scale."""
        if lower is None and not self.sampler.tells_noise:
            raise ValueError(
                "this network predicts the clean image, so it does not determine the noise; use the way 'sdedit'"
            )
        self._count[0] += len(latents)
        output = self._evaluate(latents, t, cond, 1.0)
        return self.noised(*self.sampler.parts(latents, output, lower), t)

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step: convert latents from the network's scale to the sampler's."""
        return self.sampler.enter(latents, step)

    def to_sampler_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Convert latents at time t from the network's scale to the sampler's."""
        return self.sampler.to_sampler_scale(latents, t)

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """Scale the latents for the network and return its raw output. It counts one evaluation per row."""
        return self.evaluate(self.sampler.to_network_scale(latents, t), t, cond, guidance=guidance)

    def evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """As `predict`, on latents in the network's scale. The time may differ by row: t is a scalar or (n,).

        If `cond.added` holds `MIDDLE`, that direction is added to the output of the network's middle block.
        """
        self._count[0] += len(latents)
        if MIDDLE not in cond.added:
            return self._evaluate(latents, t, cond, guidance)
        added = dict(cond.added)
        with _added(self.network, added.pop(MIDDLE)):
            return self._evaluate(latents, t, Conditioning(cond.embeddings, added), guidance)

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict x0 from latents at time t and the output there. The sampler's state does not change."""
        return self.sampler.clean(latents, output, t)

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Move the latents to the next time. If the sampler adds noise, it comes from each image's own generator."""
        return self.sampler.step(latents, output, t)

    def decode(self, latents: Tensor) -> Tensor:
        """Decode clean latents into pixels in [0, 1]: (n, 3, height, width), float32.

        A decoder that overflows in half precision decodes again in float32.
        """
        with self._image_coder() as vae:
            pixels = self._decoded(vae, latents)
            half = vae.dtype
            if half != torch.float32 and latents.isfinite().all() and not pixels.isfinite().all():
                try:
                    pixels = self._decoded(vae.to(torch.float32), latents)
                finally:
                    vae.to(half)
        return (pixels / 2 + 0.5).clamp(0, 1)

    def _decoded(self, vae: Any, latents: Tensor) -> Tensor:
        latents = latents.to(vae.dtype)
        scale, offset = self._vae_scale(latents)
        pixels: Tensor = vae.decode(latents / scale + offset, return_dict=False)[0]
        return pixels.float()

    @torch.no_grad()
    def images(self, latents: Tensor) -> list[Image.Image]:
        """Decode clean latents into pictures, `CHUNK` at a time."""
        pictures = []
        for part in torch.split(latents, CHUNK):
            pictures += from_pixels(self.decode(part))
        return pictures

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Encode pictures, resized to the model's size, into clean latents.

        They are the mode of the code, not a sample.
        """
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
        """The image encoder and decoder, prepared for use inside the context."""
        yield self.pipeline.vae

    def _schedule(self, steps: int) -> dict[str, Any]:
        """The arguments of the scheduler's `set_timesteps`."""
        return {"num_inference_steps": steps}

    def _vae_scale(self, like: Tensor) -> tuple[Any, Any]:
        """(scale, offset): the image encoder works on latents / scale + offset."""
        config = self.pipeline.vae.config
        return config.scaling_factor, config.get("shift_factor") or 0.0


def middle_of(network: Any) -> Any:
    """The middle block of a UNet, for a forward hook.

    Raises:
        ValueError: the network has no middle block, or it is compiled and would ignore the hook.
    """
    middle = getattr(network, MIDDLE, None)
    if middle is None:
        raise ValueError(
            f"{type(network).__name__} has no middle block to work on; use a model with a UNet, or another method"
        )
    if getattr(network, "_compiled_call_impl", None) is not None or hasattr(network, "_orig_mod"):
        raise ValueError(
            "this method changes the middle of the network, and a compiled network does not allow that; load the model "
            "without compile, or use another method"
        )
    return middle


@contextmanager
def _added(network: Any, direction: Tensor) -> Iterator[None]:
    """Add `direction` to the output of the network's middle block.

    Raises:
        ValueError: the network has no middle block, or its output has another shape.
    """

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        if direction.shape != output.shape:
            raise ValueError(
                f"the directions have shape {tuple(direction.shape[1:])}, but the middle of this model has "
                f"{tuple(output.shape[1:])}; learn directions for this model"
            )
        return output + direction.to(output)

    hook = middle_of(network).register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


def text_length(tokenizer: Any) -> tuple[Any, int]:
    """A tokenizer and its token limit."""
    return tokenizer, int(tokenizer.model_max_length)
