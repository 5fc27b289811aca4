"""A delivery in words: "16 of 32 women, as asked (plain: 1 of 32)".

Exports `said`, which is about these images, `process_said`, which is about what made them, `people_unknown`, which says
why nobody can tell what people would see, and `done`, which is what was done to them; `of_study`, `selections`,
`reasons` and `refusals` say the same of a study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from fair_diffusion.audit.corrections import Correction
from fair_diffusion.audit.deliveries import SourceDelivery
from fair_diffusion.audit.delivery import TOLERANCE, Delivery
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.numbers import Numbers
from fair_diffusion.audit.predictions import Prediction
from fair_diffusion.audit.side_effects import SideEffect
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.table import JOINT, AuditRow
from fair_diffusion.report.headline import percent, plural, short, spoken, units

_NAMED = 4
_DONE = {"repaired": "made again", "reseeded": "from a new seed", "put back": "put back"}


def said(delivered: Delivery, before: Mapping[str, int] | None = None, *, name: str = "plain") -> str:
    """What was delivered beside what was asked for, without a full stop.

    Up to two groups are told by the one that is farthest from its quota; more by the images that fit.

    Args:
        delivered: the images.
        before: counts of the images that they are compared with, by group; unread ones by any other name.
        name: what those are called.
    """
    asked = [one for one in delivered.groups if one.quota]
    if len(asked) > 2:
        fit = sum(min(one.count, one.quota) for one in delivered.groups)
        text = f"{fit:,} of {units(delivered.n, 'image')} as asked by {spoken(delivered.attribute)}"
        were = None if before is None else sum(min(before.get(one.group, 0), one.quota) for one in delivered.groups)
    else:
        told = max(asked, key=lambda one: abs(one.count - one.quota))
        text = f"{told.count:,} of {delivered.n:,} {plural(told.group)}"
        text += ", as asked" if delivered.exact else f", {told.quota:,} asked"
        were = None if before is None else before.get(told.group, 0)
    if delivered.verdict == "meets" and not delivered.exact:
        text += f", within {100 * TOLERANCE:g} points"
    if before is not None:
        text += f" ({name}: {were:,} of {sum(before.values()):,})"
    return text + (f"; cannot tell: {delivered.reason}" if delivered.reason else "")


def people_unknown(attribute: str) -> str:
    """Why it is not told how many images people would see of a combination of attributes; empty for a single one."""
    if JOINT not in attribute:
        return ""
    return (
        f"How many people would see of {spoken(attribute)} is not told: the errors of the judge are measured for each "
        "attribute alone, and errors in two attributes of one image need not be independent."
    )


def process_said(rows: Sequence[AuditRow]) -> str:
    """What the process shows beside the target, for images without quotas, without a full stop.

    Args:
        rows: all rows of one attribute that has a target.
    """
    n = sum(row.count for row in rows) + rows[0].unknown
    asked = [row for row in rows if row.target]
    told = max(asked or rows, key=lambda row: abs(row.share - (row.target or 0)))
    verdicts = {row.verdict for row in rows if row.verdict}
    text = f"{told.count:,} of {n:,} {plural(told.group)}, {percent(told.target or 0, 0)} asked"
    if "misses" in verdicts:
        return f"{text}: misses"
    if verdicts == {"meets"}:
        return f"{text}: meets"
    return f"{text}; cannot tell: {units(n, 'image')} are too few to say what the process gives" if verdicts else text


def done(counts: Mapping[str, int], *, checked: bool) -> str:
    """What was done to the images: "15 images steered, 17 untouched, none missed".

    Args:
        counts: of `Result.counts`.
        checked: whether the perceiver was asked which images miss what they were assigned.
    """
    moved = "moved" if "moved" in counts else "steered"
    parts = [f"{units(counts[moved], 'image') if counts[moved] else 'no image'} {moved}"]
    parts += [f"{counts[name]:,} {words}" for name, words in _DONE.items() if counts.get(name)]
    parts.append(f"{counts['untouched']:,} untouched")
    if checked:
        parts.append(f"{counts['missed']:,} missed" if counts["missed"] else "none missed")
    return ", ".join(parts)


def besides(effect: SideEffect) -> str:
    """How an attribute changed that nobody asked to change: "skin tone changed in 3 of 15 steered images (7 to 45 %)".

    Args:
        effect: the change; at least one image was steered.
    """
    text = f"{spoken(effect.attribute)} changed in {effect.changed:,} of {units(effect.steered, 'steered image')}"
    return f"{text} ({100 * effect.low:.0f} to {percent(effect.high, 0)})"


def besides_of_study(found: Numbers) -> list[str]:
    """How attributes changed that nobody asked to change, one sentence for each source that steered any image."""
    moved: dict[str, list[str]] = {}
    for one in found.side_effects:
        if one.effect.steered:
            moved.setdefault(one.after, []).append(besides(one.effect))
    several = len(moved) > 1
    return [f"{f'{after}: ' if several else ''}{'; '.join(texts)}." for after, texts in moved.items()]


def of_study(found: Numbers, attribute: str) -> list[str]:
    """What the sources of a study delivered of one attribute, one sentence each; empty if nothing was asked by quota.

    The first sentences are about these images, and the last ones about how many people would see.
    """
    own = [one for one in found.deliveries if one.whole.attribute == attribute]
    several = len(own) > 1
    heads = [f"{one.source}: " if several else "" for one in own]
    lead = [f"{head}{_whole(one, found)}." for head, one in zip(heads, own, strict=True)]
    return lead + [head + text for head, one in zip(heads, own, strict=True) if (text := _people(one.whole))]


def selections(found: Numbers) -> list[str]:
    """What was done to the images of each source that knows it, one sentence each."""
    known = [source for source in found.study.sources if source.selection]
    return [
        (f"{source.name}: " if len(known) > 1 else "")
        + _capital(done(source.selection, checked=_checked(source)))
        + "."
        for source in known
    ]


def reasons(lines: Sequence[Line]) -> list[tuple[str, int]]:
    """Why nobody can tell, where it is not for too few images, and of how many shares with a target."""
    asked = (line for line in lines if not line.assumed)
    unread = "images could not be read"
    return list(
        Counter(
            unread if line.reason.endswith(unread) else line.reason for line in asked if line.reason is not None
        ).items()
    )


def _refused(estimates: Sequence[Correction | Prediction]) -> list[tuple[str, str, list[str]]]:
    """The corrections or predictions that were refused: attribute, reason, and the sources or concepts."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in estimates:
        if one.refused is not None:
            concept = one.concept if isinstance(one, Prediction) else None
            place = one.source if concept is None else f"{short(concept)} ({one.source})"
            places.setdefault((one.attribute, one.refused), []).append(place)
    return [(attribute, reason, own) for (attribute, reason), own in places.items()]


