"""Texts that a server signs and knows again, such as who is signed in: every server of one database knows them.

signer = Signer(database)
token = signer.sign("session", key.id)
signer.read("session", token, seconds=3600)  # the id of the key; None after an hour, or if somebody changed it
"""

from __future__ import annotations

import secrets
from weakref import WeakKeyDictionary

from itsdangerous import BadSignature, URLSafeTimedSerializer
from itsdangerous import Signer as Marker
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.service.database import Database
from fair_diffusion.service.tables import secrets as table

NAME = "signing"
"""The name of the secret in the table."""
LONGEST = 4096
"""Characters of a token at most."""
_known: WeakKeyDictionary[Database, str] = WeakKeyDictionary()
"""The secrets of databases. Each page signs and reads several texts, and asking for the secret locks the database."""


class Signer:
    """Signs texts.

    Args:
        database: has the secret by which they are signed; it is made when it is first needed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def sign(self, purpose: str, text: str) -> str:
        """A token that holds a text: safe in addresses and cookies, and everybody can read the text in it.

        Args:
            purpose: what the token is for; it is worth nothing for anything else.
            text: what it says.
        """
        return str(self._serializer(purpose).dumps(text))

    def read(self, purpose: str, token: str, *, seconds: int | None = None) -> str | None:
        """The text of a token; None if it is older than `seconds`, or if it was not signed for this purpose."""
        if len(token) > LONGEST:
            return None
        try:
            return str(self._serializer(purpose).loads(token, max_age=seconds))
        except BadSignature:
            return None

    def mark(self, purpose: str, text: str) -> str:
        """What only these servers can say of a text."""
        return Marker(self._secret, salt=f"fair-diffusion {purpose}").get_signature(text).decode()

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret, salt=f"fair-diffusion {purpose}")

    @property
    def _secret(self) -> str:
        if self._database not in _known:
            _known[self._database] = self._stored()
        return _known[self._database]

    def _stored(self) -> str:
        dialect = postgresql if self._database.postgres else sqlite
        new = dialect.insert(table).values(name=NAME, value=secrets.token_hex(32)).on_conflict_do_nothing()
        with self._database.writing() as connection:
            connection.execute(new)
            return str(connection.scalar(select(table.c.value).where(table.c.name == NAME)))
