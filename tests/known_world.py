"""A world that is known: what each image shows by itself, and what steering takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Batch, Guide, StableDiffusion, StepInfo
from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.seen import Seen
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.policy import Attributes, Policy, Target, built_in
from fair_diffusion.request import Request
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.brief import Aimed, Brief

STEPS = 5


class World:
    """Images that show `looks` mid-way and `shows` in the end, unless steered at least as strongly as `needs` says.

    A group that is not in `needs` takes the usual strength. An image from a new seed shows what it did.
    The world is what steering asks, in the place of readers.

    Attributes:
        held: the attributes that steered images keep.
        drifts: what a steered image shows of attributes that nobody asks for and that it is not to keep, by attribute.
        keeps: the strength that it takes to keep a held group, by group; 0 if it is not there.
        seen: what a calibration says of its readings.
    """

    perceiver = early = None

    def __init__(
        self,
        backbone: StableDiffusion,
        shows: Sequence[Mapping[str, str | None]],
        *,
        looks: Sequence[Mapping[str, str | None]] | None = None,
        needs: Mapping[str, float] | None = None,
    ) -> None:
        self.backbone, self.shows, self.looks, self.needs = backbone, shows, looks or shows, needs or {}
        self.aims: Sequence[Aim] = []
        self.images: Sequence[int] = []
        self.strengths = Strengths()
        self.targets: tuple[Target, ...] = ()
        self.interrupt_at: int | None = None
        self.held: Sequence[str] = ()
        self.drifts: Mapping[str, str] = {}
        self.keeps: Mapping[str, float] = {}
        self.seen = Seen()

    def run(self, instruction: str | Target, **request: Any) -> Order:
        if isinstance(instruction, str):
            self.targets = Policy.from_sentence(instruction).rules[0].targets
        else:
            self.targets = (instruction,)
        asked = Request(prompt="a doctor", n=len(self.shows), steps=STEPS, guidance=2.0, batch_size=3, **request)
        readers: Any = self
        order = Order(
            brief=Brief(self.backbone, asked, targets=self.targets, held=self.held),
            quotas=plan(self.targets, asked.n, asked.seed),
            guide=self.guide,
            readers=readers,
            seen=self.seen,
            key=("world",),
            strengths=self.strengths,
        )
        assert list(draw([order], self.on_step)) == [[order]]
        return order

    def guide(self, images: Sequence[Aimed]) -> Guide:
        self.aims = [aim for _, aim in images]
        rows = [0] * len(images)
        return Guide(self.backbone.encode(["a doctor"])[rows], self.backbone.encode([""])[rows], 2.0)

    def on_step(self, info: StepInfo) -> None:
        self.images = info.images
        if self.interrupt_at is not None:
            self.interrupt_at -= 1
            if self.interrupt_at < 0:
                raise KeyboardInterrupt

    def look(self, batch: Batch, defined: Attributes) -> Shares:
        return self.read(self.looked(batch.images))

    def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
        return self.read(self.made(pictures))

    def looked(self, images: Sequence[int]) -> Sequence[Mapping[str, str | None]]:
        return [self.looks[i] for i in images]

    def made(self, pictures: Sequence[Image.Image]) -> list[dict[str, str | None]]:
        assert len(pictures) == len(self.images) == len(self.aims)
        return [
            {name: self.drawn(name, own, aim) for name, own in self.shows[i].items()}
            for i, aim in zip(self.images, self.aims, strict=True)
        ]

    def drawn(self, name: str, own: str | None, aim: Aim) -> str | None:
        """What an image shows of one attribute that shows `own` by itself."""
        if name in aim.assigned:
            return aim.assigned[name] if aim.strength >= self.needs.get(aim.assigned[name], 1.0) else own
        if not aim.strength or name not in self.drifts:
            return own
        kept = aim.held.get(name)
        return kept if kept is not None and aim.strength >= self.keeps.get(kept, 0.0) else self.drifts[name]

    def read(self, labels: Sequence[Mapping[str, str | None]]) -> Shares:
        def row(name: str, group: str | None) -> list[float]:
            return [0.9 if g == group else 0.02 for g in built_in()[name].group_names]

        names = [*(name for target in self.targets for name in target.attributes), *self.held]
        return {name: np.array([row(name, label[name]) for label in labels]) for name in names}
