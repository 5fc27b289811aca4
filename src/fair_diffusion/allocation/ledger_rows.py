"""What the rows of a ledger hold, checked when they are read: people copy, edit and damage files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.files.schema import EXACT, Count


def _share(text: str) -> str:
    """Check the text of a share; such as "1/3"."""
    numerator, _, denominator = text.partition("/")
    if not (numerator.isdecimal() and len(text) < 100 and (denominator or "1").isdecimal() and int(denominator or 1)):
        raise ValueError("a share is written as 1/3")
    return text


class CellRow(TypedDict):
    """One cell of a stream."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    name: str
    share: Annotated[str, AfterValidator(_share)]
    asked: Count
    perceived: Count
    judged: Count
    counted: Count


class StreamRow(CellRow):
    """One cell of a stream, with what the stream is about."""

    id: int
    rule: str
    model: str
    attributes: str


def _whole(rows: Sequence[CellRow]) -> Sequence[CellRow]:
    """Check that the shares of a stream sum to 1."""
    if sum(Fraction(row["share"]) for row in rows) != 1:
        raise ValueError("the shares of a stream do not sum to 1")
    return rows


_QUOTAS: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, Count])
_LOT: TypeAdapter[int] = TypeAdapter(Count)
_CELLS: TypeAdapter[list[CellRow]] = TypeAdapter(Annotated[list[CellRow], AfterValidator(_whole)])
_STREAMS: TypeAdapter[list[StreamRow]] = TypeAdapter(list[StreamRow])


def lot_of(value: Any) -> int:
    """The seed that breaks ties. `ValidationError` if it is none."""
    return _LOT.validate_python(value, strict=True)


def quotas_of(text: Any) -> dict[str, int]:
    """The images of a turn under way, by cell. `ValidationError` if the text says none."""
    return _QUOTAS.validate_json(text if isinstance(text, str) else "", strict=True)


def cells_of(rows: Iterable[Any]) -> list[CellRow]:
    """The cells of one stream, as SQL gives them. `ValidationError` if they are none."""
    return _CELLS.validate_python([dict(row._mapping) for row in rows], strict=True)


def streams_of(rows: Iterable[Any]) -> list[StreamRow]:
    """The cells of all streams, as SQL gives them. `ValidationError` if they are none."""
    return _STREAMS.validate_python([dict(row._mapping) for row in rows], strict=True)
