"""The headline of a report: sentences made from its numbers, such as

Over 153 occupations, plain images deviate 0.31 on average from an even split of women and men; instructed 0.10.
A perfect coin with 250 images would deviate 0.025.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.relations import SourceRelation
from fair_diffusion.policy.words import PLURAL

_NAMED = 3
_ALIKE = 0.002


@dataclass(frozen=True)
class Headline:
    """One attribute in words: `lead` is the deviation and its noise floor, `more` is what else the numbers show."""

    lead: str
    more: str


def headlines(
    lines: Sequence[Line],
    deviations: Sequence[Deviation],
    relations: Sequence[SourceRelation] = (),
    *,
    unit: str,
    reference: str | None,
) -> list[Headline]:
    """One headline for each attribute, in the order of `deviations`.

    Args:
        lines: every share.
        deviations: every source and attribute.
        relations: what each source makes of the reference.
        unit: what a concept is, in the singular.
        reference: name of the source that the others are compared with, or None.
    """
    attributes = list(dict.fromkeys(found.attribute for found in deviations))
    written = []
    for attribute in attributes:
        own = [line for line in lines if line.attribute == attribute]
        found = [one for one in deviations if one.attribute == attribute]
        name = f"{spoken(attribute).capitalize()}: " if len(attributes) > 1 else ""
        lead = name + " ".join([_deviate(own, found, unit), _coin(own, found, reference)])
        more = [
            *_assumed(own, found),
            *_band(found, unit, reference),
            *_relations([one for one in relations if one.attribute == attribute], unit, reference),
            *_unread(attribute, found),
        ]
        written.append(Headline(lead, " ".join(more)))
    return written


def number(value: float) -> str:
    """A deviation with two significant digits or so: 0.31, 0.025, 0."""
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}" if value else "0"


def percent(share: float, digits: int = 1) -> str:
    """A share as "43.2 %", with a non-breaking space."""
    return f"{100 * share:.{digits}f}\u00a0%"


def spoken(name: str) -> str:
    """The name of an attribute as people write it."""
    return name.replace("_", " ")


def short(text: str, most: int = 80) -> str:
    """A name cut to at most `most` letters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plural(word: str) -> str:
    """The plural of a group; names whose plural is not known stay as they are."""
    return PLURAL.get(word, word)


def units(count: int, unit: str) -> str:
    """A number with its unit, such as "153 occupations" or "1 prompt"."""
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def target_in_words(targets: Sequence[Mapping[str, float]], attribute: str) -> str:
    """The common target in words; "their targets" if the targets differ."""
    first = targets[0]
    if any(target != first for target in targets):
        return "their targets"
    if max(first.values()) > min(first.values()):
        return (
            "the target (" + ", ".join(f"{percent(share, 0)} {plural(group)}" for group, share in first.items()) + ")"
        )
    if len(first) == 1:
        return f"all {plural(next(iter(first)))}"
    if len(first) > _NAMED:
        return f"an even split over {len(first)} groups of {spoken(attribute)}"
    return "an even split of " + _and([plural(group) for group in first])


def default_shares(lines: Sequence[Line]) -> str:
    """Words for the shares that stand in for a target; the shares are named if they are equal for all and not even."""
    shares: dict[tuple[str, str, str], dict[str, float]] = {}
    for line in lines:
        if line.assumed:
            shares.setdefault((line.source, line.concept, line.attribute), {})[line.group] = round(line.target, 9)
    found = list(shares.values())
    if not found or any(other != found[0] for other in found) or len(set(found[0].values())) == 1:
        return "the default shares"
    said = ", ".join(f"{percent(share, 0)} {plural(group)}" for group, share in found[0].items())
    return f"the default shares ({said})"


def targets_of(lines: Sequence[Line]) -> list[dict[str, float]]:
    """The target of every tally of `lines`, without groups of target zero."""
    targets: dict[tuple[str, str, str], dict[str, float]] = {}
    for line in lines:
        target = targets.setdefault((line.source, line.concept, line.attribute), {})
        if line.target > 0:
            target[line.group] = round(line.target, 9)
    return list(targets.values())


