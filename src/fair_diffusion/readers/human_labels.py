"""People's labels of some of the images that a machine has read, and the machine's errors measured by them.

A group that no labelled image shows has no row in the confusion matrix, because nothing tells how the machine reads it.
Where the matrix corrects shares, the machine's readings of such a group count as unknown. New labels replace earlier
ones of the same source and attribute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.text import printable
from fair_diffusion.perception.confusion import BY_PEOPLE, Confusion
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.readers.findings import Findings

PEOPLE = f"of these images, as {BY_PEOPLE} them"
"""Marks the confusion matrices that are made here."""


def with_labels(findings: Findings, labels: HumanLabels, *, table: str) -> Findings:
    """Add people's labels and a confusion matrix of the machine to the findings.

    The matrix corrects the shares of those sources that have no other matrix of the attribute.

    Args:
        findings: with rows of images, read by a machine.
        labels: people's labels, by the same file names.
        table: the name of the file that holds the labels.

    Raises:
        ValueError: there are no rows of images, no attribute or no file is in both, the machine lacks a label, or
            pictures of one concept were shown with different probabilities.
    """
    study, images = findings.study, findings.images
    if images is None:
        raise ValueError("what was audited has no rows of images that people's labels could belong to")
    groups = {t.attribute: tuple(t.counts) for t in study.tallies if t.attribute in images.column_names}
    check_labels(labels, groups, table=table, files=())
    shared = [attribute for attribute in labels.votes if attribute in groups]
    labels.met.update(labels.files.intersection(images["file"].to_pylist()))
    if not labels.met:
        raise ValueError(
            f"no file in {table} was audited, such as {labels.unmet()[0]!r}; name files as images.parquet does"
        )
    check_labels(labels, groups, table=table, files=labels.met)
    both = [one for attribute in shared for one in _labelled(images, labels, attribute, groups[attribute], table)]
    anew = {(one.source, one.attribute) for one in both}
    kept = [one for one in study.labelled if (one.source, one.attribute) not in anew]
    replaced = dict.fromkeys(one.table for one in study.labelled if (one.source, one.attribute) in anew)
    known = [one for one in study.confusions if one.attribute not in shared or PEOPLE not in one.measured_on]
    sources = images["source"].unique().to_pylist()
    errors, notes = [], [f"the labels in {table} replace those in {', '.join(replaced)}"] if replaced else []
    for attribute in shared:
        told = [
            one for one in (*kept, *both) if one.attribute == attribute and set(one.groups) == set(groups[attribute])
        ]
        error = _confusion(told, known, sources)
        errors += [error] if error else []
        notes += _about_left_out(error, study.tallies) if error and error.left_out else []
    return replace(
        findings,
        study=replace(
            study,
            labelled=[*kept, *both],
            confusions=[*known, *errors],
            notes=[*study.notes, *map(printable, notes), *about_raters(labels)],
        ),
    )


def check_labels(
    labels: HumanLabels,
    groups: Mapping[str, Sequence[str]],
    *,
    table: str,
    files: Collection[str] | None = None,
) -> None:
    """Check that people's labels fit what a machine reads.

    Args:
        labels: people's labels.
        groups: the machine's groups, by attribute.
        table: the name of the file that holds the labels.
        files: the files whose labels are checked; all if None.

    Raises:
        ValueError: no attribute is in both, or a label is not among the machine's groups.
    """
    shared = [attribute for attribute in labels.votes if attribute in groups]
    if not shared:
        raise ValueError(f"{table} labels {', '.join(labels.votes)}; the machine has read {', '.join(groups)}")
    for attribute in shared:
        for file in labels.votes[attribute]:
            said = labels.label(attribute, file).label if files is None or file in files else None
            if said is not None and said not in groups[attribute]:
                raise ValueError(
                    f"{table} says {said!r} of {file}, which the machine does not read; its groups are "
                    f"{list(groups[attribute])}"
                )


def about_raters(labels: HumanLabels) -> list[str]:
    """Notes on how labels were read, on how far raters agree, and on labelled files that were not audited."""
    notes = [printable(note) for note in labels.notes]
    notes += [
        f"{one.attribute}: {one.raters} raters agree with kappa {one.kappa:.2f} on {one.pictures} pictures"
        for one in labels.agreement()
        if one.kappa is not None
    ]
    if unmet := labels.unmet():
        notes.append(f"{len(unmet)} of {len(labels.files)} labelled files were not met, such as {printable(unmet[0])}")
    return notes


def _labelled(
    images: pa.Table, labels: HumanLabels, attribute: str, groups: Sequence[str], table: str
) -> list[Labelled]:
    """Counts of what people and the machine saw, by source and concept."""
    place: dict[str | None, int] = {group: k for k, group in enumerate((*groups, None))}
    tables: dict[tuple[str, str], NDArray[np.int64]] = {}
    files: dict[tuple[str, str], list[str]] = {}
    skipped: dict[tuple[str, str], NDArray[np.int64]] = {}
    votes, skips = labels.votes[attribute], labels.skipped.get(attribute, ())
    columns = (images[name].to_pylist() for name in ("file", "source", "concept", attribute))
    for file, source, concept, read in zip(*columns, strict=True):
        if file in skips:
            skipped.setdefault((source, concept), np.zeros(len(place), dtype=np.int64))[place[read]] += 1
        if file not in votes:
            continue
        said = labels.label(attribute, file).label
        counts = tables.setdefault((source, concept), np.zeros((len(place), len(place)), dtype=np.int64))
        counts[place[said], place[read]] += 1
        files.setdefault((source, concept), []).append(file)
    for own in files.values():
        labels.check_even(attribute, own, table=table)
    return [
        Labelled(
            source=source,
            concept=concept,
            attribute=attribute,
            groups=groups,
            counts=counts.tolist(),
            table=table,
            skipped=skipped[source, concept].tolist() if (source, concept) in skipped else (),
        )
        for (source, concept), counts in tables.items()
    ]


def _confusion(both: Sequence[Labelled], known: Sequence[Confusion], sources: Sequence[str]) -> Confusion | None:
    """The machine's confusion matrix over all labelled images; None if people could not tell any.

    Groups without a labelled image are left out if two others remain."""
    groups = list(both[0].groups) if both else []
    counts = np.sum([_in_order(one, groups) for one in both], axis=0)[:-1] if both else np.zeros((0, 1), dtype=np.int64)
    if not counts.sum():
        return None
    seen, left_out = counts.sum(axis=1) > 0, list[str]()
    if 2 <= seen.sum() < len(groups):
        unknown = counts[seen, -1] + counts[seen][:, :-1][:, ~seen].sum(axis=1)
        counts = np.column_stack([counts[seen][:, :-1][:, seen], unknown])
        left_out = [group for group, labelled in zip(groups, seen, strict=True) if not labelled]
        groups = [group for group in groups if group not in left_out]
    attribute = both[0].attribute
    other = {source for one in known if one.attribute == attribute for source in one.sources}
    tables = ", ".join(dict.fromkeys(printable(one.table) for one in both))
    return Confusion(
        attribute=attribute,
        groups=groups,
        counts=counts.tolist(),
        measured_on=f"{counts.sum()} {PEOPLE} ({tables})",
        sources=[source for source in sources if source not in other],
        left_out=left_out,
    )


def _in_order(one: Labelled, groups: Sequence[str]) -> NDArray[np.int64]:
    """The counts of `one` with rows and columns in the order of `groups`, unknown last."""
    order = [*(list(one.groups).index(group) for group in groups), len(groups)]
    return np.array(one.counts, dtype=np.int64)[np.ix_(order, order)]


def _about_left_out(error: Confusion, tallies: Sequence[Tally]) -> list[str]:
    """A note on the groups that the matrix leaves out, and how often the machine read them."""
    own = [tally for tally in tallies if tally.attribute == error.attribute]
    read = sum(tally.counts.get(group, 0) for tally in own for group in error.left_out)
    return [
        f"{error.attribute}: no labelled image shows {' or '.join(error.left_out)}, so nothing tells how that is read; "
        f"where shares are corrected by people's labels, the {read:,} images read as it count as unknown"
    ]
