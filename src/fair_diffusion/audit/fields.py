"""How far each field of concepts is from its targets: nurses and doctors lie in "health". Exports `by_field`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fair_diffusion.audit.deviations import Deviation, deviations
from fair_diffusion.audit.tally import Tally


def by_field(tallies: Sequence[Tally], fields: Mapping[str, str]) -> dict[str, list[Deviation]]:
    """The deviations of the concepts of each field, by source and attribute; concepts without a field are left out.

    Args:
        tallies: what was counted.
        fields: the field of each concept.
    """
    found: dict[str, list[Tally]] = {}
    for tally in tallies:
        if tally.concept in fields:
            found.setdefault(fields[tally.concept], []).append(tally)
    return {field: deviations(part) for field, part in sorted(found.items())}
