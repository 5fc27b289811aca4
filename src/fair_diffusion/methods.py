"""The table of steering methods: one row for each, and one file in `steering/` for each row.

Everything that lists methods is made from this table: validation, `--help`, the ways of `compare`, the table in
docs/reference/methods.md. The file of a row defines `guide`, which says how a batch is guided (see `steering.brief`).
This module loads no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NATURAL_FIRST, ALL = "natural-first", "all"
CONTROLS = (NATURAL_FIRST, ALL)
"""natural-first: steer only the images that would not fit by themselves, and repair misses. all: steer every image."""
ASSIGNED = "assigned"
"""The fairness loss that assigns a group to each image."""

NONE, EDIT = "none", "edit"
"""The methods that others ask for by name: the model as it is, and edited weights."""

DRAWN_BY = ("everyone", "rejection", "descent", "distribution")
"""The controls that can draw a method, beside natural-first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """One steering method, as a row of the table.

    To use a method of your own, subclass this class, define `guide` (see docs/how-to/write-a-method.md), and pass
    an instance as `method`.

    Attributes:
        name: what requests, records and tables call it.
        does: one sentence for help texts, without a subject and without a full stop.
        acts_on: what it changes, in two or three words, for the table of the docs.
        home: the file in `steering/` with its `guide`; the name if empty.
        drawn_by: the control that draws it: "everyone", or one that only this method has.
        controls: the controls that a request may name with it, the usual one first.
        assigns: whether each image is assigned the groups that it should show.
        reads_text: whether it acts through the text that the model reads.
        ends_early: whether it stops acting before the end of the run, at the end of the card's window.
        gradient: whether it follows the gradient of the perceiver.
        learnt: what its file holds, which was learnt beforehand; empty if it takes no file.
        needs_file: whether it draws nothing without that file.
        losses: the fairness losses that it can descend on, the usual one first; none for most methods.
        ways: the ways in which `compare` runs it, by name, with fields of its request.
        coins: those of them in which groups are drawn by lot, as published, and not assigned by quota.
        learnt_ways: names of the ways in which it is given its file.
    """

    name: str
    does: str
    acts_on: str = ""
    home: str = ""
    drawn_by: str = "everyone"
    controls: Sequence[str] = (ALL,)
    assigns: bool = True
    reads_text: bool = False
    ends_early: bool = False
    gradient: bool = False
    learnt: str = ""
    needs_file: bool = False
    losses: Sequence[str] = ()
    ways: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    coins: Sequence[str] = ()
    learnt_ways: Sequence[str] = ()

    def __post_init__(self) -> None:
        """`ValueError` naming the first field that cannot be, and the mend."""
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"the name of a method is {self.name!r}; give it a text")
        if isinstance(self.controls, str) or not self.controls or not set(self.controls) <= set(CONTROLS):
            raise ValueError(f"method {self.name!r} has controls {self.controls!r}; give some of {CONTROLS}")
        if self.midway and not self.assigns:
            raise ValueError(f"method {self.name!r} assigns no group, so it has no control {NATURAL_FIRST!r}")
        if self.needs_file and not self.learnt:
            raise ValueError(f"method {self.name!r} needs a file; say as learnt what the file holds")
        if self.drawn_by not in DRAWN_BY:
            raise ValueError(f"method {self.name!r} is drawn by {self.drawn_by!r}; use one of {', '.join(DRAWN_BY)}")

    @property
    def midway(self) -> bool:
        """Whether it can begin mid-way: under natural-first control, and on existing images."""
        return NATURAL_FIRST in self.controls


METHODS: Mapping[str, Method] = {
    row.name: row
    for row in (
        Method(
            name="prompt",
            does="the group's word is in the prompt from the start",
            acts_on="prompt",
            reads_text=True,
            ways={"prompt": {}},
        ),
        Method(
            name="hint",
            does="the prompt asks for all groups",
            acts_on="prompt",
            assigns=False,
            reads_text=True,
            ways={"hint": {}},
        ),
        Method(
            name="embedding",
            does="the direction that tells the groups apart is removed from the text embedding",
            acts_on="text embedding",
            assigns=False,
            reads_text=True,
            ways={"embedding": {}},
        ),
        Method(
            name="semantic",
            does="the prediction is pushed towards the group, and away from the group that the image would show",
            acts_on="prediction",
            controls=(NATURAL_FIRST, ALL),
            reads_text=True,
            ends_early=True,
            ways={"semantic-coin": {"control": ALL}, "semantic-quota": {"control": ALL}, "semantic": {}},
            coins=("semantic-coin",),
        ),
        Method(
            name="switch",
            does="the group's word enters the prompt mid-way",
            acts_on="prompt, from a fifth of the way on",
            controls=(NATURAL_FIRST,),
            reads_text=True,
            ways={"switch": {}},
        ),
        Method(
            name="bottleneck",
            does="the group's vector, from a file, is added in the middle of the network",
            acts_on="middle of the network",
            learnt="a vector for each group",
            needs_file=True,
            learnt_ways=("bottleneck",),
        ),
        Method(
            name=EDIT,
            does="the model draws with the edited weights, or the LoRA, of a file",
            acts_on="network",
            assigns=False,
            learnt="edited weights or a LoRA",
            needs_file=True,
        ),
        Method(
            name="rejection",
            does="plain images are drawn until the quotas are full",
            acts_on="which images are kept",
            home="plain",
            drawn_by="rejection",
            ways={"rejection": {"repair_budget": 9.0}},  # ten times plain generation at most
        ),
        Method(
            name="latents",
            does="the starting noise descends on the fairness loss",
            acts_on="starting noise",
            home="plain",
            drawn_by="descent",
            gradient=True,
            losses=(ASSIGNED, "mean", "confident"),
            ways={"latents": {}, "latents-mean": {"loss": "mean"}, "latents-confident": {"loss": "confident"}},
        ),
        Method(
            name="distribution",
            does="denoising follows the gradient of the fairness loss",
            acts_on="latents on the way, or the middle of the network",
            drawn_by="distribution",
            assigns=False,
            gradient=True,
            learnt="heads that read the middle of the network",
            ways={"distribution": {}},
            learnt_ways=("distribution-heads",),
        ),
        Method(
            name=NONE,
            does="the model draws as it is",
            acts_on="nothing",
            home="plain",
            assigns=False,
        ),
    )
}
USUAL = "switch"
"""The method of a request that names none."""


def named(method: str | Method) -> Method:
    """The row of a method, or the method object itself.

    Raises:
        ValueError: no row has that name; or an object of the user's has the name of a row.
    """
    if isinstance(method, Method):
        if METHODS.get(method.name, method) is not method:
            raise ValueError(f"{method.name!r} is the name of a method of the table; give your own another name")
        return method
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; use one of {', '.join(METHODS)}")
    return METHODS[method]


def described() -> str:
    """All methods with what they do, as one text for help pages."""
    return "; ".join(f"{row.name}: {row.does}" for row in METHODS.values())
