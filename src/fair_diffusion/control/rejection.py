"""Rejection only: draw plain images from seed, seed + 1, … and keep those for which the quotas have room.

Nothing is steered. A picture is kept if the perceiver is sure of its groups and every target's quota still has room for
them. A place for a group that the model draws with probability p takes 1/p pictures on average, so the rarest group
sets the cost.

The budget is that of repairs: with `repair_budget` k, at most n + max(k·n, `SPARE`) pictures are drawn. When it is
spent, rejected pictures fill the places left, the earliest first, and count as missed. These are among the first n
pictures, of which at least as many were rejected as there are places left, so no other rejected picture is kept in
memory.

The evaluations and `reseeds` of a picture that is not shown count for the next picture that is shown; those after the
last shown picture count for it. So the sum over the shown images is the whole cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.allocation import least_change
from fair_diffusion.control.assignments import SURE_AT_END, cells_of, label
from fair_diffusion.control.order import Arrival, Order, Shown, Steps, Stretch
from fair_diffusion.control.tries import SPARE
from fair_diffusion.policy import Assignment, Attributes, Target

Room = Sequence[dict[tuple[str, ...], int]]
"""For each target, how many places are left in each of its cells."""


@dataclass(kw_only=True)
class _Picture:
    """A plain picture that may be shown.

    Attributes:
        place: its place among all pictures that were drawn.
        image: the picture, or the file in which it was put away.
        shares: probabilities (groups,) by attribute, as the perceiver reads them.
        shows: the group that it surely shows, by attribute; None: unknown.
        kept: whether the quotas had room for it.
        assigned: the groups whose places it takes, by attribute.
    """

    place: int
    image: Image.Image | Path
    shares: Mapping[str, NDArray[np.float64]]
    shows: dict[str, str | None]
    kept: bool = False
    assigned: Assignment = field(default_factory=dict)


def draw(order: Order) -> Steps:
    """Draw until the quotas are full or the budget is spent. Images are in the order of their seeds."""
    order.perceives = True
    asked, n, targets = order.request, order.n, order.brief.targets
    limit = n + int(max(asked.repair_budget * n, SPARE if asked.repair_budget else 0))
    room = [dict(zip(target.shares, counts, strict=True)) for target, counts in zip(targets, order.quotas, strict=True)]
    pictures, spent, kept = list[_Picture](), list[int](), 0

    def take(place: int, arrival: Arrival) -> None:
        nonlocal kept
        spent.append(arrival.evaluations)
        if not arrival.finite:
            return
        picture = _picture(place, arrival, order.brief.definitions)
        picture.kept = _take(picture, targets, room)
        kept += picture.kept
        if picture.kept or place < n:
            picture.image = order.kept(arrival)
            pictures.append(picture)

    try:
        while kept < n and len(spent) < limit:
            # Never more than there are places left, so that no picture is drawn in vain.
            size = min(asked.batch_size, n - kept, limit - len(spent))
            places = range(len(spent), len(spent) + size)
            yield [
                Stretch(order=order, image=place, seed=asked.seed + place, take=partial(take, place))
                for place in places
            ]
        _fill(pictures, n - kept, targets, room)
        if kept < n:
            of = f"{min(n - kept, len(pictures) - kept)} of {n} images do not surely show what was assigned"
            order.notes.append(f"the budget of {limit} images is spent: {of}")
    finally:
        order.shown = dict(enumerate(_shown(pictures, spent, asked.seed)))


def _picture(place: int, arrival: Arrival, defined: Attributes) -> _Picture:
    shows = {name: label(defined[name].group_names, row, SURE_AT_END) for name, row in arrival.shares.items()}
    return _Picture(place=place, image=arrival.picture, shares=arrival.shares, shows=shows)


def _take(picture: _Picture, targets: Sequence[Target], room: Room) -> bool:
    """Give a picture its places, if every target has one for it. Return whether it has."""
    cells = [tuple(str(picture.shows[name]) for name in target.attributes) for target in targets]
    if any(not left.get(cell) for left, cell in zip(room, cells, strict=True)):
        return False
    for target, left, cell in zip(targets, room, cells, strict=True):
        left[cell] -= 1
        picture.assigned.update(zip(target.attributes, cell, strict=True))
    return True


def _fill(pictures: Sequence[_Picture], gaps: int, targets: Sequence[Target], room: Room) -> None:
    """Assign the places left to the earliest rejected pictures, each to the cell that it is most like.

    A picture that came out as no numbers is not among them. It leaves a place empty: a row that is like nothing.
    """
    fill = [picture for picture in pictures if not picture.kept][:gaps]
    for target, left in zip(targets, room, strict=True) if fill else ():
        shares = {name: np.stack([picture.shares[name] for picture in fill]) for name in target.attributes}
        shares = {name: np.pad(rows, ((0, gaps - len(fill)), (0, 0))) for name, rows in shares.items()}
        cells = list(target.shares)
        chosen = least_change(*cells_of(shares, target, SURE_AT_END), list(left.values()))
        for picture, k in zip(fill, chosen, strict=False):
            picture.assigned.update(zip(target.attributes, cells[k], strict=True))


def _shown(pictures: Sequence[_Picture], spent: Sequence[int], seed: int) -> list[Shown]:
    """The pictures that have places, with the cost of all pictures.

    Args:
        pictures: the pictures, in order.
        spent: the network evaluations of every picture that was drawn, by its place.
        seed: the seed of the first picture.
    """
    shown = [picture for picture in pictures if picture.assigned]
    # each one bears the cost of the pictures since the shown one before it; the last one bears the rest too
    begins = [0, *(picture.place + 1 for picture in shown[:-1])]
    ends = [*(picture.place + 1 for picture in shown[:-1]), len(spent)]
    return [
        Shown(
            picture=picture.image,
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
