"""API keys: made, found, limited, revoked. The database holds their hashes, so nobody can read a key out of it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Row, insert, select, update

from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.tables import keys
from fair_diffusion.service.trail import COMMAND_LINE, note

CLIENT, OPERATOR, RATER = ROLES = ("client", "operator", "rater")
"""Who asks for images by the server's policy; who may also instruct and set the policy; who only labels."""
PREFIX = "fd-"
LONGEST = 200
"""Characters of a key's name."""


@dataclass(frozen=True)
class Key:
    """A key, without its secret. Times are seconds since 1970.

    Attributes:
        id: its name in the trail and in jobs; it opens nothing.
        name: what people call it.
        role: one of `ROLES`.
        limits: what it may ask for.
        created, revoked: when; None if it is valid.
    """

    id: str
    name: str
    role: str
    limits: Limits
    created: float
    revoked: float | None

    @classmethod
    def of(cls, row: Row[tuple[object, ...]]) -> Key:
        """The key in a row of the table."""
        stored = row._mapping
        return cls(
            id=stored["id"],
            name=stored["name"],
            role=stored["role"],
            limits=Limits.of(stored["limits"]),
            created=stored["created"],
            revoked=stored["revoked"],
        )


class Keys:
    """The keys in a database.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(
        self, name: str, *, role: str = CLIENT, limits: Limits | None = None, by: str = COMMAND_LINE
    ) -> tuple[str, Key]:
        """Make a key.

        Returns:
            The secret, which is shown this once and kept nowhere, and the key.

        Raises:
            ValueError: the name is empty or too long, or the role is unknown.
        """
        if not name.strip() or len(name) > LONGEST or not name.isprintable():
            raise ValueError(f"the name of a key is {name!r}; give 1 to {LONGEST} characters that print")
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}; {suggestion(role, ROLES)}")
        secret, identity = PREFIX + secrets.token_urlsafe(32), f"key_{secrets.token_hex(6)}"
        stored = (limits or Limits()).stored()
        values = {"id": identity, "hash": _hash(secret), "name": name, "role": role, "limits": stored}
        with self.database.writing() as connection:
            row = connection.execute(insert(keys).values(**values, created=now()).returning(keys)).one()
            details = {"name": name, "role": role, "limits": stored}
            note(connection, by=by, change="key added", subject=identity, details=details)
        return secret, Key.of(row)

    def find(self, secret: str) -> Key | None:
        """The valid key with this secret; None if there is none, or if it was revoked."""
        if not secret.startswith(PREFIX):
            return None
        with self.database.looking() as connection:
            valid = select(keys).where(keys.c.hash == _hash(secret), keys.c.revoked.is_(None))
            row = connection.execute(valid).first()
        return None if row is None else Key.of(row)

    def valid(self, key: str) -> Key | None:
        """The valid key with this id; None if there is none, or if it was revoked."""
        with self.database.looking() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key, keys.c.revoked.is_(None))).first()
        return None if row is None else Key.of(row)

    def all(self) -> list[Key]:
        """Every key, revoked ones too, the oldest first."""
        with self.database.reading() as connection:
            return [Key.of(row) for row in connection.execute(select(keys).order_by(keys.c.created, keys.c.id))]

    def revoke(self, key: str, *, by: str = COMMAND_LINE) -> Key:
        """Make a key open nothing any more. Its jobs, images and changes stay.

        Raises:
            ValueError: there is no valid key with this id.
        """
        return self._change(key, {"revoked": now()}, by=by, change="key revoked", details={})

    def limit(self, key: str, limits: Limits, *, by: str = COMMAND_LINE) -> Key:
        """Give a key other limits. `ValueError` if there is no valid key with this id."""
        stored = limits.stored()
        return self._change(key, {"limits": stored}, by=by, change="limits changed", details={"limits": stored})

    def _change(self, key: str, values: dict[str, object], *, by: str, change: str, details: dict[str, object]) -> Key:
        with self.database.writing() as connection:
            valid = update(keys).where(keys.c.id == key, keys.c.revoked.is_(None))
            row = connection.execute(valid.values(values).returning(keys)).first()
            if row is None:
                raise ValueError(
                    f"there is no valid key {key!r}; `fair-diffusion keys list` shows those that there are"
                )
            note(connection, by=by, change=change, subject=key, details=details)
        return Key.of(row)


def _hash(secret: str) -> str:
    """The SHA-256. A key is 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
