"""Move the images of one prompt: take the fewest back to noise, and steer them to their groups from there.

1. The perceiver has read the originals. The quotas are met with the least change (`allocation.least_change`).
2. Images that must move are encoded, taken back to noise (`steering.inversion`), and denoised with steering.
3. The new pictures are perceived. While the quotas are missed, the fewest images that mend that are moved again, more
   strongly, then from more noise and at last without what they were to keep, until the budget is spent
   (`control.tries`).
4. If an image is still less likely than not to show its group, its original is put back, and it counts as missed.

Every attempt starts from the original, the weakest attempt first, so that an image changes no more than necessary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.backbones import Batch
from fair_diffusion.control.assignments import (
    SURE_AT_END,
    SURE_AT_LOOK,
    Shares,
    assignments,
    differing,
    label,
    lost_groups,
    natural_groups,
)
from fair_diffusion.control.order import Arrival, Order, State, Steps, Stretch
from fair_diffusion.control.tries import missing, repair
from fair_diffusion.policy import Assignment
from fair_diffusion.rebalance.moved import Moved
from fair_diffusion.rebalance.originals import Original
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.statistics.distance import pixel_differences
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.inversion import taken_back

RECONSTRUCTED = 16
"""The most moved images, spread evenly, of which the reconstruction without an edit is measured."""


class Mover:
    """The control of an order that moves existing images.

    Args:
        order: the order; its request is a `Rebalance`.
        originals: the images.
        read: the perceiver's probabilities in them.
        scratch: a folder for moved pictures.
        reconstructed: of how many moved images the reconstruction without an edit is measured, at most.
    """

    def __init__(
        self,
        order: Order,
        originals: Sequence[Original],
        read: Shares,
        scratch: Path,
        *,
        reconstructed: int = RECONSTRUCTED,
    ) -> None:
        self.order, self._originals, self._read, self._scratch = order, originals, read, scratch
        self._reconstructions = reconstructed
        order.control, order.drawn_by = "rebalance", lambda order: self.draw()
        names = order.brief.attributes
        self._now = {name: read[name].copy() for name in (*names, *order.brief.held)}
        self.images = []
        for i in range(len(originals)):
            shows = {name: label(self._groups(name), read[name][i], SURE_AT_END) for name in names}
            sure = {name: float(read[name][i].max()) for name in names}
            shares = {name: rows[i] for name, rows in read.items()}
            held = natural_groups(order.brief.held, shares, order.brief.definitions)
            self.images.append(Moved(natural=shows, natural_confidence=sure, shows=shows, held=held))
        self.done, self.to_do = 0, 0
        """How many moves are done, and how many are planned; an image that is moved again counts again."""
        self.spent_on_reconstruction = 0
        """Network evaluations that only measure the reconstruction."""

    @property
    def spent(self) -> int:
        """Network evaluations so far, of all images."""
        return sum(one.evaluations for one in self.images)

    @property
    def dearest(self) -> float:
        """The network evaluations of the most expensive move so far, as if from pure noise: the next may be deeper."""
        return self._dearest

    def draw(self) -> Steps:
        """Move the images that must move."""
        back = self.order.brief.times if self._asked.way == "inversion" else 0
        self._unsteered = self.order.plain_evaluations + back
        self._dearest = float(self._unsteered)
        first = self.assign_anew([1.0] * len(self.images))
        few = self._reconstructions
        self._measured = set(first[:: -(-len(first) // few)]) if first and few else set()
        self.to_do = len(first)
        yield from self._move(first)
        why = yield from repair(self)
        self._put_back_in_vain()
        self.order.notes += missing(why, sum(one.misses for one in self.images), len(self.images))

    def assign_anew(self, effort: Sequence[float]) -> list[int]:
        """Assign by what the images show; return the images that do not surely show their groups."""
        asked = assignments(self.order.brief.targets, self.order.quotas, self._now, SURE_AT_END, effort)
        for i, (one, assigned) in enumerate(zip(self.images, asked, strict=True)):
            if assigned != one.assigned:
                one.assigned, one.attempt = assigned, 0
            if one.picture is not None and one.natural == assigned:
                self._put_back(i)
        return [i for i, one in enumerate(self.images) if one.misses]

    def left(self, misses: Sequence[int]) -> list[int]:
        """The misses that have an attempt left, those with the fewest attempts first."""
        left = [i for i in misses if self.images[i].attempt < len(self._asked.attempts)]
        return sorted(left, key=lambda i: self.images[i].attempt)

    def again(self, images: Sequence[int]) -> Steps:
        """Move images again."""
        self.to_do += len(images)
        yield from self._move(images)

    def lost(self) -> list[int]:
        """The moved images that show what they are assigned, but not what they were to keep, with an attempt left."""
        moved = [i for i, one in enumerate(self.images) if one.picture is not None and not one.misses]
        left = [i for i in moved if self.images[i].attempt < len(self._asked.attempts)]
        return [i for i in left if self._lost(i)]

    def regain(self, images: Sequence[int]) -> Steps:
        """Move images again. A picture that is no better is dropped, and the former one stays."""
        former = {i: replace(self.images[i]) for i in images}
        pictures = {i: before.picture.read_bytes() for i, before in former.items() if before.picture}
        read = {i: self._reads(i) for i in images}
        yield from self.again(images)
        for i, before in former.items():
            one = self.images[i]
            if not one.misses and not self._lost(i):
                continue
            one.picture, one.shows, one.depth, one.strength = (
                before.picture,
                before.shows,
                before.depth,
                before.strength,
            )
            assert one.picture is not None
            one.picture.write_bytes(pictures[i])
            for name, known in self._now.items():
                known[i] = read[i][name]

    def _reads(self, image: int) -> dict[str, NDArray[np.float64]]:
        """What the perceiver reads in an image as it is now: probabilities (groups,) by attribute."""
        return {name: known[image].copy() for name, known in self._now.items()}

    @property
    def _asked(self) -> Rebalance:
        asked = self.order.request
        assert isinstance(asked, Rebalance)
        return asked

    def _move(self, images: Sequence[int]) -> Steps:
        """Make the next attempt of every image, images of one depth together."""
        by_depth: dict[float, list[int]] = {}
        for i in images:
            by_depth.setdefault(self._attempt(i)[0], []).append(i)
        for depth, those in by_depth.items():
            for start in range(0, len(those), self._asked.batch_size):
                yield from self._move_batch(those[start : start + self._asked.batch_size], depth)

    def _move_batch(self, images: Sequence[int], depth: float) -> Steps:
        before = [self._originals[i].open() for i in images]
        batch, clean = self._back(images, before, depth)
        states = {i: State(batch, place) for place, i in enumerate(images)}
        measured = [k for k, i in enumerate(images) if i in self._measured and not self.images[i].tries]
        if measured:
            again: list[Arrival] = []
            yield [self._stretch(images[k], PLAIN, states[images[k]], again, measures=True) for k in measured]
            if all(arrival.finite for arrival in again):
                those = [images[k] for k in measured]
                self._reconstructed(those, again, clean[measured], [before[k] for k in measured])
        aims, arrivals = {i: self._aim(i) for i in images}, list[Arrival]()
        yield [self._stretch(i, aims[i], states[i], arrivals) for i in images]
        pictures = [
            arrival.picture.resize(original.size, Image.Resampling.LANCZOS)
            for arrival, original in zip(arrivals, before, strict=True)
        ]
        # the pictures as they are kept, and not at the model's size
        read = self.order.readers.perceive(pictures, self.order.brief.definitions)
        for place, (i, arrival) in enumerate(zip(images, arrivals, strict=True)):
            one = self.images[i]
            one.attempt, one.tries, one.evaluations = (
                one.attempt + 1,
                one.tries + 1,
                one.evaluations + arrival.since_noise,
            )
            if arrival.finite:
                shares = {name: rows[place] for name, rows in read.items()}
                self._take(i, depth, aims[i], arrival, pictures[place], shares)
        self.done += len(images)

    @torch.no_grad()
    def _back(self, images: Sequence[int], before: Sequence[Image.Image], depth: float) -> tuple[Batch, torch.Tensor]:
        """The images taken back to noise, and their clean latents."""
        brief = self.order.brief
        clean = brief.backbone.encode_images(before)
        batch = taken_back(
            brief.backbone,
            images,
            clean,
            brief.plain[[0] * len(images)],
            way=self._asked.way,
            depth=depth,
            seeds=[self._asked.seed + i for i in images],
            steps=brief.steps,
        )
        return batch, clean

    def _stretch(
        self, image: int, aim: Aim, state: State, arrivals: list[Arrival], *, measures: bool = False
    ) -> Stretch:
        """A stretch whose arrival is added to `arrivals`: images of one batch arrive in order."""
        return Stretch(
            order=self.order,
            image=image,
            seed=self._asked.seed + image,
            aim=aim,
            state=state,
            measures=measures,
            take=arrivals.append,
        )

    def _take(
        self,
        image: int,
        depth: float,
        aim: Aim,
        arrival: Arrival,
        picture: Image.Image,
        read: Mapping[str, NDArray[np.float64]],
    ) -> None:
        """Keep a new picture and note what it shows."""
        one = self.images[image]
        one.picture = self._scratch / f"{image:06d}.png"
        picture.save(one.picture)
        for name, known in self._now.items():
            known[image] = read[name]
        one.shows = self._labels(image, SURE_AT_END)
        one.depth, one.strength, one.put_back = depth, aim.strength, False
        self.order.failed.pop(image, None)
        self._dearest = max(self._dearest, arrival.since_noise + (1 - depth) * self._unsteered)

    def _reconstructed(
        self, images: Sequence[int], arrivals: Sequence[Arrival], clean: torch.Tensor, before: Sequence[Image.Image]
    ) -> None:
        """Note the distance of reconstructions without an edit to their originals."""
        self.spent_on_reconstruction += sum(arrival.evaluations for arrival in arrivals)
        again = [arrival.picture for arrival in arrivals]
        encoded = self.order.brief.backbone.images(clean)
        small = [picture.resize(again[0].size, Image.Resampling.LANCZOS) for picture in before]
        errors, encoder_errors = (pixel_differences(pictures, small)[:, 0] for pictures in (again, encoded))
        for i, error, encoder_error in zip(images, errors, encoder_errors, strict=True):
            self.images[i].error, self.images[i].encoder_error = float(error), float(encoder_error)

    def _put_back(self, image: int) -> None:
        """Put the original back."""
        one = self.images[image]
        one.picture, one.depth, one.strength, one.put_back = None, 0.0, 0.0, True
        one.shows = dict(one.natural)
        for name, known in self._now.items():
            known[image] = self._read[name][image]

    def _put_back_in_vain(self) -> None:
        for i, one in enumerate(self.images):
            if one.picture is not None and one.misses and self._labels(i, SURE_AT_LOOK) != one.assigned:
                self._put_back(i)

    def _attempt(self, image: int) -> tuple[float, float]:
        return self._asked.attempts[self.images[image].attempt]

    def _aim(self, image: int) -> Aim:
        """The aim of an image: from the groups of its original to its assigned groups."""
        one = self.images[image]
        return Aim(one.assigned, differing(one.natural, one.assigned), self._attempt(image)[1], self._held(image))

    def _held(self, image: int) -> Assignment:
        """What an image keeps: nothing at its last attempt if all others missed, because the target comes first."""
        one, attempts = self.images[image], len(self._asked.attempts)
        return {} if one.misses and 0 < one.attempt == attempts - 1 else one.held

    def _groups(self, name: str) -> Sequence[str]:
        return self.order.brief.definitions[name].group_names

    def _lost(self, image: int) -> list[str]:
        """The held attributes of which an image surely shows another group now."""
        return lost_groups(self.images[image].held, self._reads(image), self.order.brief.definitions)

    def _labels(self, image: int, sure: float) -> dict[str, str | None]:
        return {name: label(self._groups(name), self._now[name][image], sure) for name in self.order.brief.attributes}
