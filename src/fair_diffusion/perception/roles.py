"""The two roles: the perceiver may steer, the judge alone scores; they are never the same networks."""

from __future__ import annotations

import os

from fair_diffusion.perception.opening import PERCEIVERS, open_perceiver
from fair_diffusion.perception.perceiver import Perceiver

Named = Perceiver | str
"""A perceiver, or its words as `open_perceiver` takes them."""


def open_roles(perceiver: Named | None, judge: Named | None, *, model: str) -> tuple[Perceiver, Perceiver]:
    """The perceiver and the judge for a model. `ValueError` if one is not named or cannot be, or they are the same."""
    if perceiver is None or judge is None:
        lacks = " and ".join(role for role, given in (("a perceiver", perceiver), ("a judge", judge)) if given is None)
        raise ValueError(
            f"{model!r} needs {lacks}: name who reads its images to steer and, of other weights, who scores them, "
            "such as perceiver 'clip:FOLDER' and judge 'faces' (docs/perceivers.md)"
        )
    if _networks(perceiver) == _networks(judge):
        raise ValueError(
            f"perceiver and judge are both {judge!r}: who steers cannot score; name a judge of other weights"
        )
    for named in (perceiver, judge):
        kind = PERCEIVERS.get(named.partition(":")[0]) if isinstance(named, str) else None
        if kind and not kind.looks:
            raise ValueError(f"{named!r} cannot read images that are yet to be drawn; name a perceiver that looks")
    opened = [open_perceiver(named) if isinstance(named, str) else named for named in (perceiver, judge)]
    return opened[0], opened[1]


def _networks(named: Named) -> object:
    """Who looks, whatever groups and rules it is told: the kind, and the model's place if there are several."""
    if not isinstance(named, str):
        return id(named)
    name, _, argument = named.partition(":")
    kind = PERCEIVERS.get(name)
    if kind and not kind.argument:
        return name
    return name, os.path.realpath(argument.partition(",")[0])
