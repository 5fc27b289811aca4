"""The two roles of readers: the perceiver may steer, and the judge only scores. They never share a network."""

from __future__ import annotations

import os

from fair_diffusion.perception.opening import PERCEIVERS, open_perceiver
from fair_diffusion.perception.perceiver import Perceiver

Named = Perceiver | str
"""A perceiver, or a name that `open_perceiver` takes."""


def open_roles(perceiver: Named | None, judge: Named | None, *, model: str) -> tuple[Perceiver, Perceiver]:
    """Open the perceiver and the judge of a model.

    Args:
        perceiver: who may steer.
        judge: who scores.
        model: the name of the model, for messages.

    Raises:
        ValueError: as in `check_roles`, or a name cannot be opened.
    """
    steers, scores = check_roles(perceiver, judge, model=model)
    opened = [open_perceiver(named) if isinstance(named, str) else named for named in (steers, scores)]
    return opened[0], opened[1]


def check_roles(perceiver: Named | None, judge: Named | None, *, model: str) -> tuple[Named, Named]:
    """Check the perceiver and the judge of a model, without opening one.

    Raises:
        ValueError: a role is not given, a name cannot read new pictures, or both are one network.
    """
    if perceiver is None or judge is None:
        lacks = " and ".join(role for role, given in (("a perceiver", perceiver), ("a judge", judge)) if given is None)
        raise ValueError(
            f"{model!r} needs {lacks}: name who reads its images to steer, and who scores them with other weights, "
            "such as perceiver 'clip:FOLDER' and judge 'faces' (docs/reference/perceivers.md)"
        )
    if _networks(perceiver) == _networks(judge):
        raise ValueError(
            f"perceiver and judge are both {judge!r}: who steers cannot score; name a judge with other weights"
        )
    for named in (perceiver, judge):
        kind = PERCEIVERS.get(named.partition(":")[0]) if isinstance(named, str) else None
        if kind and not kind.looks:
            raise ValueError(
                f"{named!r} cannot read images that are yet to be drawn; name a perceiver that looks at pictures"
            )
    return perceiver, judge


def _networks(named: Named) -> object:
    """The identity of a reader's network, whatever groups and rules it gets: its kind, and the place of its weights."""
    if not isinstance(named, str):
        return id(named)
    name, _, argument = named.partition(":")
    kind = PERCEIVERS.get(name)
    if kind and not kind.argument:
        return name
    return name, os.path.realpath(argument.partition(",")[0])
