"""The turns of one request in a ledger: reserved before it is drawn, renewed on the way, settled or given back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from fair_diffusion.allocation.ledger import Ledger, LedgerError, Turn
from fair_diffusion.policy import Cell, Match
from fair_diffusion.policy.concepts import WILDCARDS, canonical
from fair_diffusion.result import Record, Result


class Turns:
    """One turn for each target of a request, as a context: what is not settled when it ends is given back.

    A ledger that fails once images are being drawn costs none of them: `notes` say what it could not count.
    """

    def __init__(self, ledger: Ledger, matched: Match, *, n: int, model: str) -> None:
        self._ledger, self._renewed = ledger, time.monotonic()
        self._turns: list[Turn] = []
        self.notes: list[str] = []
        try:
            for target in matched.targets:
                self._turns.append(ledger.reserve(rule=stream(matched), target=target, n=n, model=model))
        except BaseException:
            self._release()
            raise
        self.quotas = [turn.quotas for turn in self._turns]

    def renew(self) -> None:
        """Keep the turns from running out, if it is time."""
        if time.monotonic() - self._renewed > self._ledger.lease / 3:
            self._renewed = time.monotonic()
            with suppress(LedgerError):  # settling says it if the ledger is still out of order then
                for turn in self._turns:
                    self._ledger.renew(turn)

    def settle(self, records: Sequence[Record]) -> None:
        """Count what came out; images that were not drawn are given back."""
        for turn in self._turns:
            names = turn.target.attributes
            try:
                self._ledger.settle(
                    turn,
                    assigned=[tuple(record.assigned[name] for name in names) for record in records],
                    perceived=[_cell(record.perceived, names) for record in records],
                    judged=[_cell(record.judged, names) for record in records],
                )
            except LedgerError as error:
                self.notes.append(f"the ledger did not count these images: {error}")

    def judged(self, result: Result) -> Result:
        """The result without verdicts: its quotas are what the stream lacked, and the target is the stream's."""
        rows = [[replace(row, verdict=None) for row in rows] for rows in (result.audit, result.perceived_audit)]
        said = "the ledger gave the quotas: the target holds for its stream, not for these images alone"
        return replace(result, audit=rows[0], perceived_audit=rows[1], notes=[*result.notes, said, *self.notes])

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def _release(self) -> None:
        with suppress(LedgerError):  # then the turns run out by themselves
            for turn in self._turns:
                self._ledger.release(turn)  # changes nothing once it is settled


def stream(matched: Match) -> str:
    """The name of the stream that a match counts in: the rule, and of a rule for several concepts the concept.

    So "every occupation: half women" holds for nurses as for pilots. Its name is the vocabulary's word. What is
    matched by meaning alone is in the prompt's own words, which no ledger keeps: it counts for the rule."""
    rule = matched.rule
    if rule is None:
        raise ValueError("no rule fires for this prompt, so it takes no turn")
    several = len(rule.concepts) > 1 or rule.concepts[0] in WILDCARDS
    if not several or matched.concept is None or matched.how == "meaning":
        return rule.name
    return f"{rule.name}: {canonical(matched.concept)}"


def _cell(labels: Mapping[str, str | None], names: Sequence[str]) -> Cell | None:
    found = tuple(label for name in names if (label := labels[name]) is not None)
    return found if len(found) == len(names) else None
