"""What the adapters of all families share: the sampler's state, the noise of each seed, x0, and the image encoder.

x_t = √ᾱ_t·x0 + √(1−ᾱ_t)·ε     the network predicts ε, v = √ᾱ_t·ε − √(1−ᾱ_t)·x0, or x0
                               (v-prediction: Salimans & Ho 2022, arXiv 2202.00512)
x_t = (1−σ_t)·x0 + σ_t·ε       flow matching: it predicts v = ε − x0, so x0 = x_t − σ_t·v
                               (Liu et al. 2022, arXiv 2209.03003)

A family adds how its prompts are encoded and how its network is called. Networks, image encoder and scheduler are those
of its diffusers pipeline, and the same seeds give the same pictures as calling that with a list of generators.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones.backbone import Conditioning

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
        self._scheduler = _fresh(pipeline.scheduler)
        self._generators: list[torch.Generator] | None = None
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
        """Return the same networks with a copy of the scheduler's and the generators' state."""
        twin = copy.copy(self)
        twin._scheduler = copy.deepcopy(self._scheduler)
        if self._generators is not None:
            twin._generators = [generator.clone_state() for generator in self._generators]
        return twin

    def take(self, places: Sequence[int]) -> Self:
        """Return a fork whose scheduler remembers only the images at these places."""
        return self.join([self], places)

    def join(self, parts: Sequence[Self], places: Sequence[int] | None = None) -> Self:
        """Return a fork whose scheduler remembers the images of all parts, or those at `places` of them."""
        twin = self.fork()
        for name, value in vars(twin._scheduler).items():
            setattr(twin._scheduler, name, _rows([vars(part._scheduler)[name] for part in parts], value, places))
        if self._generators is not None:
            every = [g.clone_state() for part in parts for g in part._generators or ()]
            twin._generators = every if places is None else [every[place] for place in places]
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

    def unseen(self, prompt: str) -> str:
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
        """Begin a run with a fresh scheduler and return its times (second-order samplers make more)."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self._scheduler = _fresh(self.pipeline.scheduler)
        self._generators = None
        self._scheduler.set_timesteps(device=self.device, **self._schedule(steps))
        times: Tensor = self._scheduler.timesteps
        return times

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed: (n, *latent_shape)."""
        # drawn on the CPU, so that a seed means the same picture on every device
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        noise = [torch.randn((1, *self.latent_shape), generator=g, dtype=self.dtype) for g in self._generators]
        return torch.cat(noise).to(self.device)

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its seed, scaled to the run's first time: (n, *latent_shape)."""
        if not self._running:
            raise RuntimeError("the noise scale depends on the run: call timesteps(steps) first")
        latents: Tensor = self.noise(seeds) * self._noise_scale
        return latents

    def entry(self, depth: float) -> int:
        """The step of the run with a share `depth` of it still to come, at least one step of the sampler."""
        steps: int = self._scheduler.num_inference_steps
        left = min(steps, max(1, round(depth * steps)))
        return (steps - left) * int(getattr(self._scheduler, "order", 1))

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Mix clean latents and noise as at time t of the run, in the network's scale."""
        if _flows(self._scheduler):
            sigma = self._flow_sigma(t).to(clean)
            return (1 - sigma) * clean + sigma * noise
        signal = self._signal(t).to(clean)
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def unstep(self, latents: Tensor, t: Tensor, lower: Tensor | None, cond: Conditioning) -> Tensor:
        """Undo the step from time t to `lower` (None: the last step), by the output at t; in the network's scale."""
        if lower is None and self._scheduler.config.get("prediction_type") == "sample":
            raise ValueError(
                "this network predicts the clean image, so it does not say which noise led to one; use the way 'sdedit'"
            )
        self._count[0] += len(latents)
        output = self._evaluate(latents, t, cond, 1.0)
        return self.noised(*self._parts(latents, output, lower), t)

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step: latents in the network's scale come back in the sampler's."""
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(step)
        return self.held(latents, self._scheduler.timesteps[step])

    def held(self, latents: Tensor, t: Tensor) -> Tensor:
        """Latents in the network's scale at time t, in the sampler's: Karras' hold x0 + σ·ε."""
        return latents / self._signal(t).sqrt().to(latents) if self._karras else latents

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """Scale the latents for the network and return its raw output; counts one evaluation per row."""
        if hasattr(self._scheduler, "scale_model_input"):
            latents = self._scheduler.scale_model_input(latents, t)
        return self.evaluate(latents, t, cond, guidance=guidance)

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
        """Predict x0 from latents at time t and the output there; leaves the scheduler's state alone."""
        network = latents * self._signal(t).to(latents).sqrt() if self._karras else latents
        return self._parts(network, output, t)[0]

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Let the scheduler move on; where it adds noise, it comes from each image's own generator."""
        takes_generator = "generator" in inspect.signature(self._scheduler.step).parameters
        noise: dict[str, Any] = {"generator": self._generators} if takes_generator else {}
        moved: Tensor = self._scheduler.step(output, t, latents, return_dict=False, **noise)[0]
        return moved

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
            pixels = (self.decode(part) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            pictures += [Image.fromarray(picture) for picture in pixels]
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

    @property
    def _running(self) -> bool:
        return getattr(self._scheduler, "num_inference_steps", None) is not None

    @property
    def _noise_scale(self) -> Any:
        return getattr(self._scheduler, "init_noise_sigma", 1.0)

    @property
    def _karras(self) -> bool:
        """Whether the sampler holds x0 + σ·ε, which the network sees divided by √(1+σ²)."""
        return float(self._noise_scale) > 1

    def _parts(self, latents: Tensor, output: Tensor, t: Tensor | None) -> tuple[Tensor, Tensor]:
        """(x0, ε) in latents of the network's scale at time t (None: where the last step ends), by this output."""
        if _flows(self._scheduler):
            sigma = self._flow_sigma(t).to(latents)
            return latents - sigma * output, latents + (1 - sigma) * output
        signal = self._signal(t).to(latents)
        a, b = signal.sqrt(), (1 - signal).sqrt()
        kind = self._scheduler.config.prediction_type
        if kind == "epsilon":
            return (latents - b * output) / a, output
        if kind == "v_prediction":
            return a * latents - b * output, a * output + b * latents
        if kind == "sample":
            return output, (latents - a * output) / b
        raise ValueError(f"prediction_type {kind!r} is none of epsilon, v_prediction, sample")

    def _vae_scale(self, like: Tensor) -> tuple[Any, Any]:
        """(scale, offset): the image encoder's own numbers are latents / scale + offset."""
        config = self.pipeline.vae.config
        return config.scaling_factor, config.get("shift_factor") or 0.0

    def _signal(self, t: Tensor | None) -> Tensor:
        """ᾱ at time t: from the run's own σ where it has one (Karras' spacings leave the training grid)."""
        if t is None:
            return torch.as_tensor(getattr(self._scheduler, "final_alpha_cumprod", 1.0))
        sigma = self._sigma(t)
        if sigma is not None:
            return 1 / (1 + sigma**2)
        table: Tensor = self._scheduler.alphas_cumprod
        return table[t.round().long().to(table.device)]

    def _flow_sigma(self, t: Tensor | None) -> Tensor:
        """σ at time t of a flow: the run's own, or the share of the training times."""
        if t is None:
            return torch.zeros(())
        sigma = self._sigma(t)
        return t / self._scheduler.config.num_train_timesteps if sigma is None else sigma

    def _sigma(self, t: Tensor) -> Tensor | None:
        """The run's σ at its time t; None for schedulers without, before a run, and at other times."""
        sigmas = getattr(self._scheduler, "sigmas", None)
        if sigmas is None or not self._running:
            return None
        times = self._scheduler.timesteps
        found = (times == t.to(times)).nonzero()
        if not len(found):
            return None
        sigma: Tensor = sigmas[found[0, 0].to(sigmas.device)]
        return sigma


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


def dynamic_shift(scheduler: Any, tokens: int, *, top: float) -> float:
    """μ, by how much a flow's schedule shifts towards noise for images of so many tokens: a line through two points.

    top: at the longest, for schedulers that do not say."""
    config = scheduler.config
    short, long = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", top)
    slope = (high - low) / (long - short)
    return float(tokens * slope + (low - slope * short))


def _flows(scheduler: Any) -> bool:
    """Whether x_t is a straight line from image to noise."""
    return "FlowMatch" in type(scheduler).__name__ or bool(scheduler.config.get("use_flow_sigmas"))


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
