"""Two figures: deviation against cost, and deviation against quality. One dot per way, with interval and name.

Exports `Plot` and `plots`. Everything is laid out here in the units of the drawing; `templates/plot.svg.j2` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.headline import short, spoken
from fair_diffusion.compare.line import Line

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 544, 14, 284
"""The frame of the axes."""

_LETTER, _LINE, _DOT = 6.6, 13, 6
"""Width of a letter and height of a line at 12 pixels, and half of a dot."""
_ROOM = 20
"""Lines that are tried above and below a dot for its name."""
_ALONG = (0, 40, 80, 120, 160)
"""How far to the side of a dot its name may begin."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dot:
    """One way: its name and values, where it lies, where its interval ends, where its name stands, and the near end of
    the name if a line must lead there."""

    way: str
    text: str
    across: float
    up: float
    x: float
    y: float
    low: float
    high: float
    label_x: float
    label_y: float
    lead: float | None
    trained: bool


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """One figure: deviation upwards, `across` to the right. `floor` is the height of a perfect coin; None outside."""

    name: str
    instruction: str
    attribute: str
    across: str
    up: str
    dots: list[Dot]
    ticks_across: list[Tick]
    ticks_up: list[Tick]
    floor: float | None


def plots(lines: Sequence[Line], kid_to: str) -> list[Plot]:
    """Both figures for every instruction and attribute; the second is left out where no quality is measured.

    kid_to: what the kernel distance is to."""
    made = []
    for key in dict.fromkeys((line.instruction, line.attribute) for line in lines):
        own = [line for line in lines if (line.instruction, line.attribute) == key and line.facts]
        made.append(_plot("cost", own, [line.facts.ratio for line in own if line.facts], _COST, log=True))
        with_kid = [line for line in own if line.facts and line.facts.kid is not None]
        kept = [line for line in own if line.facts and line.facts.fidelity is not None]
        if len(with_kid) > 1:
            values = [line.facts.kid or 0.0 for line in with_kid if line.facts]
            made.append(_plot("quality", with_kid, values, f"KID to {kid_to}; to the left is nearer"))
        elif kept:
            values = [1 - (line.facts.fidelity or 0.0) for line in kept if line.facts]
            made.append(_plot("quality", kept, values, "share of images that lost their occupation"))
    return made


_COST = "network evaluations over plain generation (each mark doubles)"


def _plot(name: str, lines: Sequence[Line], values: Sequence[float], across: str, *, log: bool = False) -> Plot:
    measured = [(line, line.judge) for line in lines if line.judge]
    scale = [math.log2(value) for value in values] if log else list(values)
    left, right, ticks = _doublings(scale) if log else _round(min(0.0, *scale), max(0.0, *scale))
    tops = [found.tv_high if found.tv_high is not None else found.tv_mean for _, found in measured]
    _, highest, ticks_up = _round(0.0, max(*tops, 0.05))

    def place(share: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * share / highest

    def along(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - left) / (right - left)

    points = [(along(value), place(found.tv_mean)) for value, (_, found) in zip(scale, measured, strict=True)]
    texts = [short(line.way, 28) for line, _ in measured]
    labels = _labels(points, texts)
    dots = [
        Dot(
            way=line.way,
            text=text,
            across=value,
            up=found.tv_mean,
            x=x,
            y=y,
            low=place(found.tv_mean if found.tv_low is None else found.tv_low),
            high=place(found.tv_mean if found.tv_high is None else found.tv_high),
            label_x=label[0],
            label_y=label[1],
            lead=_lead(x, y, label, _LETTER * len(text)),
            trained=bool(line.facts and (line.facts.training_steps != 0 or line.facts.training_seconds != 0.0)),
        )
        for (line, found), text, value, (x, y), label in zip(measured, texts, values, points, labels, strict=True)
    ]
    floor = lines[0].floors.get("total_variation")
    return Plot(
        name=name,
        instruction=lines[0].instruction,
        attribute=lines[0].attribute,
        across=across,
        up=f"mean deviation of {spoken(lines[0].attribute)}",
        dots=dots,
        ticks_across=[
            Tick(along(value), f"{2**value:g}×" if log else f"{value:g}".replace("-", "−")) for value in ticks
        ],
        ticks_up=[Tick(place(value), f"{value:g}") for value in ticks_up],
        floor=None if floor is None or floor > highest else place(floor),
    )


def _doublings(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Ends of an axis of logarithms to base 2 that holds all values with some room, and its marks."""
    first, last = math.floor(min(values) + 1e-9), math.ceil(max(*values, min(values) + 1) - 1e-9)
    return first - 0.25, last + 0.25, [float(value) for value in range(first, last + 1)]


def _round(low: float, high: float) -> tuple[float, float, list[float]]:
    """Ends of an axis from `low` to `high` at round numbers, and four to eight marks."""
    span = max(high - low, 1e-3)
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 7)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return first * step, last * step, [round(k * step, 10) for k in range(first, last + 1)]


def _labels(points: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[tuple[float, float]]:
    """Where each name begins, left end and base line: beside its dot, or where the nearest free place is."""
    taken: list[Box] = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    found: dict[int, tuple[float, float]] = {}
    for k in sorted(range(len(points)), key=lambda k: points[k][1]):
        (x, y), width = points[k], _LETTER * len(texts[k])
        sides = (x + _DOT + 4, x - _DOT - 4 - width)
        choices = [
            (side + out * along, y + 4 + up * _LINE)
            for side, out in zip(sides, (1, -1), strict=True)
            for along in _ALONG
            for up in range(-_ROOM, _ROOM + 1)
        ]
        choices.sort(key=lambda at: math.hypot(min(abs(at[0] - x), abs(at[0] + width - x)), 2 * (at[1] - y - 4)))
        boxes = [(cx - 3, cy - _LINE + 3, cx + width + 3, cy + 3) for cx, cy in choices]
        free = (
            choice
            for choice, box in zip(choices, boxes, strict=True)
            if _inside(box) and not any(_overlap(box, other) for other in taken)
        )
        found[k] = next(free, choices[0])
        cx, cy = found[k]
        taken.append((cx - 3, cy - _LINE + 3, cx + width + 3, cy + 3))
    return [found[k] for k in range(len(points))]


def _lead(x: float, y: float, label: tuple[float, float], width: float) -> float | None:
    """The end of a name that is nearer to its dot; None if the name stands beside it."""
    near = label[0] - 2 if label[0] > x else label[0] + width + 2
    return near if abs(near - x) > 3 * _DOT or abs(label[1] - 4 - y) > _DOT else None


def _inside(box: Box) -> bool:
    return box[0] >= LEFT + 2 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= BOTTOM


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
