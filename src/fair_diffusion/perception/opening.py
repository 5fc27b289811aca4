"""Open a perceiver by its name on the command line: KIND or KIND:ARGUMENT, such as "pocket" or "clip:MODEL".

A new kind of perceiver is one row of `PERCEIVERS` and one file of this package. The file has the name of the kind, and
its function `opened(argument)` takes the text after the colon. docs/reference/perceivers.md describes the kinds.
Importing this module loads no network. Exports `PERCEIVERS`, `NAMES`, `names_where` and `open_perceiver`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of perceiver.

    Attributes:
        name: the word before the colon, and the name of the file.
        what: what it is, in a few words.
        argument: the place or file that must follow the colon, such as "MODEL"; empty if none does.
        choices: words that may follow the colon instead. They change what is read, not which network reads.
        occupations: whether it reads occupations beside groups of people, without a table of the user's own.
        gradient: whether it may steer by its gradient: gradients flow from its probabilities to pixels, and its role
            is not to score.
        features: whether it has features of pictures, by which pictures are compared.
        heads: whether a file with further heads may follow the colon, for attributes of one's own.
        looks: whether it looks at the pictures; if not, it cannot read pictures that are yet to be drawn.
    """

    name: str
    what: str
    argument: str = ""
    choices: Sequence[str] = ()
    occupations: bool = False
    gradient: bool = False
    features: bool = False
    heads: bool = False
    looks: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Every form in which a user may name it: ("clip:MODEL",) or ("faces", "faces:all", …)."""
        if self.argument:
            return (f"{self.name}:{self.argument}",)
        return (self.name, *(f"{self.name}:{choice}" for choice in self.choices))


PERCEIVERS = {
    kind.name: kind
    for kind in (
        Kind(
            name="pocket",
            what="reader of the pocket model's drawings that may steer",
            heads=True,
            occupations=True,
            gradient=True,
            features=True,
        ),
        Kind(
            name="judge",
            what="reader of the pocket model's drawings that scores and never steers",
            heads=True,
            occupations=True,
            features=True,
        ),
        Kind(name="faces", what="networks for faces on photographs", choices=("all", "agree", "refuse")),
        Kind(name="skin_tone", what="measured angle of the skin's colour", choices=("monk", "fitzpatrick")),
        Kind(name="clip", what="zero-shot CLIP", argument="MODEL", gradient=True, features=True),
        Kind(name="classifier", what="image classifier of transformers", argument="MODEL", gradient=True),
        Kind(
            name="trained",
            what="small network trained on a labelled folder",
            argument="FOLDER",
            gradient=True,
            features=True,
        ),
        Kind(name="human", what="labels that people gave", argument="CSV", looks=False),
    )
}
"""All kinds of perceivers by name."""

NAMES = tuple(name for kind in PERCEIVERS.values() for name in kind.names)
"""Every form in which a perceiver can be named, for help texts and error messages."""


def names_where(*, gradient: bool = False, features: bool = False) -> str:
    """The names of the perceivers that have what is asked for, as a message lists them: "pocket, judge or clip:MODEL".

    Args:
        gradient: only perceivers that may steer by their gradient.
        features: only perceivers that have features of pictures.
    """
    *others, last = (
        name
        for kind in PERCEIVERS.values()
        if (kind.gradient or not gradient) and (kind.features or not features)
        for name in kind.names
    )
    return f"{', '.join(others)} or {last}"


def open_perceiver(spec: str) -> Perceiver:
    """The perceiver that `spec` names.

    Args:
        spec: one of `NAMES`, with a path or a hub id in the place of the word in capitals.

    Raises:
        ValueError: no kind has this name, its argument is missing, or it cannot be loaded.
    """
    name, _, argument = spec.partition(":")
    kind = PERCEIVERS.get(name)
    heads = kind is not None and kind.heads and argument.endswith(".safetensors")
    if kind is None or (argument and not (kind.argument or kind.choices or heads)):
        raise ValueError(f"unknown perceiver {spec!r}; use one of {', '.join(NAMES)}")
    if kind.argument and not argument:
        raise ValueError(f"{spec!r} names no model or file; write it as in {kind.names[0]}")
    perceiver: Perceiver = import_module(f"fair_diffusion.perception.{name}").opened(argument)
    return perceiver
