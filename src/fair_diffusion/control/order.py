"""An order: one request on its way through the loop, and what has become of its images.

The loop draws images and knows no quotas; an order knows its quotas and draws nothing. Between the two stands a
control: a generator that yields the next stretches of its images' ways and gets back where they arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Batch, OnStep
from fair_diffusion.backbones.guide import passes
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.strengths import Key, Strengths
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.policy import Assignment
from fair_diffusion.request import Request
from fair_diffusion.steering import Guiding, guide_of
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.brief import Brief

if TYPE_CHECKING:
    from pathlib import Path


class State(NamedTuple):
    """One image on its way: a row of a batch."""

    batch: Batch
    place: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """The next stretch of one image's way.

    Attributes:
        order: the request of the image.
        image: its place in the request.
        seed: of its noise.
        aim: what steering is to do on the stretch.
        state: where the stretch begins; None: at the noise of the seed.
        until: the step at which it ends, where the image is looked at; None: at the end of the run.
        measures: whether it only measures: its picture is not perceived, and nobody is told of its steps.
    """

    order: Order
    image: int
    seed: int
    aim: Aim = PLAIN
    state: State | None = None
    until: int | None = None
    measures: bool = False


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Where a stretch ended.

    Attributes:
        state: the image there.
        evaluations: of the network, on this stretch.
        shares: what was read, probabilities (groups,) by attribute: by the look, or in the finished picture if the
            order asks for it.
        pixels: of the finished picture, (3, height, width) in 0…1; empty if the stretch ended before the run did.
    """

    state: State
    evaluations: int
    pixels: Tensor
    shares: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def since_noise(self) -> int:
        """Evaluations of the image from its noise, or its original, on."""
        return int(self.state.batch.evaluations[self.state.place])

    @cached_property
    def picture(self) -> Image.Image:
        """The finished picture."""
        return from_pixels(self.pixels[None])[0]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What became of one image of a request.

    Attributes:
        image: the picture.
        seed: the seed that made it.
        assigned: the groups that it should show, by attribute.
        natural: the groups that the look said it would show by itself (None: unknown).
        natural_confidence: how sure the look was.
        steered_to: the groups that it was drawn to show; empty if it was not steered.
        strength: how strongly; 0 if it was not steered.
        repairs: how often it was made again.
        reseeds: how many of these times from a new seed.
        missed: whether the perceiver is not sure that it shows what is assigned; None if it was not asked.
        evaluations: of the network, repairs included.
    """

    image: Image.Image
    seed: int
    assigned: Assignment
    natural: Mapping[str, str | None] = field(default_factory=dict)
    natural_confidence: Mapping[str, float] = field(default_factory=dict)
    steered_to: Assignment
    strength: float
    repairs: int = 0
    reseeds: int = 0
    missed: bool | None = None
    evaluations: int


@dataclass(kw_only=True, eq=False)
class Order:
    """One request on its way.

    Attributes:
        brief: what steering methods are told about the request.
        quotas: for each target one count per cell, in the order of its shares; empty: no image is assigned a group.
        readers: what steering may ask.
        strengths: what steering has taken so far; this order learns too.
        key: what strengths are learnt for, beside attribute and group.
        edit: the file of weights with which the model draws this order.
        guide: how a batch of such images is guided; the method's own way if None.
        drawn_by: the control; the one that the request asks for if None.
        on_step: called after each step of each batch; the loop sets it.
        perceives: whether finished pictures are read on the way.
        control: what records call the control that ran.
        shown: what became of each image, by its place, as far as it is finished.
        notes: what a reader of the result has to know.
        interrupted: whether it was ended from the keyboard before all was done.
        seconds: the time that its images took.
    """

    brief: Brief
    quotas: Sequence[Sequence[int]] = ()
    readers: Readers
    strengths: Strengths = field(default_factory=Strengths)
    key: Key = ()
    edit: Path | None = None
    guide: Guiding | None = None
    drawn_by: Callable[[Order], Steps] | None = None
    on_step: OnStep | None = None
    perceives: bool = False
    control: str = "all"
    shown: dict[int, Shown] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    @cached_property
    def guiding(self) -> Guiding:
        """How a batch of such images is guided."""
        return self.guide or guide_of(self.request.row)

    @property
    def lane(self) -> tuple[Hashable, ...]:
        """What orders must have in common so that their images may share a batch."""
        brief, asked, readers = self.brief, self.request, self.readers
        drawn = (id(brief.backbone), brief.steps, brief.guidance, asked.guidance_rescale, asked.batch_size)
        read = (self.perceives, id(readers.perceiver), id(readers.early))
        return (*drawn, self.guiding, asked.natural_first, asked.file, self.edit, *read)

    @property
    def request(self) -> Request:
        """What is asked for."""
        return self.brief.request

    @property
    def n(self) -> int:
        """How many images."""
        return self.request.n

    @property
    def finished(self) -> list[Shown]:
        """The finished images, in the order of their places."""
        return [self.shown[place] for place in sorted(self.shown)]

    @property
    def plain_evaluations(self) -> int:
        """Network evaluations that one unsteered image costs."""
        return self.brief.times * passes(self.brief.backbone, self.brief.guidance)


Steps = Generator[list[Stretch], list[Arrival], None]
"""A control at work: it yields stretches, `batch_size` at most, and gets back where they arrived, in the same order."""
