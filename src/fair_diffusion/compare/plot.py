"""Two figures: deviation against cost, and deviation against quality. Each way is a dot with an interval and a name.

Exports `Figure` and `figures`; `templates/figure.svg.j2` draws one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.compare.outcome import Outcome
from fair_diffusion.report.headline import spoken
from fair_diffusion.report.plot import Plot, Point, plot

_COST = "network evaluations over plain generation (each mark doubles)"


@dataclass(frozen=True)
class Figure:
    """One figure of an instruction and attribute.

    Attributes:
        name: "cost" or "quality".
        instruction: the name of the instruction.
        attribute: the attribute.
        plot: the plot; its line is the deviation of a perfect coin.
        trained: the ways that were trained or edited beforehand.
    """

    name: str
    instruction: str
    attribute: str
    plot: Plot
    trained: frozenset[str]


def figures(lines: Sequence[Outcome], kid_to: str) -> list[Figure]:
    """Both figures for every instruction and attribute; the second one only if quality is measured.

    Args:
        lines: the lines of the table.
        kid_to: the reference of the kernel distance, in words.
    """
    made = []
    for key in dict.fromkeys((line.instruction, line.attribute) for line in lines):
        own = [line for line in lines if (line.instruction, line.attribute) == key and line.facts]
        made.append(_figure("cost", own, [line.facts.ratio for line in own if line.facts], _COST))
        with_kid = [line for line in own if line.facts and line.facts.kid is not None]
        kept = [line for line in own if line.facts and line.facts.fidelity is not None]
        if len(with_kid) > 1:
            values = [line.facts.kid or 0.0 for line in with_kid if line.facts]
            made.append(_figure("quality", with_kid, values, f"KID to {kid_to}; to the left is nearer"))
        elif kept:
            values = [1 - (line.facts.fidelity or 0.0) for line in kept if line.facts]
            made.append(_figure("quality", kept, values, "share of images that lost their occupation"))
    return made


def _figure(name: str, lines: Sequence[Outcome], values: Sequence[float], across: str) -> Figure:
    first = lines[0]
    points = [
        Point(line.way, value, line.judge.tv_mean, line.judge.tv_low, line.judge.tv_high)
        for line, value in zip(lines, values, strict=True)
        if line.judge
    ]
    drawn = plot(
        points,
        across=across,
        up=f"mean deviation of {spoken(first.attribute)}",
        log=name == "cost",
        floor=first.floors.get("total_variation"),
    )
    trained = frozenset(
        line.way
        for line in lines
        if line.facts and (line.facts.training_steps != 0 or line.facts.training_seconds != 0.0)
    )
    return Figure(name, first.instruction, first.attribute, drawn, trained)
