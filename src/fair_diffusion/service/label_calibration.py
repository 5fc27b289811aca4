"""A calibration from the labels of a service: what people saw in its pictures beside what its readers read in them.

The word of the readers stands in the result of the job that drew a picture. Pictures without that job, as of a folder
or of jobs that are deleted, are left out and counted; so are those that the readers read by another definition of the
attribute than that of the set. A picture of several sets counts once. It is shown by one of them
or more with the probability

    π = 1 − Π_s (1 − π_s)        π_s: that set s shows it by now, as `statistics.drawing_order` has it

Sets of pictures that somebody chose have no such probability, so they are left out. For the perceiver, π is multiplied
by the probability with which control left the picture alone, which is 0 for a steered one, and for all of an instructed
drawing with a calibration (`perception.kept_chances`). Pictures that readers of other weights read are left out, too
(`reader_change`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.chance import no_better_than_chance
from fair_diffusion.perception.kept_chances import kept_chances, silence
from fair_diffusion.perception.labelled_image import PERCEIVER, LabelledImage
from fair_diffusion.perception.unlabelled import unlabelled
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.defined_as import defined_as
from fair_diffusion.policy.guideline import guideline_of
from fair_diffusion.readers.labelled_runs import RECORDED
from fair_diffusion.readers.names import concept_of
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import ERASED
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_sets import LabelSet, newest_sets
from fair_diffusion.service.label_table import chances_by_now
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.reader_change import Told, of_latest_readers
from fair_diffusion.service.tables import images, jobs
from fair_diffusion.service.worker_kind import model_of


@dataclass(frozen=True)
class FromLabels:
    """What labels of a service come to.

    Attributes:
        calibration: of the readers that they tell of.
        sets: the ids of the sets whose labels it rests on.
        pictures: labelled pictures that it rests on.
        notes: what was left out, one sentence each.
        warnings: groups that no labelled picture shows, and readers that are no better than chance, likewise.
    """

    calibration: Calibration
    sets: list[str]
    pictures: int
    notes: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class _Drawn:
    """A picture as its job has it.

    `natural` is what the look read; it is empty where nobody looked. `calibrated`: whether the look went by a
    calibration. `created`: when the job came, in seconds since 1970."""

    model: str
    concept: str
    steered: bool
    natural: Mapping[str, str | None]
    read: Mapping[str, Mapping[str, str | None]]
    readers: Mapping[str, str]
    calibrated: bool
    created: float


def calibration_of(database: Database, names: Sequence[str] = (), *, defined: Attributes | None = None) -> FromLabels:
    """Calibrate by the labels of a service.

    Args:
        database: of the service.
        names: ids or names of label sets; all whose pictures were drawn at random or by uncertainty if there are none.
        defined: the attributes; those of the policy in force if None.

    Raises:
        ValueError: there is no such set, or none of its labels tells of a reader.
    """
    sets = _named(newest_sets(database), names)
    active = Policies(database).active() if defined is None else None
    defined = defined or (active.policy.attributes if active else built_in())
    notes = list[str]()
    usable = [each for each in sets if _is_usable(each, defined, notes)]
    every, lost = list[Told](), set[str]()
    for attribute in dict.fromkeys(each.attribute for each in usable):
        ours = [each for each in usable if each.attribute == attribute]
        for image, one in _labelled(database, ours):
            every += one
            if not one:
                lost.add(image)
    if lost:
        notes.append(
            f"{len(lost)} labelled pictures were left out: no job that is kept says what the readers read in them by "
            "the definition of their set; for pictures of a run, give the table of labels and the run"
        )
    latest, earlier = of_latest_readers(every)
    notes += earlier
    rows = [one.row for one in latest]
    if silent := sum(one.probability == 0 for one in rows):
        notes.append(silence(silent, sum(one.reader == PERCEIVER for one in rows)))
    told = [one for one in rows if one.probability]
    if not told:
        raise ValueError("; ".join(notes) or "people have labelled no picture of a set yet; label some first")
    made = calibrated(told, defined)
    warnings = [*unlabelled(made, defined), *no_better_than_chance(made, told)]
    return FromLabels(made, [each.id for each in usable], len({one.image for one in latest}), notes, warnings)


def _named(sets: Sequence[LabelSet], names: Sequence[str]) -> list[LabelSet]:
    """The sets of these ids or names; all without one. `ValueError` if there is no such set."""
    for name in names:
        if not any(name in (each.id, each.name) for each in sets):
            known = ", ".join(f"{each.name!r}" for each in sets[:20]) or "none"
            raise ValueError(f"there is no label set {name!r}; the sets are {known}")
    return [each for each in sets if not names or each.id in names or each.name in names]


def _is_usable(each: LabelSet, defined: Attributes, notes: list[str]) -> bool:
    """Whether labels of a set tell how a reader errs on other pictures; if not, why stands in a note."""
    if each.chosen:
        notes.append(f"set {each.name!r} was left out: somebody chose its pictures, so they stand for no others")
    elif each.attribute not in defined or list(defined[each.attribute].group_names) != each.groups:
        notes.append(f"set {each.name!r} was left out: its groups of {each.attribute} are not those that are defined")
    elif each.definition not in (None, now := defined_as(defined[each.attribute])):
        notes.append(
            f"set {each.name!r} was left out: its {each.attribute} was defined otherwise ({each.definition}) than "
            f"it is now ({now}); label by today's definition, or calibrate by that one (--define FILE)"
        )
    else:
        notes += _doubts(each, guideline_of(defined[each.attribute]).version)
        return True
    return False


def _doubts(each: LabelSet, guideline: str) -> list[str]:
    """What to say of a set whose labels count; `guideline` is the version of today."""
    if each.definition is None:
        return [
            f"set {each.name!r} is older than the definitions that sets keep: its labels count as of today's "
            f"{each.attribute}; if that was defined otherwise then, choose the other sets alone"
        ]
    if each.guideline != guideline:
        return [
            f"set {each.name!r} was labelled by another guideline ({each.guideline}) than today's ({guideline}); if it "
            "means something else, choose the other sets alone"
        ]
    return []


def _labelled(database: Database, sets: Sequence[LabelSet]) -> Iterator[tuple[str, list[Told]]]:
    """The labelled pictures of sets of one attribute, each with a row for each reader; none if nobody knows its job.

    The newest set has the say on a picture of several."""
    missed, said = dict[str, float](), dict[str, tuple[LabelSet, str | None]]()
    drawn = dict[str, _Drawn]()
    for each in sets:
        decisions = Adjudications(database, each).decisions()  # first, as labels go on meanwhile
        chances = chances_by_now(database, each)
        for image, chance in chances.items():
            missed[image] = missed.get(image, 1.0) * (1 - chance)
        for image, one in decisions.items():
            if image in chances:  # a gold question is not drawn
                said.setdefault(image, (each, one.answer))
        drawn |= _drawn(database, each)
    left = _left_alone(drawn, sets[0].attribute) if sets else {}
    for image, (label_set, people) in said.items():
        shown = 1 - missed[image]
        chances = {reader: shown * (left.get(image, 1.0) if reader == PERCEIVER else 1.0) for reader in RECORDED}
        by = drawn.get(image)
        rows = [] if by is None else _rows(by, label_set, people, chances)
        yield image, [Told(row, image, label_set.name, by.created if by else 0.0) for row in rows]


def _left_alone(drawn: Mapping[str, _Drawn], attribute: str) -> dict[str, float]:
    """With which probability each picture was left alone, counted by model, perceiver and concept."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    found: dict[str, float] = {}
    for image, one in drawn.items():
        if attribute in one.natural and one.calibrated:
            found[image] = 0.0
        elif attribute in one.natural:
            alike.setdefault((one.model, one.readers.get(PERCEIVER, ""), one.concept), []).append(image)
        else:  # nobody looked, so nothing was chosen by a look
            found[image] = 0.0 if one.steered else 1.0
    for names in alike.values():
        looks = [drawn[name].natural.get(attribute) for name in names]
        found |= zip(names, kept_chances(looks, [drawn[name].steered for name in names]), strict=True)
    return found


