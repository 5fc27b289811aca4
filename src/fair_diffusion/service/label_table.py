"""The labels of a set as a table, and back, as an audit and `fair-diffusion calibrate` read it.

The columns are `file,attribute,group,rater,concept,source,probability,guideline,definition`. The probability is that
with which the picture was shown by now, so tables of several sets may be joined; in a set of pictures that somebody
chose "chosen" stands there, so that nobody takes them for drawn ones. The definition is what that of the attribute is
known by; it is empty for sets that are older than that.

"unknown" stands for "cannot tell". Gold questions are left out. A table of pictures has one line for each, with what
raters together or an adjudication say, so that its reader needs no rule for disagreements. Pictures that everybody
skipped who saw them come last, as "skipped": an audit needs to know what a reader says of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, select

from fair_diffusion.files.csv_rows import write_csv
from fair_diffusion.perception.label_rows import CHOSEN, COLUMNS, OPTIONAL, SHOWN, SKIPPED, LabelRows, read_labels
from fair_diffusion.policy import Attributes
from fair_diffusion.policy.spelling import UNKNOWN
from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import Adjudications, is_skip
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import CANNOT_TELL, DRAWN, RANDOM, Labels
from fair_diffusion.service.tables import label_pictures, labels
from fair_diffusion.service.trail import COMMAND_LINE, note
from fair_diffusion.statistics.drawing_order import chance_so_far

What = Literal["labels", "pictures"]
HEADER = (*COLUMNS, *OPTIONAL, *SHOWN)
SOMEBODY = "somebody"
"""The rater of a line that names none."""
LONGEST = 200
"""Characters of a rater or of a guideline's version at most."""
_REASONS = {UNKNOWN: CANNOT_TELL, SKIPPED: SKIPPED}
"""The reason of a label without a group, by what stands in the place of the group."""
IMPORTED = "imported"
"""The guideline of such labels, where nothing tells by which they were given."""


@dataclass(frozen=True)
class Imported:
    """What came of a table.

    Attributes:
        added: labels and skips that were stored.
        already: those that were there.
        unmatched: files of the table that are not in the set.
        notes: what was read otherwise than it is written.
    """

    added: int
    already: int
    unmatched: list[str]
    notes: list[str]


class _Given(NamedTuple):
    """What a rater said of a picture: a group, `UNKNOWN` or `SKIPPED`, and by which guideline."""

    picture: Row[Any]
    rater: str
    said: str
    guideline: str


def write_labels(
    database: Database,
    label_set: LabelSet,
    path: Path,
    *,
    what: What = "labels",
    names: Mapping[str, str] | None = None,
) -> int:
    """Write the labels of a set to a table.

    Args:
        database: has the labels.
        label_set: which labels.
        path: the file.
        what: "labels": every rater's; "pictures": one line for each picture.
        names: what raters are called in the table; their pseudonyms if None.

    Returns:
        How many lines.
    """
    return write_sets(database, [label_set], path, what=what, names=names)


def write_sets(
    database: Database,
    sets: Sequence[LabelSet],
    path: Path,
    *,
    what: What = "labels",
    names: Mapping[str, str] | None = None,
) -> int:
    """The same for several sets, such as those of the attributes of the same pictures, in one table."""
    rows = [row for each in sets for part in (_lines, _skips) for row in part(database, each, what, names)]
    write_csv(path, HEADER, rows)
    return len(rows)


def _lines(
    database: Database, label_set: LabelSet, what: What, names: Mapping[str, str] | None
) -> Iterator[dict[str, Any]]:
    """The lines of one set."""
    decisions = Adjudications(database, label_set).decisions()  # first, as nobody shows a picture less often later
    pictures, chances = _pictures(database, label_set), chances_by_now(database, label_set)
    standing = Labels(database).all(label_set=label_set.id)
    versions = {(label.image, label.rater): label.guideline for label in standing}
    for image, one in decisions.items():
        row = pictures.get(image)
        if row is None:
            continue
        told = {"file": row.file, "attribute": label_set.attribute, "concept": row.concept, "source": row.source}
        said = one.said if what == "labels" else {one.how: one.answer}
        for rater, answer in said.items():
            yield {
                **told,
                "group": answer or UNKNOWN,
                "rater": (names or {}).get(rater, rater),
                "probability": CHOSEN if label_set.chosen else chances[image],
                "guideline": versions.get((image, rater), label_set.guideline),
                "definition": label_set.definition or "",
            }


