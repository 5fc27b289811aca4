"""`/v1/label`: for raters: the next picture, a label, a step back, what labels have bought."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from fair_diffusion.policy import built_in
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.label_answers import (
    FinalLabel,
    GuidelineShown,
    LabelGiven,
    LabelShown,
    LabelUndone,
    ProgressShown,
    RatersOfSet,
    Read,
    SetList,
    SetShown,
    TaskList,
    TaskShown,
)
from fair_diffusion.service.label_progress import progress as progress_of
from fair_diffusion.service.label_queue import (
    MOST_HELD,
    Given,
    LabelledError,
    LabelQueue,
    NotHeldError,
    NothingToUndoError,
    Task,
)
from fair_diffusion.service.label_raters import raters_of
from fair_diffusion.service.label_sets import LabelSet, LabelSets, UnknownSetError
from fair_diffusion.service.labels import Label
from fair_diffusion.service.problems import Problem, documented, no_such, wrong
from fair_diffusion.service.server import Here, Labeller, Server

router = APIRouter(prefix="/v1/label/sets", tags=["labels"])
Set = Annotated[str, Path(pattern="^set_[0-9a-f]{12}$", description="the id of a set")]
Hash = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]

GROUP = next(iter(built_in().group_names))
"""A group, for examples."""


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Consent(Strict):
    """That a rater read a guideline and agrees to it."""

    guideline: Text = Field(description="its version", examples=["0" * 12])


class Ahead(BaseModel):
    """How many pictures are wanted at once."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    most: Annotated[int, Field(ge=1, le=MOST_HELD)] = 1


class NewLabel(Strict):
    """What a rater says of a picture: a group; without `answer` and `reason`, that it cannot be told."""

    image: str = Field(pattern="^[0-9a-f]{64}$", examples=["0" * 64])
    answer: Text | None = Field(default=None, examples=[GROUP])
    reason: Text | None = Field(default=None, description="why the picture is skipped")
    guideline: Text = Field(description="the version that the rater sees", examples=["0" * 12])
    most: int = Field(default=1, ge=1, le=MOST_HELD, description="how many pictures the rater wants to hold then")


@router.get("", responses=documented(403))
def sets(server: Here, key: Labeller) -> SetList:
    """The sets that can be labelled, the newest first."""
    return {"object": "list", "data": [shown(each) for each in sets_of(server).all()]}


@router.get("/{label_set}", responses=documented(400, 403, 404))
def one(label_set: Set, server: Here, key: Labeller) -> SetShown:
    """One set."""
    return shown(found(server, label_set))


@router.get("/{label_set}/guideline", responses=documented(400, 403, 404))
def guideline(label_set: Set, server: Here, key: Labeller) -> GuidelineShown:
    """What raters of the set are told. They have to agree to it once."""
    ours = found(server, label_set)
    told = sets_of(server).guideline(ours.guideline)
    return {
        "object": "guideline",
        "version": ours.guideline,
        "question": told.question,
        "points": list(told.points),
        "groups": told.groups,
        "consent": told.consent,
        "agreed": sets_of(server).agreed(key.id, ours.guideline),
    }


@router.post("/{label_set}/consent", responses=documented(400, 403, 404))
def consent(label_set: Set, asked: Consent, server: Here, key: Labeller) -> GuidelineShown:
    """Agree to the guideline of a set."""
    ours = found(server, label_set)
    if asked.guideline != ours.guideline:
        raise wrong("guideline", f"the guideline of this set is {ours.guideline}; read it, then agree")
    sets_of(server).consent(key.id, ours.guideline)
    return guideline(label_set, server, key)


@router.post("/{label_set}/next", responses=documented(400, 403, 404))
def next_pictures(label_set: Set, server: Here, key: Labeller, asked: Annotated[Ahead, Query()]) -> TaskList:
    """The pictures that the caller is to label next. They are held for some minutes: asking again gives the same."""
    ours = agreed(server, key, label_set)
    return {"object": "list", "data": _tasks(LabelQueue(server.database, ours).next(key.id, most=asked.most))}


@router.get(
    "/{label_set}/pictures/{image}",
    responses={200: {"description": "the file", "content": {"image/*": {}}}, **documented(400, 403, 404)},
    response_class=Response,
)
def picture(label_set: Set, image: Hash, server: Here, key: Labeller) -> Response:
    """The file of a picture of a set."""
    ours = found(server, label_set)
    try:
        content, media = server.images.get(image, key=ours.id)
    except (LookupError, OSError):
        raise no_such("picture") from None
    headers = {"cache-control": "private, max-age=3600", "content-security-policy": "default-src 'none'"}
    return Response(content, media_type=media, headers=headers)


