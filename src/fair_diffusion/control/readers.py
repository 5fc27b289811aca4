"""The readers that steering may ask about unfinished images and finished pictures. The judge is not one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Batch
from fair_diffusion.control.assignments import Shares
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.probabilities import probabilities
from fair_diffusion.perception.vocabulary import known_groups, shares
from fair_diffusion.policy import Attributes

if TYPE_CHECKING:
    from fair_diffusion.perception.early import EarlyReader


@runtime_checkable
class Differentiable(Protocol):
    """A perceiver through which gradients flow."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def probabilities(self, images: Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) in pixels (n, 3, height, width) in 0…1, up to a little noise."""
        ...


class Foreseeing(Protocol):
    """A reader of predicted clean latents, with gradient."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def foresee(self, clean: Tensor, t: float, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) in clean latents that were predicted at time t."""
        ...


@dataclass(frozen=True, eq=False)
class Readers:
    """The perceiver, and the early reader of predicted clean latents if there is one."""

    perceiver: Perceiver
    early: EarlyReader | None = None

    def look(self, batch: Batch, defined: Attributes) -> Shares:
        """What the images of a batch would show, read in the clean latents predicted at its last step."""
        clean = batch.clean()
        if self.early is None:
            return self.perceive(batch.backbone.images(clean), defined)
        found = shares(self.early, self.early.early(clean, float(batch.times[batch.step - 1])), defined)
        read = {name: known_groups(self.perceiver, each) for name, each in defined.items()}
        known = [name for name, groups in read.items() if {*groups} <= {*self.early.groups.get(name, ())}]
        if len(known) == len(read):
            return found
        # the early reader knows no attributes of one's own, nor refined groups
        perceived = self.perceive(batch.backbone.images(clean), defined)
        return {**perceived, **{name: found[name] for name in known if name in found}}

    def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
        """What finished pictures show."""
        return shares(self.perceiver, probabilities(self.perceiver, pictures), defined)
