"""What learning a method took, kept in the file of what it learnt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open


@dataclass(frozen=True, kw_only=True)
class Cost:
    """steps: of the optimizer or of the loop. evaluations: image rows through the network. seconds: wall-clock.

    None: not known."""

    steps: int | None = 0
    evaluations: int | None = 0
    seconds: float | None = 0.0

    def metadata(self) -> dict[str, str]:
        """The same as text, for a safetensors file; what is not known is left out."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in known.items()}


def cost_of(path: Path) -> Cost:
    """The cost that the file of what was learnt tells, as far as it does. `ValueError` if it is no safetensors file."""
    try:
        with safe_open(path, "np") as file:
            told = file.metadata() or {}
        steps, evaluations, seconds = (told.get(name) for name in ("steps", "evaluations", "seconds"))
        return Cost(
            steps=None if steps is None else int(steps),
            evaluations=None if evaluations is None else int(evaluations),
            seconds=None if seconds is None else float(seconds),
        )
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is no safetensors file with weights ({error}); give one that was learnt") from error
