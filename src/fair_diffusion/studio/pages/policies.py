"""Policies: write one, see every mistake and what it would do, make it hold with a reason, and read what held when."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.policy import Match, Policy, PolicyError, match
from fair_diffusion.request import MAX_PROMPT
from fair_diffusion.service.policies import AnotherActiveError, Version
from fair_diffusion.service.problems import Problem, no_such, wrong
from fair_diffusion.service.server import Here, Operator, Server
from fair_diffusion.studio.view import page, root_of

router = APIRouter(prefix="/policies")
MOST = 200
"""Prompts of one trial."""
LARGEST = 1_000_000
"""Characters of a policy."""
STARTER = """\
version: 1
rules:
  - every: occupation
    targets:
      gender: {woman: 1/2, man: 1/2}
"""
TRIAL = "a photo of a firefighter\na photo of a female nurse\na portrait of Marie Curie\na photo of a dog"
HELP = {
    "version": "1, the version of the format",
    "rules": "the rules; the first that fits best holds",
    "concepts": "the occupations that a rule is about, such as [firefighter, doctor]",
    "every": "occupation: a rule for all of them; one: for every person",
    "except": "occupations that “every” leaves out",
    "targets": "for each attribute the share of each group: gender: {woman: 1/2, man: 1/2}, or skin_tone: uniform",
    "joint": "shares of combinations: {gender: woman, skin_tone: dark, share: 25%}",
    "exemptions": "phrases that leave a prompt alone: by one rule, or, at the end of the file, by all",
    "name": "what a rule is called; its stream has the same name",
    "hold": "attributes that steered images keep although nobody asks for them; all, if it is not said",
    "include": "ready definitions of further attributes, such as [glasses]",
    "attributes": "attributes of one's own, with their groups and words",
    "words": "words for groups in other languages: {de: {woman: weibliche}}",
}
"""What each word of a policy file means, for the page."""
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Form(max_length=LARGEST)]
Prompts = Annotated[str, Form(max_length=400_000)]
Reason = Annotated[str, Form(max_length=2000, pattern="^[^\\x00]*$")]
Active = Annotated[str, Form(pattern="^(none|[1-9][0-9]{0,8})$")]
"""The version that was in force when a page was shown or a text was checked."""


@dataclass(frozen=True)
class Tried:
    """A prompt of a trial, and what a policy makes of it; `before` is what the one in force makes of it."""

    prompt: str
    now: Match
    before: Match | None

    @property
    def targets(self) -> str:
        """The targets in words."""
        return "; ".join(map(str, self.now.targets))

    @property
    def changed(self) -> bool:
        """Whether the policy in force does something else."""
        return self.before is not None and (self.before.targets != self.now.targets)


@router.get("")
def policies(request: Request, server: Here, key: Operator) -> Response:
    """The editor with the policy in force, and the history."""
    active = server.policies.active()
    return _editor(request, server, active.text if active else STARTER, TRIAL, title="Policies")


def _editor(request: Request, server: Server, text: str, prompts: str, *, status: int = 200, **own: Any) -> Response:
    """The page with a text in its editor. `own` has its title, and what else is not as usual."""
    context = {"text": text, "version": None, "refused": "", "reason": "", **own, **_history(server)}
    return page(request, "policies.html.j2", status=status, **context, **_checked(server, text, prompts))


def _history(server: Server) -> dict[str, Any]:
    """What held when, with the names of those who changed it."""
    names = {key.id: key.name for key in server.keys.all()}
    return {
        "history": server.policies.history(),
        "versions": server.policies.all(),
        "name_of": lambda by: names.get(by, by),
        "help": HELP,
    }


@router.post("/check")
def check(
    request: Request,
    server: Here,
    key: Operator,
    text: Text = "",
    prompts: Prompts = "",
    opened: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """What is wrong with a policy, what it changes, and what it does with prompts. `opened` is what the page said is
    in force."""
    return page(request, "policy_checked.html.j2", **_checked(server, text, prompts, opened))


def _checked(server: Server, text: str, prompts: str, opened: str = "") -> dict[str, Any]:
    active = server.policies.active()
    found: dict[str, Any] = {"problems": (), "policy": None, "tried": (), "diff": (), "same": False, "prompts": prompts}
    found |= {"active": active, "moved_on": opened not in ("", _number(active))}
    try:
        policy = Policy.from_yaml(text)
    except PolicyError as error:
        return {**found, "problems": error.problems}
    asked = [line.strip()[:MAX_PROMPT] for line in prompts.splitlines() if line.strip()][:MOST]
    now = active.policy if active else None
    tried = [Tried(prompt, match(policy, prompt), match(now, prompt) if now else None) for prompt in asked]
    return {
        **found,
        "policy": policy,
        "tried": tried,
        "diff": _diff(active.text if active else "", text, f"version {active.version}" if active else "no policy"),
        "same": active is not None and active.text == text,
    }


def _number(version: Version | None) -> str:
    """A version as `Active` has it."""
    return str(version.version) if version else "none"


def _diff(old: str, new: str, name: str) -> Sequence[str]:
    """The lines that differ, with two lines around them; nothing if none does."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, "this text", n=2, lineterm="")
    return list(lines)[2:]


@router.post("")
def activate_text(
    request: Request,
    server: Here,
    key: Operator,
    active: Active,
    text: Text = "",
    reason: Reason = "",
    prompts: Prompts = TRIAL,
) -> Response:
    """Store a policy and make it hold, if the version in force is still the one that it was compared with."""
    if not reason.strip():
        raise wrong("reason", "no reason is given; say why this policy is to hold, for those who read the history")
    try:
        version = server.policies.add(text, by=key.id)
        return _activate(request, server, version.version, reason, key.id, active)
    except PolicyError as error:
        raise Problem(400, f"the policy has mistakes, so nothing was changed: {error}") from None
    except AnotherActiveError:
        return _editor(request, server, text, prompts, status=409, title="Policies", refused="text", reason=reason)


@router.get("/{version}")
def version_of(request: Request, version: Number, server: Here, key: Operator) -> Response:
    """One version: its text in the editor, and what it would change of the one in force."""
    found = _found(server, version)
    return _editor(request, server, found.text, TRIAL, title=f"Policy {version}", version=found)


@router.post("/none")
def activate_none(request: Request, server: Here, key: Operator, active: Active, reason: Reason = "") -> Response:
    """Let no policy hold, if the version in force is still the one that the page showed."""
    try:
        return _activate(request, server, None, reason, key.id, active)
    except AnotherActiveError:
        now = server.policies.active()
        text = now.text if now else STARTER
        return _editor(request, server, text, TRIAL, status=409, title="Policies", refused="none", reason=reason)


def _activate(request: Request, server: Server, version: int | None, reason: str, by: str, active: str) -> Response:
    """Make a version hold. `AnotherActiveError` if another one is in force than `active`."""
    before = None if active == "none" else int(active)
    try:
        server.policies.activate(version, why=reason.strip(), by=by, instead_of=before)
    except AnotherActiveError:
        raise
    except ValueError as error:
        raise wrong("reason", str(error)) from None
    return RedirectResponse(f"{root_of(request)}policies", 303)


def _found(server: Server, version: int) -> Version:
    try:
        return server.policies.get(version)
    except ValueError:
        raise no_such("policy") from None
