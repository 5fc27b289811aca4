"""The sampler of a run: a scheduler of diffusers with its state, and the relation of latents, x0 and noise.

x_t = √ᾱ_t·x0 + √(1−ᾱ_t)·ε     the network predicts ε, v = √ᾱ_t·ε − √(1−ᾱ_t)·x0, or x0
                               (v-prediction: Salimans & Ho 2022, arXiv 2202.00512)
x_t = (1−σ_t)·x0 + σ_t·ε       flow matching: the network predicts v = ε − x0, so x0 = x_t − σ_t·v
                               (Liu et al. 2022, arXiv 2209.03003)

These x_t are in the network's scale. Some samplers hold x0 + σ·ε instead (Karras et al. 2022, arXiv 2206.00364), and
scale it by 1/√(1+σ²) for the network. Their latents are in the sampler's scale, with ᾱ_t = 1/(1+σ²).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor


class Sampler:
    """A copy of a scheduler, without its history, and the random generator of each image."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = type(scheduler).from_config(scheduler.config)
        self._generators: list[torch.Generator] | None = None

    def fork(self) -> Self:
        """Return a copy of the state."""
        twin = copy.copy(self)
        twin.scheduler = copy.deepcopy(self.scheduler)
        if self._generators is not None:
            twin._generators = [generator.clone_state() for generator in self._generators]
        return twin

    def join(self, parts: Sequence[Self], places: Sequence[int] | None = None) -> Self:
        """Return a fork that holds the images of all parts, or only the images at `places` among them."""
        twin = self.fork()
        for name, value in vars(twin.scheduler).items():
            setattr(twin.scheduler, name, _rows([vars(part.scheduler)[name] for part in parts], value, places))
        if self._generators is not None:
            every = [g.clone_state() for part in parts for g in part._generators or ()]
            twin._generators = every if places is None else [every[place] for place in places]
        return twin

    def begin(self, **schedule: Any) -> Tensor:
        """Begin a run and return its times.

        Args:
            schedule: arguments of the scheduler's `set_timesteps`.
        """
        self.scheduler.set_timesteps(**schedule)
        times: Tensor = self.scheduler.timesteps
        return times

    @property
    def running(self) -> bool:
        """Whether a run has begun."""
        return getattr(self.scheduler, "num_inference_steps", None) is not None

    @property
    def noise_scale(self) -> Any:
        """The factor by which noise of variance 1 is scaled at the first time of the run."""
        return getattr(self.scheduler, "init_noise_sigma", 1.0)

    def noise(self, seeds: Sequence[int], shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Draw noise of variance 1 for each image from its seed: (n, *shape).

        Noise of later steps continues from there.
        """
        # drawn on the CPU, so that a seed gives the same picture on every device
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        return torch.cat([torch.randn((1, *shape), generator=g, dtype=dtype) for g in self._generators])

    def start_step(self, depth: float) -> int:
        """The step at which a share `depth` of the run remains, at least one step."""
        steps: int = self.scheduler.num_inference_steps
        left = min(steps, max(1, round(depth * steps)))
        return (steps - left) * int(getattr(self.scheduler, "order", 1))

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step: convert latents from the network's scale to the sampler's."""
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(step)
        return self.to_sampler_scale(latents, self.scheduler.timesteps[step])

    def to_sampler_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Convert latents at time t from the network's scale to the sampler's."""
        return latents / self._signal(t).sqrt().to(latents) if self._karras else latents

    def to_network_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Convert latents at time t from the sampler's scale to the network's."""
        if not hasattr(self.scheduler, "scale_model_input"):
            return latents
        scaled: Tensor = self.scheduler.scale_model_input(latents, t)
        return scaled

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Move latents to the next time, in the sampler's scale. Added noise comes from each image's own generator."""
        takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        noise: dict[str, Any] = {"generator": self._generators} if takes_generator else {}
        moved: Tensor = self.scheduler.step(output, t, latents, return_dict=False, **noise)[0]
        return moved

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict x0 from latents in the sampler's scale at time t and the network's output there."""
        network = latents * self._signal(t).to(latents).sqrt() if self._karras else latents
        return self.parts(network, output, t)[0]

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t from x0 and ε, in the network's scale."""
        if self._flows:
            sigma = self._flow_sigma(t).to(clean)
            return (1 - sigma) * clean + sigma * noise
        signal = self._signal(t).to(clean)
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def parts(self, latents: Tensor, output: Tensor, t: Tensor | None) -> tuple[Tensor, Tensor]:
        """Split latents into (x0, ε) by the network's output.

        Args:
            latents: in the network's scale.
            output: the raw output of the network.
            t: the time of the latents; None for the end of the run.
        """
        if self._flows:
            sigma = self._flow_sigma(t).to(latents)
            return latents - sigma * output, latents + (1 - sigma) * output
        signal = self._signal(t).to(latents)
        a, b = signal.sqrt(), (1 - signal).sqrt()
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            return (latents - b * output) / a, output
        if kind == "v_prediction":
            return a * latents - b * output, a * output + b * latents
        if kind == "sample":
            return output, (latents - a * output) / b
        raise ValueError(f"prediction_type is {kind!r}; use a scheduler with epsilon, v_prediction or sample")

    @property
    def tells_noise(self) -> bool:
        """Whether the network's output determines the noise in latents, even in clean latents."""
        return bool(self.scheduler.config.get("prediction_type") != "sample")

    @property
    def _flows(self) -> bool:
        """Whether the model is trained by flow matching: x_t lies on the straight line from image to noise."""
        config = self.scheduler.config
        return "FlowMatch" in type(self.scheduler).__name__ or bool(config.get("use_flow_sigmas"))

    @property
    def _karras(self) -> bool:
        """Whether the sampler's scale is x0 + σ·ε."""
        return float(self.noise_scale) > 1

    def _signal(self, t: Tensor | None) -> Tensor:
        """ᾱ at time t.

        It comes from the run's own σ if there is one: Karras' spacings have times between those of training.
        """
        if t is None:
            return torch.as_tensor(getattr(self.scheduler, "final_alpha_cumprod", 1.0))
        sigma = self._sigma(t)
        if sigma is not None:
            return 1 / (1 + sigma**2)
        table: Tensor = self.scheduler.alphas_cumprod
        return table[t.round().long().to(table.device)]

    def _flow_sigma(self, t: Tensor | None) -> Tensor:
        """σ at time t of a flow: the run's own σ, else t as a share of the training times."""
        if t is None:
            return torch.zeros(())
        sigma = self._sigma(t)
        return t / self.scheduler.config.num_train_timesteps if sigma is None else sigma

    def _sigma(self, t: Tensor) -> Tensor | None:
        """The run's σ at time t. None if the scheduler has no σ, no run has begun, or t is not a time of the run."""
        sigmas = getattr(self.scheduler, "sigmas", None)
        if sigmas is None or not self.running:
            return None
        times = self.scheduler.timesteps
        found = (times == t.to(times)).nonzero()
        if not len(found):
            return None
        sigma: Tensor = sigmas[found[0, 0].to(sigmas.device)]
        return sigma


def dynamic_shift(scheduler: Any, tokens: int, *, top: float) -> float:
    """μ, the shift of a flow's schedule towards noise for images of this many tokens: linear between two points.

    Args:
        scheduler: its configuration may hold the two points.
        tokens: tokens of one image.
        top: the shift at the longest, if the configuration does not state it.
    """
    config = scheduler.config
    short, long = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", top)
    slope = (high - low) / (long - short)
    return float(tokens * slope + (low - slope * short))


def _rows(values: Sequence[Any], own: Any, places: Sequence[int] | None) -> Any:
    """Join one value of the scheduler's state over images.

    Tensors shaped as latents are joined by row; others are equal.
    """
    if isinstance(own, list):
        return [_rows(each, mine, places) for *each, mine in zip(*values, own, strict=True)]
    if not isinstance(own, Tensor) or own.ndim != 4:
        return own
    whole = torch.cat(list(values))
    return whole if places is None else whole[torch.as_tensor(places, dtype=torch.long)]
