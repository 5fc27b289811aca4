"""The cost of learning, kept in the file that holds what was learnt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of learning; None: not known.

    Attributes:
        steps: steps of the optimizer, or of another loop.
        evaluations: network evaluations, in images.
        seconds: wall-clock time.
    """

    steps: int | None = 0
    evaluations: int | None = 0
    seconds: float | None = 0.0

    def metadata(self) -> dict[str, str]:
        """The cost as metadata of a safetensors file, without what is not known."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in known.items()}


def cost_of(path: Path) -> Cost:
    """The cost in a safetensors file; None for what the file does not say.

    Raises:
        ValueError: it is no safetensors file.
    """
    try:
        with safe_open(path, "np") as file:
            told = file.metadata() or {}
        steps, evaluations, seconds = (told.get(name) for name in ("steps", "evaluations", "seconds"))
        return Cost(
            steps=None if steps is None else int(steps),
            evaluations=None if evaluations is None else int(evaluations),
            seconds=None if seconds is None else float(seconds),
        )
    except (OSError, SafetensorError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is no safetensors file with weights ({error}); give one that was learnt") from error
