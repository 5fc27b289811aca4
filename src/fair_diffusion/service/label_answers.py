"""The shapes of answers about labels, for the OpenAPI document; the others are in `answer_shapes`.

Times are seconds since 1970.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_EXACT = with_config(ConfigDict(extra="forbid"))


@_EXACT
class SetShown(TypedDict):
    """A set of pictures that raters label."""

    id: str
    object: Literal["label_set"]
    name: str
    attribute: str
    groups: list[str]
    queue: Literal["random", "active"]
    guideline: str
    pictures: int
    second: float
    created: float
    chosen: bool
    definition: str | None


@_EXACT
class SetList(TypedDict):
    """Sets."""

    object: Literal["list"]
    data: list[SetShown]


@_EXACT
class GuidelineShown(TypedDict):
    """What raters are told, and whether the caller agreed to it."""

    object: Literal["guideline"]
    version: str
    question: str
    points: list[str]
    groups: dict[str, str]
    consent: str
    agreed: bool


@_EXACT
class TaskShown(TypedDict):
    """A picture that the caller is to label. Its file is at `/v1/label/sets/SET/pictures/IMAGE`.

    Why it is shown is not told: who knows a gold question answers it with more care."""

    image: str


@_EXACT
class TaskList(TypedDict):
    """The pictures that the caller holds, in the order in which they are to be labelled."""

    object: Literal["list"]
    data: list[TaskShown]


@_EXACT
class LabelShown(TypedDict):
    """A label; `answer` is None if the rater cannot tell, or skipped the picture."""

    id: int
    object: Literal["label"]
    image: str
    answer: str | None
    reason: str | None
    queue: str
    probability: float | None
    time: float
    undone: float | None


@_EXACT
class Read(TypedDict):
    """What a reader said of a picture."""

    group: str
    confidence: float | None


@_EXACT
class GroupBought(TypedDict):
    """One group: its share as people see it, with a 95 % interval; about `more` labels would make it ± `wanted`."""

    group: str
    labelled: int
    read: int | None
    share: float | None
    low: float | None
    high: float | None
    wanted: float | None
    more: int | None


@_EXACT
class ProgressShown(TypedDict):
    """What labels have bought so far. With `anytime` the intervals hold however often one looks, else for one look."""

    object: Literal["label_progress"]
    pictures: int
    labelled: int
    cannot_tell: int
    tied: int
    skipped: int
    by: Literal["labels", "labels and reader"]
    anytime: bool
    groups: list[GroupBought]


@_EXACT
class FinalLabel(TypedDict):
    """A label that its rater can no longer take back, and what was hidden of its picture until now."""

    label: LabelShown
    reader: Read | None
    gold: str | None


@_EXACT
class LabelGiven(TypedDict):
    """A label that was stored, the one that has become final with it, and what comes next."""

    label: LabelShown
    final: FinalLabel | None
    next: list[TaskShown]
    progress: ProgressShown


@_EXACT
class LabelUndone(TypedDict):
    """A label that was taken back. Its picture is the first of `next` again."""

    label: LabelShown
    next: list[TaskShown]
    progress: ProgressShown


@_EXACT
class RaterOfSet(TypedDict):
    """How one rater does."""

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


@_EXACT
class RatersOfSet(TypedDict):
    """How the raters do; a rater sees the own line alone. `alpha` is Krippendorff's."""

    object: Literal["list"]
    data: list[RaterOfSet]
    alpha: float | None
    shared: int
    agreed: float


@_EXACT
class DisagreementShown(TypedDict):
    """A picture of which raters disagree; None is "cannot tell"."""

    image: str
    file: str
    how: Literal["majority", "tied"]
    said: dict[str, str | None]


@_EXACT
class DisagreementList(TypedDict):
    """Pictures of which raters disagree, those that nobody decides first."""

    object: Literal["list"]
    data: list[DisagreementShown]


@_EXACT
class AdjudicationShown(TypedDict):
    """A person's decision on a picture of which raters disagree."""

    id: int
    object: Literal["adjudication"]
    image: str
    answer: str | None
    why: str
    by: str
    time: float


@_EXACT
class Removed(TypedDict):
    """What was removed: a set, or the decision on a picture."""

    object: Literal["removed"]
    id: str


@_EXACT
class ImportShown(TypedDict):
    """What came of a table of labels."""

    object: Literal["label_import"]
    added: int
    already: int
    unmatched: list[str]
    notes: list[str]
