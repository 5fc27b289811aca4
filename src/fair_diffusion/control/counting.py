"""The ledger and the requests of one call: their turns are reserved, renewed, and settled when the images are safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from fair_diffusion.backbones import OnStep, StepInfo
from fair_diffusion.control.planned import Planned
from fair_diffusion.result import Result

if TYPE_CHECKING:
    from fair_diffusion.allocation.keeps_streams import KeepsStreams
    from fair_diffusion.allocation.ledger_request import Turns

Keep = Callable[[int, Result], None]
"""Called with the number of a request and its result, before its images count in the ledger."""


class Counting(ExitStack):
    """The turns of some requests, as a context manager: whatever is not settled at its end is given back.

    Args:
        ledger: where the turns are reserved; None: nothing is counted.
        planned: the requests.
        model: the name of the model.

    Attributes:
        planned: the requests, with the quotas of their turns.
    """

    def __init__(self, ledger: KeepsStreams | None, planned: Sequence[Planned], *, model: str) -> None:
        super().__init__()
        self.planned, self._ledger = list(planned), ledger
        self._turns: dict[int, Turns] = {}
        if ledger is None:
            return
        from fair_diffusion.allocation.ledger_request import Turns

        with ExitStack() as stack:
            for k, each in enumerate(planned):
                if each.quotas:
                    turns = stack.enter_context(Turns(ledger, each.matched, n=each.request.n, model=model))
                    self._turns[k], self.planned[k] = turns, replace(each, quotas=turns.quotas)
            self.push(stack.pop_all())

    def renewing(self, on_step: OnStep | None) -> OnStep | None:
        """The callback of each step, which renews the turns, too."""
        if not self._turns:
            return on_step

        def renew(info: StepInfo) -> None:
            for turns in self._turns.values():
                turns.renew()
            if on_step is not None:
                on_step(info)

        return renew

    def settle(self, results: Sequence[Result], keep: Keep | None) -> list[Result]:
        """Let each result be kept, and count its images then: the ledger never counts images that nobody gets."""
        return [self._settled(k, result, keep) for k, result in enumerate(results)]

    def _settled(self, k: int, result: Result, keep: Keep | None) -> Result:
        turns = self._turns.get(k)
        if turns is not None:
            result = turns.judged(result)
        elif self._ledger is not None:
            nothing = "no image is assigned a group, so the ledger counts nothing"
            result = replace(result, notes=[*result.notes, nothing])
        if keep is not None:
            keep(k, result)
        if turns is not None:
            turns.settle(result.records)
            result = replace(result, notes=[*result.notes, *turns.notes])
        return result