def _skips(
    database: Database, label_set: LabelSet, what: What, names: Mapping[str, str] | None
) -> Iterator[dict[str, Any]]:
    """The lines of pictures that everybody skipped who saw them; one for each rater, or for each picture."""
    decisions = Adjudications(database, label_set).decisions()
    pictures, chances = _pictures(database, label_set), chances_by_now(database, label_set)
    skips = [each for each in Labels(database).all(label_set=label_set.id) if is_skip(each)]
    told = {each.image: each for each in skips}.values() if what == "pictures" else skips
    for label in told:
        if label.image in decisions or label.image not in chances:
            continue
        row = pictures[label.image]
        yield {
            "file": row.file,
            "attribute": label_set.attribute,
            "group": SKIPPED,
            "rater": SKIPPED if what == "pictures" else (names or {}).get(label.rater, label.rater),
            "concept": row.concept,
            "source": row.source,
            "probability": CHOSEN if label_set.chosen else chances[label.image],
            "guideline": label.guideline,
            "definition": label_set.definition or "",
        }


def labels_text(database: Database, label_set: LabelSet, *, what: What = "labels") -> str:
    """The same table as text."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        write_labels(database, label_set, path, what=what)
        return path.read_text(encoding="utf-8")


def import_labels(
    database: Database,
    label_set: LabelSet,
    text: str,
    *,
    attributes: Attributes | None = None,
    by: str = COMMAND_LINE,
) -> Imported:
    """Add the labels of a table to a set. Its pictures must have been drawn at random, unless the set is a chosen one.

    Args:
        database: where they go.
        label_set: the set whose pictures they label.
        text: the table, as an audit reads it; files are named as in the set.
        attributes: the definitions that the table goes by; the built-in ones if None.
        by: the id of the key that does it.

    Raises:
        ValueError: the table is none, a group is unknown, a rater already said something else of a picture, or the
            pictures of the table or of the set were not all drawn with the same probability. Nothing was stored.
    """
    if label_set.queue != RANDOM:
        raise ValueError("pictures of this set are drawn by uncertainty, which a table does not tell; take another set")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_text(text, encoding="utf-8")
        try:
            own = {label_set.attribute: label_set.definition} if label_set.definition else {}
            found = read_labels(path, attributes, own, chosen_too=label_set.chosen, skips_alone=True)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "the table")) from None
    said = {**found.votes.get(label_set.attribute, {}), **found.skipped.get(label_set.attribute, {})}
    if not said:
        named = ", ".join({**found.votes, **found.skipped})
        raise ValueError(f"the table labels {named}; this set is about {label_set.attribute}")
    by_file = {row.file: row for row in _pictures(database, label_set).values()}
    given = _given(found, label_set, by_file)
    unmatched = [file for file in said if file not in by_file]
    if not given:
        raise ValueError(f"no file of the table is in the set, such as {unmatched[0]!r}; name files as the set does")
    return Imported(*_store(database, label_set, given, by), unmatched, list(found.notes))


def _given(found: LabelRows, label_set: LabelSet, by_file: Mapping[str, Row[Any]]) -> list[_Given]:
    """The labels and skips of pictures of the set. `ValueError` if they cannot stand beside those of the set."""
    attribute = label_set.attribute
    chances = [chance for (name, _), chance in found.chances.items() if name == attribute]
    if chances and not math.isclose(min(chances), max(chances)):
        raise ValueError(
            f"the table has probabilities from {min(chances):g} to {max(chances):g}, so its pictures were not drawn "
            "uniformly, as those of this set are; calibrate with the table itself"
        )
    said = [
        (file, rater, group) for file, own in found.votes.get(attribute, {}).items() for rater, group in own.items()
    ]
    said += [(file, rater, SKIPPED) for file, own in found.skipped.get(attribute, {}).items() for rater in own]
    given = [
        _Given(by_file[file], rater or SOMEBODY, word, found.guidelines.get((attribute, file, rater), IMPORTED))
        for file, rater, word in said
        if file in by_file
    ]
    for name in {name for each in given for name in (each.rater, each.guideline)}:
        if not name.isprintable() or len(name) > LONGEST:
            raise ValueError(
                f"a rater or guideline is {name[:LONGEST]!r}; give up to {LONGEST} characters, all of which print"
            )
    # In the order of the draw: intervals take labels to come in random order, and tables are often sorted by group.
    return sorted(given, key=lambda each: each.picture.place or 0)


def _said(row: Row[Any]) -> str:
    """What stands for a stored label in the place of the group."""
    return row.answer or (UNKNOWN if row.reason == CANNOT_TELL else SKIPPED)


def _store(database: Database, label_set: LabelSet, given: Sequence[_Given], by: str) -> tuple[int, int]:
    """Store what is not there yet, all of it or nothing: how many labels were added, and how many were there."""
    added = list[dict[str, Any]]()
    with database.writing() as connection:
        database.lock(connection, f"fair-diffusion: label set {label_set.id}")
        standing = connection.execute(
            select(labels).where(labels.c.label_set == label_set.id, labels.c.undone.is_(None))
        ).all()
        there = {(row.image, row.rater): _said(row) for row in standing}
        labelled = {image for (image, _), said in there.items() if said != SKIPPED}
        for row, rater, said, guideline in given:
            if (row.image, rater) in there:
                if there[row.image, rater] != said:
                    raise ValueError(f"{rater} said {there[row.image, rater]!r} of {row.file}, the table {said!r}")
                continue
            queue = "gold" if row.gold is not None else "second" if row.image in labelled else label_set.label_queue
            reason = _REASONS.get(said)
            told = {"image": row.image, "rater": rater, "answer": None if reason else said, "reason": reason}
            chance = row.probability if queue in DRAWN else None
            shown = {"queue": queue, "probability": chance, "guideline": guideline, "label_set": label_set.id}
            added.append({**told, **shown, "attribute": label_set.attribute, "definition": label_set.definition})
            there[row.image, rater] = said
            if said != SKIPPED:
                labelled.add(row.image)
        Labels(database).add_all(added, groups=label_set.groups, connection=connection)
        details = {"added": len(added), "already": len(given) - len(added)}
        note(connection, by=by, change="labels imported", subject=label_set.id, details=details)
    return len(added), len(given) - len(added)


def chances_by_now(database: Database, label_set: LabelSet) -> dict[str, float]:
    """By drawn picture, the probability that the set has shown it by now; 0 for all while nobody has labelled any.

    Uniform draws have shown each of N pictures with n/N after n of them, skipped ones included."""
    wanted = select(label_pictures.c.image, label_pictures.c.probability, label_pictures.c.priority)
    wanted = wanted.where(label_pictures.c.label_set == label_set.id, label_pictures.c.place.is_not(None))
    with database.reading() as connection:
        rows = connection.execute(wanted.order_by(label_pictures.c.place)).all()
    met = {label.image for label in Labels(database).all(label_set=label_set.id)}
    seen = [row.image in met for row in rows]
    if label_set.queue == RANDOM:
        return {row.image: sum(seen) / len(rows) for row in rows}
    chances = chance_so_far([row.probability for row in rows], [row.priority for row in rows], seen)
    return {row.image: float(chance) for row, chance in zip(rows, chances, strict=True)}


def _pictures(database: Database, label_set: LabelSet) -> dict[str, Row[Any]]:
    ours = select(label_pictures).where(label_pictures.c.label_set == label_set.id)
    with database.reading() as connection:
        return {row.image: row for row in connection.execute(ours)}
