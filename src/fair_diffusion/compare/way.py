"""A way to meet a target: a method with a control, and the file of what was learnt or edited for it.

The names of ways come from the table of methods. Exports `Way`, the named `WAYS`, `PLAIN` (it is in every comparison),
and `read_ways` for the words of a command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fair_diffusion.methods import EDIT, METHODS, NONE, Method
from fair_diffusion.models.provenance import sha256
from fair_diffusion.request import Request
from fair_diffusion.steering.cost import cost_of


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to meet a target.

    Attributes:
        name: its name in tables and figures.
        method: as in `Request`.
        coin: whether groups are drawn at random with the target's shares, as published, and not assigned by quota.
        options: further fields of `Request`, such as control, loss, or the file of what was learnt.
        training_steps: training steps; None if not known.
        training_seconds: training time; None if not known.
    """

    name: str
    method: str | Method = NONE
    coin: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    training_steps: int | None = 0
    training_seconds: float | None = 0.0

    @cached_property
    def request(self) -> Request:
        """A request with this way and a placeholder as its prompt."""
        return Request(prompt="-", method=self.method, **self.options)

    @property
    def control(self) -> str:
        """The control that draws it."""
        return self.request.control or self.request.row.controls[0]

    @property
    def instructed(self) -> bool:
        """Whether its images depend on the instruction. Those of the plain model and of edited weights do not."""
        return self.request.row.name not in (NONE, EDIT)

    @property
    def assigns(self) -> bool:
        """Whether each image is assigned groups, by quota or by coin."""
        return self.request.assigns

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """All that makes its images, as plain data, with files by their hash. Each file is read once."""
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
"""The methods of ways that need a file of what was learnt (NAME=FILE), by the name of the way."""
WAYS = {"plain": PLAIN} | {
    name: Way(name=name, method=row.name, coin=name in row.coins, options=options)
    for row in METHODS.values()
    for name, options in row.ways.items()
}
"""All other ways, by name."""


def read_ways(words: Sequence[str]) -> list[Way]:
    """The ways that words of a command line name.

    Args:
        words: names of `WAYS`; names of `LEARNT` with a file, as in bottleneck=FILE; or other names with a file of
            edited weights. A word may hold several, with commas between them.

    Raises:
        ValueError: a name is unknown or comes twice, or a file is not there or no safetensors file.
    """
    names = [name for word in words for part in word.split(",") if (name := part.strip())]
    ways = [_with_file(name) if "=" in name else _named(name) for name in names]
    check_names(ways)
    return ways


def check_names(ways: Sequence[Way]) -> None:
    """Check the names of ways.

    Raises:
        ValueError: there is no way, or two ways have the same name.
    """
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
    method = LEARNT[name].name if name in LEARNT else EDIT
    way = Way(name=name, method=method, options={"file": file})
    return replace(way, training_steps=cost.steps, training_seconds=cost.seconds)
