"""The policies of a service: versions that never change, and which of them is active since when, by whom and why."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.policy import Policy
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.tables import activations, policies
from fair_diffusion.service.trail import COMMAND_LINE, note

_LAST = select(activations.c.version).order_by(activations.c.id.desc()).limit(1)


@dataclass(frozen=True)
class Version:
    """A policy as it was stored.

    Attributes:
        version: its number.
        hash: SHA-256 of the text.
        text: the YAML.
        created: when it was stored, in seconds since 1970.
        by: the id of the key that stored it.
    """

    version: int
    hash: str
    text: str
    created: float
    by: str

    @property
    def policy(self) -> Policy:
        """The policy itself."""
        return _read(self.text)


@lru_cache(maxsize=32)
def _read(text: str) -> Policy:
    """A policy is asked for by each request, and reading it takes milliseconds."""
    return Policy.from_yaml(text)


@dataclass(frozen=True)
class Activation:
    """From `time` on `version` was active; none if no policy was. `by` is the id of a key, `why` its reason."""

    version: int | None
    time: float
    by: str
    why: str


class AnotherActiveError(ValueError):
    """Another version is active than the one that was to be replaced."""


class Policies:
    """The policies in a database.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, text: str, *, by: str = COMMAND_LINE) -> Version:
        """Store a policy. The same text again is the same version. It is not active yet.

        Raises:
            PolicyError: every mistake of the text.
        """
        Policy.from_yaml(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        dialect = postgresql if self.database.postgres else sqlite
        values = {"hash": digest, "text": text, "created": now(), "by": by}
        with self.database.writing() as connection:
            stored = dialect.insert(policies).values(values).on_conflict_do_nothing().returning(policies.c.version)
            new = connection.execute(stored).first()
            if new is not None:
                details = {"hash": digest}
                note(connection, by=by, change="policy stored", subject=f"policy {new.version}", details=details)
            row = connection.execute(select(policies).where(policies.c.hash == digest)).one()
        return Version(**row._mapping)

    def get(self, version: int) -> Version:
        """The policy with this number. `ValueError` if there is none."""
        with self.database.reading() as connection:
            row = connection.execute(select(policies).where(policies.c.version == version)).first()
        if row is None:
            raise ValueError(f"there is no version {version} of the policy")
        return Version(**row._mapping)

    def all(self) -> list[Version]:
        """Every version, the newest first."""
        with self.database.reading() as connection:
            rows = connection.execute(select(policies).order_by(policies.c.version.desc())).all()
        return [Version(**row._mapping) for row in rows]

    def activate(
        self,
        version: int | None,
        *,
        why: str,
        by: str = COMMAND_LINE,
        instead_of: int | EllipsisType | None = ...,
    ) -> None:
        """Make a version the one that holds from now on.

        Args:
            version: its number; None: no policy holds.
            why: the reason, for those who read the trail.
            by: the id of the key.
            instead_of: the version that must be active until then, None if none may be; any if it is not given.

        Raises:
            AnotherActiveError: another version than `instead_of` is active; nothing changed.
            ValueError: there is no such version, or no reason is given.
        """
        if not why.strip():
            raise ValueError("no reason is given; say why this policy is to be active")
        if version is not None:
            self.get(version)
        with self.database.writing() as connection:
            self.database.lock(connection, "fair-diffusion: activations")
            active = connection.scalar(_LAST)
            if instead_of not in (..., active):
                raise AnotherActiveError(
                    f"version {active or 'none'} is active, and not {instead_of or 'none'}; look at it, and decide anew"
                )
            connection.execute(insert(activations).values(version=version, time=now(), by=by, why=why))
            note(connection, by=by, change="policy activated", subject=f"policy {version}", details={"why": why})

    def active(self) -> Version | None:
        """The version that holds now; None if no policy does."""
        with self.database.looking() as connection:
            row = connection.execute(select(policies).where(policies.c.version == _LAST.scalar_subquery())).first()
        return None if row is None else Version(**row._mapping)

    def history(self) -> list[Activation]:
        """Which version was active from when on, the latest first."""
        columns = (activations.c.version, activations.c.time, activations.c.by, activations.c.why)
        with self.database.reading() as connection:
            rows = connection.execute(select(*columns).order_by(activations.c.id.desc())).all()
        return [Activation(**row._mapping) for row in rows]

    def diff(self, before: int | None, after: int) -> list[str]:
        """The lines that differ between two versions, as a unified diff; before None is the empty policy."""
        old = "" if before is None else self.get(before).text
        new, names = self.get(after).text, (f"policy {before or 'none'}", f"policy {after}")
        return list(difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm=""))
