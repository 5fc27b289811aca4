"""A figure of named dots between two axes; a dot may have a vertical interval.

    up |    • plain
       |  ┊      • instructed        ticks at round numbers, no name on another, nothing outside the frame
       +──────────── across

This file computes the layout in the units of the drawing, and `templates/plot.svg.j2` draws it. Exports `Point`, `Plot`
and `plot`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fair_diffusion.report.headline import short

WIDTH, LEFT, RIGHT, TOP = 480, 56, 452, 14
"""Width of the drawing, and the left, right and top edge of the frame of the axes."""
BOTTOM, UNDER = 274, 56
"""Bottom edge of the frame for few dots, and the height of the labels under it."""
_FEW, _MORE = 8, 30
"""Number of dots that count as few, and how much lower the bottom edge is for each further dot."""

_LETTER, _LINE, _DOT = 6.6, 13, 6
"""Width of a letter and height of a line at a font size of 12 pixels, and half the size of a dot."""
_ROOM = 20
"""Number of lines above and below a dot that are tried for its name."""
_ALONG = (0, 40, 80, 120, 160)
"""Distances to the side of a dot at which its name may begin."""
_WORTH = 35
"""How much farther away a name may be placed to avoid one possible mistake of its dot."""
_NARROWEST = 1e-4
"""Smallest span of an axis; values that are nearer to each other count as equal."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """What a dot shows: its name, its value on both axes, and the ends of its vertical interval or None."""

    name: str
    across: float
    up: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Dot:
    """A point in the units of the drawing.

    Attributes:
        point: what it shows.
        text: its name, shortened.
        x: centre of the dot.
        y: centre of the dot.
        low: height of the lower end of its interval.
        high: height of the upper end of its interval.
        label_x: where the name is anchored.
        label_y: base line of the name.
        anchor: the end of the name that is at `label_x`: "start" or "end".
        lead: end of a line from the dot to its name; None if the name is beside the dot.
    """

    point: Point
    text: str
    x: float
    y: float
    low: float
    high: float
    label_x: float
    label_y: float
    anchor: str
    lead: float | None


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """One figure.

    Attributes:
        across: label of the horizontal axis.
        up: label of the vertical axis.
        dots: the points.
        ticks_across: marks of the horizontal axis.
        ticks_up: marks of the vertical axis.
        floor: height of a horizontal line to compare with, or None.
        bottom: bottom edge of the frame.
    """

    across: str
    up: str
    dots: list[Dot]
    ticks_across: list[Tick]
    ticks_up: list[Tick]
    floor: float | None
    bottom: int

    @property
    def height(self) -> int:
        """Height of the drawing."""
        return self.bottom + UNDER


def plot(
    points: Sequence[Point],
    *,
    across: str,
    up: str,
    log: bool = False,
    zero: bool = True,
    floor: float | None = None,
) -> Plot:
    """Lay out a figure.

    Args:
        points: at least one point.
        across: label of the horizontal axis.
        up: label of the vertical axis, which begins at 0.
        log: whether the horizontal axis doubles at each mark; its values must be above 0.
        zero: whether a linear horizontal axis includes 0; otherwise it begins near the smallest value.
        floor: value on the vertical axis to draw a line at. There is no line if the value lies above the axis.
    """
    values = [math.log2(point.across) if log else point.across for point in points]
    left, right, marks = _doublings(values) if log else _round(*_span(values, zero=zero))
    _, highest, heights = _round(0.0, max(0.05, *(point.up if point.high is None else point.high for point in points)))

    bottom = BOTTOM + _MORE * max(0, len(points) - _FEW)

    def along(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - left) / (right - left)

    def place(value: float) -> float:
        return bottom - (bottom - TOP) * value / highest

    return Plot(
        across=across,
        up=up,
        dots=_dots(points, [along(value) for value in values], place, bottom),
        ticks_across=[
            Tick(along(value), f"{2**value:g}×" if log else f"{value:g}".replace("-", "−")) for value in marks
        ],
        ticks_up=[Tick(place(value), f"{value:g}") for value in heights],
        floor=None if floor is None or floor > highest else place(floor),
        bottom=bottom,
    )


def _dots(points: Sequence[Point], across: Sequence[float], place: Callable[[float], float], bottom: int) -> list[Dot]:
    texts = [short(point.name, 28) for point in points]
    spots = [(x, place(point.up)) for x, point in zip(across, points, strict=True)]
    dots = []
    for point, text, (x, y), (begins, base) in zip(points, texts, spots, _labels(spots, texts, bottom), strict=True):
        after, width = begins > x, _LETTER * len(text)  # an estimate, so a name to the left is anchored at its end
        dots.append(
            Dot(
                point=point,
                text=text,
                x=x,
                y=y,
                low=place(point.up if point.low is None else point.low),
                high=place(point.up if point.high is None else point.high),
                label_x=begins if after else begins + width,
                label_y=base,
                anchor="start" if after else "end",
                lead=_lead(x, y, begins - 2 if after else begins + width + 2, base),
            )
        )
    return dots


def _doublings(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Ends and marks of an axis of logarithms to base 2. It includes all values with some room, also for names on the
    left."""
    first, last = math.floor(min(values) + 1e-9), math.ceil(max(*values, min(values) + 1) - 1e-9)
    return first - 0.25 * (last - first), last + 0.25, [float(value) for value in range(first, last + 1)]


