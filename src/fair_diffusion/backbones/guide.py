"""How a batch is guided at each step: plain guidance for all images, and what a steering method adds for some.

ε̂ = ε_∅ + g·(ε_p − ε_∅)   (classifier-free guidance, Ho & Salimans 2022, arXiv 2207.12598; g ≤ 1: ε̂ = ε_p)
ε̂ ← φ·(σ(ε_p)/σ(ε̂))·ε̂ + (1−φ)·ε̂   (guidance rescale, Lin et al. 2023, arXiv 2305.08891; σ over one image)

A network that was distilled to draw guided images takes g as an input, if it takes it at all, and ε̂ = ε_p.

Each step is one network call on the rows [empty | prompt], the same whether images are steered or not, and one call on
the rows that steering asks for, if any. So an image for which steering does nothing costs nothing more and stays
bit-identical to an unsteered run (kernels round differently by the number of rows). Where steering asks for rows of
every image, no image is plain, and one call takes all rows: each call has to read all weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning


@dataclass(frozen=True)
class Extra:
    """Network evaluations that steering asks for at one step: conditioning row j on image images[j].

    images: places in the batch, (rows,), on the CPU; an image may be absent or occur several times.
    """

    images: Tensor
    conditioning: Conditioning


class SteeringRun(Protocol):
    """Steering of one batch: holds what changes from step to step."""

    def extra(self, step: int) -> Extra | None:
        """Say what to evaluate at this step beside the empty and the user's prompt; None for nothing."""

    def guide(self, step: int, *, plain: Tensor, uncond: Tensor, extra: Tensor) -> Tensor:
        """Turn predictions into the guided one; called once at each step, in order.

        plain: classifier-free guided, (batch, channels, height, width). uncond: with the empty prompt, same
        shape, valid for the images named in `extra(step)`. extra: one row per row of `extra(step)`, none if
        it was None.
        """


class Steering(Protocol):
    """Steering of one request: knows every image's assignment."""

    def start(self, images: Sequence[int]) -> SteeringRun:
        """Begin a batch that holds these images of the request."""


def passes(backbone: Backbone, guidance: float) -> int:
    """Network evaluations of an unsteered image at each step: the empty prompt is evaluated where guidance acts."""
    return 2 if guidance > 1 and not backbone.distilled else 1


@dataclass(frozen=True)
class Guide:
    """How one batch is guided: conditionings with a row per image, the guidance scale, and its steering, if any.

    rescale: φ, from 0 (leave the guided prediction's size) to 1 (give it that of ε_p).
    """

    cond: Conditioning
    empty: Conditioning
    guidance: float
    steering: SteeringRun | None = None
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"guidance rescale is {self.rescale}; use 0 to 1")

    def passes(self, backbone: Backbone) -> int:
        """Network evaluations that an unsteered image costs at each step."""
        return passes(backbone, self.guidance)

    def take(self, places: Sequence[int]) -> Guide:
        """How only the images at these places are guided on, from the step at which the batch is."""
        rows = list(places)
        steering = None if self.steering is None else _Fewer(self.steering, len(self.cond), torch.tensor(rows))
        return replace(self, cond=self.cond[rows], empty=self.empty[rows], steering=steering)

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the guided prediction and, for each row that the network saw, its place in the batch."""
        everyone, guided = torch.arange(len(latents)), self.passes(backbone) == 2
        extra = None if self.steering is None else self.steering.extra(step)
        # without a pass on the empty prompt ε_∅ is still to evaluate, but only for the images on which steering acts
        missing = everyone[:0] if guided or extra is None else torch.unique(extra.images)
        usual = [(everyone, self.empty), (everyone, self.cond)] if guided else [(everyone, self.cond)]
        more = [] if extra is None else [(missing, self.empty[missing]), (extra.images, extra.conditioning)]
        together = extra is not None and len(torch.unique(extra.images)) == len(latents)
        calls = [
            (torch.cat([rows for rows, _ in parts]), Conditioning.cat([cond for _, cond in parts]))
            for parts in ([usual + more] if together or not more else [usual, more])
        ]
        rows = torch.cat([rows for rows, _ in calls])
        output = torch.cat([backbone.predict(latents[rows], t, cond, guidance=self.guidance) for rows, cond in calls])

        first = len(latents) * len(usual)
        on_usual, on_missing, on_extra = torch.tensor_split(output, [first, first + len(missing)])
        on_empty, on_prompt = on_usual.chunk(2) if guided else (on_usual, on_usual)
        plain = on_empty + self.guidance * (on_prompt - on_empty) if guided else on_prompt
        if guided and self.rescale:
            plain = _rescaled(plain, on_prompt, self.rescale)
        if self.steering is None:
            return plain, rows
        uncond = on_empty if guided else on_empty.index_copy(0, missing.to(output.device), on_missing)
        return self.steering.guide(step, plain=plain, uncond=uncond, extra=on_extra), rows


class _Fewer:
    """Steering of the images of a batch that are left in it: it goes on as if the others were there, unevaluated.

    Args:
        whole: the steering of the batch as it began.
        n: its images.
        places: of the images that are left.
    """

    def __init__(self, whole: SteeringRun, n: int, places: Tensor) -> None:
        self._whole, self._n, self._places = whole, n, places
        self._kept: Tensor | None = None  # which rows of the whole batch's extra belong to images that are left

    def extra(self, step: int) -> Extra | None:
        """The rows of the images that are left."""
        whole = self._whole.extra(step)
        if whole is None:
            self._kept = None
            return None
        now = torch.full((self._n,), -1, dtype=torch.long)
        now[self._places] = torch.arange(len(self._places))
        self._kept = now[whole.images] >= 0
        rows = self._kept.nonzero()[:, 0]
        return Extra(now[whole.images[rows]], whole.conditioning[rows]) if len(rows) else None

    def guide(self, step: int, *, plain: Tensor, uncond: Tensor, extra: Tensor) -> Tensor:
        """Guide all places, those of images that left with zeros, and return those that are left."""
        on_plain, on_uncond = (_spread(rows, self._n, self._places) for rows in (plain, uncond))
        if self._kept is not None:
            extra = _spread(extra, len(self._kept), self._kept.nonzero()[:, 0])
        guided = self._whole.guide(step, plain=on_plain, uncond=on_uncond, extra=extra)
        return guided[self._places.to(guided.device)]


def _spread(rows: Tensor, n: int, places: Tensor) -> Tensor:
    """These rows at their places among n, and zeros elsewhere."""
    return rows.new_zeros((n, *rows.shape[1:])).index_copy(0, places.to(rows.device), rows)


def _rescaled(guided: Tensor, on_prompt: Tensor, rescale: float) -> Tensor:
    """Give each image's prediction the spread of ε_p, as far as `rescale` says."""
    images = tuple(range(1, guided.ndim))
    spread = on_prompt.std(dim=images, keepdim=True) / guided.std(dim=images, keepdim=True)
    return rescale * (guided * spread) + (1 - rescale) * guided
