"""The turns of one request in a ledger: reserved before it is drawn, renewed on the way, settled or given back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.backbones import OnStep, StepInfo
from fair_diffusion.policy import Cell, Target
from fair_diffusion.result import Record


class Turns:
    """One turn for each target of a request, as a context: what is not settled when it ends is given back."""

    def __init__(self, ledger: Ledger, *, rule: str, targets: Sequence[Target], n: int, model: str) -> None:
        self._ledger, self._renewed = ledger, time.monotonic()
        self._turns = [ledger.reserve(rule=rule, target=target, n=n, model=model) for target in targets]
        self.quotas = [turn.quotas for turn in self._turns]

    def on_step(self, then: OnStep | None) -> OnStep:
        """A callback that keeps the turns from running out, and calls `then`."""

        def step(info: StepInfo) -> None:
            if time.monotonic() - self._renewed > self._ledger.lease / 3:
                self._renewed = time.monotonic()
                for turn in self._turns:
                    self._ledger.renew(turn)
            if then is not None:
                then(info)

        return step

    def settle(self, records: Sequence[Record]) -> None:
        """Count what came out; images that were not drawn are given back."""
        for turn in self._turns:
            names = turn.target.attributes
            self._ledger.settle(
                turn,
                assigned=[tuple(record.assigned[name] for name in names) for record in records],
                perceived=[_cell(record.perceived, names) for record in records],
                judged=[_cell(record.judged, names) for record in records],
            )

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for turn in self._turns:
            self._ledger.release(turn)  # changes nothing once it is settled


def _cell(labels: Mapping[str, str | None], names: Sequence[str]) -> Cell | None:
    found = tuple(label for name in names if (label := labels[name]) is not None)
    return found if len(found) == len(names) else None
