"""People's labels of pictures: what a rater says that a picture shows. Nothing is overwritten; what is undone stays.

A picture is named by its hash. A rater has a pseudonym, such as the id of a key. `probability` is that with which the
picture was shown: estimates weigh by it, and a label without one enters none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.tables import labels as table

RANDOM, ACTIVE, CHOSEN = "random", "active", "chosen"
QUEUES = (RANDOM, ACTIVE, CHOSEN, "gold", "second", "correction")
"""Why a picture was shown: drawn at random; drawn by uncertainty; from a set that somebody chose; to check a rater; for
another opinion; chosen by whoever drew it."""
DRAWN = (RANDOM, ACTIVE)
"""The queues whose pictures are drawn with a known probability."""
CANNOT_TELL = "cannot tell"
"""The reason of a label without a group, unless the rater skipped the picture for another one."""
_HASH = re.compile("[0-9a-f]{64}")
_ADD = insert(table).values(time=now())


@dataclass(frozen=True, kw_only=True)
class Label:
    """What one rater said of one attribute of one picture.

    Attributes:
        id: its number.
        image: the hash of the picture.
        attribute: what was asked.
        answer: the group; None if the rater cannot tell, or skipped the picture.
        reason: `CANNOT_TELL`, or why it was skipped; None beside a group.
        rater: a pseudonym.
        queue: one of `QUEUES`.
        probability: with which the picture was shown; None where no estimate may use the label.
        guideline: the version of the guideline.
        time: when, in seconds since 1970.
        undone: when the rater took it back; None if it stands.
        label_set: the set that the picture was shown from; None if it was chosen.
        definition: by what the definition of the attribute is known (`policy.defined_as`); None if nobody knows.
    """

    id: int
    image: str
    attribute: str
    answer: str | None
    reason: str | None
    rater: str
    queue: str
    probability: float | None
    guideline: str
    time: float
    undone: float | None
    label_set: str | None = None
    definition: str | None = None

    @classmethod
    def of(cls, row: Row[tuple[object, ...]]) -> Label:
        """The label in a row of the table."""
        return cls(**{field.name: row._mapping[field.name] for field in fields(cls)})


class Labels:
    """The labels in a database.

    Args:
        database: where they are.
        attributes: what may be asked; the built-in ones if None.
    """

    def __init__(self, database: Database, attributes: Attributes | None = None) -> None:
        self._database, self._attributes = database, attributes or built_in()

    def add(
        self,
        image: str,
        attribute: str,
        answer: str | None,
        *,
        rater: str,
        queue: str,
        guideline: str,
        probability: float | None = None,
        reason: str | None = None,
        groups: Sequence[str] | None = None,
        label_set: str | None = None,
        definition: str | None = None,
        connection: Connection | None = None,
    ) -> Label:
        """Store a label. The arguments are as in `Label`; without answer and reason, the rater cannot tell.

        Args:
            groups: those of the attribute where the label was given; as the attribute is defined if None.
            connection: of a transaction that the label is to be part of.

        Raises:
            ValueError: one of them is none, with the mend.
        """
        told = {"image": image, "attribute": attribute, "answer": answer, "reason": reason, "rater": rater}
        shown = {"queue": queue, "probability": probability, "guideline": guideline}
        values = self._checked({**told, **shown, "label_set": label_set, "definition": definition}, groups)
        with nullcontext(connection) if connection is not None else self._database.writing() as writing:
            return Label.of(writing.execute(_ADD.values(values).returning(table)).one())

    def add_all(self, told: Sequence[Mapping[str, Any]], *, groups: Sequence[str], connection: Connection) -> None:
        """Store many labels in one statement.

        Args:
            told: the arguments of `add` that describe each label.
            groups: as for `add`.
            connection: of the transaction that they are to be part of.

        Raises:
            ValueError: one of them is none, with the mend.
        """
        if told:
            connection.execute(_ADD, [self._checked(each, groups) for each in told])

    def _checked(self, told: Mapping[str, Any], groups: Sequence[str] | None) -> dict[str, Any]:
        """The columns of a label. `ValueError` if it is none."""
        image, answer, reason = told["image"], told["answer"], told.get("reason")
        if not _HASH.fullmatch(image):
            raise ValueError(f"the image is {image!r}; give the SHA-256 of its file, 64 hexadecimal digits")
        self._check_answer(told["attribute"], answer, reason, groups)
        _check_queue(told["queue"], told["probability"])
        if not told["rater"] or not told["guideline"]:
            raise ValueError("rater or guideline is empty; give a pseudonym, and the version of the guideline")
        return {**told, "reason": reason or (CANNOT_TELL if answer is None else None)}

    def _check_answer(
        self, attribute: str, answer: str | None, reason: str | None, groups: Sequence[str] | None
    ) -> None:
        if groups is None:
            groups = self._attributes.attribute(attribute).group_names
        if answer is not None and answer not in groups:
            raise ValueError(f"{attribute} has no group {answer!r}; {suggestion(answer, tuple(groups))}")
        if answer is not None and reason is not None:
            raise ValueError(f"both the group {answer!r} and the reason {reason!r} are given; give one")

    def undo(self, label: int, *, rater: str) -> Label:
        """Take a label back; it stays, with the time. `ValueError` if the rater has none with this number."""
        ours = (table.c.id == label, table.c.rater == rater, table.c.undone.is_(None))
        with self._database.writing() as connection:
            row = connection.execute(update(table).where(*ours).values(undone=now()).returning(table)).first()
        if row is None:
            raise ValueError(f"rater {rater!r} has no label {label} that stands; take back one of your own")
        return Label.of(row)

    def all(
        self,
        *,
        image: str | None = None,
        attribute: str | None = None,
        rater: str | None = None,
        label_set: str | None = None,
        undone: bool = False,
    ) -> list[Label]:
        """Labels, the oldest first.

        Args:
            image: only those of this one.
            attribute: only those of this one.
            rater: only those of this one.
            label_set: only those of this one.
            undone: those that were taken back, too.
        """
        wanted = select(table).order_by(table.c.id)
        given = {"image": image, "attribute": attribute, "rater": rater, "label_set": label_set}
        for name, value in given.items():
            if value is not None:
                wanted = wanted.where(table.c[name] == value)
        if not undone:
            wanted = wanted.where(table.c.undone.is_(None))
        with self._database.reading() as connection:
            return [Label.of(row) for row in connection.execute(wanted)]


def _check_queue(queue: str, probability: float | None) -> None:
    if queue not in QUEUES:
        raise ValueError(f"unknown queue {queue!r}; {suggestion(queue, QUEUES)}")
    drawn = probability is not None and 0 < probability <= 1
    if not (drawn if queue in DRAWN else probability is None):
        raise ValueError(
            f"the probability is {probability} in the queue {queue!r}; give one above 0 and up to 1 for pictures "
            f"that were drawn ({', '.join(DRAWN)}), and none for others"
        )
