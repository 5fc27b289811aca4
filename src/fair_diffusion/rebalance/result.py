"""The result of a rebalancing: one record per image, the audits before and after, and the cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fair_diffusion.result import Record, Result
from fair_diffusion.runs.sheet import sheet

ON_SHEET = 32
"""How many images are on the contact sheet; they are drawn at random."""


@dataclass(frozen=True, kw_only=True)
class RebalancedRecord(Record):
    """The record of one image.

    `natural` are the groups that the perceiver reads in the original. `steered_to` is empty and `strength` is 0 if the
    new folder holds the original. `repairs` counts the attempts after the first. `seed` is the seed of its noise, and
    `evaluations` are those of all attempts.

    Attributes:
        file: its name in the new folder.
        original: its name in the folder of the originals.
        way: how it was taken back to noise; "" if the new folder holds the original.
        depth: how far back it was taken, as a share of the trajectory, in the attempt that is kept.
        put_back: whether it was moved and its original then put back.
        judged_before: the groups that the judge reads in the original, by attribute; None: unknown.
        confidence_before: the judge's confidence in them.
        pixel_distance: mean absolute difference of its pixels to the original's, in 0…1; None if it was not moved.
        feature_distance: 1 − cosine of the judge's features of both; None also if the judge has none.
        reconstruction_error: the difference of pixels without an edit, taken back and on with the plain prompt; None if
            not measured.
        encoder_error: the difference of pixels if only encoded and decoded, at the model's size; None if not measured.
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


class OriginalsResult(Result):
    """The originals, counted with the same readers and quotas."""

    @property
    def title(self) -> str:
        """What these images are."""
        return "originals"


@dataclass(frozen=True, kw_only=True)
class RebalancedResult(Result):
    """The images of one prompt after rebalancing.

    Attributes:
        records: one record per image.
        before: the originals.
        way: how images were taken back to noise.
        broken: a line for each original that could not be read.
        reconstruction_evaluations: network evaluations that only measured the reconstruction; the cost has none of
            them.
    """

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
        """How many images are originals, moved, moved again, put back, missed and broken."""
        return {
            "untouched": sum(not record.steered for record in self.records),
            "moved": sum(record.steered for record in self.records),
            "repaired": sum(record.repairs > 0 for record in self.records),
            "put back": sum(record.put_back for record in self.records),
            "missed": sum(bool(record.missed) for record in self.records),
            "broken": len(self.broken),
        }

    @property
    def compared(self) -> Result:
        """The images that these are compared with one by one: the originals."""
        return self.before

    def moved(self) -> dict[str, float | int | None]:
        """Means over the moved images, differences in 0…1. `reconstructed` counts those with a reconstruction."""
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
        """The summary of any result, with the audit of the originals and the distances of moved images."""
        summary = super().summary()
        summary["cost"]["reconstruction_evaluations"] = self.reconstruction_evaluations
        return summary | {
            "way": self.way,
            "before": {"audit": [asdict(row) for row in self.before.audit], "deviations": self.before.deviations()},
            "moved": self.moved(),
            "broken": list(self.broken),
        }

    def contact_sheet(self, path: Path | None = None) -> Image.Image:
        """A sheet of `ON_SHEET` images, drawn at random, with the originals above the images of the new folder."""
        n = len(self.images)
        places = sorted(random.Random(self.seed).sample(range(n), min(n, ON_SHEET)))
        return sheet([self.before, self], path, places=places)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 5) if known else None
