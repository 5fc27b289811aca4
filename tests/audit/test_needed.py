"""How many images verdicts that cannot tell would take."""

from __future__ import annotations

from dataclasses import replace

from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.needed import needed
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.power import images_to_meet

HALF = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}


def tally(woman: int, man: int, concept: str = "cook", target: dict[str, float] = HALF) -> Tally:
    counts = {"woman": woman, "man": man, "androgynous": 0}
    return Tally(source="s", concept=concept, attribute="gender", counts=counts, target=target)


def test_each_target_that_cannot_be_told_is_named_once() -> None:
    three = {"woman": 0.2, "man": 0.4, "androgynous": 0.4}
    lines = summarize([tally(8, 8), tally(9, 7, "nurse"), tally(0, 90, "guard"), tally(4, 8, "pilot", three)])
    found = [(one.target, one.groups, one.images) for one in needed(lines, 0.05)]
    assert found == [
        (0.2, 3, images_to_meet(0.2, 0.05, groups=3)),
        (0.4, 3, images_to_meet(0.4, 0.05, groups=3)),
        (0.5, 2, 1_053),
    ]


def test_nothing_is_needed_where_images_would_not_help() -> None:
    lines = summarize([tally(8, 8)])
    assert needed([replace(line, reason="the readers disagree") for line in lines], 0.05) == []
    assert needed(summarize([tally(0, 90)]), 0.05) == []  # it misses, which is told
    assert needed(lines, 0.0) == []
