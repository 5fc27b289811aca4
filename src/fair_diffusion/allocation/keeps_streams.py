"""What the pipeline asks of a ledger, whether it is in a file of its own or in the database of a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fair_diffusion.policy.target import Cell, Target

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Turn


class KeepsStreams(Protocol):
    """A ledger: `allocation.ledger.Ledger`, or `service.ledger.DatabaseLedger`."""

    @property
    def lease(self) -> float:
        """Seconds that a turn may take before it must be renewed."""

    def reserve(self, *, rule: str, target: Target, n: int, model: str) -> Turn:
        """Reserve the next `n` images of the stream of `rule`, `target` and `model`."""

    def settle(
        self,
        turn: Turn,
        *,
        assigned: Sequence[Cell],
        perceived: Sequence[Cell | None],
        judged: Sequence[Cell | None],
    ) -> bool:
        """Count the images that came out of a turn; False if it is not under way any more."""

    def release(self, turn: Turn) -> None:
        """Give the turn back, as if it had never been reserved."""

    def renew(self, turn: Turn) -> None:
        """Restart the lease of a turn that takes long."""
