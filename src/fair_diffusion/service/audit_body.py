"""The body of a job that audits: counts, pictures that were sent, or drawings of several prompts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

COUNTS, PICTURES, DRAWINGS = SUBJECTS = ("counts", "pictures", "drawings")


@dataclass(frozen=True, kw_only=True)
class AuditBody:
    """What is audited.

    Attributes:
        subject: one of `SUBJECTS`.
        title: of the report.
        text: the table, for counts.
        pictures: the place of each picture in its folder, and its hash, for pictures.
        upload: under which name these are stored.
        drawings: the concept of each drawing, and its job, for drawings.
        request: the id of the HTTP request, for logs.
    """

    subject: str
    title: str
    text: str = ""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    upload: str = ""
    drawings: list[tuple[str, str]] = field(default_factory=list)
    request: str = ""

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """The body as it is stored."""
        return cls(**{each.name: body[each.name] for each in fields(cls) if each.name in body})

    def stored(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)
