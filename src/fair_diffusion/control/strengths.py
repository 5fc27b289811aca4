"""How strongly to steer to each group, learnt from the images of requests and kept in a file.

On some prompts one group needs more strength than another. Each attempt complies if the perceiver then sees the group.
A level of strength gives way to the next one when fewer than `ENOUGH` (a share) of at least `FEW` attempts complied. So
the first few images of a concept calibrate the others, and no image is drawn for calibration alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.files.schema import EXACT, Count, DamagedFile, read_json
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
            content = read_json(path, _SCHEMA, FORMAT)
        except DamagedFile as error:
            raise DamagedFile(f"{path} does not hold strengths ({error}); remove it, it is made again") from None
        rows = content["strengths"] if isinstance(content, dict) else content
        return cls({tuple(row["of"]): [list(level) for level in row["attempts"]] for row in rows})

    def save(self, path: str | Path) -> None:
        """Write the strengths to a file, whole or not at all."""
        rows = [json.dumps({"of": key, "attempts": counts}) for key, counts in sorted(self.counts.items())]
        with whole_file(Path(path)) as part:
            part.write_text(f'{{"format": {FORMAT}, "strengths": [\n' + ",\n".join(rows) + "\n]}\n")


class _Row(TypedDict):
    """The attempts of one key."""

    of: list[str]
    attempts: Annotated[list[tuple[Count, Count]], Field(min_length=len(LEVELS), max_length=len(LEVELS))]


class _File(TypedDict):
    """The file."""

    strengths: list[_Row]


_SCHEMA: TypeAdapter[_File | list[_Row]] = TypeAdapter(_File | list[_Row], config=EXACT)
