"""How strongly to steer to each group, learnt from the images of requests and kept in a file.

On some prompts one group needs more strength than another. Each attempt complies if the perceiver then sees the group.
A level of strength gives way to the next one when fewer than `ENOUGH` (a share) of at least `FEW` attempts complied. So
the first few images of a concept calibrate the others, and no image is drawn for calibration alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.files import guarded
from fair_diffusion.files.format_number import NewerFormatError, check_format
from fair_diffusion.files.whole_file import whole_file

FORMAT = 1
"""Format of the file. A file that is a bare list of strengths was written before there were format numbers."""
LEVELS = (1.0, 1.6)
"""The levels of strength, as multiples of the method's usual strength."""
FEW, ENOUGH = 4, 0.75

Key = tuple[str, ...]


@dataclass
class Strengths:
    """How many attempts complied.

    Attributes:
        counts: for each level the number of attempts and the number that complied, by model, method, concept, … and
            group.
    """

    counts: dict[Key, list[list[int]]] = field(default_factory=dict)

    def level(self, key: Key) -> int:
        """The lowest level of strength that is not known to fail."""
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
    def load(cls, path: str | Path) -> Strengths:
        """The strengths in a file that `save` wrote; none if there is no such file.

        Raises:
            ValueError: the file holds something else, or has a newer format.
        """
        path = Path(path)
        if not path.exists():
            return cls()
        try:
            content = json.loads(guarded.text(path))
            if isinstance(content, dict):
                check_format(content.get("format"), FORMAT, path)
            rows = content["strengths"] if isinstance(content, dict) else content
            return cls({tuple(row["of"]): [[int(a), int(b)] for a, b in _all_levels(row["attempts"])] for row in rows})
        except NewerFormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} does not hold strengths ({error}); remove it, it is made again") from None

    def save(self, path: str | Path) -> None:
        """Write the strengths to a file, whole or not at all."""
        rows = [json.dumps({"of": key, "attempts": counts}) for key, counts in sorted(self.counts.items())]
        with whole_file(Path(path)) as part:
            part.write_text(f'{{"format": {FORMAT}, "strengths": [\n' + ",\n".join(rows) + "\n]}\n")


def _all_levels(attempts: list[list[int]]) -> list[list[int]]:
    if len(attempts) != len(LEVELS):
        raise ValueError(f"{len(attempts)} levels, not {len(LEVELS)}")
    return attempts
