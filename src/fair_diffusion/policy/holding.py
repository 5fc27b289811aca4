"""Held attributes: what steered images are to keep, because nobody asked to change it.

A target for gender must not make skin lighter. So every attribute that no target asks for, and that the prompt does not
state, is held: a steered image keeps the group that it would show by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fair_diffusion.policy.attributes import Attributes, built_in, suggestion
from fair_diffusion.policy.matching import Match

NOTHING = "none"
"""The word for: hold no attribute."""


def attributes_in(text: str | Iterable[str], attributes: Attributes | None = None) -> tuple[str, ...]:
    """The attributes that are named, each once.

    Args:
        text: names in a list, or in one text with commas; "none" names none.
        attributes: the definitions; the built-in ones if None.

    Raises:
        ValueError: a name is unknown, or stands beside "none".
    """
    names = text.split(",") if isinstance(text, str) else list(text)
    found = dict.fromkeys(str(name).strip().lower().replace(" ", "_") for name in names)
    if list(found) == [NOTHING] or not found:
        return ()
    for name in found:
        if name not in (attributes := attributes or built_in()):
            raise ValueError(f"hold names the unknown attribute {name!r}; {suggestion(name, (*attributes, NOTHING))}")
    return tuple(found)


def held(matched: Match, asked: Sequence[str] | None = None) -> tuple[str, ...]:
    """The attributes that steered images of a prompt keep, as far as the perceiver reads them.

    Args:
        matched: the rule that fires, with what the prompt states.
        asked: the attributes to hold; if None those of the policy, and all where the policy says nothing.

    Returns:
        Those of them that no target asks for, and that the prompt does not state or may state of whom the rule is
        about.
    """
    if matched.rule is None:
        return ()
    wanted = asked if asked is not None else matched.hold if matched.hold is not None else tuple(matched.attributes)
    targeted = {name for target in matched.targets for name in target.attributes}
    stated = {stated.attribute for stated in matched.stated if stated.whose == matched.concept}
    return tuple(name for name in wanted if name not in targeted | stated)
