"""One line of the table: how near a way came to a target, and what it took. Exports `Outcome`, `Facts` and `lines`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from fair_diffusion.audit.deviations import Deviation, deviations
from fair_diffusion.audit.table import JOINT, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.compare.comparison import Comparison
from fair_diffusion.compare.drawn import Drawn
from fair_diffusion.compare.measure import Ask
from fair_diffusion.compare.reference import Reference
from fair_diffusion.compare.way import PLAIN, Way
from fair_diffusion.perception.vocabulary import known_labels
from fair_diffusion.policy import ATTRIBUTES, Target
from fair_diffusion.readers.kid_reference import FEWEST
from fair_diffusion.statistics.bootstrap import bootstrap_mean
from fair_diffusion.statistics.kid import kid
from fair_diffusion.statistics.metrics import noise_floors

OCCUPATION = "occupation"

Cells = Sequence[tuple[Ask, Drawn]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one way made of all prompts of an instruction, whatever the target.

    Attributes:
        images: how many.
        fidelity: share of images whose occupation, as the judge reads it, is the one that most plain images of their
            prompt show; unknown counts against it. None if the judge reads no occupations.
        fidelity_low: lower end of its 95 % interval, by bootstrap over prompts; None for a single prompt.
        fidelity_high: its upper end.
        kid: kernel distance of the judge's features to the reference, its mean over random subsets.
        kid_std: their standard deviation.
        pixels: mean absolute difference to the plain image of the same seed, 0…1, where there is one; None if no image
            has one.
        features: 1 − cosine of the judge's features of the two.
        steered: share of images drawn otherwise than plain.
        repaired: share in whose place others were made.
        without_twin: share from a seed that no plain image has; these are in neither of the two distances.
        missed: share that the perceiver is not sure of in the end; None if the way does not ask it.
        training_steps: steps that were learnt beforehand; None if that is not known.
        training_seconds: the same as time.
        evaluations: of the network, per image.
        ratio: the same over plain generation.
        seconds: wall-clock time per image, reading included.
        seconds_ratio: median over prompts of the time over that of the plain images.
        memory: bytes at the highest (`memory.MEMORY`).
        notes: what the pipeline remarked, each once.
    """

    images: int
    fidelity: float | None
    fidelity_low: float | None
    fidelity_high: float | None
    kid: float | None
    kid_std: float | None
    pixels: float | None
    features: float | None
    steered: float
    repaired: float
    without_twin: float
    missed: float | None
    training_steps: int | None
    training_seconds: float | None
    evaluations: float
    ratio: float
    seconds: float
    seconds_ratio: float
    memory: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One way under one instruction, measured in one attribute; or why it could not be.

    judge, perceiver: how far from the target, as each of them reads. floors: what a perfect coin would score with as
    many images, by name of the metric.
    """

    instruction: str
    attribute: str
    way: str
    failed: str | None = None
    judge: Deviation | None = None
    perceiver: Deviation | None = None
    facts: Facts | None = None
    floors: dict[str, float]

    def plain(self) -> dict[str, Any]:
        """The line as one flat row of plain data: `judge_tv_mean`, `perceiver_tv_mean`, `ratio`, `floor_kl`, …"""
        row = {name: getattr(self, name) for name in ("instruction", "attribute", "way", "failed")}
        for reader, found in (("judge", self.judge), ("perceiver", self.perceiver)):
            row |= {f"{reader}_{name}": getattr(found, name, None) for name in Deviation.__annotations__}
        facts = asdict(self.facts) if self.facts else dict.fromkeys(Facts.__annotations__)
        facts["notes"] = "; ".join(self.facts.notes) if self.facts else None
        return row | facts | {f"floor_{name}": value for name, value in self.floors.items()}


def outcomes(found: Comparison, reference: Reference | None = None) -> list[Outcome]:
    """Every way under every instruction in every attribute that it asks for, in order.

    reference: the images that a kernel distance is to; the plain ones of the same instruction if None."""
    made: list[Outcome] = []
    for instruction in found.instructions:
        plain = found.cells(PLAIN, instruction)
        asks = [ask for ask, _ in plain]
        attributes = dict.fromkeys(JOINT.join(t.attributes) for ask in asks for t in ask.matched.targets)
        floors = {name: _floors(asks, name, found.settings["n"]) for name in attributes}
        own: dict[str, list[Outcome]] = {name: [] for name in attributes}
        for way in found.ways:
            cells = plain if way == PLAIN else found.cells(way, instruction)
            failed = found.failures.get((instruction, way.name))
            facts = _facts(way, cells, plain, reference) if cells else None
            for name, kept in own.items():
                kept.append(
                    Outcome(
                        instruction=instruction,
                        attribute=name,
                        way=way.name,
                        failed=failed,
                        judge=_deviation(way, cells, name, "judged"),
                        perceiver=_deviation(way, cells, name, "perceived"),
                        facts=facts,
                        floors=floors[name],
                    )
                )
        made += [line for kept in own.values() for line in kept]
    return made


def images(found: Comparison) -> pa.Table:
    """Every image of the comparison, one row each: columns of `cell`, and way, instruction, prompt, seconds, memory.

    `seconds` is the image's share of its prompt's time; `memory` the highest level of its prompt, in bytes."""
    parts = []
    for instruction in found.instructions:
        for way in found.ways:
            for ask, cell in found.cells(way, instruction):
                n = cell.images.num_rows
                said: dict[str, Any] = {"instruction": instruction, "way": way.name, "prompt": ask.prompt}
                said |= {"seconds": cell.seconds / n, "memory": cell.memory}
                columns = {name: pa.array([value] * n) for name, value in said.items()}
                parts.append(pa.table(columns | {name: cell.images[name] for name in cell.images.column_names}))
    return pa.concat_tables(parts, promote_options="default")


def _target(ask: Ask, attribute: str) -> Target | None:
    """What an ask wants of one attribute, joint ones under one name."""
    return next((t for t in ask.matched.targets if JOINT.join(t.attributes) == attribute), None)


def _deviation(way: Way, cells: Cells, attribute: str, reader: str) -> Deviation | None:
    found = deviations(_tallies(way, cells, attribute, reader))
    return found[0] if found else None


def _tallies(way: Way, cells: Cells, attribute: str, reader: str) -> list[Tally]:
    tallies = []
    for ask, cell in cells:
        target = _target(ask, attribute)
        if target is None:
            continue
        labels = cell.labels(reader)
        counts = Counter(joint_labels(*(known_labels(labels[name], name) for name in target.attributes)))
        groups = joint_groups(*(ATTRIBUTES[name].group_names for name in target.attributes))
        shares = {JOINT.join(cell): float(share) for cell, share in target.shares.items()}
        tallies.append(
            Tally(
                source=way.name,
                concept=ask.prompt,
                attribute=attribute,
                counts={group: counts[group] for group in groups},
                unknown=counts[None],
                target=shares,
            )
        )
    return tallies


def _floors(asks: Sequence[Ask], attribute: str, n: int) -> dict[str, float]:
    """The noise floors of every metric among the groups that are asked for, their mean over prompts."""
    targets = [target for ask in asks if (target := _target(ask, attribute))]
    played = [tuple(float(share) for share in target.shares.values() if share) for target in targets]
    every = [_floor(shares, n) for shares in played if len(shares) > 1]
    return {name: float(np.mean([each[name] for each in every])) for name in every[0]} if every else {}


@lru_cache(maxsize=1024)
def _floor(shares: tuple[float, ...], n: int) -> dict[str, float]:
    return noise_floors(shares, n)


def _facts(way: Way, cells: Cells, plain: Cells, reference: Reference | None) -> Facts:
    def column(name: str) -> list[Any]:
        return [value for _, cell in cells for value in cell.column(name)]

    def share(name: str) -> float:
        return float(np.mean([bool(value) for value in column(name)]))

    twins = [value for value in column("pixels") if value is not None]
    angles = [value for value in column("features") if value is not None]
    kept = _kept(cells, plain)
    low, high = bootstrap_mean(kept) if len(kept) > 1 else (None, None)
    distance = _kid(way, cells, plain, reference)
    evaluations, images = column("evaluations"), sum(cell.images.num_rows for _, cell in cells)
    learnt = {name: seconds for _, cell in cells for name, seconds in cell.learnt.items()}  # each is paid once
    times = [cell.seconds / twin.seconds for (_, cell), (_, twin) in zip(cells, plain, strict=True)]
    return Facts(
        images=images,
        fidelity=float(np.mean(kept)) if kept else None,
        fidelity_low=low,
        fidelity_high=high,
        kid=distance[0] if distance else None,
        kid_std=distance[1] if distance else None,
        pixels=float(np.mean(twins)) if twins else None,
        features=float(np.mean(angles)) if angles else None,
        steered=share("steered"),
        repaired=share("repairs"),
        without_twin=1 - len(twins) / images,
        missed=share("missed") if any(value is not None for value in column("missed")) else None,
        training_steps=way.training_steps,
        training_seconds=None if way.training_seconds is None else way.training_seconds + sum(learnt.values()),
        evaluations=sum(evaluations) / images,
        ratio=sum(evaluations) / sum(column("plain_evaluations")),
        seconds=sum(cell.seconds for _, cell in cells) / images,
        seconds_ratio=float(np.median(times)),
        memory=max(cell.memory for _, cell in cells),
        notes=tuple(dict.fromkeys(note for _, cell in cells for note in cell.notes)),
    )


def _kept(cells: Cells, plain: Cells) -> list[float]:
    """The share of images of every prompt that show the occupation of most plain ones; none if nobody reads it."""
    shares = []
    for (_, cell), (_, twin) in zip(cells, plain, strict=True):
        labels, usual = (one.labels("judged").get(OCCUPATION, []) for one in (cell, twin))
        known = Counter(label for label in usual if label is not None)
        if labels and known:
            shares.append(labels.count(known.most_common(1)[0][0]) / len(labels))
    return shares


def _kid(way: Way, cells: Cells, plain: Cells, reference: Reference | None) -> tuple[float, float] | None:
    """The kernel distance and its spread; None without features, with too few images, or to itself."""
    if reference is None and way == PLAIN:
        return None
    ours = [cell.vectors for _, cell in cells if cell.vectors is not None]
    theirs = [reference.vectors] if reference else [twin.vectors for _, twin in plain if twin.vectors is not None]
    if not ours or not theirs or min(sum(map(len, ours)), sum(map(len, theirs))) < FEWEST:
        return None
    found = kid(np.concatenate(ours), np.concatenate(theirs))
    return found.mean, found.std
