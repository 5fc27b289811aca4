"""Sets of pictures that raters label: one attribute, one guideline, one order of the draw.

A set is made once and stays as it is, so that what its labels say of its pictures is well defined. Its pictures are
kept until the set is removed: they belong to the set, as images belong to a key.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.policy.attributes import Attribute, suggestion
from fair_diffusion.policy.defined_as import defined_as
from fair_diffusion.policy.guideline import Guideline, guideline_of
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.images import Images
from fair_diffusion.service.labels import ACTIVE, CHOSEN, DRAWN, RANDOM
from fair_diffusion.service.tables import consents, guidelines, images, label_pictures, label_sets
from fair_diffusion.service.trail import COMMAND_LINE, note
from fair_diffusion.statistics.active import inclusion
from fair_diffusion.statistics.drawing_order import drawing_order

SECOND = 0.1
"""The share of pictures that a second rater sees, too, where nothing else is said."""
MOST = 200_000
"""Pictures of a set."""


class UnknownSetError(LookupError):
    """There is no such set."""


@dataclass(frozen=True, kw_only=True)
class NewPicture:
    """A picture for a set.

    Attributes:
        image: its hash.
        file: its name in tables; its hash if "".
        concept, source: what it was asked to show, and what made it.
        reading, confidence: what a reader said of it; None if it was not read.
        gold: the known answer, if it is to check raters.
        owner: the key that it was drawn for; "" is this machine.
    """

    image: str
    file: str = ""
    concept: str = ""
    source: str = ""
    reading: str | None = None
    confidence: float | None = None
    gold: str | None = None
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """A set.

    Attributes:
        id, name: what programs and what people call it.
        attribute: what raters are asked.
        groups: the answers, in the order of their keys.
        queue: "random" or "active": how its pictures are drawn.
        guideline: the version of the guideline.
        pictures: how many are drawn, without gold questions.
        second: the share of pictures that a second rater sees, too.
        created, by: when it was made, and by whom.
        chosen: whether a person chose the pictures. Then its labels say nothing of other pictures: no estimate of a
            stream and no calibration takes them.
        definition: by what the definition of the attribute is known (`policy.defined_as`); None for sets that were made
            before sets knew it.
    """

    id: str
    name: str
    attribute: str
    groups: list[str]
    queue: str
    guideline: str
    pictures: int
    second: float
    created: float
    by: str
    chosen: bool = False
    definition: str | None = None

    @property
    def label_queue(self) -> str:
        """The queue of the first label of a picture."""
        return CHOSEN if self.chosen else self.queue

    @classmethod
    def of(cls, row: Row[tuple[object, ...]]) -> LabelSet:
        """The set in a row of the table."""
        return cls(**{field.name: row._mapping[field.name] for field in fields(cls)})


class LabelSets:
    """The sets in a database.

    Args:
        database: where they are.
        pictures: where their pictures are.
    """

    def __init__(self, database: Database, pictures: Images) -> None:
        self._database, self._images = database, pictures

    def add(
        self,
        name: str,
        attribute: Attribute,
        pictures: Sequence[NewPicture],
        *,
        queue: str = RANDOM,
        second: float = SECOND,
        seed: int | None = None,
        chosen: bool = False,
        by: str = COMMAND_LINE,
    ) -> LabelSet:
        """Make a set of pictures that are stored. The same picture twice is one.

        Args:
            name: what people call it.
            attribute: what raters are asked.
            pictures: of the set.
            queue: "random", or "active": more often those of which the reader is unsure.
            second: the share of pictures that a second rater sees, too.
            seed: of the draw; None: unpredictable.
            chosen: whether a person chose the pictures; False: they are all of a folder, a run or a rule.
            by: the id of the key that makes it.

        Raises:
            ValueError: one of them cannot be, with the mend. Nothing was stored.
        """
        pictures = list({each.image: each for each in reversed(pictures)}.values())[::-1]
        _check(name, attribute, pictures, queue, second)
        drawn = [each for each in pictures if each.gold is None]
        order = drawing_order(_weights(drawn, queue), seed=seed)
        twice = np.random.default_rng(seed).permutation(len(drawn)) < round(second * len(drawn))
        guideline, identity = guideline_of(attribute), f"set_{secrets.token_hex(6)}"
        rows = [_row(each, identity) for each in pictures if each.gold is not None]
        for k, each in enumerate(drawn):
            told = {"place": order.places[k], "priority": float(order.priorities[k]), "second": bool(twice[k])}
            rows.append({**_row(each, identity), **told, "probability": float(order.probabilities[k])})
        values = {
            **{"id": identity, "name": name, "attribute": attribute.name, "groups": list(attribute.group_names)},
            **{"queue": queue, "guideline": guideline.version, "pictures": len(drawn), "second": second, "by": by},
            "chosen": chosen,
            "definition": defined_as(attribute),
        }
        with self._database.writing() as connection:
            _keep(connection, guideline, postgres=self._database.postgres)
            row = connection.execute(insert(label_sets).values(**values, created=now()).returning(label_sets)).one()
            self._take(connection, identity, {each.image for each in pictures})
            connection.execute(insert(label_pictures), rows)
            details = {
                "name": name,
                "attribute": attribute.name,
                "queue": queue,
                "pictures": len(drawn),
                "chosen": chosen,
            }
            note(connection, by=by, change="label set added", subject=identity, details=details)
        return LabelSet.of(row)

    def _take(self, connection: Connection, identity: str, hashes: set[str]) -> None:
        """Let the set have the pictures, so that they are kept as long as it is."""
        for part in _parts(sorted(hashes)):
            # Locked, so that a picture that expires just now is either missing here, or stays for the set.
            found = connection.execute(select(images).where(images.c.hash.in_(part)).with_for_update()).all()
            there = {row.hash: row for row in found}
            if missing := [digest for digest in part if digest not in there]:
                raise ValueError(
                    f"{len(missing)} of the pictures are not stored, such as {missing[0]}; store them first"
                )
            rows = [{**row._mapping, "key": identity, "expires": None} for row in there.values()]
            connection.execute(insert(images), rows)

    def get(self, identity: str) -> LabelSet:
        """A set. `UnknownSetError` if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(label_sets).where(label_sets.c.id == identity)).first()
        if row is None:
            raise UnknownSetError(f"there is no label set {identity!r}")
        return LabelSet.of(row)

    def all(self) -> list[LabelSet]:
        """Every set, the newest first."""
        return newest_sets(self._database)

    def remove(self, identity: str, *, by: str = COMMAND_LINE) -> None:
        """Remove a set and its pictures. Labels stay. `UnknownSetError` if there is none."""
        found = self.get(identity)
        with self._database.reading() as connection:
            ours = select(label_pictures.c.image).where(label_pictures.c.label_set == identity)
            hashes = connection.scalars(ours).all()
        with self._database.writing() as connection:
            connection.execute(delete(label_sets).where(label_sets.c.id == identity))
            # Whatever is cut short below is deleted with what expires.
            connection.execute(update(images).where(images.c.key == identity).values(expires=now()))
            note(connection, by=by, change="label set removed", subject=identity, details={"name": found.name})
        for digest in hashes:
            self._images.delete(digest, key=identity)

    def guideline(self, version: str) -> Guideline:
        """A guideline that a set has or had, by its version."""
        with self._database.reading() as connection:
            content = connection.scalar(select(guidelines.c.content).where(guidelines.c.version == version))
        if content is None:
            raise LookupError(f"there is no guideline {version!r}")
        return Guideline.stored(content)

    def consent(self, rater: str, version: str) -> None:
        """Note that a rater agreed to a guideline; once is enough."""
        dialect: Any = postgresql if self._database.postgres else sqlite
        row = dialect.insert(consents).values(rater=rater, guideline=version, time=now())
        with self._database.writing() as connection:
            connection.execute(row.on_conflict_do_nothing())

    def agreed(self, rater: str, version: str) -> bool:
        """Whether a rater agreed to a guideline."""
        ours = select(consents).where(consents.c.rater == rater, consents.c.guideline == version)
        with self._database.reading() as connection:
            return connection.execute(ours).first() is not None


