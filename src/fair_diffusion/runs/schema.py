"""What result.json, records.parquet and the records in PNGs hold: the schemas that are checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.files.schema import EXACT, OPEN, Count, Number, Seed, Share
from fair_diffusion.perception.confusion import Confusion

Texts = Mapping[str, str]
Groups = Mapping[str, str | None]
"""The group of each attribute; None if it could not be read."""


class AuditRowFile(TypedDict):
    """One group of the audit of a result."""

    attribute: str
    group: str
    target: Share | None
    quota: NotRequired[Count | None]
    count: NotRequired[Count]
    unknown: NotRequired[Count]


class DefinitionFile(TypedDict):
    """A definition that is not the built-in one of its attribute."""

    groups: Sequence[str]
    digest: NotRequired[str]
    label: NotRequired[str]


class CostFile(TypedDict, total=False):
    """What a result took."""

    seconds: Number


class ResultPart(TypedDict):
    """What result.json says of the images, or of their plain twins."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    prompt: str
    model: str
    method: str
    audit: Sequence[AuditRowFile]
    control: NotRequired[str | None]
    rule: NotRequired[str | None]
    n: NotRequired[Count]
    requested: NotRequired[Count]
    drawn: NotRequired[str]
    seed: NotRequired[Seed]
    images: NotRequired[Mapping[str, Count]]
    cost: NotRequired[CostFile]
    notes: NotRequired[Sequence[str]]
    made_with: NotRequired[Texts]
    readers: NotRequired[Texts]
    occupations: NotRequired[Texts]
    definitions: NotRequired[Mapping[str, DefinitionFile]]
    confusions: NotRequired[Sequence[Confusion]]
    perceiver_confusions: NotRequired[Sequence[Confusion]]


class ResultFile(ResultPart):
    """result.json."""

    plain: NotRequired[ResultPart | None]


class RecordFile(TypedDict):
    """The record of one image: a row of records.parquet, or the text in a PNG. Other programs may know less of it."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    prompt: str
    model: str
    method: str
    judged: Groups
    perceived: NotRequired[Groups | None]
    natural: NotRequired[Groups | None]
    confidence: NotRequired[Mapping[str, Number | None] | None]
    steered_to: NotRequired[Groups | None]
    index: NotRequired[Count | None]
    file: NotRequired[str | None]
    negative_prompt: NotRequired[str | None]
    seed: NotRequired[Seed | None]
    control: NotRequired[str | None]
    rule: NotRequired[str | None]
    steps: NotRequired[Count | None]
    guidance: NotRequired[Number | None]
    guidance_rescale: NotRequired[Number | None]
    strength: NotRequired[Number | None]
    repairs: NotRequired[Count | None]
    reseeds: NotRequired[Count | None]
    missed: NotRequired[bool | None]
    calibration: NotRequired[str | None]
    evaluations: NotRequired[Count | None]
    plain_evaluations: NotRequired[Count | None]


RESULT_FILE: TypeAdapter[ResultFile] = TypeAdapter(ResultFile)
RECORD: TypeAdapter[RecordFile] = TypeAdapter(RecordFile)
RECORDS_TABLE: TypeAdapter[list[RecordFile]] = TypeAdapter(list[RecordFile])
