"""The result of auditing one target: a study to report, and the rows of its images, if it has any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from fair_diffusion.audit.study import Study
from fair_diffusion.policy.attributes import check_attributes


@dataclass(frozen=True)
class Findings:
    """A study and its images.

    Attributes:
        study: what a report shows.
        images: one row per image, as `ImageRows.table` makes it; None if no images were read.
    """

    study: Study
    images: pa.Table | None = None


def only(findings: Findings, attributes: Sequence[str] | None) -> Findings:
    """Keep the tallies of some attributes.

    Args:
        findings: what was read.
        attributes: the attributes to keep; all if None.

    Raises:
        ValueError: one of the attributes was not counted.
    """
    if attributes is None:
        return findings
    known = list(dict.fromkeys(tally.attribute for tally in findings.study.tallies))
    check_attributes(attributes, known)
    kept = [tally for tally in findings.study.tallies if tally.attribute in attributes]
    return replace(findings, study=replace(findings.study, tallies=kept))
