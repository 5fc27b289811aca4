"""People's labels of some of the images that a machine has read: what both saw, and how the machine errs by them.

Exports `with_labels` and `about_raters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fair_diffusion.audit.sources.findings import Findings
from fair_diffusion.audit.study import Confusion, Labelled
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.printable import printable


def with_labels(findings: Findings, labels: HumanLabels, *, table: str) -> Findings:
    """The findings with what people said of the same images, and a confusion matrix of the machine by it.

    The matrix corrects the shares of sources for which no other matrix of that attribute is known.

    Args:
        findings: with rows of images, read by a machine.
        labels: people's, by the names of these files.
        table: the name of the file that holds them.

    Raises:
        ValueError: no rows of images, no attribute or file in common, or a label that the machine does not know.
    """
    study, images = findings.study, findings.images
    if images is None:
        raise ValueError("what was audited has no rows of images that people's labels could belong to")
    groups = {t.attribute: tuple(t.counts) for t in study.tallies if t.attribute in images.column_names}
    shared = [attribute for attribute in labels.votes if attribute in groups]
    if not shared:
        raise ValueError(f"{table} labels {', '.join(labels.votes)}; the machine has read {', '.join(groups)}")
    labels.met.update(labels.files.intersection(images["file"].to_pylist()))
    if not labels.met:
        raise ValueError(
            f"no file in {table} was audited, such as {labels.unmet()[0]!r}; name files as images.parquet does"
        )
    both = [one for attribute in shared for one in _labelled(images, labels, attribute, groups[attribute], table)]
    sources = images["source"].unique().to_pylist()
    errors = [
        _confusion([one for one in both if one.attribute == attribute], study.confusions, sources)
        for attribute in shared
    ]
    return replace(
        findings,
        study=replace(
            study,
            labelled=[*study.labelled, *both],
            confusions=[*study.confusions, *(error for error in errors if error is not None)],
            notes=[*study.notes, *about_raters(labels)],
        ),
    )


def about_raters(labels: HumanLabels) -> list[str]:
    """How far raters agree, and how many labelled files were not met."""
    notes = [
        f"{found.attribute}: {found.raters} raters agree with kappa {found.kappa:.2f} on {found.pictures} pictures"
        for found in labels.agreement()
        if found.kappa is not None
    ]
    if unmet := labels.unmet():
        notes.append(f"{len(unmet)} of {len(labels.files)} labelled files were not met, such as {printable(unmet[0])}")
    return notes


def _labelled(
    images: pa.Table, labels: HumanLabels, attribute: str, groups: Sequence[str], table: str
) -> list[Labelled]:
    """What people and the machine saw, by source and concept."""
    place: dict[str | None, int] = {group: k for k, group in enumerate((*groups, None))}
    found: dict[tuple[str, str], np.ndarray[tuple[int, int], np.dtype[np.int64]]] = {}
    votes = labels.votes[attribute]
    columns = (images[name].to_pylist() for name in ("file", "source", "concept", attribute))
    for file, source, concept, read in zip(*columns, strict=True):
        if file not in votes:
            continue
        said = labels.label(attribute, file).label
        if said not in place:
            raise ValueError(
                f"{table} says {said!r} of {file}, which the machine does not read; its groups are {list(groups)}"
            )
        counts = found.setdefault((source, concept), np.zeros((len(place), len(place)), dtype=np.int64))
        counts[place[said], place[read]] += 1
    return [
        Labelled(
            source=source, concept=concept, attribute=attribute, groups=groups, counts=counts.tolist(), table=table
        )
        for (source, concept), counts in found.items()
    ]


def _confusion(both: Sequence[Labelled], known: Sequence[Confusion], sources: Sequence[str]) -> Confusion | None:
    """The machine's errors on all labelled images together; those that people could not tell say nothing."""
    counts: list[list[int]] = np.sum([one.counts for one in both], axis=0)[:-1].tolist() if both else []
    total = sum(map(sum, counts))
    if not total:
        return None
    attribute = both[0].attribute
    other = {source for one in known if one.attribute == attribute for source in one.sources}
    return Confusion(
        attribute=attribute,
        groups=both[0].groups,
        counts=counts,
        measured_on=f"{total} of these images, as people labelled them ({printable(both[0].table)})",
        sources=[source for source in sources if source not in other],
    )
