"""Steering: ways to move an image to its assigned group, one method per file (the table is `methods`).

Exports `guide_of`, `used_prompt` and `check_file`, which find what the file of a method defines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.backbones import Guide
from fair_diffusion.methods import METHODS, Method
from fair_diffusion.policy import Assignment, Target

if TYPE_CHECKING:
    from fair_diffusion.steering.brief import Aimed, Brief

__all__ = ["check_file", "guide_of", "used_prompt"]

Guiding = Callable[[Sequence["Aimed"]], Guide]
"""Makes the guide of a batch, whose images may belong to several requests."""


def _home(row: Method) -> Any:
    """The file of a method, as a module.

    Raises:
        ImportError: there is no such file, or it lacks a function that the row of the method needs.
    """
    home = import_module(f"{__name__}.{row.home or row.name}")
    for wanted in ("guide", *(("check_file",) if row.learnt else ())):
        if not hasattr(home, wanted):
            raise ImportError(f"{home.__name__} defines no {wanted!r}, which method {row.name!r} of methods.py needs")
    return home


_HOMES = {name: _home(row) for name, row in METHODS.items()}


def _defined(method: Method, what: str) -> Any:
    """What the user's method object, or else the file of the method, defines under a name; None if neither does."""
    own = getattr(method, what, None)
    return (
        own if own is not None or METHODS.get(method.name) is not method else getattr(_HOMES[method.name], what, None)
    )


def guide_of(method: Method) -> Guiding:
    """The function that makes the guide of a batch for a method.

    Raises:
        ValueError: the user's method object defines no `guide`.
    """
    guide: Guiding | None = _defined(method, "guide")
    if guide is None:
        raise ValueError(f"method {method.name!r} defines no 'guide'; define it as docs/how-to/write-a-method.md shows")
    return guide


def used_prompt(method: Method, brief: Brief, assigned: Assignment) -> str:
    """The prompt with which a method draws an image of these groups; the plain prompt if the method adds no words."""
    words: Callable[[Brief, Assignment], str] | None = _defined(method, "used_prompt")
    return brief.request.prompt if words is None else words(brief, assigned)


def check_file(method: Method, file: Path, targets: Sequence[Target] = ()) -> None:
    """Check that a file can be what a method learnt. No model is loaded.

    Args:
        method: the method.
        file: its file.
        targets: the method must have learnt the groups that they ask for, if it learns groups.

    Raises:
        ValueError: it cannot.
    """
    learnt: Callable[[Path, Sequence[Target]], object] | None = _defined(method, "check_targets") if targets else None
    if learnt is not None:
        learnt(file, targets)
        return
    check: Callable[[Path], object] | None = _defined(method, "check_file")
    if check is not None:
        check(file)
