"""A campaign: a suite or a comparison, as its driver and as its workers see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fair_diffusion.policy import Attributes, Policy
from fair_diffusion.policy.file import parse_policy

Told = dict[str, Any]
"""Plain data, as JSON keeps it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one job draws.

    Attributes:
        name: no other cell of the campaign has it.
        images: how many.
        told: what is to be drawn, for workers.
    """

    name: str
    images: int
    told: Told


class Campaign(Protocol):
    """What is to be drawn, for the driver.

    Attributes:
        kind: "suite" or "comparison".
        work: the folder that keeps what is drawn.
        store: a URL of fsspec through which parts travel, where workers do not see `work`; None where they do.
        whole: all images that there will be, as far as it is known.
        there: images that lie in `work`.
        waiting: whether `missing` may give more cells.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def work(self) -> Path: ...  # noqa: D102
    @property
    def store(self) -> str | None: ...  # noqa: D102
    @property
    def whole(self) -> int: ...  # noqa: D102
    @property
    def there(self) -> int: ...  # noqa: D102
    @property
    def waiting(self) -> bool: ...  # noqa: D102

    def told(self) -> Told:
        """All that a worker must know, beside the cells."""

    def missing(self) -> Iterator[Cell]:
        """The cells that can be drawn now and that `work` lacks, each given out once."""

    def visible(self, cell: Told) -> bool:
        """Whether what a worker wrote for a cell lies in `work`: a network file system may show it late."""

    def arrived(self, cell: Told, result: Told) -> None:
        """Note that a cell is drawn and lies in `work`. More cells may be missing then."""


class Drawer(Protocol):
    """Draws the cells of one campaign, for a worker."""

    together: int
    """How many cells it draws best at once; it takes more while it draws, if it can."""

    def draw(self, cells: Iterator[Cell], on_step: Callable[[Any], None]) -> Iterator[tuple[Cell, Told]]:
        """Draw cells, which are claimed when they are taken, and yield each with its result when it is written."""


def policy_of(told: Mapping[str, Any]) -> Policy:
    """The policy of these words: `instruct` with `define`, or the text of a `policy` with its `folder`; else empty."""
    defined = Attributes.named(*told["define"]) if told.get("define") else None
    if "policy" in told:
        return parse_policy(told["policy"], Path(told["folder"]))
    if "instruct" in told:
        return Policy.from_sentence(told["instruct"], defined)
    return Policy(attributes=defined) if defined else Policy()
