"""The result of a request: images, one record per image, and the audit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fair_diffusion.audit.delivery import Delivery, delivery
from fair_diffusion.audit.side_effects import SideEffect, side_effect
from fair_diffusion.audit.table import JOINT, AuditRow, deviation, joint_labels
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.runs.format import FORMAT, title
from fair_diffusion.runs.saving import save

if TYPE_CHECKING:
    from fair_diffusion.files.signature import Signature
from fair_diffusion.runs.sheet import sheet
from fair_diffusion.statistics.active import lot


@dataclass(frozen=True, kw_only=True)
class Record:
    """One image: what was asked for, what was done, and what the image shows.

    Attributes:
        index: the image's place in the request, from 0.
        prompt: the prompt of the request.
        used_prompt: the prompt that the model was given.
        seed: the seed that made the image.
        model: the model's name.
        method: the steering method.
        control: the control that decided which images to steer.
        rule: the rule that the prompt matched; None if no rule matched.
        steps: denoising steps.
        guidance: the guidance scale.
        assigned: by attribute, the group that the image should show; empty if nothing was asked for.
        natural: by attribute, the group that the plain image would show, as read mid-way; None if it could not be read.
        natural_confidence: the confidence of those readings.
        steered_to: by attribute, the group that the image was steered to; empty if it was steered to none.
        held: by attribute, the group that steering was to keep, because nobody asked to change it.
        strength: the strength of the steering; 0 for a plain image.
        repairs: how often the image was made again.
        reseeds: how many of these repairs used a new seed.
        missed: whether the perceiver is not sure that the image shows what was assigned; None if it was not asked.
        judged: by attribute, the group that the judge read; None if it could not be read.
        perceived: by attribute, the group that the perceiver read; None if it could not be read.
        confidence: the judge's confidence, by attribute.
        evaluations: network evaluations that the image took, all attempts together.
        plain_evaluations: network evaluations that a plain image takes.
        negative_prompt: the negative prompt, if one was given.
        guidance_rescale: the rescale factor of the guidance.
        definitions: by attribute, the hash of its definition where that is not the built-in one.
        seen: by attribute, the probability that people would see each group, as the calibration tells by the
            perceiver's word; empty without one.
        calibration: the version of the calibration that steering went by; None without one.
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
    held: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    seen: dict[str, dict[str, float]] = field(default_factory=dict)
    calibration: str | None = None

    @property
    def steered(self) -> bool:
        """Whether the image was steered."""
        return self.strength > 0

    @property
    def counted(self) -> dict[str, str | None]:
        """By attribute, the group that the image counts as in a ledger.

        It is the group that the perceiver read. With a calibration it is drawn by a lot that follows from the seed,
        each group with the probability that people would see it: so the counts of a stream are right on average,
        errors included."""
        found = dict(self.perceived)
        for name, chances in self.seen.items():
            left = lot(f"{self.seed} {name}")
            found[name] = None
            for group, chance in chances.items():
                if left < chance:
                    found[name] = group
                    break
                left -= chance
        return found


