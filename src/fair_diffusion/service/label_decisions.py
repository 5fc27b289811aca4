"""What a picture shows when several raters labelled it: the picture is the unit, not the label.

All agree; or the majority decides; or they are tied and nobody has decided yet, which counts as "cannot tell". A person
may decide where raters disagree: such an adjudication stands beside the labels and overwrites none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import CANNOT_TELL, RANDOM, Label, Labels
from fair_diffusion.service.tables import adjudications, label_pictures, label_sets, labels

AGREED, MAJORITY, TIED, ADJUDICATED = HOW = ("agreed", "majority", "tied", "adjudicated")
"""How it is known what a picture shows."""


@dataclass(frozen=True)
class Decision:
    """What a picture shows.

    Attributes:
        answer: the group; None if it cannot be told, or if raters are tied.
        how: one of `HOW`.
        said: what each rater said; None is "cannot tell".
    """

    answer: str | None
    how: str
    said: Mapping[str, str | None]


@dataclass(frozen=True)
class Adjudication:
    """A decision of a person on a picture of which raters disagree.

    Attributes:
        id: its number.
        image: the picture's hash.
        answer: the group; None if it cannot be told.
        why: the reason.
        by: the id of the key, or who it was.
        time: in seconds since 1970.
    """

    id: int
    image: str
    answer: str | None
    why: str
    by: str
    time: float

    @classmethod
    def of(cls, row: Row[tuple[object, ...]]) -> Adjudication:
        """The adjudication in a row of the table."""
        return cls(*(row._mapping[name] for name in ("id", "image", "answer", "why", "by", "time")))


def is_skip(label: Label) -> bool:
    """Whether a rater skipped the picture, which says nothing of it."""
    return label.answer is None and label.reason != CANNOT_TELL


def decided(given: Sequence[Label], adjudicated: Mapping[str, Adjudication]) -> dict[str, Decision]:
    """What each picture shows, in the order in which they were labelled first.

    Args:
        given: labels that stand, of one set; gold questions and skips are left out.
        adjudicated: the adjudications that stand, by picture.
    """
    said: dict[str, dict[str, str | None]] = {}
    for label in given:
        if label.queue != "gold" and not is_skip(label):
            said.setdefault(label.image, {})[label.rater] = label.answer
    return {image: _decision(mine, adjudicated.get(image)) for image, mine in said.items()}


class Decided(NamedTuple):
    """What pictures show in one attribute.

    Attributes:
        every: each labelled picture, in the order in which they were labelled first.
        random: by set, those that were drawn at random from it, in the order in which they were ("": from all). They
            stay so when the label for which they were drawn is taken back, or was a skip. None is a picture that
            everybody skipped who saw it. Pictures of a set that somebody chose are none of them.
    """

    every: dict[str, Decision]
    random: dict[str, dict[str, Decision | None]]


class DecidedEverywhere:
    """What each picture of a database shows, whatever sets it is in; the newest adjudication of any set holds.

    An attribute that is defined otherwise is another one. Labels of which nobody knows the definition count for any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._labels, self._told = Labels(database).all(undone=True), dict[tuple[str, str | None], Decided]()
        self._pictures: dict[str, set[str]] = {}
        ours = select(adjudications, label_sets.c.attribute, label_sets.c.definition).join(label_sets)
        with database.reading() as connection:
            rows = connection.execute(ours.where(adjudications.c.undone.is_(None)).order_by(adjudications.c.id))
            self._adjudicated = [(row.attribute, row.definition, Adjudication.of(row)) for row in rows]

    @property
    def defined(self) -> list[tuple[str, str | None]]:
        """The attributes of which there are labels, each with every definition; None if nobody knows of any."""
        found: dict[str, dict[str | None, None]] = {}
        for label in self._labels:
            found.setdefault(label.attribute, {})[label.definition] = None
        return [(name, each) for name, told in found.items() for each in told if each is not None or len(told) == 1]

    def of(self, attribute: str, definition: str | None) -> Decided:
        """What pictures show in an attribute, as it is defined."""
        if (attribute, definition) not in self._told:
            self._told[attribute, definition] = self._of(attribute, definition)
        return self._told[attribute, definition]

    def _of(self, attribute: str, definition: str | None) -> Decided:
        ours = [each for each in self._labels if each.attribute == attribute and each.definition in (None, definition)]
        drawn: dict[str, dict[str, None]] = {}
        for label in ours:
            if label.queue == RANDOM:
                drawn.setdefault(label.label_set or "", {})[label.image] = None
        standing = {
            each.image: each for name, own, each in self._adjudicated if name == attribute and own in (None, definition)
        }
        given = [label for label in ours if label.undone is None]
        every = decided(given, standing)
        skipped = {label.image for label in given if label.queue in (RANDOM, "second") and is_skip(label)}
        random = {
            name: {image: every.get(image) for image in own if image in every or image in skipped}
            for name, own in drawn.items()
        }
        return Decided(every, random)

    def pictures(self, label_set: str) -> set[str]:
        """The pictures from which a set draws; none of a set that was removed."""
        if label_set not in self._pictures:
            ours = select(label_pictures.c.image).where(label_pictures.c.label_set == label_set)
            with self._database.reading() as connection:
                drawn = connection.scalars(ours.where(label_pictures.c.place.is_not(None))).all()
            self._pictures[label_set] = set(drawn)
        return self._pictures[label_set]


