"""A delivery in words: "16 of 32 women, as asked (plain: 1 of 32)".

Exports `said`, which is about these images, `process_said`, which is about what made them, and `done`, what was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fair_diffusion.audit.delivery import TOLERANCE, Delivery
from fair_diffusion.audit.table import AuditRow
from fair_diffusion.report.headline import percent, plural, spoken, units

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
