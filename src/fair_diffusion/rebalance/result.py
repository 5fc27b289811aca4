"""What a rebalancing gives back: one record per image, the audit before and after, and what moving took."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from fair_diffusion.files.pictures import open_picture
from fair_diffusion.result import Record, Result
from fair_diffusion.runs.sheet import sheet

ON_SHEET = 32
"""Images on the contact sheet, drawn at random."""


@dataclass(frozen=True, kw_only=True)
class RebalancedRecord(Record):
    """One image: what it showed, what was done with it, what it shows now.

    `natural` is what the original shows by the perceiver, `judged_before` by the judge, with `confidence_before`.
    `steered_to` and `strength` are empty and 0 where the new folder holds the very bytes of the original. `file` is its
    name there, `original` its name in the folder of the originals. `way` and `depth`: how, and how far, it was taken
    back. `repairs`: further attempts; `put_back`: whether it was moved and its original then taken again.
    pixel_distance, feature_distance: from the original, as in `result.Twins`; reconstruction_error, encoder_error: as
    error and encoder_error in `move.Moved`; None: not moved, or not measured. `seed` is that of its noise;
    `evaluations` are those spent on moving it, all attempts together.
    """

    file: str
    original: str
    way: str
    depth: float
    put_back: bool
    judged_before: dict[str, str | None]
    confidence_before: dict[str, float]
    pixel_distance: float | None
    feature_distance: float | None
    reconstruction_error: float | None
    encoder_error: float | None


@dataclass(frozen=True)
class Pictures(Sequence[Image.Image]):
    """Pictures in files, opened when they are asked for and not kept."""

    files: Sequence[Path]

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...
    @overload
    def __getitem__(self, place: slice) -> Pictures: ...
    def __getitem__(self, place: int | slice) -> Image.Image | Pictures:
        """One picture, or several that are not yet opened."""
        return Pictures(self.files[place]) if isinstance(place, slice) else open_picture(self.files[place])


class OriginalsResult(Result):
    """The originals, counted by the same readers against the same quotas."""

    @property
    def title(self) -> str:
        """What these images are."""
        return "originals"


@dataclass(frozen=True, kw_only=True)
class RebalancedResult(Result):
    """Images of one prompt after rebalancing. `before` holds the originals, `broken` those that could not be read.

    reconstruction_evaluations: what measuring the reconstruction took, beside the cost."""

    records: Sequence[RebalancedRecord]
    before: OriginalsResult
    way: str
    broken: Sequence[str]
    reconstruction_evaluations: int

    @property
    def title(self) -> str:
        """What these images are."""
        return "rebalanced"

    def counts(self) -> dict[str, int]:
        """How many images are the originals, were moved, moved again, put back, and miss what was assigned."""
        return {
            "untouched": sum(not record.steered for record in self.records),
            "moved": sum(record.steered for record in self.records),
            "repaired": sum(record.repairs > 0 for record in self.records),
            "put back": sum(record.put_back for record in self.records),
            "missed": sum(bool(record.missed) for record in self.records),
            "broken": len(self.broken),
        }

    def moved(self) -> dict[str, float | int | None]:
        """Means over the moved images, differences in 0…1; `reconstructed`: how many were taken on without an edit."""
        of = [record for record in self.records if record.steered]
        measured = [record for record in self.records if record.reconstruction_error is not None]
        return {
            "images": len(of),
            "pixel_distance": _mean([record.pixel_distance for record in of]),
            "feature_distance": _mean([record.feature_distance for record in of]),
            "reconstructed": len(measured),
            "reconstruction_error": _mean([record.reconstruction_error for record in measured]),
            "encoder_error": _mean([record.encoder_error for record in measured]),
        }

    def summary(self) -> dict[str, Any]:
        """As of any result, and the originals' audit and what moving did to the images."""
        found = super().summary()
        found["cost"]["reconstruction_evaluations"] = self.reconstruction_evaluations
        return found | {
            "way": self.way,
            "before": {"audit": [asdict(row) for row in self.before.audit], "deviations": self.before.deviations()},
            "moved": self.moved(),
            "broken": list(self.broken),
        }

    def contact_sheet(self, path: Path | None = None) -> Image.Image:
        """Originals above, the new folder below, the same images: `ON_SHEET` of them, drawn at random."""
        n = len(self.images)
        places = sorted(random.Random(self.seed).sample(range(n), min(n, ON_SHEET)))
        return sheet([self.before, self], path, places=places)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 5) if known else None
