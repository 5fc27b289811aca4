"""Distribution guidance: the fairness loss during denoising, so that the batch as a whole goes to the target.

L = Σ_targets KL(p̂ ‖ y*)      p̂: the mean over the images in hand and those of the request that are finished

(a) on the predicted clean image x̂0(x_t): what a perceiver, or an early reader, sees in it;
        ε̂ ← ε̂ ± s·‖ε̂‖·g / max(‖g‖, c)           g = n·∂L/∂x_t of one image, through the network; ε̂: its output;
                                                  ±: so that x̂0 goes against g
(b) on the features h in the middle of a UNet, by one linear head per step: no pass back through any network;
        h ← h − s·‖h‖·g / max(‖g‖, c·‖W‖)        g = n·∂L/∂h,   p = softmax((W·h + b) / 8)

(b) is Balancing Act's (Parihar et al. 2024, arXiv 2402.18206). No image is told which group to show; so nothing here
meets a quota exactly. Counting finished images keeps a request of many batches to one target.
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
from fair_diffusion.steering import plain
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.latents import Read, norms
from fair_diffusion.steering.targets import Targets

Loss = Callable[[Tensor], Tensor]
"""L of the probabilities of the images in hand."""


@dataclass(frozen=True, kw_only=True)
class DistributionGuidance:
    """Settings. strength: s; clip: c; until: the share of the trajectory after which images are left alone."""

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
        """Whether step, from 0, is guided in a run of so many."""
        return step < self.until * steps


@dataclass
class Following:
    """What the images of one request follow.

    Attributes:
        wanted: the targets.
        look: probabilities of the cells of all targets, from predicted clean latents and the time.
        heads: what reads the middle of the network; None: predicted clean latents are read.
        settings: of the guidance.
        done: the probabilities of the finished images, a part for each batch, float64 on the CPU.
    """

    wanted: Targets
    look: Read
    heads: BottleneckHeads | None
    settings: DistributionGuidance
    done: list[Tensor] = field(default_factory=list)

    def loss(self, p: Tensor) -> Tensor:
        """L of the images in hand, so scaled that n·∂L/∂p of an image is the same however many are finished."""
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
    """`ValueError` with the mend if the file does not hold heads."""
    BottleneckHeads.load(path)


@dataclass(frozen=True, kw_only=True)
class CleanGuide(Guide):
    """A guide whose images also go against the loss of their predicted clean latents, read(clean, t).

    A pass back through the network counts as one evaluation more of every row."""

    read: Read
    loss: Loss
    steps: int
    settings: DistributionGuidance

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """As `Guide.predict`, the prediction changed so that its clean latents lower the loss."""
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
class BottleneckGuide(Guide):
    """A guide whose images also go against the loss of what the heads read in the middle of the network.

    heads gives probabilities of features and the size ‖W‖ of the weights that read them."""

    heads: Callable[[Tensor, float], tuple[Tensor, float]]
    loss: Loss
    steps: int
    settings: DistributionGuidance

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """As `Guide.predict`, the features of the rows on the prompt changed so that the heads' loss is lower."""
        if not self.settings.acts(step, self.steps):
            return super().predict(backbone, latents, t, step)
        n = len(latents)

        def change(features: Tensor) -> Tensor:
            h = features[-n:].detach().requires_grad_()  # rows on the prompt come last
            with torch.enable_grad():
                p, size = self.heads(h, float(t))
                (g,) = torch.autograd.grad(n * self.loss(p), h)
            shift = self.settings.strength * _sized(features[-n:], g, self.settings.clip * size)
            return torch.cat([features[:-n], features[-n:] - shift])

        with middle(backbone, change):
            return super().predict(backbone, latents, t, step)


@contextmanager
def middle(backbone: Backbone, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it is open, what leaves the middle block of the UNet is what `change` makes of it."""
    block = middle_of(getattr(backbone, "network", None))
    hook = block.register_forward_hook(lambda module, args, output: change(output))
    try:
        yield
    finally:
        hook.remove()


def _sized(like: Tensor, g: Tensor, clip: float) -> Tensor:
    """The gradient of each image, cut to 1 where it reaches the clip, times the length of `like`."""
    return g * (norms(like) / norms(g).clamp_min(clip)).view(-1, *[1] * (g.ndim - 1))