@router.post("/{label_set}/labels", status_code=201, responses=documented(400, 403, 404, 409))
def label(label_set: Set, asked: NewLabel, server: Here, key: Labeller) -> LabelGiven:
    """Label a picture that the caller holds. The answer tells which pictures come next, and of the label that can no
    longer be taken back since, what a reader said of its picture. The same label sent twice is stored once; another one
    of the same picture is refused (409, `labelled`)."""
    ours = agreed(server, key, label_set)
    if asked.answer is not None and asked.reason is not None:
        raise wrong("reason", "both an answer and a reason to skip are given; give one")
    if asked.answer is not None and asked.answer not in ours.groups:
        raise wrong("answer", f"{ours.attribute} has no group {asked.answer!r}; give one of: {', '.join(ours.groups)}")
    if asked.guideline != ours.guideline:
        raise wrong("guideline", f"the guideline of this set is {ours.guideline}; read it anew")
    queue = LabelQueue(server.database, ours)
    try:
        given, held = queue.label(
            key.id, asked.image, asked.answer, reason=asked.reason, guideline=asked.guideline, most=asked.most
        )
    except NotHeldError as error:
        raise Problem(409, str(error), param="image", code="not_held", retry=False) from None
    except LabelledError as error:
        raise Problem(409, str(error), param="image", code="labelled", retry=False) from None
    return {
        "label": _label(given.label),
        "final": _final(queue.final(given.label)),
        "next": _tasks(held),
        "progress": _progress(server, ours),
    }


@router.post("/{label_set}/undo", responses=documented(400, 403, 404, 409))
def undo(label_set: Set, server: Here, key: Labeller, asked: Annotated[Ahead, Query()]) -> LabelUndone:
    """Take back the caller's last label, if it is among the last 3. Its picture comes first again; the label stays,
    with the time."""
    ours = agreed(server, key, label_set)
    queue = LabelQueue(server.database, ours)
    try:
        undone, _ = queue.undo(key.id)
    except NothingToUndoError as error:
        raise Problem(409, str(error), code="nothing_to_undo", retry=False) from None
    held = queue.next(key.id, most=asked.most)
    return {"label": _label(undone), "next": _tasks(held), "progress": _progress(server, ours)}


@router.get("/{label_set}/progress", responses=documented(400, 403, 404))
def progress(label_set: Set, server: Here, key: Labeller) -> ProgressShown:
    """What labels have bought so far: shares as people see them, with intervals, and what more would buy."""
    return _progress(server, found(server, label_set))


@router.get("/{label_set}/raters", responses=documented(400, 403, 404))
def raters(label_set: Set, server: Here, key: Labeller) -> RatersOfSet:
    """How the raters do: agreement, gold questions, speed. A rater sees the own line alone."""
    told = raters_of(server.database, found(server, label_set))
    mine = [each for each in told.raters if key.role == OPERATOR or each.rater == key.id]
    data = [asdict(each) for each in mine]
    return cast(
        RatersOfSet,
        {"object": "list", "data": data, "alpha": told.alpha, "shared": told.shared, "agreed": told.agreed},
    )


def sets_of(server: Server) -> LabelSets:
    """The sets of a server."""
    return LabelSets(server.database, server.images)


def found(server: Server, label_set: str) -> LabelSet:
    """A set. 404 if there is none."""
    try:
        return sets_of(server).get(label_set)
    except UnknownSetError:
        raise no_such("label set") from None


def agreed(server: Server, key: Key, label_set: str) -> LabelSet:
    """The same, for who agreed to its guideline. 403 for the others."""
    ours = found(server, label_set)
    if not sets_of(server).agreed(key.id, ours.guideline):
        message = "read the guideline of this set and agree to it first"
        raise Problem(403, message, kind="permission_error", code="consent_needed")
    return ours


def shown(each: LabelSet) -> SetShown:
    """A set as it is answered."""
    return cast(SetShown, {**{k: v for k, v in asdict(each).items() if k != "by"}, "object": "label_set"})


def _tasks(held: list[Task]) -> list[TaskShown]:
    return [{"image": each.image} for each in held]


def _label(each: Label) -> LabelShown:
    names = ("id", "image", "answer", "reason", "queue", "probability", "time", "undone")
    return cast(LabelShown, {"object": "label", **{name: getattr(each, name) for name in names}})


def _final(one: Given | None) -> FinalLabel | None:
    if one is None:
        return None
    reader: Read | None = None if one.reading is None else {"group": one.reading, "confidence": one.confidence}
    return {"label": _label(one.label), "reader": reader, "gold": one.gold}


def _progress(server: Server, ours: LabelSet) -> ProgressShown:
    told: dict[str, Any] = asdict(progress_of(server.database, ours))
    return cast(ProgressShown, {"object": "label_progress", **told})
