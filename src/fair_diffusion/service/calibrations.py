"""The calibrations that somebody was given, by version: the trail names it, and the file can be had as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.label_calibration import FromLabels
from fair_diffusion.service.tables import calibrations
from fair_diffusion.service.trail import COMMAND_LINE, note

MADE = "calibration made"
"""The change of the trail whose subject is the version of a calibration that was made of labels."""


@dataclass(frozen=True)
class KeptCalibration:
    """A calibration that is kept.

    Attributes:
        version: of the calibration.
        content: its file.
        created: when it was first made, in seconds since 1970.
        by: the id of the key that made it then, or `trail.COMMAND_LINE`.
    """

    version: str
    content: str
    created: float
    by: str


class Calibrations:
    """The calibrations of a service.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, made: FromLabels, *, by: str = COMMAND_LINE) -> None:
        """Keep a calibration, and note in the trail that somebody was given it; `by` is the id of a key."""
        found = made.calibration
        dialect: Any = postgresql if self._database.postgres else sqlite
        values = {"version": found.version, "content": found.text, "created": now(), "by": by}
        details = {"sets": made.sets, "pictures": made.pictures, "left out": made.notes}
        with self._database.writing() as connection:
            # A version is a hash of the content, so the same version is the same file.
            connection.execute(dialect.insert(calibrations).values(values).on_conflict_do_nothing())
            note(connection, by=by, change=MADE, subject=found.version, details=details)

    def get(self, version: str) -> KeptCalibration:
        """The calibration of a version. `LookupError` if none is kept."""
        with self._database.reading() as connection:
            row = connection.execute(select(calibrations).where(calibrations.c.version == version)).first()
        if row is None:
            raise LookupError(f"no calibration of version {version} is kept")
        return KeptCalibration(**row._mapping)

    def newest(self, most: int = 5) -> list[KeptCalibration]:
        """The last calibrations, the newest first."""
        latest = select(calibrations).order_by(calibrations.c.created.desc()).limit(most)
        with self._database.reading() as connection:
            return [KeptCalibration(**row._mapping) for row in connection.execute(latest)]