def _deviate(lines: Sequence[Line], found: Sequence[Deviation], unit: str) -> str:
    goal = target_in_words(targets_of(lines), found[0].attribute)
    concepts = {one.source: {line.concept for line in lines if line.source == one.source} for one in found}
    shared = concepts[found[0].source]
    alike = all(own == shared for own in concepts.values())
    parts = []
    for k, one in enumerate(found):
        own = concepts[one.source]
        mean = " on average" if len(own) > 1 and (k == 0 or not alike) else ""
        where = "" if alike else f" for {_those(own, unit)}"
        aim = f" from {goal}" if k == 0 else ""
        parts.append(f"{one.source}{' images deviate' if k == 0 else ''} {number(one.tv_mean)}{mean}{aim}{where}")
    if alike:
        parts[0] = f"{'Over' if len(shared) > 1 else 'For'} {_those(shared, unit)}, {parts[0]}"
    return "; ".join(parts) + "."


def _those(concepts: Collection[str], unit: str) -> str:
    return units(len(concepts), unit) if len(concepts) > 1 else f"“{short(next(iter(concepts)))}”"


def _assumed(lines: Sequence[Line], found: Sequence[Deviation]) -> list[str]:
    without = [one.source for one in found if one.assumed]
    if not without:
        return []
    if len(without) == len(found):
        return [f"No target is asked for {spoken(lines[0].attribute)}: {default_shares(lines)} are assumed."]
    return [f"No target of {_and(without)} is measured: {default_shares(lines)} are assumed there."]


def _coin(lines: Sequence[Line], found: Sequence[Deviation], reference: str | None) -> str:
    """The noise floor in words. The reference is no draw from a target, so it is left out if there are others."""
    judged = [one for one in found if one.source != reference] or list(found)
    coin = "coin" if all(len(target) <= 2 for target in targets_of(lines)) else "draw"
    floors = [one.noise_floor for one in judged]
    sizes = {line.n for line in lines if line.source in {one.source for one in judged}}
    if len(sizes) == 1 and len(set(map(number, floors))) == 1:
        return f"A perfect {coin} with {units(sizes.pop(), 'image')} would deviate {number(floors[0])}."
    if max(floors) - min(floors) < _ALIKE:
        return f"A perfect {coin} with as many images would deviate about {number(sum(floors) / len(floors))}."
    if len(judged) > _NAMED:
        return f"A perfect {coin} with as many images would deviate {number(min(floors))} to {number(max(floors))}."
    each = [f"{number(one.noise_floor)} ({one.source})" for one in judged]
    return f"A perfect {coin} with as many images would deviate {_and(each)}."


def _band(found: Sequence[Deviation], unit: str, reference: str | None) -> list[str]:
    judged = [one for one in found if one.source != reference and one.concepts > 1]
    if not judged:
        return []
    alike = len({one.concepts for one in judged}) == 1
    each = [
        f"{one.source} in {one.within_chance:,}" + (f" of {units(one.concepts, unit)}" if k == 0 or not alike else "")
        for k, one in enumerate(judged)
    ]
    return [f"Within what chance gives 95 times of 100: {_and(each)}."]


def _relations(found: Sequence[SourceRelation], unit: str, reference: str | None) -> list[str]:
    sentences = []
    for one in found:
        counted = units(one.shares, unit if one.shares == one.concepts else "share")
        sentences.append(
            f"Against {reference}, {one.source} amplifies {one.amplified:,} of {counted}, reflects "
            f"{one.reflected:,} and mitigates {one.mitigated:,}; {one.cannot_tell:,} cannot be told. With 95\u00a0% "
            f"confidence it amplifies {_range(one.amplified_low, one.amplified_high)}."
        )
        if one.difference is None:
            continue
        interval = (
            ""
            if one.difference_low is None or one.difference_high is None
            else f" ({_points(one.difference_low)} to {_points(one.difference_high)})"
        )
        more = f"{abs(100 * one.difference):.1f} points {'less' if one.difference < 0 else 'more'} frequent"
        sentences.append(f"The groups that {reference} shows more than evenly are {more} there, on average{interval}.")
    return sentences


def _range(low: int, high: int) -> str:
    return f"{low:,} to {high:,}" if low < high else f"{low:,}"


def _points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def _unread(attribute: str, found: Sequence[Deviation]) -> list[str]:
    unknown, n = sum(one.unknown for one in found), sum(one.n for one in found)
    if not unknown:
        return []
    return [f"In {unknown:,} of {n:,} images ({percent(unknown / n)}) the {spoken(attribute)} could not be read."]


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
