"""A result on the terminal: a table of what was asked and what came out, and one paragraph that says it.

`--verbose` adds what a statistician asks for: intervals of the process, the perceiver's counts, deviations and floors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.report.delivered import besides, done, people_unknown, process_said, said

if TYPE_CHECKING:
    from fair_diffusion.result import Result


def show(result: Result, before: Result | None, *, verbose: bool) -> None:
    """Print what was asked and what came out, without the last paragraph.

    Args:
        result: the images.
        before: the images that they are compared with: plain twins or originals.
        verbose: whether the figures of the process are printed too.
    """
    terminal = Terminal()
    terminal.write(f"{result.prompt}: {result.reason}", bold=True)
    for note in result.notes:
        terminal.write(f"note: {note}")
    attributes = list(dict.fromkeys(row.attribute for row in result.audit))
    for attribute in attributes:
        terminal.print(short_table(result, before, attribute))
    for text in (people_unknown(one.attribute) for one in result.deliveries):
        if text and result.confusions:
            terminal.write(text)
    if verbose:
        for part in [part for part in (before, result) if part]:
            for attribute in attributes:
                terminal.print(table(part, attribute))
            for line in deviations(part):
                terminal.write(line)
        for line in sensitivity(result):
            terminal.write(line)


def outcome(result: Result, before: Result | None, *, cost: str, seconds: str) -> str:
    """The last paragraph: what was delivered, what was done to the images, and what it took.

    Args:
        result: the images.
        before: the images that they are compared with.
        cost: what the cost is relative to.
        seconds: how long it took, in words.
    """
    if not result.images:
        return "No image was finished."
    ratio = f"{result.summary()['cost']['ratio']:.2f}"
    ratio = ratio[:-1] if ratio.endswith("0") else ratio
    checked = any(record.missed is not None for record in result.records)
    was_done = done(result.counts(), checked=checked)
    was_done = was_done[0].upper() + was_done[1:]
    moved = "; ".join(besides(effect) for effect in result.side_effects if effect.steered)
    was_done += f". {moved[0].upper()}{moved[1:]}" if moved else ""
    return f"{'; '.join(_outcomes(result, before))}. {was_done}. {ratio}× the cost of {cost}, {seconds}."


def _outcomes(result: Result, before: Result | None) -> Iterator[str]:
    """What was delivered of each attribute."""
    delivered = {one.attribute: one for one in result.deliveries}
    for attribute in dict.fromkeys(row.attribute for row in result.audit if row.target is not None):
        if attribute not in delivered:
            yield process_said([row for row in result.audit if row.attribute == attribute])
        elif before is None:
            yield said(delivered[attribute])
        else:
            rows = [row for row in before.audit if row.attribute == attribute]
            counts = {row.group: row.count for row in rows} | {"unknown": rows[0].unknown}
            yield said(delivered[attribute], counts, name=before.title)
    if not any(row.target is not None for row in result.audit):
        yield "Nothing was asked of these images"


def short_table(result: Result, before: Result | None, attribute: str) -> Columns:
    """Of each group, the images asked for, those that the judge counts, and how many people would see."""
    delivered = next((one for one in result.deliveries if one.attribute == attribute), None)
    ends = {one.group: one for one in delivered.groups if one.low < one.high} if delivered else {}
    rows = [row for row in result.audit if row.attribute == attribute]
    earlier = {row.group: row for row in before.audit if row.attribute == attribute} if before else {}
    asked = any(row.target is not None for row in rows)
    heads = [attribute, *(["asked"] if asked else []), "drawn", *([before.title] if before else [])]
    heads += [("people would see" if delivered.corrected else "possible")] if delivered and ends else []
    shown = Columns(*heads)
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in rows:
        was = earlier[row.group].count if earlier else 0
        if row.count or row.target or was:
            goal = "" if row.target is None else f"{row.target:.0%}" if row.quota is None else f"{row.quota:,}"
            cells = [*([goal] if asked else []), f"{row.count:,}", *([f"{was:,}"] if earlier else [])]
            if ends:
                one = ends.get(row.group)
                cells.append(f"{one.low:,} to {one.high:,}" if one else f"{row.count:,}")
            shown.row(row.group, *cells)
    unread = rows[0].unknown, next(iter(earlier.values())).unknown if earlier else 0
    if any(unread):
        cells = [*([""] if asked else []), f"{unread[0]:,}", *([f"{unread[1]:,}"] if earlier else [])]
        shown.row("could not be read", *cells, *([""] if ends else []))
    return shown


def sensitivity(result: Result) -> Iterator[str]:
    """How far the counts may be off if the judge makes the perceiver's errors: it would not see them."""
    for delivered in result.deliveries:
        shared = [
            f"{one.shared_low:,} to {one.shared_high:,} {one.group}"
            for one in delivered.groups
            if one.shared_low is not None and (one.quota or one.count)
        ]
        if shared:
            yield (
                f"{delivered.attribute}: if the judge made the very same errors as the perceiver, people would see "
                f"{', '.join(shared)}; the table takes their errors to be independent"
            )


def deviations(part: Result) -> Iterator[str]:
    """How far from its target each attribute is, and how far a perfect coin would be."""
    for found in part.deviations():
        yield (
            f"{part.title}: {found['attribute']} deviates {found['tv']:.3f} from the target; "
            f"a perfect coin would by {found['noise_floor']:.3f}"
        )


def table(part: Result, attribute: str) -> Columns:
    """The audit of one attribute: what the process shows, with intervals, and the perceiver's counts beside."""
    columns = ("group", "target", "quota", "count", "perceiver", "share", "interval", "verdict")
    title = f"{part.title}: {attribute}, the process, with 95 % intervals"
    shown = Columns(*columns, title=title)
    shown.columns[-1].no_wrap = True
    rows = [
        (row, other) for row, other in zip(part.audit, part.perceived_audit, strict=True) if row.attribute == attribute
    ]
    for row, other in rows:
        if row.count or other.count or row.target:
            shown.row(
                row.group,
                "" if row.target is None else f"{row.target:.0%}",
                "" if row.quota is None else str(row.quota),
                str(row.count),
                str(other.count),
                f"{row.share:.0%}",
                f"{row.low:.0%}–{row.high:.0%}",
                row.verdict or "",
            )
    row, other = rows[0]
    shown.row("unknown", "", "", str(row.unknown), str(other.unknown), f"{row.unknown / len(part.images):.0%}")
    return shown
