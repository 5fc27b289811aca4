"""Deviations of each field of concepts: "nurse" and "doctor" belong to the field "health". Exports `by_field`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fair_diffusion.audit.deviations import Deviation, deviations
from fair_diffusion.audit.tally import Tally


def by_field(tallies: Sequence[Tally], fields: Mapping[str, str]) -> dict[str, list[Deviation]]:
    """The deviations of each field, by source and attribute; concepts without a field are left out.

    Args:
        tallies: what was counted.
        fields: the field of each concept.
    """
    parts: dict[str, list[Tally]] = {}
    for tally in tallies:
        if tally.concept in fields:
            parts.setdefault(fields[tally.concept], []).append(tally)
    return {field: deviations(part) for field, part in sorted(parts.items())}
