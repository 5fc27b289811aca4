"""The turns of one request in a ledger: reserved before drawing, renewed during it, then settled or given back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from fair_diffusion.allocation.keeps_streams import KeepsStreams
from fair_diffusion.allocation.ledger import LedgerError, Turn
from fair_diffusion.files.text import without_folders
from fair_diffusion.policy import Cell, Match
from fair_diffusion.policy.concepts import WILDCARDS, canonical

if TYPE_CHECKING:
    from fair_diffusion.result import Record, Result


class Turns:
    """One turn for each target of a request, as a context manager. Its end gives unsettled turns back.

    A ledger that fails while images are drawn costs no images: `notes` say what it did not count.

    Args:
        ledger: where the turns are reserved.
        matched: the match of the request, with a rule.
        n: images of the request.
        model: the name of the model.

    Attributes:
        quotas: for each target, images per cell.
        notes: what the ledger did not count, for the result.
    """

    def __init__(self, ledger: KeepsStreams, matched: Match, *, n: int, model: str) -> None:
        self._ledger, self._renewed = ledger, time.monotonic()
        self._turns: list[Turn] = []
        self.notes: list[str] = []
        try:
            for target in matched.targets:
                self._turns.append(ledger.reserve(rule=ledger_key(matched), target=target, n=n, model=model))
        except BaseException:
            self._release()
            raise
        self.quotas = [turn.quotas for turn in self._turns]

    def renew(self) -> None:
        """Renew the turns before they run out."""
        if time.monotonic() - self._renewed > self._ledger.lease / 3:
            self._renewed = time.monotonic()
            with suppress(LedgerError):  # if the ledger still fails then, settling says so
                for turn in self._turns:
                    self._ledger.renew(turn)

    def settle(self, records: Sequence[Record]) -> None:
        """Count the images of the request. Images that were not drawn are given back."""
        for turn in self._turns:
            names = turn.target.attributes
            try:
                self._ledger.settle(
                    turn,
                    assigned=[tuple(record.assigned[name] for name in names) for record in records],
                    perceived=[_cell(record.counted, names) for record in records],
                    judged=[_cell(record.judged, names) for record in records],
                )
            except LedgerError as error:
                self.notes.append(f"the ledger did not count these images: {without_folders(str(error))}")

    def judged(self, result: Result) -> Result:
        """The result without verdicts, and with a note that the ledger set its quotas.

        Its quotas are what the stream lacks, so the target holds for the stream and not for this result alone.

        Args:
            result: a dataclass with `audit`, `perceived_audit` and `notes`.
        """
        rows = [[replace(row, verdict=None) for row in rows] for rows in (result.audit, result.perceived_audit)]
        said = "the ledger set the quotas: the target holds for its stream, not for these images alone"
        return replace(result, audit=rows[0], perceived_audit=rows[1], notes=[*result.notes, said])

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def _release(self) -> None:
        with suppress(LedgerError):  # the turns then run out by themselves
            for turn in self._turns:
                self._ledger.release(turn)  # a settled turn stays as it is


def ledger_key(matched: Match) -> str:
    """The key of the stream that a match counts in.

    It is the rule's name. If a rule has several concepts, it is the rule's name and the concept, so that "every
    occupation: half women" holds for nurses as well as for pilots. The concept is the vocabulary's word. A match by
    meaning is an exception. Such a match has no vocabulary word, and prompts are never stored, so it counts for the
    whole rule.

    Raises:
        ValueError: no rule fires, so there is no stream.
    """
    rule = matched.rule
    if rule is None:
        raise ValueError("no rule fires for this prompt, so the ledger has no stream for it")
    several = len(rule.concepts) > 1 or rule.concepts[0] in WILDCARDS
    if not several or matched.concept is None or matched.how == "meaning":
        return rule.name
    return f"{rule.name}: {canonical(matched.concept)}"


def _cell(labels: Mapping[str, str | None], names: Sequence[str]) -> Cell | None:
    found = tuple(label for name in names if (label := labels[name]) is not None)
    return found if len(found) == len(names) else None
