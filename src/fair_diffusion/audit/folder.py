"""A study as a folder: study.json, tallies.parquet, tallies.csv, images.parquet and samples/.

    study.json       everything except the tallies
    tallies.*        one row per group: prompt, attribute, group, count, source, target; "unknown" has a row too
    images.parquet   one row per image, if images were read
    samples/*.png    the images of the contact sheet, in their order, with sides of at most 256 pixels

Exports `save_study`, `write_study`, `load_study` and `load_images`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.study import Confusion, Labelled, Sample, Source, Study
from fair_diffusion.audit.study_file import (
    STUDY_FILE,
    TALLY_ROWS,
    PhrasingsFile,
    SourceFile,
    StudyFile,
    TallyRow,
    check_image_table,
)
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.csv_rows import write_csv
from fair_diffusion.files.format_number import NewerFormatError, check_metadata, numbered
from fair_diffusion.files.guarded import InnerFile, opened
from fair_diffusion.files.image_files import STUDY
from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.files.pictures import BrokenPicture, open_picture
from fair_diffusion.files.schema import DamagedFile, arrow_errors, checked, read_json
from fair_diffusion.files.text import printable

FORMAT = 1
"""Format of study.json, tallies.parquet and images.parquet."""
UNKNOWN = "unknown"
SAMPLE_SIDE = 256

_SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("attribute", pa.string()),
        ("group", pa.string()),
        ("count", pa.int64()),
        ("source", pa.string()),
        ("target", pa.float64()),
    ]
)


def save_study(study: Study, folder: Path, images: pa.Table | None = None) -> None:
    """Write a study to a new folder, complete or not at all.

    Args:
        study: what to write. The pictures of its samples are copied; large ones are made smaller.
        folder: a new folder.
        images: one row per image: file, source, concept, seed if known, and label and confidence of each attribute.

    Raises:
        ValueError: the folder is not new or cannot be written, an attribute of a source and concept is tallied twice,
            a group is named "unknown", a target names no group, or a number is not finite.
    """
    with new_folder(folder) as part:
        write_study(study, part, images)


def write_study(study: Study, folder: Path, images: pa.Table | None = None) -> None:
    """Write a study into an existing folder, beside other files of the same audit; as `save_study`."""
    rows = list(_rows(study.tallies))
    (folder / STUDY).write_text(json.dumps(_plain(study), indent=2, allow_nan=False) + "\n")
    pq.write_table(numbered(pa.Table.from_pylist(rows, _SCHEMA), FORMAT), folder / "tallies.parquet")
    write_csv(folder / "tallies.csv", _SCHEMA.names, rows)
    if images is not None:
        pq.write_table(numbered(images, FORMAT), folder / "images.parquet")
    (folder / "samples").mkdir()
    for k, sample in enumerate(study.samples):
        try:
            small = open_picture(sample.image)
        except BrokenPicture as error:
            raise ValueError(f"{sample.image} cannot be shown: {error}") from error
        small.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE))
        small.save(folder / _sample(k))


def load_study(folder: Path) -> Study:
    """Read a study that `save_study` wrote. Samples whose picture cannot be opened are left out, with a note.

    Raises:
        ValueError: the folder is no study, or its files are damaged.
        OSError: a file is missing or cannot be read.
    """
    facts, table = InnerFile(folder, STUDY), InnerFile(folder, "tallies.parquet")
    if not facts.is_file():
        raise ValueError(f"{folder} is no study: it has no {STUDY}")
    try:
        plain = read_json(facts, STUDY_FILE, FORMAT)
        with arrow_errors(table), opened(table) as source, pq.ParquetFile(source) as file:
            check_metadata(file.schema_arrow.metadata, FORMAT, table)
            rows = file.read().select(_SCHEMA.names).cast(_SCHEMA).to_pylist()
        known = checked(rows, TALLY_ROWS, table)
        return _shown(_study(plain, _tallies(known), folder))
    except NewerFormatError:
        raise
    except ValueError as error:  # of a tally or a source that cannot be, too
        said = printable(str(error).replace(f"{folder}/", ""))
        raise DamagedFile(f"{folder} is a damaged study ({said}); write it anew") from error


def load_images(folder: Path) -> pa.Table | None:
    """The image rows of the study in `folder`; None if it has none.

    Raises:
        ValueError: the table is damaged.
    """
    table = InnerFile(folder, "images.parquet")
    if not table.is_file():
        return None
    with arrow_errors(table):
        with opened(table) as file:
            read = pq.read_table(file)
        check_metadata(read.schema.metadata, FORMAT, table)
        read.validate(full=True)
    check_image_table(read, table)
    return read


def _sample(k: int) -> str:
    """The path of picture k of the contact sheet. It follows from k, so no study file can point to another path."""
    return f"samples/{k:05d}.png"


def _shown(study: Study) -> Study:
    """The study without samples whose picture is damaged or missing; a note counts them and names the first."""
    samples, lost = [], []
    for k, sample in enumerate(study.samples):
        try:
            open_picture(sample.image)
        except BrokenPicture as error:
            lost.append(f"{_sample(k)} ({error})")
        else:
            samples.append(sample)
    if not lost:
        return study
    said = f"pictures of the contact sheet that cannot be opened, and are not shown: {len(lost)}, such as {lost[0]}"
    return replace(study, samples=samples, notes=[*study.notes, printable(said)])


def _rows(tallies: Iterable[Tally]) -> Iterator[dict[str, Any]]:
    seen = set()
    for tally in tallies:
        key = (tally.source, tally.concept, tally.attribute)
        if key in seen:
            raise ValueError(f"{tally.attribute} of {tally.concept!r} from {tally.source!r} is tallied twice")
        seen.add(key)
        if UNKNOWN in tally.counts:
            raise ValueError(f"{tally.attribute} has a group named {UNKNOWN!r}: count it in Tally.unknown")
        target = tally.target or {}
        strange = [group for group in target if group not in tally.counts]
        if strange:
            raise ValueError(f"the target of {tally.concept!r} names {strange[0]!r}, which is not counted")
        shared = {"prompt": tally.concept, "attribute": tally.attribute, "source": tally.source}
        for group, count in tally.counts.items():
            yield {**shared, "group": group, "count": count, "target": target.get(group)}
        yield {**shared, "group": UNKNOWN, "count": tally.unknown, "target": None}


def _tallies(rows: Iterable[TallyRow]) -> list[Tally]:
    kept: dict[tuple[str, str, str], list[TallyRow]] = {}
    for row in rows:
        kept.setdefault((row["source"], row["prompt"], row["attribute"]), []).append(row)
    return [
        Tally(
            source=source,
            concept=concept,
            attribute=attribute,
            counts={row["group"]: row["count"] for row in found if row["group"] != UNKNOWN},
            unknown=sum(row["count"] for row in found if row["group"] == UNKNOWN),
            target={row["group"]: target for row in found if (target := row["target"]) is not None} or None,
        )
        for (source, concept, attribute), found in kept.items()
    ]


def _phrased(tallies: Sequence[Tally], phrasings: Iterable[PhrasingsFile]) -> list[Tally]:
    """The tallies with their counts by phrasing."""
    by_phrasing = {
        (one["source"], one["prompt"], one["attribute"]): tuple(tuple(row) for row in one["counts"])
        for one in phrasings
    }
    return [
        replace(tally, phrasings=by_phrasing.get((tally.source, tally.concept, tally.attribute), ()))
        for tally in tallies
    ]


def _plain(study: Study) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "title": study.title,
        "unit": study.unit,
        "drawn": study.drawn,
        "sources": [
            vars(source)
            | {"facts": dict(source.facts), "quality": dict(source.quality), "selection": dict(source.selection)}
            for source in study.sources
        ],
        "samples": [
            {
                "source": sample.source,
                "concept": sample.concept,
                "labels": dict(sample.labels),
                "confidence": dict(sample.confidence),
            }
            for sample in study.samples
        ],
        "confusions": [_plain_confusion(one) for one in study.confusions],
        "perceived_confusions": [_plain_confusion(one) for one in study.perceived_confusions],
        "quotas": [vars(one) | {"counts": dict(one.counts)} for one in study.quotas],
        "disputed": [vars(one) | {"counts": dict(one.counts)} for one in study.disputed],
        "labelled": [_plain_labelled(one) for one in study.labelled],
        "phrasings": [
            {
                "source": tally.source,
                "prompt": tally.concept,
                "attribute": tally.attribute,
                "counts": [list(row) for row in tally.phrasings],
            }
            for tally in study.tallies
            if tally.phrasings
        ],
        "perceived": list(_rows(study.perceived)),
        "broken": list(study.broken),
        "notes": list(study.notes),
        "fields": dict(study.fields),
        "audited": study.audited,
    }


def _plain_labelled(one: Labelled) -> dict[str, Any]:
    told = vars(one) | {"groups": list(one.groups), "counts": [list(row) for row in one.counts]}
    skipped = list(told.pop("skipped"))
    return told | ({"skipped": skipped} if skipped else {})


def _plain_confusion(one: Confusion) -> dict[str, Any]:
    return vars(one) | {
        "groups": list(one.groups),
        "counts": [list(row) for row in one.counts],
        "sources": list(one.sources),
        "left_out": list(one.left_out),
    }


def _source(told: SourceFile) -> Source:
    """A source; whether anything was asked of its images follows from its kind where the file does not tell."""
    given: dict[str, Any] = {"asked": told["kind"] != "plain", **told}
    return Source(**given)


def _study(plain: StudyFile, tallies: Sequence[Tally], folder: Path) -> Study:
    return Study(
        title=plain["title"],
        unit=plain["unit"],
        drawn=plain["drawn"],
        sources=[_source(source) for source in plain["sources"]],
        tallies=_phrased(tallies, plain.get("phrasings", ())),
        perceived=_tallies(plain["perceived"]),
        samples=[Sample(image=InnerFile(folder, _sample(k)), **sample) for k, sample in enumerate(plain["samples"])],
        confusions=plain["confusions"],
        perceived_confusions=plain.get("perceived_confusions", ()),
        quotas=plain.get("quotas", ()),
        disputed=plain.get("disputed", ()),
        labelled=plain.get("labelled", ()),
        broken=plain["broken"],
        notes=plain["notes"],
        fields=plain.get("fields", {}),
        audited=plain.get("audited", ""),
    )
