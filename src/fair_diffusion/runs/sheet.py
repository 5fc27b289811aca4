"""The contact sheet of one or several results: a block for each result, with what the judge read below each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fair_diffusion.audit.table import JOINT, AuditRow
from fair_diffusion.files.picture_files import at
from fair_diffusion.report.contact_sheet import SheetRow, contact_sheet

if TYPE_CHECKING:
    from fair_diffusion.result import Record, Result

MOST = 1024
"""The most images of one result on a sheet, if nobody chose them."""


def sheet(results: Sequence[Result], path: Path | None = None, *, places: Sequence[int] | None = None) -> Image.Image:
    """Draw the contact sheet of `results`, one block below the other.

    Args:
        results: the last one is the result that was asked for; its audit says which attribute is shown.
        path: where the sheet is also written.
        places: positions of the images to show; the first `MOST` if None.
    """
    asked = results[-1]
    attribute = asked.audit[0].attribute
    rows = []
    for result in results:
        shown = range(min(len(result.images), MOST)) if places is None else places
        rows.append(
            SheetRow(
                title=f"{result.title.capitalize()}: {result.prompt}\n{_counts(result.audit, attribute)}",
                images=at(result.images, shown),
                labels=[_label(result.records[place], attribute) for place in shown],
                marks=[result.records[place].steered for place in shown],
            )
        )
    groups = [row.group for row in asked.audit if row.attribute == attribute]
    most = 0 if places is not None else max(len(result.images) for result in results)
    first = f"The first {MOST:,} of {most:,} images. " if most > MOST else ""
    footer = (
        f"{first}Groups as the judge reads them; it never steers. {asked.model}, {asked.method}, seed {asked.seed}."
    )
    return contact_sheet(rows, path, groups=groups, footer=footer)


def _counts(rows: Sequence[AuditRow], attribute: str) -> str:
    """How many images show each group, and how many were asked for, as text."""
    shown = [row for row in rows if row.attribute == attribute]
    n = sum(row.count for row in shown) + shown[0].unknown
    parts = [
        f"{row.count:,} {row.group}" + ("" if row.quota is None else f" ({row.quota:,} asked)")
        for row in shown
        if row.count or row.target
    ]
    unread = [f"{shown[0].unknown:,} unknown"] if shown[0].unknown else []
    return f"{n:,} images: " + ", ".join([*parts, *unread])


def _label(record: Record, attribute: str) -> str:
    """The group that the judge read, with its lowest confidence; the attribute may be a joint one."""
    names = attribute.split(JOINT)
    groups = [record.judged[name] for name in names]
    if any(group is None for group in groups):
        return "unknown"
    return f"{JOINT.join(map(str, groups))} {min(record.confidence[name] for name in names):.2f}"