def newest_sets(database: Database) -> list[LabelSet]:
    """Every set in a database, the newest first."""
    newest = select(label_sets).order_by(label_sets.c.created.desc(), label_sets.c.id)
    with database.reading() as connection:
        return [LabelSet.of(row) for row in connection.execute(newest)]


def _check(name: str, attribute: Attribute, pictures: Sequence[NewPicture], queue: str, second: float) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise ValueError(f"the name of the set is {name[:200]!r}; give 1 to 200 characters that print")
    if queue not in DRAWN:
        raise ValueError(f"unknown queue {queue!r}; {suggestion(queue, DRAWN)}")
    if not 0 <= second <= 1:
        raise ValueError(f"the share of second opinions is {second}; give a number from 0 to 1")
    drawn = [each for each in pictures if each.gold is None]
    if not 1 <= len(drawn) <= MOST:
        raise ValueError(f"the set has {len(drawn)} pictures to draw; give 1 to {MOST:,}, beside gold questions")
    for each in pictures:
        for said in (each.gold, each.reading):
            if said is not None and said not in attribute.group_names:
                mend = suggestion(said, attribute.group_names)
                raise ValueError(f"{attribute.name} of {each.file or each.image} is {said!r}; {mend}")
    if queue == ACTIVE and not any(each.reading is not None for each in drawn):
        raise ValueError("no picture was read, so none is more uncertain than another; take the queue 'random'")


def _weights(drawn: Sequence[NewPicture], queue: str) -> Any:
    """How much each picture is wanted: equally, or more where the reader is unsure.

    The rest of the reader's confidence is taken as one other group. A picture that it could not read is as unsure as
    can be."""
    if queue == RANDOM:
        return np.ones(len(drawn))
    told = [0.5 if each.reading is None or each.confidence is None else each.confidence for each in drawn]
    sure = np.clip(np.array(told), 0.5, 1.0)
    return inclusion(np.sqrt(2 * sure * (1 - sure)), 1.0)


def _row(each: NewPicture, label_set: str) -> dict[str, Any]:
    told = {
        name: getattr(each, name) for name in ("image", "concept", "source", "reading", "confidence", "gold", "owner")
    }
    place = {"place": None, "priority": None, "probability": None, "second": False}
    return {**told, **place, "file": each.file or each.image, "label_set": label_set}


def _keep(connection: Connection, guideline: Guideline, *, postgres: bool) -> None:
    dialect: Any = postgresql if postgres else sqlite
    row = dialect.insert(guidelines).values(
        version=guideline.version, attribute=guideline.attribute, content=guideline.content()
    )
    connection.execute(row.on_conflict_do_nothing())


def _parts(hashes: Sequence[str], most: int = 500) -> list[Sequence[str]]:
    return [hashes[k : k + most] for k in range(0, len(hashes), most)]
