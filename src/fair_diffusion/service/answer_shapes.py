"""The shapes of answers: what routes return, and what the OpenAPI document says of them. Tests hold every answer to it.

Times are seconds since 1970.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

_EXACT = with_config(ConfigDict(extra="forbid"))
Format = Literal["png", "webp", "jpeg"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
Labels = dict[str, str | None]
"""By attribute, the group that was read; None if it could not be read."""


@_EXACT
class ErrorFields(TypedDict):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


@_EXACT
class ErrorAnswer(TypedDict):
    """Any answer but the one that was asked for."""

    error: ErrorFields


@_EXACT
class Alive(TypedDict):
    """The server is alive."""

    status: Literal["ok"]


@_EXACT
class Ready(TypedDict):
    """The server can draw."""

    status: Literal["ready"]
    models: list[str]


@_EXACT
class ModelShown(TypedDict):
    """A model that workers draw with."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    ready: bool
    size: str
    steps: int
    guidance: float
    attributes: list[str]
    weights: str


@_EXACT
class ModelList(TypedDict):
    """Models."""

    object: Literal["list"]
    data: list[ModelShown]


@_EXACT
class ImageData(TypedDict):
    """One image: in base64, or its address."""

    b64_json: NotRequired[str]
    url: NotRequired[str]


@_EXACT
class Tokens(TypedDict):
    """Input tokens by kind; there are none."""

    image_tokens: int
    text_tokens: int


@_EXACT
class Usage(TypedDict):
    """What a request took. Output tokens are network evaluations."""

    input_tokens: int
    input_tokens_details: Tokens
    output_tokens: int
    total_tokens: int


@_EXACT
class ImageFairness(TypedDict):
    """What one image is. All but the first five, of which two are of edits, are for operators alone."""

    index: int
    steered: bool
    judged: Labels
    judged_before: NotRequired[Labels]
    put_back: NotRequired[bool]
    assigned: NotRequired[dict[str, str]]
    steered_to: NotRequired[dict[str, str]]
    strength: NotRequired[float]
    seed: NotRequired[int]
    perceived: NotRequired[Labels]
    repairs: NotRequired[int]


@_EXACT
class GroupSoFar(TypedDict):
    """One group of a stream: its target share, and images that were asked for, judged and perceived as it."""

    target: float
    asked: int
    judged: int
    perceived: int


@_EXACT
class StreamSoFar(TypedDict):
    """A stream that a request counted in."""

    rule: str
    attributes: str
    n: int
    groups: dict[str, GroupSoFar]


@_EXACT
class FairnessTold(TypedDict):
    """What was done for fairness."""

    rule: str | None
    reason: str | None
    policy: int | None
    images: list[ImageFairness]
    streams: list[StreamSoFar]
    notes: list[str]
    job: str
    request_id: str


@_EXACT
class ImagesAnswer(TypedDict):
    """The images of a request."""

    created: int
    background: Literal["opaque"]
    data: list[ImageData]
    output_format: Format
    quality: str
    size: str
    usage: Usage
    fairness: FairnessTold


@_EXACT
class JobPlain(TypedDict):
    """A job, without what was asked and what came out."""

    id: str
    object: Literal["job"]
    model: str
    state: State
    cancelling: bool
    images: int
    created: float
    began: float | None
    ended: float | None
    expires: float | None
    attempts: int
    progress: dict[str, Any] | None
    reason: str | None


class JobShown(JobPlain):
    """A job, with how many jobs go before it, and its result if there are images."""

    ahead: int
    result: NotRequired[ImagesAnswer]


@_EXACT
class JobList(TypedDict):
    """Jobs, the newest first."""

    object: Literal["list"]
    data: list[JobPlain]


@_EXACT
class PolicyShown(TypedDict):
    """A version of the policy."""

    object: Literal["policy"]
    version: int
    hash: str
    created: float
    by: str
    active: bool


class PolicyText(PolicyShown):
    """A version with its text, and the lines that differ from the version before."""

    text: str
    diff: list[str]


@_EXACT
class Activated(TypedDict):
    """From `time` on `version` was active; none if no policy was."""

    version: int | None
    time: float
    by: str
    reason: str


@_EXACT
class PolicyList(TypedDict):
    """All versions, which one is active, and which ones were."""

    object: Literal["list"]
    data: list[PolicyShown]
    active: int | None
    history: list[Activated]


@_EXACT
class Erased(TypedDict):
    """How much was deleted of a key."""

    object: Literal["erased"]
    key: str
    jobs: int
    images: int
    labels: int


@_EXACT
class Stated(TypedDict):
    """An identity that a prompt states itself."""

    attribute: str
    words: str
    whose: str


@_EXACT
class TargetShown(TypedDict):
    """The shares of a target, by group or combination of groups."""

    attributes: list[str]
    shares: dict[str, float]


@_EXACT
class Explained(TypedDict):
    """Which rule fires for a prompt, and why."""

    rule: str | None
    reason: str
    concept: str | None
    how: str
    score: float
    unsure: str | None
    stated: list[Stated]
    targets: list[TargetShown]
    policy: int | None


@_EXACT
class GroupOfStream(TypedDict):
    """One group of a stream, with the interval of its judged share."""

    group: str
    target: float
    asked: int
    pending: int
    perceived: int
    judged: int
    share: float | None
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] | None


@_EXACT
class StreamShown(TypedDict):
    """A stream: how many images it has, and how many of them were judged."""

    rule: str
    model: str
    attributes: str
    n: int
    judged: int
    groups: list[GroupOfStream]


@_EXACT
class StreamList(TypedDict):
    """All streams."""

    object: Literal["list"]
    data: list[StreamShown]


@_EXACT
class ChangeShown(TypedDict):
    """A change: who made it (the id of a key, or "command line"), and of what; `details` is what it is now, and why."""

    time: float
    by: str
    change: str
    subject: str
    details: dict[str, Any]


@_EXACT
class Trail(TypedDict):
    """Changes, the newest first."""

    object: Literal["list"]
    data: list[ChangeShown]


def event_stream(*kinds: str) -> dict[str, Any]:
    """The content of an answer of server-sent events: `schema` is of each event, whose data is JSON."""
    each = {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"enum": list(kinds)},
            "id": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "additionalProperties": False,
    }
    return {"text/event-stream": {"schema": each}}
