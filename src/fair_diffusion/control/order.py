"""An order: one request on its way through the loop, and its images as far as they are finished.

The loop draws images and knows no quotas. An order knows its quotas and draws nothing. Between them is a control: a
generator that yields the next stretches of its images, and goes on when all of them have arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Batch, OnStep
from fair_diffusion.backbones.guide import passes
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.seen import Seen
from fair_diffusion.control.strengths import Key, Strengths
from fair_diffusion.files.picture_files import put_away, taken_out
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.policy import Assignment
from fair_diffusion.request import Request
from fair_diffusion.steering import Guiding, guide_of
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.brief import Brief


class State(NamedTuple):
    """One image in the middle of its run: a row of a batch."""

    batch: Batch
    place: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """A stretch of one image's run.

    Attributes:
        order: the order of the image.
        image: its place in the order.
        seed: the seed of its noise.
        aim: what steering is to do on the stretch.
        state: where the stretch begins; the noise of the seed if None.
        until: the step at which it ends and the image is looked at; the end of the run if None.
        measures: whether the stretch only measures something: its picture is not perceived, and `on_step` is not
            called for it.
        take: what the control does with the arrival. The loop calls it at once, so that an interrupt loses no image
            that is finished.
    """

    order: Order
    image: int
    seed: int
    aim: Aim = PLAIN
    state: State | None = None
    until: int | None = None
    measures: bool = False
    take: Callable[[Arrival], None]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """The end of a stretch.

    Attributes:
        state: the image at the end.
        evaluations: network evaluations on this stretch.
        shares: probabilities (groups,) by attribute, read by the look, or in the finished picture if the order
            perceives.
        pixels: the finished picture, (3, height, width) in 0…1; empty if the stretch ended before the run did.
        finite: whether latents and pixels are numbers. If not, there is no picture, and nothing was read.
    """

    state: State
    evaluations: int
    pixels: Tensor
    shares: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    finite: bool = True

    @property
    def since_noise(self) -> int:
        """The network evaluations of the image, counted from its noise or its original."""
        return int(self.state.batch.evaluations[self.state.place])

    @cached_property
    def picture(self) -> Image.Image:
        """The finished picture."""
        return from_pixels(self.pixels[None])[0]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A finished image of a request.

    Attributes:
        picture: the picture, or the file in which it was put away.
        seed: the seed that made it.
        assigned: the groups that it is to show, by attribute.
        natural: the groups that it would show by itself, as the look read them (None: unknown).
        natural_confidence: the probability of the most probable group at the look, by attribute.
        steered_to: the groups that it was steered to; empty if it was not steered.
        held: the groups that steering was to keep, by attribute; empty if it was not steered.
        strength: the strength of steering, as a multiple of the usual one; 0 if it was not steered.
        repairs: how often it was made again.
        reseeds: how many repairs began from a new seed.
        missed: whether the perceiver is not sure that it shows what it is assigned; None if it was not asked.
        evaluations: network evaluations, repairs included.
        seen: by attribute, the probability that people would see each group; empty without a calibration.
    """

    picture: Image.Image | Path
    seed: int
    assigned: Assignment
    natural: Mapping[str, str | None] = field(default_factory=dict)
    natural_confidence: Mapping[str, float] = field(default_factory=dict)
    steered_to: Assignment
    held: Assignment = field(default_factory=dict)
    strength: float
    repairs: int = 0
    reseeds: int = 0
    missed: bool | None = None
    evaluations: int
    seen: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def image(self) -> Image.Image:
        """The picture, opened if it was put away."""
        return taken_out(self.picture)


@dataclass(kw_only=True, eq=False)
class Order:
    """One request on its way through the loop.

    Attributes:
        brief: what steering methods are told about the request.
        quotas: for each target one count per cell, in the order of its shares; empty if no image is assigned a group.
        readers: the readers that steering may ask.
        seen: what their readings say of what people would see; without a calibration, they are taken at their word.
        strengths: the strengths that were enough so far; this order adds to them.
        key: what strengths are learnt for, beside attribute and group.
        edit: the file of weights with which the model draws this order.
        guide: how a batch of such images is guided; the method's own guide if None.
        drawn_by: the control; the one that the request asks for if None.
        on_step: called after each step of each batch; the loop sets it.
        scratch: the folder in which finished pictures are put away; None: they stay in memory.
        perceives: whether the loop perceives finished pictures.
        control: the name of the control that ran, for records.
        shown: the finished images by their place.
        failed: the images that came out as no numbers, and the seed of each. They may have been made again.
        notes: remarks for the reader of the result.
        unwanted: asked after each step; True if nobody wants the order any more. It is ended then, with the images
            that are finished.
        interrupted: whether it was ended before all images were finished: from the keyboard, or as unwanted.
        seconds: wall-clock time that its images took.
    """

    brief: Brief
    quotas: Sequence[Sequence[int]] = ()
    readers: Readers
    seen: Seen = field(default_factory=Seen)
    strengths: Strengths = field(default_factory=Strengths)
    key: Key = ()
    edit: Path | None = None
    guide: Guiding | None = None
    drawn_by: Callable[[Order], Steps] | None = None
    on_step: OnStep | None = None
    scratch: Path | None = None
    perceives: bool = False
    control: str = "all"
    shown: dict[int, Shown] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unwanted: Callable[[], bool] | None = None
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
        read = (self.perceives, id(readers.perceiver), id(readers.early), brief.definitions)
        return (*drawn, self.guiding, asked.natural_first, asked.file, self.edit, *read)

    @property
    def request(self) -> Request:
        """The request."""
        return self.brief.request

    @property
    def n(self) -> int:
        """The number of images."""
        return self.request.n

    def kept(self, arrival: Arrival) -> Image.Image | Path:
        """The finished picture of an arrival, put away if pictures do not stay in memory."""
        return arrival.picture if self.scratch is None else put_away(arrival.picture, self.scratch)

    @property
    def over(self) -> bool:
        """Whether nobody wants the order any more."""
        return self.unwanted is not None and self.unwanted()

    def interrupt(self, why: str = "interrupted") -> None:
        """Mark the order as ended before its time, and say so in a note."""
        done, self.interrupted = len(self.shown), True
        left = f"{why} after {done} of {self.n} images"
        self.notes.append(left if done < self.n else f"{why} while repairing")

    @property
    def finished(self) -> list[Shown]:
        """The finished images in order."""
        return [self.shown[place] for place in sorted(self.shown)]

    @property
    def not_finite(self) -> str:
        """What to say of the images that failed and were not made again; empty if there are none."""
        missing = self.n - len(self.shown)
        if not self.failed or not missing:
            return ""
        seeds = ", ".join(map(str, self.failed.values()))
        return (
            f"{missing} of {self.n} images are missing: the numbers of seed {seeds} were not finite; use float32, or "
            "other weights"
        )

    @property
    def plain_evaluations(self) -> int:
        """Network evaluations that one unsteered image costs."""
        return self.brief.times * passes(self.brief.backbone, self.brief.guidance)


Steps = Generator[list[Stretch], None, None]
"""A control at work: it yields up to `batch_size` stretches, and goes on when each of them has arrived."""
