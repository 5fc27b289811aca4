"""`/v1/label` for operators: make a set, decide where raters disagree, export and import labels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from fair_diffusion.files.csv_rows import LARGEST
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.service.label_answers import (
    AdjudicationShown,
    DisagreementList,
    DisagreementShown,
    ImportShown,
    Removed,
    SetShown,
)
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_sets import SECOND
from fair_diffusion.service.label_sources import pictures_of
from fair_diffusion.service.label_table import import_labels, labels_text
from fair_diffusion.service.problems import documented, no_such, wrong
from fair_diffusion.service.routes.labels import GROUP, Hash, Set, Strict, Text, found, sets_of, shown
from fair_diffusion.service.server import Here, Operator, Server

router = APIRouter(prefix="/v1/label/sets", tags=["labels"])
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_CSV = {"text/csv": {"schema": {"type": "string"}}}


class NewSet(Strict):
    """A set to be labelled: images by hash, or all that are kept of a rule.

    Images by hash are chosen: their labels say what people see in them, and enter no estimate of other images."""

    name: Text = Field(examples=["firefighters, November"])
    attribute: Text = Field(examples=["gender"])
    images: list[Digest] | None = Field(default=None, min_length=1, max_length=10_000, examples=[["0" * 64]])
    rule: Text | None = Field(default=None, description="without `images`: all images of this rule that are kept")
    gold: dict[Digest, Text] = Field(default={}, max_length=1000, description="known answers by hash, to check raters")
    queue: Literal["random", "active"] = "random"
    second: float = Field(
        default=SECOND, ge=0, le=1, description="the share that a second rater sees, too", strict=False
    )


class NewAdjudication(Strict):
    """A decision on a picture of which raters disagree; without `answer`, that it cannot be told."""

    image: Digest = Field(examples=["0" * 64])
    answer: Text | None = Field(default=None, examples=[GROUP])
    why: Text = Field(examples=["clear at full size"])


class NewTable(Strict):
    """A table of labels of pictures that were drawn at random; for a chosen set, of pictures that somebody chose."""

    text: str = Field(
        min_length=1,
        max_length=LARGEST,
        examples=[f"file,attribute,group,rater\n{'0' * 64},gender,woman,anna\n"],
    )


class Which(BaseModel):
    """What a table has a line for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    what: Literal["labels", "pictures"] = "labels"


@router.post("", status_code=201, responses=documented(400, 403))
def add(asked: NewSet, server: Here, key: Operator) -> SetShown:
    """Make a set. Its pictures are kept as long as the set is."""
    known = known_attributes(server)
    if asked.attribute not in known:
        raise wrong("attribute", f"unknown attribute {asked.attribute!r}; {suggestion(asked.attribute, tuple(known))}")
    if not asked.name.strip() or not asked.name.isprintable():
        raise wrong("name", f"the name of the set is {asked.name!r}; give 1 to 200 characters that print")
    groups = known[asked.attribute].group_names
    if strange := [group for group in asked.gold.values() if group not in groups]:
        raise wrong("gold", f"{asked.attribute} has no group {strange[0]!r}; {suggestion(strange[0], groups)}")
    if (asked.images is None) is (asked.rule is None):
        raise wrong("images", "give either the images or a rule")
    try:
        pictures = pictures_of(server.database, asked.attribute, hashes=asked.images, rule=asked.rule, gold=asked.gold)
        made = sets_of(server).add(
            asked.name,
            known[asked.attribute],
            pictures,
            queue=asked.queue,
            second=asked.second,
            chosen=asked.images is not None,
            by=key.id,
        )
    except ValueError as error:
        raise wrong("images" if asked.images else "rule", str(error)) from None
    return shown(made)


@router.get("/{label_set}/disagreements", responses=documented(400, 403, 404))
def disagreements(label_set: Set, server: Here, key: Operator) -> DisagreementList:
    """The pictures of which raters disagree, and which nobody has decided."""
    ours = Adjudications(server.database, found(server, label_set))
    differ = ours.disagreements()
    rows = ours.pictures(list(differ))
    data = [
        cast(DisagreementShown, {"image": image, "file": rows[image].file, "how": one.how, "said": dict(one.said)})
        for image, one in differ.items()
        if image in rows
    ]
    return {"object": "list", "data": data}


@router.post("/{label_set}/adjudications", status_code=201, responses=documented(400, 403, 404))
def decide(label_set: Set, asked: NewAdjudication, server: Here, key: Operator) -> AdjudicationShown:
    """Decide what a picture shows. The labels stay as they are."""
    ours = Adjudications(server.database, found(server, label_set))
    try:
        made = ours.decide(asked.image, asked.answer, why=asked.why, by=key.id)
    except ValueError as error:
        raise wrong("answer" if "has no group" in str(error) else "image", str(error)) from None
    return cast(AdjudicationShown, {"object": "adjudication", **asdict(made)})


@router.delete("/{label_set}/adjudications/{image}", responses=documented(400, 403, 404))
def take_back(label_set: Set, image: Hash, server: Here, key: Operator) -> Removed:
    """Take back the decision on a picture."""
    try:
        Adjudications(server.database, found(server, label_set)).take_back(image)
    except LookupError:
        raise no_such("decision") from None
    return {"object": "removed", "id": image}


@router.get(
    "/{label_set}/table",
    responses={200: {"description": "the table", "content": _CSV}, **documented(400, 403, 404)},
    response_class=Response,
)
def table(label_set: Set, server: Here, key: Operator, asked: Annotated[Which, Query()]) -> Response:
    """The labels as CSV, as an audit reads it: every rater's, or one line for each picture.

    For a chosen set, "chosen" stands in the place of the probability: audits and calibrations refuse such lines."""
    ours = found(server, label_set)
    headers = {"content-disposition": f'attachment; filename="{ours.id}-{asked.what}.csv"', "cache-control": "no-store"}
    return Response(labels_text(server.database, ours, what=asked.what), media_type="text/csv", headers=headers)


@router.post("/{label_set}/table", responses=documented(400, 403, 404))
def import_table(label_set: Set, asked: NewTable, server: Here, key: Operator) -> ImportShown:
    """Add the labels of a table of up to 64 MB.

    Its pictures must have been drawn at random, unless the set is a chosen one."""
    try:
        ours, known = found(server, label_set), known_attributes(server)
        told = import_labels(server.database, ours, asked.text, attributes=known, by=key.id)
    except ValueError as error:
        raise wrong("text", str(error)) from None
    return cast(ImportShown, {"object": "label_import", **asdict(told)})


@router.post("/{label_set}/remove", responses=documented(400, 403, 404))
def remove(label_set: Set, server: Here, key: Operator) -> Removed:
    """Remove a set with its pictures and decisions. Its labels stay."""
    sets_of(server).remove(found(server, label_set).id, by=key.id)
    return {"object": "removed", "id": label_set}


def known_attributes(server: Server) -> Attributes:
    """The attributes of the policy that holds; the built-in ones without one."""
    active = server.policies.active()
    return active.policy.attributes if active else built_in()
