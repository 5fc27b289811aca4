"""A way to meet a target: a method under a control, with what was learnt or edited for it beforehand.

Exports `Way`, the named `WAYS`, `PLAIN`, which every comparison holds, and `read_ways` for the words of a command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from fair_diffusion.models.provenance import sha256
from fair_diffusion.request import ASSIGNED, UNASSIGNED
from fair_diffusion.steering.cost import cost_of

Edit = Callable[[Any, Path], AbstractContextManager[Any]]
"""A diffusers pipeline and a file of weights → a context in which the pipeline has them."""


def _edited(pipeline: Any, file: Path) -> AbstractContextManager[Any]:
    found: AbstractContextManager[Any] = import_module("fair_diffusion.models.edits").edited(pipeline, file)
    return found


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to meet a target.

    Attributes:
        name: in tables and figures.
        method: as in `Request`.
        control: as in `Request`.
        coin: groups are drawn by lot, as published, and not dealt out by quota.
        options: further fields of `Request`, such as the file of a learnt vector.
        file: weights that the model gets while it draws; None leaves it as it is.
        edit: how it gets them, undone afterwards.
        training_steps: what learning took; None if that is not known.
        training_seconds: the same as wall-clock time.
    """

    name: str
    method: str = "none"
    control: str = "all"
    coin: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    edit: Edit = _edited
    training_steps: int | None = 0
    training_seconds: float | None = 0.0

    @property
    def steers(self) -> bool:
        """Whether images are dealt groups to show; plain models and edited weights know nothing of a request's."""
        return self.method != "none"

    @property
    def assigns(self) -> bool:
        """Whether each image is assigned groups, by quota or by lot."""
        return self.steers and self.method not in UNASSIGNED and str(self.options.get("loss", ASSIGNED)) == ASSIGNED

    @contextmanager
    def applied(self, pipeline: Any) -> Iterator[None]:
        """`pipeline` with the weights of this way, undone at the end."""
        if self.file is None:
            yield
            return
        with self.edit(pipeline, self.file):
            yield

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """What makes its images, as plain data: files by their hash, wherever they lie; each is read once."""
        said = {"method": self.method, "control": self.control, "coin": self.coin}
        options = {key: sha256(value) if isinstance(value, Path) else value for key, value in self.options.items()}
        return said | {"options": options, "file": sha256(self.file) if self.file else None}


PLAIN = Way(name="plain")
WAYS = {
    way.name: way
    for way in (
        PLAIN,
        Way(name="prompt", method="prompt"),
        Way(name="hint", method="hint"),
        Way(name="embedding", method="embedding"),
        Way(name="semantic-coin", method="semantic", coin=True),
        Way(name="semantic-quota", method="semantic"),
        Way(name="semantic", method="semantic", control="natural-first"),
        Way(name="switch", method="switch", control="natural-first"),
        Way(name="rejection", method="rejection", options={"repair_budget": 9.0}),  # ten times plain at most
        Way(name="latents", method="latents"),
        Way(name="latents-mean", method="latents", options={"loss": "mean"}),
        Way(name="latents-confident", method="latents", options={"loss": "confident"}),
        Way(name="distribution", method="distribution"),
    )
}
LEARNT = {
    way.name: way
    for way in (
        Way(name="bottleneck", method="bottleneck"),
        Way(name="distribution-heads", method="distribution"),
    )
}
"""Ways whose method takes a file of what was learnt for it: NAME=FILE."""


def read_ways(words: Sequence[str]) -> list[Way]:
    """The ways that `words` name, commas between several: a name of `WAYS`; one of `LEARNT` with its file, as in
    bottleneck=FILE; or any other NAME=FILE for edited weights.

    `ValueError` for a name that is unknown or comes twice, or a file that is none."""
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
    way = replace(LEARNT[name], options={"file": file}) if name in LEARNT else Way(name=name, file=file)
    return replace(way, training_steps=cost.steps, training_seconds=cost.seconds)
