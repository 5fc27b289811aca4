"""The settings of a drawing, as the form of instructing names them: to change them and draw again."""

from __future__ import annotations

from typing import Any

from fair_diffusion.service.problems import no_such
from fair_diffusion.studio.drawings import Drawing

WITHOUT_POLICY = "none"
"""What the field `policy` says if no policy is to hold; a number names a version, and "" the one in force."""


def settings_of_drawing(
    drawn: Drawing, *, place: int | None = None, active: int | None = None, upstream: bool = False
) -> dict[str, Any]:
    """The settings of a drawing.

    Args:
        drawn: the drawing.
        place: of one of its images, from 0, which alone is to be drawn from its seed; all of them if None.
        active: the version of the policy in force.
        upstream: whether another server draws with the model, which takes neither seed nor steps nor guidance.

    Returns:
        By the names of the form's fields; `untold` has a sentence for each setting that does not come back.

    Raises:
        Problem: 404, there is no image at `place`.
    """
    body = drawn.body
    untold = _untold(drawn)
    n, seed = body.n, body.seed
    if place is not None:
        n, seed = 1, _seed(drawn, place, untold)
    numbers = {} if upstream else {"seed": seed, "steps": body.steps, "guidance": body.guidance}
    return {
        "prompt": drawn.prompt or "",
        "sentence": drawn.sentence or "",
        "n": n,
        "model": drawn.model,
        "method": body.method,
        "negative_prompt": (drawn.body.negative_prompt or "") if drawn.prompt is not None else "",
        "twins": bool(body.plain) or not _asked(drawn),
        "policy": _policy(drawn, active),
        "untold": untold,
        **numbers,
    }


def _policy(drawn: Drawing, active: int | None) -> str:
    """What held where there was no sentence."""
    if drawn.body.instruct is not None or drawn.body.policy == active is not None:
        return ""
    return WITHOUT_POLICY if drawn.body.policy is None else str(drawn.body.policy)


def _asked(drawn: Drawing) -> bool:
    """Whether twins would have differed: without that, nobody knows whether they were wanted."""
    rule = drawn.result.get("rule") if drawn.result else "a rule that may fire"
    return rule is not None and (drawn.body.instruct is not None or drawn.body.policy is not None)


def _seed(drawn: Drawing, place: int, untold: list[str]) -> int:
    """The seed of one image. What it was to show is said, as a drawing of one image may be for another group."""
    if not 0 <= place < len(drawn.tiles):
        raise no_such("image")
    tile = drawn.tiles[place]
    image = tile.image or tile.first
    if image["assigned"]:
        groups = ", ".join(image["assigned"].values())
        untold.append(
            f"Image {place + 1} was to show: {groups}. A drawing of one image is for the group that its stream lacks "
            "most; to keep this one, ask for it alone"
        )
    seed: int = image["seed"]
    return seed


def _untold(drawn: Drawing) -> list[str]:
    """What the form cannot give back: texts that are not kept, and what it has no field for."""
    body = drawn.body
    found = []
    if drawn.prompt is None:
        texts = {"prompt": True, "sentence": body.instruct is not None, "negative prompt": bool(body.negative_prompt)}
        found.append(f"Not kept, so not given back: {', '.join(name for name, was in texts.items() if was)}")
    if body.size is not None:
        found.append(f"The size of {body.size} pixels is not given back: this form draws the model's usual size")
    if body.hold is not None:
        kept = ", ".join(body.hold) or "nothing"
        found.append(f"It kept as it was: {kept}. That is not given back: this form keeps what can be read")
    return found