@dataclass(frozen=True, kw_only=True)
class Twins:
    """The distances of images to their plain twins, which have the same seeds. Images of a new seed have no twin.

    Attributes:
        untouched: how many images were not steered.
        untouched_difference: the largest difference of any of their pixels, in 0…1.
        steered: how many images were steered.
        pixel_distance: the mean absolute difference of their pixels, in 0…1.
        feature_distance: 1 − cosine of the judge's features, mean over steered images; None if the judge has no
            features.
    """

    untouched: int
    untouched_difference: float
    steered: int
    pixel_distance: float
    feature_distance: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The images of one request, with their records and audit.

    Attributes:
        prompt: the prompt.
        model: the model's name.
        method: the steering method.
        control: the control that ran.
        seed: the seed of the request; image i starts from seed + i.
        rule: the rule that the prompt matched; None if no rule matched.
        reason: why this rule, or none, applies.
        images: the images.
        records: one record per image.
        audit: the groups of all images as the judge reads them.
        perceived_audit: the same rows as the perceiver reads them.
        seconds: wall-clock time. The first request includes the seconds in `learnt`.
        requested: how many images were asked for.
        stopped: whether an interrupt from the keyboard ended the request early.
        notes: remarks for the user.
        made_with: the provenance: weights, policy, instruction and versions.
        readers: the fingerprints of "perceiver" and "judge", as `models.fingerprint.of_reader` has them.
        confusions: the judge's confusion matrices.
        perceiver_confusions: the perceiver's confusion matrices.
        learnt: the seconds that learning from the model's text took, by what was learnt.
        occupations: for each name of an occupation, the judge's name of it.
        plain: the plain twins with the same seeds, if they were asked for.
        twins: the distances to the plain twins, if there are any.
        drawn: the day on which the images were made, as 2026-01-31.
        definitions: the definitions of the attributes.
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
    audit: list[AuditRow]
    perceived_audit: list[AuditRow]
    seconds: float
    requested: int
    stopped: bool = False
    notes: list[str] = field(default_factory=list)
    made_with: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    confusions: Sequence[Confusion] = ()
    perceiver_confusions: Sequence[Confusion] = ()
    learnt: Mapping[str, float] = field(default_factory=dict)
    occupations: Mapping[str, str] = field(default_factory=dict)
    plain: Result | None = None
    twins: Twins | None = None
    drawn: str = field(default_factory=lambda: date.today().isoformat())
    definitions: Attributes = field(default_factory=built_in, repr=False)

    def summary(self) -> dict[str, Any]:
        """The result as plain data, ready for JSON. `deviation` is that of the attribute farthest from its target."""
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
            "delivered": [asdict(one) for one in self.deliveries],
            "audit": rows,
            "deviation": max(deviations, key=lambda deviation: deviation["tv"], default=None),
            "deviations": deviations,
            "cost": {
                "evaluations": evaluations,
                "plain_evaluations": plain,
                "ratio": round(evaluations / plain, 4) if plain else None,
                "seconds": round(self.seconds, 2),
            },
            "images": self.counts(),
            "made_with": dict(self.made_with),
            "drawn": self.drawn,
            "confusions": [asdict(confusion) for confusion in self.confusions],
            "perceiver_confusions": [asdict(confusion) for confusion in self.perceiver_confusions],
            **({"readers": dict(self.readers)} if self.readers else {}),
            **({"occupations": dict(self.occupations)} if self.occupations else {}),
            **({"definitions": self.own_definitions()} if self.definitions.own else {}),
            **({"side_effects": [asdict(one) for one in self.side_effects]} if self.side_effects else {}),
            **({"twins": asdict(self.twins)} if self.twins else {}),
            **({"plain": self.plain.summary()} if self.plain else {}),
        }

    def own_definitions(self) -> dict[str, Any]:
        """The definitions that are not the built-in ones, as far as audits of the run need them."""
        return {
            name: {
                "digest": digest,
                "label": self.definitions[name].label,
                "groups": self.definitions[name].group_names,
            }
            for name, digest in self.definitions.own.items()
        }

    def counts(self) -> dict[str, int]:
        """How many images were not steered, steered, repaired, given a new seed, and miss what was assigned."""
        return {
            "untouched": sum(not record.steered for record in self.records),
            "steered": sum(record.steered for record in self.records),
            "repaired": sum(record.repairs > 0 for record in self.records),
            "reseeded": sum(record.reseeds > 0 for record in self.records),
            "missed": sum(bool(record.missed) for record in self.records),
        }

    @property
    def title(self) -> str:
        """The kind of these images: "instructed" if a rule steered them, else "plain"."""
        return title(self.rule, self.method)

    @cached_property
    def deliveries(self) -> list[Delivery]:
        """How many images show each group beside its quota, for each target that has quotas."""
        return [self._delivery(name) for name in dict.fromkeys(row.attribute for row in self.audit if row.quota)]

    @property
    def verdict(self) -> str | None:
        """The worst verdict on these images, or on the process where there are no quotas; None if nothing was asked."""
        verdicts = {one.verdict for one in self.deliveries} or {row.verdict for row in self.audit if row.verdict}
        return next((verdict for verdict in ("misses", "cannot tell", "meets") if verdict in verdicts), None)

    @property
    def missed(self) -> bool:
        """Whether these images miss their quotas; without quotas, whether a share misses its target."""
        return self.verdict == "misses"

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt from the keyboard ended the request or its plain twins early."""
        return self.stopped or (self.plain is not None and self.plain.stopped)

    @property
    def compared(self) -> Result | None:
        """The images that these are compared with one by one: the plain twins."""
        return self.plain

    @cached_property
    def side_effects(self) -> list[SideEffect]:
        """How the judge's readings changed in attributes that nobody asked to change; empty without plain twins."""
        if self.compared is None or not self.records:
            return []
        twins = {twin.seed: twin for twin in self.compared.records}
        pairs = [(twins[record.seed], record) for record in self.records if record.seed in twins]
        asked = {part for row in self.audit if row.target is not None for part in row.attribute.split(JOINT)}
        return [
            side_effect(
                name,
                each.group_names,
                [twin.judged[name] for twin, _ in pairs],
                [record.judged[name] for _, record in pairs],
                [record.steered for _, record in pairs],
            )
            for name, each in self.definitions.items()
            if name not in asked and all(name in one.judged for pair in pairs for one in pair)
        ]

    def deviations(self) -> list[dict[str, Any]]:
        """The total variation from the target and its noise floor, for each attribute that has a target."""
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

    def _delivery(self, attribute: str) -> Delivery:
        """The delivery of one attribute that has quotas."""
        rows = [row for row in self.audit if row.attribute == attribute]
        judged, perceived = (
            _labels([getattr(record, reader) for record in self.records], attribute, {row.group for row in rows})
            for reader in ("judged", "perceived")
        )
        pairs = list(zip(judged, perceived, strict=True))
        chosen = any(record.missed is not None for record in self.records)
        # Repairs that were interrupted gave nothing up.
        gave_up = [bool(record.missed) and not self.stopped for record in self.records]
        return delivery(
            attribute,
            {row.group: row.quota or 0 for row in rows},
            {row.group: row.count for row in rows},
            unread=rows[0].unknown,
            given_up=sum(given and label is None for given, label in zip(gave_up, judged, strict=True)),
            looked_at=sum(1 + record.repairs for record in self.records) if chosen else None,
            confusion=_of(self.confusions, attribute),
            other=_of(self.perceiver_confusions, attribute),
            disputed=Counter(one for one, other in pairs if one != other),
        )

    def save(self, folder: Path, signature: Signature | None = None) -> None:
        """Write PNGs with their records inside, records.parquet, result.json and contact-sheet.png to a new folder.

        The folder is written whole or not at all.

        Args:
            folder: does not exist yet, or is empty.
            signature: signs the PNGs, where one is given.

        Raises:
            ValueError: the folder is not new or cannot be written.
        """
        save(self, folder, signature)

    def contact_sheet(self, path: Path | None = None) -> Image.Image:
        """Draw the plain twins above and the images below, each with what the judge reads.

        The sheet is also written to `path`, if it is given.
        """
        return sheet([result for result in (self.plain, self) if result], path)


def _labels(read: Sequence[Mapping[str, str | None]], attribute: str, groups: Collection[str]) -> list[str | None]:
    """The group of each image in a joint or single attribute; None if it is unknown or not among `groups`."""
    labels = joint_labels(*([labels.get(part) for labels in read] for part in attribute.split(JOINT)))
    return [label if label in groups else None for label in labels]


def _of(confusions: Sequence[Confusion], attribute: str) -> Confusion | None:
    """The confusion matrix of one attribute."""
    return next((one for one in confusions if one.attribute == attribute), None)
