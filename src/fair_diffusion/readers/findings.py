"""What an audit of one target gives: a study to report, and the rows of its images, if it has any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from fair_diffusion.audit.study import Study
from fair_diffusion.policy.attributes import check_attributes


@dataclass(frozen=True)
class Findings:
    """`images` is what `ImageRows.table` gives, one row per image; None if none were read."""

    study: Study
    images: pa.Table | None = None


def only(findings: Findings, attributes: Sequence[str] | None) -> Findings:
    """The findings on these attributes alone. `ValueError` if one of them was not counted; all if None is given."""
    if attributes is None:
        return findings
    known = list(dict.fromkeys(tally.attribute for tally in findings.study.tallies))
    check_attributes(attributes, known)
    kept = [tally for tally in findings.study.tallies if tally.attribute in attributes]
    return replace(findings, study=replace(findings.study, tallies=kept))
