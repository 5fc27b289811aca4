"""What a request gives back: images, one record per image, and the audit; and how they are kept in a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.table import Row, deviation
from fair_diffusion.runs.format import FORMAT, title
from fair_diffusion.runs.saving import save
from fair_diffusion.runs.sheet import sheet


@dataclass(frozen=True, kw_only=True)
class Record:
    """One image: what was asked, what was done, what came out.

    `assigned` is the group per attribute that the image should show (empty: nothing was asked); `natural` what it would
    have shown unsteered, as far as could be told mid-way; `steered_to` the groups that it was drawn to show (empty:
    none in particular) and `used_prompt` the prompt for that; `strength` (0: it was left alone), `repairs`, `reseeds`
    and `missed` as in `control.Shown`. `judged` and `perceived` are the groups that the judge and the perceiver read
    (None: unknown), with the judge's `confidence`. `seed` is the one that made the image; `evaluations` counts rows
    through the network.
    """

    index: int
    prompt: str
    used_prompt: str
    seed: int
    model: str
    method: str
    control: str
    rule: str | None
    steps: int
    guidance: float
    assigned: dict[str, str]
    natural: dict[str, str | None]
    natural_confidence: dict[str, float]
    steered_to: dict[str, str]
    strength: float
    repairs: int
    reseeds: int
    missed: bool | None
    judged: dict[str, str | None]
    perceived: dict[str, str | None]
    confidence: dict[str, float]
    evaluations: int
    plain_evaluations: int
    negative_prompt: str | None = None
    guidance_rescale: float = 0.0

    @property
    def steered(self) -> bool:
        """Whether the image was drawn otherwise than plain."""
        return self.strength > 0


@dataclass(frozen=True, kw_only=True)
class Twins:
    """How far images are from their unsteered twins of the same seed; those from a new seed have none.

    untouched_difference: the largest difference of any pixel of an image that was left alone, in 0…1. pixel_distance:
    the mean absolute difference of the steered ones, in 0…1; feature_distance: 1 − cosine of the judge's features, None
    if it has none.
    """

    untouched: int
    untouched_difference: float
    steered: int
    pixel_distance: float
    feature_distance: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Images of one request with their records and audit. `plain` holds the unsteered twins, same seeds, if asked for.

    `audit` counts by the judge; `perceived_audit` has the same rows counted by the perceiver. `made_with` names
    weights, policy, instruction and versions; `confusions` say how the judge errs, and `occupations` what it calls
    those that it can tell; `learnt` is what was learnt from the model's text, and the seconds that it took once:
    `seconds` include them in the request that came first. `control` is the one that ran; `stopped` tells of an
    interrupt.
    """

    prompt: str
    model: str
    method: str
    control: str
    seed: int
    rule: str | None
    reason: str
    images: Sequence[Image.Image]
    records: Sequence[Record]
    audit: list[Row]
    perceived_audit: list[Row]
    seconds: float
    requested: int
    stopped: bool = False
    notes: list[str] = field(default_factory=list)
    made_with: Mapping[str, str] = field(default_factory=dict)
    confusions: Sequence[Confusion] = ()
    learnt: Mapping[str, float] = field(default_factory=dict)
    occupations: Mapping[str, str] = field(default_factory=dict)
    plain: Result | None = None
    twins: Twins | None = None

    def summary(self) -> dict[str, Any]:
        """The result as plain data, ready for JSON; `deviation` is that of the attribute farthest from its target."""
        evaluations = sum(record.evaluations for record in self.records)
        plain = sum(record.plain_evaluations for record in self.records)
        rows = [
            asdict(row) | {"perceiver_count": other.count, "perceiver_unknown": other.unknown}
            for row, other in zip(self.audit, self.perceived_audit, strict=True)
        ]
        deviations = self.deviations()
        return {
            "format": FORMAT,
            "prompt": self.prompt,
            "n": len(self.images),
            "requested": self.requested,
            "model": self.model,
            "method": self.method,
            "control": self.control,
            "seed": self.seed,
            "rule": self.rule,
            "reason": self.reason,
            "notes": self.notes,
            "verdict": self.verdict,
            "audit": rows,
            "deviation": max(deviations, key=lambda found: found["tv"], default=None),
            "deviations": deviations,
            "cost": {
                "evaluations": evaluations,
                "plain_evaluations": plain,
                "ratio": round(evaluations / plain, 4) if plain else None,
                "seconds": round(self.seconds, 2),
            },
            "images": self.counts(),
            "made_with": dict(self.made_with),
            "confusions": [asdict(confusion) for confusion in self.confusions],
            **({"occupations": dict(self.occupations)} if self.occupations else {}),
            **({"twins": asdict(self.twins)} if self.twins else {}),
            **({"plain": self.plain.summary()} if self.plain else {}),
        }

    def counts(self) -> dict[str, int]:
        """How many images were left alone, steered, made again, given a new seed, and miss what was assigned."""
        return {
            "untouched": sum(not record.steered for record in self.records),
            "steered": sum(record.steered for record in self.records),
            "repaired": sum(record.repairs > 0 for record in self.records),
            "reseeded": sum(record.reseeds > 0 for record in self.records),
            "missed": sum(bool(record.missed) for record in self.records),
        }

    @property
    def title(self) -> str:
        """What these images are: "instructed" if a rule steered them, else "plain"."""
        return title(self.rule, self.method)

    @property
    def verdict(self) -> str | None:
        """Of all rows that have one, and "misses" if images were given up; None if nothing was asked."""
        verdicts = {row.verdict for row in self.audit if row.verdict}
        if "misses" in verdicts or (not self.stopped and self.counts()["missed"]):
            return "misses"
        return "cannot tell" if "cannot tell" in verdicts else min(verdicts, default=None)

    @property
    def missed(self) -> bool:
        """Whether some share is outside its target's tolerance with 95 % confidence, or images were given up."""
        return self.verdict == "misses"

    @property
    def interrupted(self) -> bool:
        """Whether something that was asked for was not done, from the keyboard."""
        return self.stopped or (self.plain is not None and self.plain.stopped)

    def deviations(self) -> list[dict[str, Any]]:
        """Total variation from the target and its noise floor, for each attribute that has a target."""
        attributes = list(dict.fromkeys(row.attribute for row in self.audit if row.target is not None))
        return [
            {"attribute": name}
            | {
                key: round(value, 4)
                for key, value in deviation([row for row in self.audit if row.attribute == name]).items()
                if math.isfinite(value)
            }
            for name in attributes
        ]

    def save(self, folder: Path) -> None:
        """Write PNGs with their records inside, records.parquet, result.json and contact-sheet.png to a new folder.

        The folder is written whole or not at all.

        Raises:
            ValueError: the folder is not new or cannot be written.
        """
        save(self, folder)

    def contact_sheet(self, path: Path | None = None) -> Image.Image:
        """Draw the plain twins above and the images below, each with what the judge reads.

        The sheet is also written to `path`, if it is given.
        """
        return sheet([result for result in (self.plain, self) if result], path)