def _decision(said: Mapping[str, str | None], adjudicated: Adjudication | None) -> Decision:
    if adjudicated is not None:
        return Decision(adjudicated.answer, ADJUDICATED, said)
    most = Counter(said.values()).most_common(2)
    if len(most) == 1:
        return Decision(most[0][0], AGREED, said)
    return Decision(None, TIED, said) if most[0][1] == most[1][1] else Decision(most[0][0], MAJORITY, said)


class Adjudications:
    """The adjudications of one set.

    Args:
        database: where they are.
        label_set: the set.
    """

    def __init__(self, database: Database, label_set: LabelSet) -> None:
        self._database, self._set = database, label_set

    def decisions(self, connection: Connection | None = None) -> dict[str, Decision]:
        """What each labelled picture of the set shows."""
        if connection is None:
            with self._database.reading() as reading:
                return self.decisions(reading)
        ours = select(labels).where(labels.c.label_set == self._set.id, labels.c.undone.is_(None))
        given = [Label.of(row) for row in connection.execute(ours.order_by(labels.c.id))]
        standing = select(adjudications).where(*self._standing())
        return decided(given, {row.image: Adjudication.of(row) for row in connection.execute(standing)})

    def disagreements(self) -> dict[str, Decision]:
        """The pictures of which raters disagree, undecided ones first; those that were adjudicated are left out."""
        found = {image: one for image, one in self.decisions().items() if one.how in (MAJORITY, TIED)}
        return dict(sorted(found.items(), key=lambda each: each[1].how != TIED))

    def all(self) -> list[Adjudication]:
        """The adjudications that stand, the newest first."""
        newest = select(adjudications).where(*self._standing()).order_by(adjudications.c.id.desc())
        with self._database.reading() as connection:
            return [Adjudication.of(row) for row in connection.execute(newest)]

    def decide(self, image: str, answer: str | None, *, why: str, by: str) -> Adjudication:
        """Decide what a picture shows. An earlier decision is taken back, and stays as such.

        Raises:
            ValueError: the answer is no group, there is no reason, or raters do not disagree on this picture.
        """
        if answer is not None and answer not in self._set.groups:
            raise ValueError(
                f"{self._set.attribute} has no group {answer!r}; {suggestion(answer, (*self._set.groups,))}"
            )
        if not why.strip():
            raise ValueError("the reason is empty; say why, in a few words")
        with self._database.writing() as connection:
            self._database.lock(connection, f"fair-diffusion: label set {self._set.id}")
            one = self.decisions(connection).get(image)
            if one is None or len(set(one.said.values())) < 2:
                raise ValueError("raters do not disagree on this picture; decide on one of which they do")
            old = update(adjudications).where(*self._standing(), adjudications.c.image == image)
            connection.execute(old.values(undone=now()))
            values = {"label_set": self._set.id, "image": image, "answer": answer, "why": why, "by": by}
            row = connection.execute(insert(adjudications).values(**values, time=now()).returning(adjudications))
            return Adjudication.of(row.one())

    def take_back(self, image: str) -> None:
        """Take back the decision on a picture. `LookupError` if there is none."""
        old = update(adjudications).where(*self._standing(), adjudications.c.image == image)
        with self._database.writing() as connection:
            if not connection.execute(old.values(undone=now())).rowcount:
                raise LookupError("there is no decision on this picture")

    def pictures(self, images: Sequence[str]) -> dict[str, Row[tuple[object, ...]]]:
        """What is known of pictures of the set, by hash."""
        ours = select(label_pictures).where(label_pictures.c.label_set == self._set.id)
        with self._database.reading() as connection:
            rows = connection.execute(ours.where(label_pictures.c.image.in_(images)))
            return {row.image: row for row in rows}

    def _standing(self) -> tuple[ColumnElement[bool], ...]:
        return adjudications.c.label_set == self._set.id, adjudications.c.undone.is_(None)
