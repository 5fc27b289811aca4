"""Mistakes in an instruction or a policy file: all of them at once, each with its mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        line: the line of the mistake, from 1; None in a sentence.
        value: the wrong value.
        message: what is wrong.
        mend: what to do about it.
    """

    line: int | None
    value: str
    message: str
    mend: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        # The ends tell most: how a text begins, and the name of a file.
        value = self.value if len(self.value) <= 80 else f"{self.value[:40]}...{self.value[-37:]}"
        text = f"{where}{value!r}: {self.message}; {self.mend}"
        return " ".join(text.splitlines())


class PolicyError(ValueError):
    """An instruction or a policy that cannot be used.

    `problems` holds every mistake, and `str()` gives one line for each.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(str(problem) for problem in self.problems))