def _rows(drawn: _Drawn, label_set: LabelSet, people: str | None, chances: Mapping[str, float]) -> list[LabelledImage]:
    """A row for each reader that read the attribute, with the probability 0 if it tells nothing."""
    attribute = label_set.attribute
    told: dict[str, Any] = {"model": drawn.model, "attribute": attribute, "people": people, "concept": drawn.concept}
    told["guideline"] = label_set.guideline
    return [
        LabelledImage(
            **told,
            reader=reader,
            read=read[attribute],
            probability=min(1.0, chances[reader]),
            fingerprint=drawn.readers.get(reader, ""),
        )
        for reader, read in drawn.read.items()
        if attribute in read
    ]


def _drawn(database: Database, label_set: LabelSet) -> dict[str, _Drawn]:
    """The pictures of a set by hash, if their job is kept and its readers knew the set's definition."""
    ours = select(images.c.job).where(images.c.key == label_set.id)
    with database.reading() as connection:
        rows = connection.execute(select(*_JOB).where(jobs.c.id.in_(ours))).all()
    definitions = {version: _definition(database, version, label_set.attribute) for version in map(_version, rows)}
    return {
        image["file"]: _Drawn(
            model_of(row.kind),
            _concept(row.body),
            bool(image.get("steered")),
            image.get("natural") or {},
            {reader: image.get(column) or {} for reader, column in RECORDED.items()},
            (row.result or {}).get("readers") or {},
            bool((row.result or {}).get("calibration")),
            row.created,
        )
        for row in rows
        if label_set.definition in (None, definitions[_version(row)])
        for image in (row.result or {}).get("images", ())
    }


_JOB = (jobs.c.kind, jobs.c.body, jobs.c.result, jobs.c.created)


def _version(job: Any) -> int | None:
    """The version of the policy whose definitions a job used, as `DrawBody.version`."""
    found: int | None = job.body.get("policy" if job.body.get("instruct") is None else "defined_by")
    return found


def _definition(database: Database, version: int | None, attribute: str) -> str | None:
    """By what an attribute is known in a version of the policy; None if the version has no such attribute."""
    known = built_in() if version is None else Policies(database).get(version).policy.attributes
    return defined_as(known[attribute]) if attribute in known else None


def _concept(body: Mapping[str, Any]) -> str:
    """What a job was to show; empty if its prompt is not kept."""
    prompt = str(body.get("prompt") or "")
    return "" if prompt == ERASED else concept_of(prompt)
