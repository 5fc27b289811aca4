"""`/v1/policies` and `/v1/explain`: which rules hold, since when, by whom; and what they do with a prompt."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from fair_diffusion.policy import Policy, match
from fair_diffusion.policy.errors import PolicyError
from fair_diffusion.request import MAX_PROMPT, check_prompt
from fair_diffusion.service.answer_shapes import Activated, Explained, PolicyList, PolicyShown, PolicyText
from fair_diffusion.service.keys import OPERATOR
from fair_diffusion.service.policies import AnotherActiveError, Version
from fair_diffusion.service.problems import Problem, documented, forbidden, no_such, wrong
from fair_diffusion.service.server import Asker, Here, Operator, Server
from fair_diffusion.service.streams import cell_name

router = APIRouter(prefix="/v1", tags=["policies"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class NewPolicy(_Strict):
    """A policy to store."""

    text: str = Field(
        min_length=1,
        max_length=1_000_000,
        description="the YAML",
        examples=["version: 1\nrules:\n  - every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"],
    )


class Activation(_Strict):
    """Why a policy is made active, and instead of which one."""

    reason: str = Field(min_length=1, max_length=2000, pattern="^[^\\x00]*$", examples=["agreed on by the board"])
    instead_of: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None,
        description="the version that must be active until then, as `GET /v1/policies` tells it; null: none may be; "
        "any if not given",
    )


class Question(_Strict):
    """A prompt to explain."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, examples=["a photo of a firefighter"])
    instruct: str | None = Field(default=None, max_length=4000, description="for operators: instead of the policy")


@router.get("/policies", responses=documented(403))
def versions(server: Here, key: Operator) -> PolicyList:
    """Every version of the policy, the newest first, and when which one was active."""
    active = server.policies.active()
    history: list[Activated] = [
        {"version": each.version, "time": each.time, "by": each.by, "reason": each.why}
        for each in server.policies.history()
    ]
    data = [_shown(version, active) for version in server.policies.all()]
    return {"object": "list", "data": data, "active": active.version if active else None, "history": history}


@router.put("/policies", responses=documented(400, 403))
def store(asked: NewPolicy, server: Here, key: Operator) -> PolicyShown:
    """Store a policy. The same text is the same version. It is not active yet."""
    try:
        version = server.policies.add(asked.text, by=key.id)
    except PolicyError as error:
        raise wrong("text", str(error), "invalid_policy") from None
    return _shown(version, server.policies.active())


@router.get("/policies/{version}", responses=documented(400, 403, 404))
def version_of(version: Number, server: Here, key: Operator) -> PolicyText:
    """One version, with its text and what it changes of the one before."""
    found = _found(server, version)
    before = version - 1 if version > 1 else None
    try:
        changed = server.policies.diff(before, version)
    except ValueError:
        changed = server.policies.diff(None, version)
    return {**_shown(found, server.policies.active()), "text": found.text, "diff": changed}


@router.post("/policies/{version}/activate", responses=documented(400, 403, 404, 409))
def activate(version: Number, asked: Activation, server: Here, key: Operator) -> PolicyShown:
    """Make a version the one that holds for every request from now on. Where another version than `instead_of` is
    active, nothing changes (409), so that nobody replaces a policy unseen."""
    found = _found(server, version)
    seen = asked.instead_of if "instead_of" in asked.model_fields_set else ...
    try:
        server.policies.activate(version, why=asked.reason, by=key.id, instead_of=seen)
    except AnotherActiveError as error:
        raise Problem(409, str(error), param="instead_of", code="another_active", retry=False) from None
    except ValueError as error:
        raise wrong("reason", str(error)) from None
    return _shown(found, found)


@router.post("/explain", responses=documented(400, 403))
def explain(asked: Question, server: Here, key: Asker) -> Explained:
    """Which rule fires for a prompt and why. Nothing is drawn."""
    if asked.instruct is not None and key.role != OPERATOR:
        raise forbidden("this key may not instruct: the server's policy holds", "instruct")
    try:
        check_prompt(asked.prompt)
    except ValueError as error:
        raise wrong("prompt", str(error)) from None
    active = server.policies.active()
    policy = active.policy if active else Policy()
    if asked.instruct is not None:
        try:
            policy = Policy.from_sentence(asked.instruct, policy.attributes)
        except PolicyError as error:
            raise wrong("instruct", str(error), "invalid_policy") from None
    found = match(policy, asked.prompt)
    return {
        "rule": found.rule.name if found.rule else None,
        "reason": found.reason,
        "concept": found.concept,
        "how": found.how,
        "score": float(found.score),
        "unsure": found.unsure,
        "stated": [
            {"attribute": stated.attribute, "words": stated.words, "whose": stated.whose} for stated in found.stated
        ],
        "targets": [
            {
                "attributes": list(target.attributes),
                "shares": {cell_name(cell): float(share) for cell, share in target.shares.items()},
            }
            for target in found.targets
        ],
        "policy": active.version if active and asked.instruct is None else None,
    }


def _found(server: Server, version: int) -> Version:
    try:
        return server.policies.get(version)
    except ValueError:
        raise no_such("policy") from None


def _shown(version: Version, active: Version | None) -> PolicyShown:
    return {
        "object": "policy",
        "version": version.version,
        "hash": version.hash,
        "created": version.created,
        "by": version.by,
        "active": active is not None and active.version == version.version,
    }
