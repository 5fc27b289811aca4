"""A result on the terminal: how far it is from its targets, and the table of each attribute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fair_diffusion.cli.console import Columns

if TYPE_CHECKING:
    from fair_diffusion.result import Result


def deviations(part: Result) -> Iterator[str]:
    """How far from its target each attribute is, and how far a perfect coin would be."""
    for found in part.deviations():
        yield (
            f"{part.title}: {found['attribute']} deviates {found['tv']:.3f} from the target; "
            f"a perfect coin would by {found['noise_floor']:.3f}"
        )


def table(part: Result, attribute: str) -> Columns:
    """The audit of one attribute: the judge's counts with intervals, the perceiver's beside them."""
    columns = ("group", "target", "quota", "count", "perceiver", "share", "interval", "verdict")
    title = f"{part.title}: {attribute}, with 95 % intervals"
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
