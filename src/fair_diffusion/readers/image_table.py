"""Audit a table of images that somebody has read already: the `images.parquet` of a study, or people's labels.

The columns of `images.parquet` are file, source, concept, seed if it is known, and for each attribute its label and
`<attribute>_confidence`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.folder import FORMAT, UNKNOWN
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.files.format_number import check_metadata
from fair_diffusion.files.guarded import opened, why
from fair_diffusion.files.text import printable
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.label_rows import read_labels
from fair_diffusion.policy.attributes import Attributes, every_group
from fair_diffusion.policy.spelling import named
from fair_diffusion.readers.counts import kind_of
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.image_rows import ImageRows
from fair_diffusion.readers.names import UNNAMED

SUFFIX = "_confidence"


def is_image_table(columns: list[str]) -> bool:
    """Whether a table of these columns holds images that somebody has read."""
    return {"file", "concept"} <= set(columns) and bool(_attributes(columns))


def read_image_table(path: Path, *, attributes: list[str] | None = None, defined: Attributes | None = None) -> Findings:
    """Read a table of images as a study.

    Args:
        path: the table.
        attributes: what to count; all that was read if None.
        defined: the definitions of the attributes that it may name; the built-in ones if None.

    Raises:
        ValueError: the table is damaged or empty, or one of the attributes was not read.
    """
    try:
        with opened(path) as source, pq.ParquetFile(source) as file:
            check_metadata(file.schema_arrow.metadata, FORMAT, path)
            names = _attributes(file.schema_arrow.names)
            rows = _rows(path, file, names, defined)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read: {why(error)}") from error
    if not len(rows):
        raise ValueError(f"{path} holds no images")
    sources = dict.fromkeys(source for source, _ in rows.keys)
    study = Study(
        title=f"Audit of {path.name}",
        sources=[Source(name=name, kind=kind_of(name), facts={"images": path.name}) for name in sources],
        tallies=rows.tallies(attributes),
    )
    return Findings(study, rows.table())


def read_label_table(path: Path, *, attributes: list[str] | None = None, defined: Attributes | None = None) -> Findings:
    """Read people's labels of images that are not here as a study, as `human:CSV` reads them.

    Args:
        path: the table.
        attributes: what to count; all that was labelled if None.
        defined: the definitions of the attributes that it may name; the built-in ones if None.

    Raises:
        ValueError: as `perception.label_rows.read_labels`; or pictures of one concept were shown with different
            probabilities.
    """
    found = read_labels(path, defined)
    labels = HumanLabels(found.votes, found.notes, defined, found.chances)
    for name, files in found.votes.items():
        alike: dict[tuple[str, str], list[str]] = {}
        for file in files:
            alike.setdefault(found.about[file], []).append(file)
        for own in alike.values():
            labels.check_even(name, own, table=path.name)
    rows = ImageRows(labels.groups)
    for file in sorted(labels.files):
        concept, source = found.about[file]
        said = {name: labels.label(name, file) for name in labels.groups}
        rows.add(
            printable(file),
            printable(source or path.stem),
            printable(concept or UNNAMED),
            {name: one.label for name, one in said.items()},
            {name: one.confidence for name, one in said.items()},
        )
    study = Study(
        title=f"Audit of {path.name}",
        sources=[
            Source(name=name, kind=kind_of(name), facts={"labels": path.name})
            for name in dict.fromkeys(source for source, _ in rows.keys)
        ],
        tallies=rows.tallies(attributes),
        notes=[printable(note) for note in found.notes],
    )
    return Findings(study, rows.table())


def _attributes(columns: list[str]) -> list[str]:
    """The attributes of a table: the columns that have a column of confidences beside them."""
    return [
        name.removesuffix(SUFFIX) for name in columns if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in columns
    ]


def _rows(path: Path, file: pq.ParquetFile, names: list[str], defined: Attributes | None) -> ImageRows:
    """The rows of the attributes `names`; groups are those of the attribute, or those that occur."""
    rows = ImageRows(dict.fromkeys(names, ()))
    seen: dict[str, dict[str, None]] = {name: {} for name in names}
    schema = file.schema_arrow
    there = [name for name in ("file", "source", "concept", "seed", "phrasing") if name in schema.names]
    there += ["steered"] if "steered" in schema.names and pa.types.is_boolean(schema.field("steered").type) else []
    for batch in file.iter_batches(batch_size=8192, columns=[*there, *names, *(name + SUFFIX for name in names)]):
        for row in batch.to_pylist():
            labels = {name: None if row[name] is None else printable(str(row[name])) for name in names}
            sure = {name: row[name + SUFFIX] for name in names}
            source, concept = printable(str(row.get("source") or path.stem)), printable(str(row["concept"]))
            how = (row.get("seed"), row.get("phrasing"), row.get("steered"))
            rows.add(printable(str(row["file"])), source, concept, labels, sure, *how)
            for name, label in labels.items():
                if label is not None:
                    seen[name][label] = None
    spelt = named(((name, label) for name, labels_seen in seen.items() for label in labels_seen), defined)
    for (name, _), wrong in spelt.wrong.items():
        raise ValueError(f"{path}, column {name}: {wrong}")
    for name, column in rows.labels.items():
        groups = {label: spelt.names[name, label][1] for label in seen[name]}
        seen[name] = {group: None for group in groups.values() if group != UNKNOWN}
        rows.labels[name] = [None if label is None or groups[label] == UNKNOWN else groups[label] for label in column]
    for name, labels_seen in seen.items():
        rows.groups[name] = tuple(every_group(name, list(labels_seen), defined))
    return rows