def refusals(found: Numbers) -> list[str]:
    """Which shares are not corrected, or not told as people would see them, and why; one sentence each."""
    parts = (
        (found.corrections, "is not corrected for the reader's errors"),
        (found.predictions, "as people would see it is not told"),
    )
    return [
        f"{_capital(spoken(attribute))} of {_listed(places)} {what}: {reason}."
        for estimates, what in parts
        for attribute, reason, places in _refused(estimates)
    ]


def _listed(places: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(places) - _NAMED:,} more" if len(places) > _NAMED else ""
    return ", ".join(places[:_NAMED]) + more


def _whole(one: SourceDelivery, found: Numbers) -> str:
    """The images of one source, all its concepts together."""
    before, counts = _before(one, found)
    text = said(one.whole, counts, name=before)
    if one.concepts == 1:
        return text
    return f"as asked in {one.met:,} of {units(one.concepts, found.study.unit)}; in all {text}"


def _before(one: SourceDelivery, found: Numbers) -> tuple[str, dict[str, int] | None]:
    """The source that another one is compared with, and its counts over the same concepts, if it has all of them."""
    attribute = one.whole.attribute
    compared = [row for row in found.comparisons if (row.after, row.attribute) == (one.source, attribute)]
    asked = {
        quota.concept for quota in found.study.quotas if (quota.source, quota.attribute) == (one.source, attribute)
    }
    if not compared:
        return "", None
    name = compared[0].before
    own = [t for t in found.study.tallies if (t.source, t.attribute) == (name, attribute) and t.concept in asked]
    if len(own) != len(asked):
        return "", None
    counts: Counter[str] = Counter()
    for tally in own:
        counts.update(tally.counts)
        counts["unknown"] += tally.unknown
    return name, dict(counts)


def _people(whole: Delivery) -> str:
    """How many people would see, and how far that may go if the judge makes the perceiver's errors."""
    if not whole.corrected:
        return people_unknown(whole.attribute)
    shown = [one for one in whole.groups if one.quota or one.count]
    seen = ", ".join(f"{_range(one.low, one.high)} {plural(one.group)}" for one in shown)
    text = f"People would see {seen}"
    if all(one.shared_low is not None for one in shown):
        shared = ", ".join(_range(one.shared_low or 0, one.shared_high or 0) for one in shown)
        text += f" ({shared} if the judge makes the very same errors as the perceiver)"
    return text + "."


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _checked(source: Source) -> bool:
    return source.selection.get("looked_at", 0) > 0


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
