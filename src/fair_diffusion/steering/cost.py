"""What learning a method took, kept in the file of what it learnt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open


@dataclass(frozen=True, kw_only=True)
class Cost:
    """steps: of the optimizer or of the loop. evaluations: image rows through the network. seconds: wall-clock."""

    steps: int = 0
    evaluations: int = 0
    seconds: float = 0.0

    def metadata(self) -> dict[str, str]:
        """The same as text, for a safetensors file."""
        return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in asdict(self).items()}


def cost_of(path: Path) -> Cost:
    """The cost that the file of what was learnt tells. `ValueError` if it tells none."""
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        return Cost(steps=int(told["steps"]), evaluations=int(told["evaluations"]), seconds=float(told["seconds"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} does not tell what it took to learn ({type(error).__name__}: {error})") from error
