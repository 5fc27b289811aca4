"""Moving the images of one prompt: the fewest that meet the quotas, each taken back to noise and led to its group.

1. the perceiver has read the originals; the quotas are met with the least change (`allocation.least_change`);
2. what must move is encoded, taken back (`steering.inversion`) and denoised with steering to its group;
3. the new pictures are perceived; round after round, while the quotas are missed, the fewest images that mend that are
   moved again, from their originals, more strongly and then from further back, until the budget is spent;
4. what is still not more likely its group than not was moved in vain: the original is put back, and the image misses.

Every attempt starts from the original, the weakest first: an image is changed no more than it must be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from fair_diffusion.backbones import Backbone, Batch, StepInfo, advance
from fair_diffusion.control.natural_first import (
    SPARE,
    SURE_AT_END,
    SURE_AT_LOOK,
    TOO_HARD,
    Aim,
    Shares,
    assignments,
    label,
    plain_evaluations,
)
from fair_diffusion.policy import Assignment, Target
from fair_diffusion.rebalance.originals import Original
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.statistics.distance import pixel_differences
from fair_diffusion.steering import taken_back
from fair_diffusion.steering.guides import Guides

RECONSTRUCTED = 16
"""Of so many moved images, spread evenly over them, the reconstruction without an edit is measured."""

Progress = Callable[[str, float, float], None]
"""Called with what is being done, how many images of it are, and of how many."""


@dataclass(kw_only=True)
class Moved:
    """What became of one image.

    natural: what the original shows, by attribute (None: unknown), with its confidence. picture: the file of the moved
    picture, as large as `Original.open` gives its original; None if the image is as it was. tries: how often it was
    moved. error, encoder_error: mean absolute pixel differences in 0…1, at the model's size, of the original taken back
    and on without an edit and of it encoded and decoded; None where that was not measured.
    """

    natural: dict[str, str | None]
    natural_confidence: dict[str, float]
    shows: dict[str, str | None]
    assigned: Assignment = field(default_factory=dict)
    picture: Path | None = None
    attempt: int = 0
    depth: float = 0.0
    strength: float = 0.0
    tries: int = 0
    put_back: bool = False
    evaluations: int = 0
    error: float | None = None
    encoder_error: float | None = None

    @property
    def misses(self) -> bool:
        """Whether the perceiver is not sure that it shows what is assigned."""
        return self.shows != self.assigned


@dataclass(kw_only=True)
class Mover:
    """The images of one prompt on their way to the quotas.

    read: what the perceiver sees in the originals. perceive: what it sees in pictures. scratch: a folder for pictures.
    `spent_on_reconstruction` counts the evaluations that only measure.
    """

    backbone: Backbone
    request: Rebalance
    originals: Sequence[Original]
    targets: Sequence[Target]
    quotas: Sequence[Sequence[int]]
    guides: Guides
    read: Shares
    perceive: Callable[[Sequence[Image.Image]], Shares]
    scratch: Path
    progress: Progress
    spent_on_reconstruction: int = 0
    notes: list[str] = field(default_factory=list)

    def run(self) -> list[Moved]:
        """Move what must move; one result per image, in order."""
        names = [name for target in self.targets for name in target.attributes]
        self._now = {name: self.read[name].copy() for name in names}
        self._images = [
            Moved(
                natural=(shows := {name: label(name, self.read[name][i], SURE_AT_END) for name in names}),
                natural_confidence={name: float(self.read[name][i].max()) for name in names},
                shows=shows,
            )
            for i in range(len(self.originals))
        ]
        first = self._misses(set())
        self._measured = set(first[:: -(-len(first) // RECONSTRUCTED)]) if first else set()
        self._done, self._to_do = 0, len(first)
        back = len(self.backbone.fork().timesteps(self.request.steps)) if self.request.way == "inversion" else 0
        self._unsteered = plain_evaluations(self.backbone, self.request, self.guides.guide([Aim()])) + back
        self._dearest = float(self._unsteered)
        self._move(first)
        self._repair()
        return self._images

    def _move(self, images: Sequence[int]) -> None:
        """Give every image its next attempt."""
        by_depth: dict[float, list[int]] = {}
        for i in images:
            by_depth.setdefault(self._attempt(i)[0], []).append(i)
        for depth, those in by_depth.items():
            for start in range(0, len(those), self.request.batch_size):
                self._move_batch(those[start : start + self.request.batch_size], depth)

    @torch.no_grad()
    def _move_batch(self, images: Sequence[int], depth: float) -> None:
        before = [self.originals[i].open() for i in images]
        clean = self.backbone.encode_images(before)
        batch = taken_back(
            self.backbone,
            images,
            clean,
            self.guides.guide([Aim()] * len(images)).cond,
            way=self.request.way,
            depth=depth,
            seeds=[self.request.seed + i for i in images],
            steps=self.request.steps,
        )
        measured = [k for k, i in enumerate(images) if i in self._measured and not self._images[i].tries]
        if measured:
            self._reconstruct(batch.take(measured), clean[measured], [before[k] for k in measured])
        aims = [self._aim(i) for i in images]
        end = advance(batch, self.guides.guide(aims), on_step=self._on_step(batch))
        pictures = [
            picture.resize(original.size, Image.Resampling.LANCZOS)
            for original, picture in zip(before, self.backbone.images(end.latents), strict=True)
        ]
        self._take(images, depth, aims, pictures, end.evaluations.tolist())

    def _take(
        self,
        images: Sequence[int],
        depth: float,
        aims: Sequence[Aim],
        pictures: Sequence[Image.Image],
        evaluations: Sequence[int],
    ) -> None:
        """Keep the new pictures and note what they show."""
        read = self.perceive(pictures)
        for k, (i, aim, picture) in enumerate(zip(images, aims, pictures, strict=True)):
            one = self._images[i]
            one.picture = self.scratch / f"{i:06d}.png"
            picture.save(one.picture)
            for name, known in self._now.items():
                known[i] = read[name][k]
            one.shows = self._labels(i, SURE_AT_END)
            one.attempt, one.tries = one.attempt + 1, one.tries + 1
            one.depth, one.strength, one.put_back = depth, aim.strength, False
            one.evaluations += evaluations[k]
            # what it would have cost from the very beginning: the next attempt may be from further back
            self._dearest = max(self._dearest, evaluations[k] + (1 - depth) * self._unsteered)
        self._done += len(images)

    def _reconstruct(self, batch: Batch, clean: torch.Tensor, before: Sequence[Image.Image]) -> None:
        """Take images on without an edit, and note how far from the original they end."""
        end = advance(batch, self.guides.guide([Aim()] * len(before)))
        self.spent_on_reconstruction += int((end.evaluations - batch.evaluations).sum())
        again, encoded = self.backbone.images(end.latents), self.backbone.images(clean)
        small = [picture.resize(again[0].size, Image.Resampling.LANCZOS) for picture in before]
        errors, encoder_errors = (pixel_differences(pictures, small)[:, 0] for pictures in (again, encoded))
        for i, error, encoder_error in zip(batch.images, errors, encoder_errors, strict=True):
            self._images[i].error, self._images[i].encoder_error = float(error), float(encoder_error)

    def _repair(self) -> None:
        """Move misses again until there are none, none that can be mended, or the budget is spent; and say so."""
        cost = plain_evaluations(self.backbone, self.request, self.guides.guide([Aim()]))
        budget = self.request.repair_budget
        limit = self._spent() + cost * max(budget * len(self._images), SPARE if budget else 0)
        why, given_up = "everything was tried", set[int]()
        while misses := self._misses(given_up):
            again = [i for i in misses if self._images[i].attempt < len(self.request.attempts)]
            given_up |= set(misses) - set(again)
            if not self._move_within(limit, again):
                why = "the repair budget is spent"
                self._misses(given_up)
                break
        self._put_back_in_vain()
        if missed := sum(one.misses for one in self._images):
            self.notes.append(f"{why}: {missed} of {len(self._images)} images do not surely show what was assigned")

    def _move_within(self, limit: float, images: Sequence[int]) -> bool:
        """Move images again, those tried least first; False if not all can be before `limit` evaluations are spent."""
        again = sorted(images, key=lambda i: self._images[i].attempt)
        while again:
            affordable = max(0, int((limit - self._spent()) / self._dearest))  # below 0 where steering is dear
            part = again[: min(self.request.batch_size, affordable)]
            if not part:
                return False
            self._to_do += len(part)
            self._move(part)
            again = again[len(part) :]
        return True

    def _misses(self, given_up: set[int]) -> list[int]:
        """Assign anew by what the images show, and name those that do not show theirs and may still be mended."""
        effort = [TOO_HARD if i in given_up else 1.0 for i in range(len(self._images))]
        asked = assignments(self.targets, self.quotas, self._now, SURE_AT_END, effort)
        for i, (one, assigned) in enumerate(zip(self._images, asked, strict=True)):
            if assigned != one.assigned:
                one.assigned, one.attempt = assigned, 0
            if one.picture is not None and one.natural == assigned:
                self._put_back(i)
        return [i for i, one in enumerate(self._images) if one.misses and i not in given_up]

    def _put_back(self, image: int) -> None:
        """Take the original again."""
        one = self._images[image]
        one.picture, one.depth, one.strength, one.put_back = None, 0.0, 0.0, True
        one.shows = dict(one.natural)
        for name, known in self._now.items():
            known[image] = self.read[name][image]

    def _put_back_in_vain(self) -> None:
        for i, one in enumerate(self._images):
            if one.picture is not None and one.misses and self._labels(i, SURE_AT_LOOK) != one.assigned:
                self._put_back(i)

    def _attempt(self, image: int) -> tuple[float, float]:
        return self.request.attempts[self._images[image].attempt]

    def _aim(self, image: int) -> Aim:
        """What steering is to do: from what the original shows to what is assigned."""
        one = self._images[image]
        other = {name: group for name, group in one.natural.items() if group != one.assigned[name]}
        change = {name: [] if group is None else [group] for name, group in other.items()}
        return Aim(one.assigned, change, self._attempt(image)[1])

    def _labels(self, image: int, sure: float) -> dict[str, str | None]:
        return {name: label(name, known[image], sure) for name, known in self._now.items()}

    def _spent(self) -> int:
        return sum(one.evaluations for one in self._images)

    def _on_step(self, batch: Batch) -> Callable[[StepInfo], None]:
        def step(info: StepInfo) -> None:
            share = (info.step + 1 - batch.step) / (info.steps - batch.step)
            self.progress("moving", self._done + share * len(batch.images), self._to_do)

        return step
