"""The one loop that draws: it fills batches with images of many requests, and hands each arrival back to its control.

begin → guide → advance → decode → perceive happen here, for a whole batch. The control of each order takes each arrival
and decides what is drawn next. The images of a batch have the same steps, guidance and method, and are at the same step
of their run; their prompts, seeds and aims are their own.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Hashable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fair_diffusion.backbones import Batch, Guide, OnStep, advance, begin
from fair_diffusion.backbones.adapter import CHUNK
from fair_diffusion.control import descent, distribution, everyone, natural_first, rejection
from fair_diffusion.control.order import Arrival, Order, State, Steps, Stretch
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.models.edits import edited
from fair_diffusion.steering.brief import Aimed

_DRAWN_BY = {
    "everyone": everyone.draw,
    "rejection": rejection.draw,
    "descent": descent.draw,
    "distribution": distribution.draw,
}
"""The controls by their names in `methods.METHODS`; natural-first draws whatever asks for it."""


def control_of(order: Order) -> Steps:
    """The control of an order, ready to begin: "everyone" without a target, or without quotas where they are needed."""
    if order.drawn_by is not None:
        return order.drawn_by(order)
    if not order.brief.targets or (order.request.assigns and not order.quotas):
        return everyone.draw(order)
    if order.request.natural_first:
        return natural_first.draw(order)
    return _DRAWN_BY[order.request.row.drawn_by](order)


def check_order(order: Order) -> None:
    """`ValueError` with the mend if an order cannot be drawn: before anything is."""
    order.guiding  # noqa: B018  (a method object may lack its guide)
    if order.request.row.gradient and order.brief.targets:
        descent.differentiable(order)


def draw(orders: Iterable[Order | None], on_step: OnStep | None = None) -> Generator[list[Order], None, None]:
    """Draw orders, and yield those that are finished as soon as they are.

    Args:
        orders: what to draw; the next one is begun whenever the images at hand do not fill a batch. None: there is no
            next one yet, so a batch that is not full is drawn.
        on_step: called after each step of each batch. `StepInfo.images` counts the images of all orders in a row: image
            i of the second order is i plus the images of the first one (rejection counts on beyond its own images).
            Raising `KeyboardInterrupt` there, as from the keyboard, ends all orders that are begun; they are yielded
            with the images that are finished.
    """
    loop = _Loop(on_step)
    try:
        for order in orders:
            if order is not None:
                loop.add(order)
            elif finished := loop.step():
                yield finished
            while loop.full:
                if finished := loop.step():
                    yield finished
        while loop.working:
            if finished := loop.step():
                yield finished
    except KeyboardInterrupt:
        yield loop.interrupt()
    finally:
        loop.close()


@dataclass(eq=False)
class _Work:
    """An order at work.

    Attributes:
        order: the order.
        control: what decides on its next stretches.
        first: the number of its first image among those of all orders.
        waits: how many of its stretches have not arrived.
    """

    order: Order
    control: Steps
    first: int
    waits: int = 0


class _Loop:
    """Orders at work, and stretches that wait to be drawn, by lane: those of one lane may share a batch."""

    def __init__(self, on_step: OnStep | None) -> None:
        self._on_step = on_step
        self._works: dict[Order, _Work] = {}
        self._lanes: dict[Hashable, deque[Stretch]] = {}
        self._finished: list[Order] = []
        self._images = 0
        self._edit: Path | None = None
        self._edited = ExitStack()

    @property
    def working(self) -> bool:
        """Whether something waits to be drawn, or to be handed out."""
        return bool(self._lanes or self._finished)

    @property
    def full(self) -> bool:
        """Whether the stretches of some lane fill a batch, or an order is finished, as one with nothing to draw is."""
        full = any(len(lane) >= lane[0].order.request.batch_size for lane in self._lanes.values())
        return full or bool(self._finished)

    def add(self, order: Order) -> None:
        """Begin an order."""
        order.on_step = self._counted(self._images)
        work = _Work(order, control_of(order), self._images)
        self._images += order.n
        self._works[order] = work
        self._go_on(work)

    def _counted(self, first: int) -> OnStep | None:
        """The callback for steps that a control runs itself: its images are counted on from `first`."""
        told = self._on_step
        if told is None:
            return None
        return lambda info: told(replace(info, images=[first + image for image in info.images]))

    def step(self) -> list[Order]:
        """Draw one batch, if no order is finished yet; the orders that are finished then."""
        if not self._finished:
            self._draw()
        if self._finished:
            self._put_on(None)  # whoever gets them may use the model
        finished, self._finished = self._finished, []
        return finished

    def _draw(self) -> None:
        """Draw one batch, of the lane in which most images wait."""
        self._drop()
        if not self._lanes:
            return
        lane = max(self._lanes, key=lambda key: len(self._lanes[key]))
        waiting = self._lanes[lane]
        part = [waiting.popleft() for _ in range(min(waiting[0].order.request.batch_size, len(waiting)))]
        if not waiting:
            del self._lanes[lane]
        start = time.monotonic()
        arrivals = self._drawn(part)
        share = (time.monotonic() - start) / len(part)
        for stretch, arrival in zip(part, arrivals, strict=True):
            stretch.order.seconds += share
            if arrival is None:  # its order is unwanted
                continue
            if not arrival.finite:
                stretch.order.failed[stretch.image] = stretch.seed
            stretch.take(arrival)
            self._works[stretch.order].waits -= 1
        self._drop()
        for order in dict.fromkeys(stretch.order for stretch in part):
            if (work := self._works.get(order)) and not work.waits:
                self._go_on(work)

    def _drop(self) -> None:
        """End the orders that nobody wants any more; they keep the images that are finished."""
        for work in [work for order, work in self._works.items() if order.over]:
            work.control.close()
            work.order.interrupt("cancelled")
            del self._works[work.order]
            self._finished.append(work.order)
            for lane, waiting in list(self._lanes.items()):
                self._lanes[lane] = deque(stretch for stretch in waiting if stretch.order is not work.order)
                if not self._lanes[lane]:
                    del self._lanes[lane]

    def interrupt(self) -> list[Order]:
        """End all orders; they keep the images that are finished."""
        ended = [*self._finished, *self._works]
        for order, work in self._works.items():
            work.control.close()
            order.interrupt()
        self._works, self._lanes = {}, {}
        self._put_on(None)
        return ended

    def close(self) -> None:
        """Leave the model as it was."""
        for work in self._works.values():
            work.control.close()
        self._put_on(None)

    def _go_on(self, work: _Work) -> None:
        """Let a control decide what is next, and put that into its lane."""
        start = time.monotonic()
        self._put_on(work.order)  # a control may encode prompts, or descend through the network
        try:
            stretches = next(part for part in work.control if part)  # nothing is drawn for images that are all broken
        except StopIteration:
            del self._works[work.order]
            self._finished.append(work.order)
            work.order.notes += [work.order.not_finite] if work.order.not_finite else []
            return
        finally:
            work.order.seconds += time.monotonic() - start
        work.waits = len(stretches)
        for stretch in stretches:
            self._lanes.setdefault(_lane(stretch), deque()).append(stretch)

    def _drawn(self, part: Sequence[Stretch]) -> list[Arrival | None]:
        """Begin, guide, advance, decode and perceive one batch. None for stretches of orders that became unwanted."""
        order, until, measures = part[0].order, part[0].until, part[0].measures
        backbone = order.brief.backbone
        self._put_on(order)
        images = [self._works[stretch.order].first + stretch.image for stretch in part]
        states = [stretch.state for stretch in part if stretch.state is not None]
        if states:
            batch = replace(Batch.gather(states), images=images)
        else:
            batch = begin(backbone, images, seeds=[stretch.seed for stretch in part], steps=order.brief.steps)
        guide = order.guiding([Aimed(stretch.order.brief, stretch.aim) for stretch in part])
        end, left = self._advanced(part, batch, guide)
        arrivals: list[Arrival | None] = [None] * len(part)
        if not left:
            return arrivals
        spent = (end.evaluations - batch.evaluations[left]).tolist()
        if until is not None:
            finite = _finite(end.latents)
            shares = order.readers.look(end, order.brief.definitions)
            pixels = end.latents[:, :0]
        else:
            with torch.no_grad():
                pixels = torch.cat([backbone.decode(latents) for latents in torch.split(end.latents, CHUNK)])
            finite = _finite(pixels)
            perceives = order.perceives and not measures
            shares = order.readers.perceive(from_pixels(pixels), order.brief.definitions) if perceives else {}
        for place, at in enumerate(left):
            arrivals[at] = Arrival(
                state=State(end, place),
                evaluations=spent[place],
                shares={name: rows[place] for name, rows in shares.items()} if finite[place] else {},
                pixels=pixels[place],
                finite=finite[place],
            )
        return arrivals

    def _advanced(self, part: Sequence[Stretch], batch: Batch, guide: Guide) -> tuple[Batch, list[int]]:
        """The batch at the end of its stretch, and the places of those that are left: whoever is unwanted leaves it.

        The others go on as they were, but for rounding."""
        until, on_step = part[0].until, None if part[0].measures else self._on_step
        left = list(range(len(part)))
        end = len(batch.times) if until is None else until
        while True:
            orders = [part[place].order for place in left]
            batch = advance(batch, guide, until=end, on_step=on_step, pause=partial(_any_over, orders))
            staying = [k for k, order in enumerate(orders) if not order.over]
            left = [left[k] for k in staying]
            if left and len(staying) < len(batch.images):
                batch, guide = batch.take(staying), guide.take(staying)
            if not left or batch.step == end:
                return batch, left

    def _put_on(self, order: Order | None) -> None:
        """Draw with the weights of this order from now on; None: with the model's own."""
        edit = None if order is None else order.edit
        if edit == self._edit:
            return
        self._edited.close()
        self._edit = None
        if order is not None and edit is not None:
            pipeline: Any = getattr(order.brief.backbone, "pipeline", None)
            self._edited.enter_context(edited(pipeline, edit))
            self._edit = edit


def _any_over(orders: Iterable[Order]) -> bool:
    return any(order.over for order in orders)


def _finite(values: Tensor) -> list[bool]:
    """For each row, whether all of its values are finite numbers."""
    return values.isfinite().flatten(1).all(dim=1).tolist()


def _lane(stretch: Stretch) -> Hashable:
    """What stretches must have in common to share a batch."""
    order, state = stretch.order, stretch.state
    return (*order.lane, stretch.measures, stretch.until, None if state is None else state.batch.step)
