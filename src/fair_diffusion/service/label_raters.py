"""How raters do: what they gave, how quick they are, gold questions, and how far they agree with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from sqlalchemy import select

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import is_skip
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import Label, Labels
from fair_diffusion.service.tables import label_pictures
from fair_diffusion.statistics.dawid_skene import NONE, dawid_skene
from fair_diffusion.statistics.rater_agreement import krippendorff_alpha, pairs_that_agree

PAUSE = 120.0
"""Seconds after which a gap between two labels is a pause, and no time that a label took."""
FEWEST = 20
"""Pictures that several raters labelled, from which on the errors of single raters are estimated."""


@dataclass(frozen=True)
class RaterShown:
    """One rater.

    Attributes:
        rater: the pseudonym.
        labels: pictures that were labelled, "cannot tell" included, gold questions left out.
        cannot_tell, skipped, undone: how many of what was shown.
        gold_asked, gold_right: gold questions. The first answer counts, also when it was taken back; a skip is none.
        seconds: median time of a label; None with fewer than two.
        shared: pictures that others labelled, too.
        agreed: how many of those the rater agrees on with the others; a picture counts once.
        accuracy: how often the rater says what is shown, as overlapping labels tell (Dawid and Skene); None if too
            few overlap.
    """

    rater: str
    labels: int
    cannot_tell: int
    skipped: int
    undone: int
    gold_asked: int
    gold_right: int
    seconds: float | None
    shared: int
    agreed: float
    accuracy: float | None


@dataclass(frozen=True)
class RatersShown:
    """The raters of a set.

    Attributes:
        raters: in the order of their first labels.
        alpha: Krippendorff's, over pictures with several labels; "cannot tell" is a group. None if undefined.
        shared: pictures with several labels.
        agreed: pairs of labels that agree; a picture counts once.
    """

    raters: list[RaterShown]
    alpha: float | None
    shared: int
    agreed: float


def raters_of(database: Database, label_set: LabelSet) -> RatersShown:
    """How the raters of a set do."""
    every = Labels(database).all(label_set=label_set.id, undone=True)
    known = select(label_pictures.c.image, label_pictures.c.gold).where(
        label_pictures.c.label_set == label_set.id, label_pictures.c.gold.is_not(None)
    )
    with database.reading() as connection:
        gold = {row.image: row.gold for row in connection.execute(known)}
    standing = [label for label in every if label.undone is None]
    said = [label for label in standing if label.queue != "gold" and not is_skip(label)]
    raters = list(dict.fromkeys(label.rater for label in every))
    counts = _counts(said, label_set.groups)
    shared = [row for row in counts.values() if sum(row) > 1]
    agreed, _ = pairs_that_agree(shared) if shared else (0.0, 0.0)
    accuracy = _accuracy(said, label_set.groups, raters)
    return RatersShown(
        raters=[_shown(rater, every, gold, counts, label_set.groups, accuracy.get(rater)) for rater in raters],
        alpha=krippendorff_alpha(shared) if shared else None,
        shared=len(shared),
        agreed=agreed,
    )


def _shown(
    rater: str,
    every: Sequence[Label],
    gold: dict[str, str],
    counts: dict[str, list[int]],
    groups: Sequence[str],
    accuracy: float | None,
) -> RaterShown:
    own = [label for label in every if label.rater == rater]
    standing = [label for label in own if label.undone is None]
    first = {label.image: label for label in reversed(own) if label.queue == "gold" and label.image in gold}
    asked = [label for label in first.values() if not is_skip(label)]
    given = [label for label in standing if label.queue != "gold" and not is_skip(label)]
    both = [label for label in given if sum(counts[label.image]) > 1]
    agreed = sum((counts[each.image][_place(each, groups)] - 1) / (sum(counts[each.image]) - 1) for each in both)
    return RaterShown(
        rater=rater,
        labels=len(given),
        cannot_tell=sum(label.answer is None for label in given),
        skipped=sum(map(is_skip, standing)),
        undone=len(own) - len(standing),
        gold_asked=len(asked),
        gold_right=sum(label.answer == gold[label.image] for label in asked),
        seconds=_seconds(own),
        shared=len(both),
        agreed=agreed,
        accuracy=accuracy,
    )


def _seconds(own: Sequence[Label]) -> float | None:
    """The median time between two labels, pauses left out."""
    times = sorted(label.time for label in own)
    gaps = [after - before for before, after in pairwise(times)]
    return median(short) if (short := [gap for gap in gaps if gap <= PAUSE]) else None


def _counts(said: Sequence[Label], groups: Sequence[str]) -> dict[str, list[int]]:
    """By picture, how many raters saw each group; "cannot tell" comes last."""
    found: dict[str, list[int]] = {}
    for label in said:
        found.setdefault(label.image, [0] * (len(groups) + 1))[_place(label, groups)] += 1
    return found


def _place(label: Label, groups: Sequence[str]) -> int:
    return len(groups) if label.answer is None else list(groups).index(label.answer)


def _accuracy(said: Sequence[Label], groups: Sequence[str], raters: Sequence[str]) -> dict[str, float]:
    """How often each rater says what is shown, over pictures that several raters labelled."""
    times = Counter(label.image for label in said)
    both = [label for label in said if times[label.image] > 1]
    images, people = list(dict.fromkeys(each.image for each in both)), [*dict.fromkeys(each.rater for each in both)]
    if len(images) < FEWEST or len(people) < 3:  # two raters who differ do not tell who is right
        return {}
    table = [[NONE] * len(people) for _ in images]
    row, column = {image: k for k, image in enumerate(images)}, {rater: k for k, rater in enumerate(people)}
    for label in both:
        table[row[label.image]][column[label.rater]] = _place(label, groups)
    found = dawid_skene(table, len(groups) + 1).accuracy
    return {rater: float(found[column[rater]]) for rater in raters if rater in column}
