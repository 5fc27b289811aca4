"""A way to meet a target: a method under a control, with what was learnt or edited for it beforehand.

Exports `Way`, the named `WAYS`, `PLAIN`, which every comparison holds, and `read_ways` for the words of a command line.
The names come from the table of methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fair_diffusion.methods import METHODS, Method
from fair_diffusion.models.provenance import sha256
from fair_diffusion.request import Request
from fair_diffusion.steering.cost import cost_of


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to meet a target.

    Attributes:
        name: in tables and figures.
        method: as in `Request`.
        coin: groups are drawn by lot, as published, and not assigned by quota.
        options: further fields of `Request`, such as control, loss, or the file of what was learnt.
        training_steps: what learning took; None if that is not known.
        training_seconds: the same as wall-clock time.
    """

    name: str
    method: str | Method = "none"
    coin: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    training_steps: int | None = 0
    training_seconds: float | None = 0.0

    @cached_property
    def request(self) -> Request:
        """A request in this way, of nothing in particular."""
        return Request(prompt="-", method=self.method, **self.options)

    @property
    def control(self) -> str:
        """The control that draws it."""
        return self.request.control or self.request.row.controls[0]

    @property
    def instructed(self) -> bool:
        """Whether its images depend on what is asked: those of the plain model and of edited weights do not."""
        return self.request.row.name not in ("none", "edit")

    @property
    def assigns(self) -> bool:
        """Whether each image is assigned groups, by quota or by lot."""
        return self.request.assigns

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """What makes its images, as plain data: files by their hash, wherever they lie; each is read once."""
        options = {name: value for name, value in self.options.items() if name != "control"}
        return {
            "method": self.request.row.name,
            "control": self.control,
            "coin": self.coin,
            "options": {name: sha256(value) if isinstance(value, Path) else value for name, value in options.items()},
            "file": None,
        }


PLAIN = Way(name="plain")
LEARNT = {name: row for row in METHODS.values() for name in row.learnt_ways}
"""Methods by the ways that take a file of what was learnt for them: NAME=FILE."""
WAYS = {"plain": PLAIN} | {
    name: Way(name=name, method=row.name, coin=name in row.coins, options=options)
    for row in METHODS.values()
    for name, options in row.ways.items()
}
"""All other ways, by name."""


def read_ways(words: Sequence[str]) -> list[Way]:
    """The ways that `words` name, commas between several.

    Args:
        words: names of `WAYS`; names of `LEARNT` with a file, as in bottleneck=FILE; or other NAME=FILE for edited
            weights.

    Raises:
        ValueError: a name is unknown or comes twice, or a file is none.
    """
    names = [name for word in words for part in word.split(",") if (name := part.strip())]
    ways = [_with_file(name) if "=" in name else _named(name) for name in names]
    check_names(ways)
    return ways


def check_names(ways: Sequence[Way]) -> None:
    """`ValueError` if there is no way, or two have one name."""
    names = [way.name for way in ways]
    if not names:
        raise ValueError(f"there is no method; name some of {', '.join(WAYS)}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"method {twice[0]!r} is named twice; give each once")


def _named(name: str) -> Way:
    if name in LEARNT:
        raise ValueError(f"method {name!r} needs a file that was learnt; name it: {name}=FILE")
    if name not in WAYS:
        raise ValueError(f"unknown method {name!r}; use {', '.join(WAYS)}, or NAME=FILE for edited weights")
    return WAYS[name]


def _with_file(word: str) -> Way:
    name, _, path = (part.strip() for part in word.partition("="))
    file = Path(path)
    if not name or name in WAYS:
        raise ValueError(f"{word!r} gives a file to {name!r}, which takes none; name edited weights otherwise")
    if not file.is_file():
        raise ValueError(f"{path!r} is not there; {name}=FILE names a safetensors file that was learnt")
    cost = cost_of(file)
    method = LEARNT[name].name if name in LEARNT else "edit"
    way = Way(name=name, method=method, options={"file": file})
    return replace(way, training_steps=cost.steps, training_seconds=cost.seconds)
