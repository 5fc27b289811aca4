"""What study.json, tallies.parquet and images.parquet hold: the schemas that are checked when a study is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired

import pyarrow as pa
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.audit.study import Disputed, Labelled, Quota
from fair_diffusion.files.schema import EXACT, Count, DamagedFile, Share
from fair_diffusion.perception.confusion import Confusion


class SourceFile(TypedDict):
    """One source, as `study.Source`; what a version before did not know may be missing."""

    name: str
    kind: str
    facts: Mapping[str, str]
    asked: NotRequired[bool]
    ratio: NotRequired[float | None]
    seconds: NotRequired[float | None]
    quality: NotRequired[Mapping[str, float]]
    selection: NotRequired[Mapping[str, Count]]
    stopped: NotRequired[Share | None]


class SampleFile(TypedDict):
    """One image of the contact sheet, as `study.Sample`."""

    source: str
    concept: str
    labels: Mapping[str, str | None]
    confidence: Mapping[str, float]


class PhrasingsFile(TypedDict):
    """The counts of one tally by phrasing."""

    source: str
    prompt: str
    attribute: str
    counts: Sequence[Sequence[Count]]


class TallyRow(TypedDict):
    """One group of one tally."""

    prompt: str
    attribute: str
    group: str
    count: Count
    source: str
    target: Share | None


class StudyFile(TypedDict):
    """study.json."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    title: str
    unit: str
    drawn: str
    sources: Sequence[SourceFile]
    samples: Sequence[SampleFile]
    confusions: Sequence[Confusion]
    perceived_confusions: NotRequired[Sequence[Confusion]]
    quotas: NotRequired[Sequence[Quota]]
    disputed: NotRequired[Sequence[Disputed]]
    labelled: NotRequired[Sequence[Labelled]]
    phrasings: NotRequired[Sequence[PhrasingsFile]]
    perceived: Sequence[TallyRow]
    broken: Sequence[str]
    notes: Sequence[str]
    fields: NotRequired[Mapping[str, str]]
    audited: NotRequired[str]


STUDY_FILE: TypeAdapter[StudyFile] = TypeAdapter(StudyFile)
TALLY_ROWS: TypeAdapter[list[TallyRow]] = TypeAdapter(list[TallyRow], config=EXACT)
_TEXTS = ("file", "source", "concept")


def check_image_table(table: pa.Table, what: object) -> None:
    """Check the columns that images.parquet has, as `ImageRows.table` makes them.

    Raises:
        DamagedFile: a column is twice there, or of another type.
    """
    names = table.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DamagedFile(f"{what} is damaged: it has two columns {twice[0]!r}")
    for field in table.schema:
        if field.name == "seed":
            fits = pa.types.is_int64(field.type)
        elif field.name == "steered":
            fits = pa.types.is_boolean(field.type)
        elif field.name.endswith("_confidence"):
            fits = pa.types.is_floating(field.type)
        else:
            fits = pa.types.is_string(field.type) and not (field.name in _TEXTS and table[field.name].null_count)
        if not fits:
            raise DamagedFile(f"{what} is damaged: the column {field.name!r} does not hold what it must")


def check_complete(table: pa.Table | None, what: object) -> pa.Table | None:
    """The same table, after a check that it has the columns that are calculated with; `DamagedFile` names the first."""
    if table is not None and (lacking := [name for name in _TEXTS if name not in table.column_names]):
        raise DamagedFile(f"{what} is damaged: images.parquet lacks the column {lacking[0]!r}")
    return table
