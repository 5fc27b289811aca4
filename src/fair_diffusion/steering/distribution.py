"""Distribution guidance: the fairness loss during denoising moves the batch as a whole towards the target.

L = Σ_targets KL(p̂ ‖ y*)      p̂: the mean over the images of the batch and the finished images of the request

(a) on the predicted clean image x̂0(x_t), as a perceiver or an early reader reads it;
        ε̂ ← ε̂ ± s·‖ε̂‖·g / max(‖g‖, c)           g = n·∂L/∂x_t of one image, through the network; ε̂: its output;
                                                  ±: the sign that moves x̂0 against g
(b) on the features h of a UNet's middle block, with one linear head per step: no backward pass through a network;
        h ← h − s·‖h‖·g / max(‖g‖, c·‖W‖)        g = n·∂L/∂h,   p = softmax((W·h + b) / 8)

(b) is Balancing Act (Parihar et al. 2024, arXiv 2402.18206). No image is assigned a group, so no quota is met exactly.
Finished images count, so that all batches of a request together meet one target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fair_diffusion.backbones import Backbone, Guide
from fair_diffusion.backbones.adapter import middle_of
from fair_diffusion.policy import Target
from fair_diffusion.steering import plain
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.latents import Read, norms
from fair_diffusion.steering.targets import Targets

Loss = Callable[[Tensor], Tensor]
"""L as a function of the probabilities of the batch."""


@dataclass(frozen=True, kw_only=True)
class DistributionGuidance:
    """The settings of distribution guidance.

    Attributes:
        strength: s.
        clip: c.
        until: the share of the trajectory at which guidance ends.
    """

    strength: float = 0.15
    clip: float = 0.1
    until: float = 0.6

    def __post_init__(self) -> None:
        for name in ("strength", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; use more than 0")
        if not 0 < self.until <= 1:
            raise ValueError(f"until is {self.until}; use a share of the steps, above 0 up to 1")

    def acts(self, step: int, steps: int) -> bool:
        """Whether a step, counted from 0, is guided in a run of `steps` steps."""
        return step < self.until * steps


@dataclass
class Following:
    """The fairness loss of one request.

    Attributes:
        wanted: the targets.
        look: the probabilities of the cells of all targets, from predicted clean latents and their time.
        heads: the heads that read the middle block; None if predicted clean latents are read.
        settings: the settings of guidance.
        done: the probabilities of the finished images, one tensor per batch, float64 on the CPU.
    """

    wanted: Targets
    look: Read
    heads: BottleneckHeads | None
    settings: DistributionGuidance
    done: list[Tensor] = field(default_factory=list)

    def loss(self, p: Tensor) -> Tensor:
        """L of the batch, scaled so that n·∂L/∂p of an image does not depend on the number of finished images."""
        finished = sum(map(len, self.done))
        return self.wanted.divergence(torch.cat([*self.done, p.cpu().double()])) * (1 + finished / len(p))


def guide(images: Sequence[Aimed], following: Following | None = None) -> Guide:
    """Guide a batch towards the targets, all its images alike; plain if there is nothing to follow."""
    unsteered, steps = plain.guide(images), images[0].brief.times
    if following is None:
        return unsteered
    given: dict[str, Any] = {name: getattr(unsteered, name) for name in ("cond", "empty", "guidance", "rescale")}
    given |= {"loss": following.loss, "steps": steps, "settings": following.settings}
    heads, wanted = following.heads, following.wanted
    if heads is None:
        return CleanGuide(**given, read=following.look)
    names = {name for target in wanted.targets for name in target.attributes}

    def read(features: Tensor, t: float) -> tuple[Tensor, float]:
        p = wanted.read(lambda name: heads.probabilities(features, t, name), heads.groups)
        return p, max(heads.size(t, name) for name in names)

    return BottleneckGuide(**given, heads=read)


def check_file(path: Path) -> None:
    """Check that a file holds heads.

    Raises:
        ValueError: it does not.
    """
    BottleneckHeads.load(path)


def check_targets(path: Path, targets: Sequence[Target]) -> None:
    """Check that a file holds heads of all groups that targets ask for.

    Raises:
        ValueError: it does not.
    """
    heads = BottleneckHeads.load(path)
    for target in targets:
        for attribute, groups in target.asked_groups.items():
            heads.check_reads(attribute, groups)


@dataclass(frozen=True, kw_only=True)
class _LossGuide(Guide):
    """A guide that also lowers a loss.

    Attributes:
        loss: L.
        steps: the steps of the run.
        settings: the settings of guidance.
    """

    loss: Loss
    steps: int
    settings: DistributionGuidance


@dataclass(frozen=True, kw_only=True)
class CleanGuide(_LossGuide):
    """A guide that also lowers the loss of the predicted clean latents.

    A backward pass through the network counts as one evaluation of every row.

    Attributes:
        read: the probabilities of predicted clean latents at time t.
    """

    read: Read

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """As `Guide.predict`, with a prediction whose clean latents have a lower loss."""
        if not self.settings.acts(step, self.steps):
            return super().predict(backbone, latents, t, step)
        x = latents.detach().requires_grad_()
        with torch.enable_grad(), backbone.frozen():
            output, rows = super().predict(backbone, x, t, step)
            loss = len(x) * self.loss(self.read(backbone.clean(x, output, t), float(t)))
            (g,) = torch.autograd.grad(loss, x)
        output = output.detach()
        shift = self.settings.strength * _sized(output, g, self.settings.clip)
        # x̂0 follows the output along a straight line: down it for noise and velocity, up it for x0 itself
        slope = backbone.clean(torch.zeros_like(output), torch.ones_like(output), t).sign()
        return output - slope * shift, torch.cat([rows, rows])


@dataclass(frozen=True, kw_only=True)
class BottleneckGuide(_LossGuide):
    """A guide that also lowers the loss of the features in the middle block.

    Attributes:
        heads: the probabilities of features at time t, and the norm ‖W‖ / T of the heads that read them.
    """

    heads: Callable[[Tensor, float], tuple[Tensor, float]]

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """As `Guide.predict`, with features of the prompt's rows that have a lower loss."""
        if not self.settings.acts(step, self.steps):
            return super().predict(backbone, latents, t, step)
        n = len(latents)

        def change(features: Tensor) -> Tensor:
            h = features[-n:].detach().requires_grad_()  # the rows of the prompt come last
            with torch.enable_grad():
                p, size = self.heads(h, float(t))
                (g,) = torch.autograd.grad(n * self.loss(p), h)
            shift = self.settings.strength * _sized(features[-n:], g, self.settings.clip * size)
            return torch.cat([features[:-n], features[-n:] - shift])

        with middle(backbone, change):
            return super().predict(backbone, latents, t, step)


@contextmanager
def middle(backbone: Backbone, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change the features that leave the middle block of the UNet, while the context lasts."""
    block = middle_of(getattr(backbone, "network", None))
    hook = block.register_forward_hook(lambda module, args, output: change(output))
    try:
        yield
    finally:
        hook.remove()


def _sized(like: Tensor, g: Tensor, clip: float) -> Tensor:
    """‖like‖·g / max(‖g‖, clip) for each image."""
    return g * (norms(like) / norms(g).clamp_min(clip)).view(-1, *[1] * (g.ndim - 1))
