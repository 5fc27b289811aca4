"""How strongly each group must be steered to, learnt from the images of the requests themselves and kept in a file.

Steering complies unequally: on some prompts one direction needs more than the other. Each attempt says whether the
perceiver then saw the group; a level at which fewer than `ENOUGH` of at least `FEW` attempts complied gives way to the
next. So the first few images of a concept calibrate the rest, and nothing is drawn for calibration alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.files.format_number import NewerFormatError, check_format
from fair_diffusion.files.whole_file import whole_file

FORMAT = 1
"""Format of the file. A file that is a bare list of strengths was written before there were format numbers."""
LEVELS = (1.0, 1.6)
"""Strengths to try, as multiples of the method's usual one."""
FEW, ENOUGH = 4, 0.75

Key = tuple[str, ...]


@dataclass
class Strengths:
    """Attempts and how many complied, at each level, by what was steered (model, method, concept…) to which group."""

    counts: dict[Key, list[list[int]]] = field(default_factory=dict)

    def level(self, key: Key) -> int:
        """The lowest level that is not known to fail."""
        for level, (tried, complied) in enumerate(self.counts.get(key, [(0, 0)])):
            if tried < FEW or complied >= ENOUGH * tried:
                return level
        return len(LEVELS) - 1

    def learn(self, key: Key, level: int, complied: bool) -> None:
        """Count one attempt."""
        attempt = self.counts.setdefault(key, [[0, 0] for _ in LEVELS])[level]
        attempt[0] += 1
        attempt[1] += complied

    @classmethod
    def load(cls, path: Path) -> Strengths:
        """What `save` wrote to `path`, empty if there is none. `ValueError` with the mend if it is something else."""
        if not path.exists():
            return cls()
        try:
            content = json.loads(path.read_text())
            if isinstance(content, dict):
                check_format(content.get("format"), FORMAT, path)
            rows = content["strengths"] if isinstance(content, dict) else content
            return cls({tuple(row["of"]): [[int(a), int(b)] for a, b in _all_levels(row["attempts"])] for row in rows})
        except NewerFormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not hold strengths ({error}); remove it, it is made again") from None

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        rows = [json.dumps({"of": key, "attempts": counts}) for key, counts in sorted(self.counts.items())]
        with whole_file(path) as part:
            part.write_text(f'{{"format": {FORMAT}, "strengths": [\n' + ",\n".join(rows) + "\n]}\n")


def _all_levels(attempts: list[list[int]]) -> list[list[int]]:
    if len(attempts) != len(LEVELS):
        raise ValueError(f"{len(attempts)} levels, not {len(LEVELS)}")
    return attempts