def _span(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    """The range of an axis. It includes 0 if `zero` or if the values are all equal, and is 0 to 1 if they are all 0."""
    low, high = min(values), max(values)
    if not zero and high - low >= _NARROWEST:
        return low, high
    return (min(0.0, low), max(0.0, high)) if low or high else (0.0, 1.0)


def _round(low: float, high: float) -> tuple[float, float, list[float]]:
    """Ends of an axis at the round numbers around `low` and `high`, and its marks, four to eight."""
    span = max(high - low, _NARROWEST)
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 7)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    marks = [round(k * step, 10) for k in range(first, last + 1)]
    return marks[0], marks[-1], marks


def _labels(points: Sequence[tuple[float, float]], texts: Sequence[str], bottom: int) -> list[tuple[float, float]]:
    """The left end and base line of each name.

    Names that fit beside their dot are placed first. Each other name has the nearest free place above `bottom`; places
    at which it could be mistaken for the name of another dot count as farther away.
    """
    marks: list[Box] = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    names: list[Box] = []
    found: dict[int, tuple[float, float]] = {}
    downwards = sorted(range(len(points)), key=lambda k: points[k][1])
    for k, beside in [*((k, True) for k in downwards), *((k, False) for k in downwards)]:
        if k in found:
            continue
        others = [*marks[:k], *marks[k + 1 :]]
        choices = _choices(points[k], _LETTER * len(texts[k]), beside=beside)
        free = [
            (far + _WORTH * mistakes, not mistakes, at, box)
            for far, at, box in choices
            if _inside(box, bottom) and not any(_overlap(box, other) for other in (*marks, *names))
            for mistakes in [_mistakes(marks[k], box, others, names)]
        ]
        _, clear, at, box = min(free, key=lambda place: place[0], default=(0.0, False, *choices[0][1:]))
        if clear or not beside:
            found[k] = at
            names.append(box)
    return [found[k] for k in range(len(points))]


def _choices(dot: tuple[float, float], width: float, *, beside: bool) -> list[tuple[float, tuple[float, float], Box]]:
    """Places for a name, the nearest first: distance, left end with base line, and box.

    If `beside`, there are only the two places directly beside the dot.
    """
    (x, y), found = dot, []
    for side, out in ((x + _DOT + 4, 1), (x - _DOT - 4 - width, -1)):
        for along in _ALONG[:1] if beside else _ALONG:
            for up in range(1) if beside else range(-_ROOM, _ROOM + 1):
                cx, cy = side + out * along, y + 4 + up * _LINE
                far = math.hypot(_DOT + 4 + along, 2 * up * _LINE)
                found.append((far, (cx, cy), (cx - 3, cy - _LINE + 3, cx + width + 3, cy + 3)))
    return sorted(found, key=lambda place: place[0])


def _mistakes(dot: Box, box: Box, others: Sequence[Box], names: Sequence[Box]) -> int:
    """How easily a name in `box` is mistaken for the name of another dot than `dot`.

    It counts 2 if another dot is about as near, and 1 for each dot or name that the line to its own dot crosses. Dots
    that overlap each other do not count as near: only the lines tell their names apart.
    """
    x, y = (dot[0] + dot[2]) / 2, (dot[1] + dot[3]) / 2
    ends = box[0] if box[0] > x else box[2], (box[1] + box[3]) / 2
    line = [(x + part * (ends[0] - x), y + part * (ends[1] - y)) for part in (k / 20 for k in range(20))]
    crossed = sum(any(_holds(other, *at) for at in line if not _holds(dot, *at)) for other in (*others, *names))
    bar = min(2 * _DOT, _gap(box, dot) + 3)
    return 2 * any(_gap(box, other) < bar for other in others if not _overlap(other, dot)) + crossed


def _gap(one: Box, other: Box) -> float:
    across = max(one[0] - other[2], other[0] - one[2], 0.0)
    return math.hypot(across, max(one[1] - other[3], other[1] - one[3], 0.0))


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] < x < box[2] and box[1] < y < box[3]


def _lead(x: float, y: float, near: float, base: float) -> float | None:
    """`near`, the end of the name that is nearer to its dot; None if the name is beside the dot."""
    return near if abs(near - x) > 3 * _DOT or abs(base - 4 - y) > _DOT else None


def _inside(box: Box, bottom: int) -> bool:
    return box[0] >= LEFT + 2 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= bottom + 7  # a dot at 0 needs 7


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
