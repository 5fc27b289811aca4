"""Rejection only: draw plain images from seed, seed + 1, … and keep those for which the quotas have room.

Nothing is steered. A picture is kept if the perceiver is sure of its groups and every target's quota still has room for
them; to fill the quota of a group that the model draws with probability p takes 1/p pictures per place on average, so
the rarest group sets the cost.

The budget is that of repairs: with `repair_budget` k at most n + max(k·n, `SPARE`) pictures are drawn. If it is spent,
the places left are filled with rejected pictures, the earliest first, and these count as missed. They are among the
first n: of those, as many were rejected as there are places left, or more. So no other rejected picture is kept.

Evaluations of a picture that is not shown count on the next one that is (of those after the last, on the last), as
that one's `reseeds` do: so the sum over the images is what was spent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.allocation import least_change
from fair_diffusion.backbones import Backbone, Guide, OnStep, advance, begin
from fair_diffusion.control.natural_first import (
    SPARE,
    SURE_AT_END,
    Drawn,
    Shares,
    Shown,
    cells_of,
    label,
    plain_evaluations,
)
from fair_diffusion.policy import Assignment, Target
from fair_diffusion.request import Request


@dataclass(kw_only=True)
class _Picture:
    """A plain picture that may be shown: its place among all that were drawn, what is read, and whether it is kept."""

    place: int
    image: Image.Image
    shares: dict[str, NDArray[np.float64]]
    shows: dict[str, str | None]
    kept: bool = False
    assigned: Assignment = field(default_factory=dict)


def draw_rejecting(
    backbone: Backbone,
    request: Request,
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    guide: Callable[[int], Guide],
    perceive: Callable[[Sequence[Image.Image]], Shares],
    on_step: OnStep | None = None,
) -> Drawn:
    """Generate until the quotas are full or the budget is spent. Images are in the order of their seeds.

    targets with their quotas, one count per cell in the order of `shares`. guide: the plain guide of so many images.
    Interrupted from the keyboard it gives the images that are kept by then.
    """
    n, budget = request.n, request.repair_budget
    limit = n + int(max(budget * n, SPARE if budget else 0))
    room = [dict(zip(target.shares, counts, strict=True)) for target, counts in zip(targets, quotas, strict=True)]
    pictures, spent = list[_Picture](), list[int]()
    notes, interrupted, kept = [], False, 0
    try:
        while kept < n and len(spent) < limit:
            # No more than there are places: then none is drawn that was not needed.
            size = min(request.batch_size, n - kept, limit - len(spent))
            places = range(len(spent), len(spent) + size)
            drawn, evaluations = _plain(backbone, request, places, guide, perceive, on_step)
            spent += evaluations
            for picture in drawn:
                picture.kept = _take(picture, targets, room)
                kept += picture.kept
                if picture.kept or picture.place < n:
                    pictures.append(picture)
        _fill(pictures, n - kept, targets, room)
        if kept < n:
            of = f"{n - kept} of {n} images do not surely show what was assigned"
            notes.append(f"the budget of {limit} images is spent: {of}")
    except KeyboardInterrupt:
        interrupted = True
        notes.append(f"interrupted after {kept} of {n} images")
    shown = _shown(pictures, spent, request.seed)
    return Drawn(shown, "all", plain_evaluations(backbone, request, guide(1)), notes, interrupted)


def _plain(
    backbone: Backbone,
    request: Request,
    places: range,
    guide: Callable[[int], Guide],
    perceive: Callable[[Sequence[Image.Image]], Shares],
    on_step: OnStep | None,
) -> tuple[list[_Picture], list[int]]:
    """Draw and read one batch: the pictures, and the evaluations of each."""
    begun = begin(backbone, places, seeds=[request.seed + place for place in places], steps=request.steps)
    batch = advance(begun, guide(len(places)), on_step=on_step)
    images = backbone.images(batch.latents)
    read = perceive(images)
    made = []
    for k, (place, image) in enumerate(zip(places, images, strict=True)):
        shares = {name: table[k] for name, table in read.items()}
        shows = {name: label(name, found, SURE_AT_END) for name, found in shares.items()}
        made.append(_Picture(place=place, image=image, shares=shares, shows=shows))
    return made, batch.evaluations.tolist()


def _take(picture: _Picture, targets: Sequence[Target], room: Sequence[dict[tuple[str, ...], int]]) -> bool:
    """Give the picture its places if every target has one for it."""
    cells = [tuple(str(picture.shows[name]) for name in target.attributes) for target in targets]
    if any(not left.get(cell) for left, cell in zip(room, cells, strict=True)):
        return False
    for target, left, cell in zip(targets, room, cells, strict=True):
        left[cell] -= 1
        picture.assigned.update(zip(target.attributes, cell, strict=True))
    return True


def _fill(
    pictures: Sequence[_Picture], gaps: int, targets: Sequence[Target], room: Sequence[dict[tuple[str, ...], int]]
) -> None:
    """Assign the places that are left to the earliest rejected pictures, each to what it is most like."""
    fill = [picture for picture in pictures if not picture.kept][:gaps]
    for target, left in zip(targets, room, strict=True) if fill else ():
        shares = {name: np.stack([picture.shares[name] for picture in fill]) for name in target.attributes}
        cells = list(target.shares)
        for picture, k in zip(
            fill, least_change(*cells_of(shares, target, SURE_AT_END), list(left.values())), strict=True
        ):
            picture.assigned.update(zip(target.attributes, cells[k], strict=True))


def _shown(pictures: Sequence[_Picture], spent: Sequence[int], seed: int) -> list[Shown]:
    """The pictures that have an assignment, with the cost of those that have none. spent: evaluations, by place."""
    shown = [picture for picture in pictures if picture.assigned]
    # each bears what was drawn since the one before it, the last all the rest
    begins = [0, *(picture.place + 1 for picture in shown[:-1])]
    ends = [*(picture.place + 1 for picture in shown[:-1]), len(spent)]
    return [
        Shown(
            image=picture.image,
            seed=seed + picture.place,
            assigned=picture.assigned,
            natural={name: picture.shows[name] for name in picture.assigned},
            natural_confidence={name: float(picture.shares[name].max()) for name in picture.assigned},
            steered_to={},
            strength=0.0,
            repairs=end - begin - 1,
            reseeds=end - begin - 1,
            missed=not picture.kept,
            evaluations=sum(spent[begin:end]),
        )
        for picture, begin, end in zip(shown, begins, ends, strict=False)
    ]
