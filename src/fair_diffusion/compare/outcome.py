"""The lines of the table: how near each way comes to a target, and at what cost.

Exports `Outcome`, `Facts`, `outcomes` and `images`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from fair_diffusion.audit.deviations import Deviation, deviations, tally_deviation
from fair_diffusion.audit.table import JOINT, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.compare.comparison import Comparison
from fair_diffusion.compare.drawn import Drawn
from fair_diffusion.compare.measure import Ask
from fair_diffusion.compare.reference import Reference
from fair_diffusion.compare.way import PLAIN, Way
from fair_diffusion.perception.vocabulary import known_labels
from fair_diffusion.policy import Target
from fair_diffusion.readers.kid_reference import FEWEST
from fair_diffusion.statistics.bootstrap import paired_differences
from fair_diffusion.statistics.kid import Kid, kid
from fair_diffusion.statistics.metrics import noise_floors
from fair_diffusion.statistics.over_prompts import FEWEST as FEWEST_PROMPTS
from fair_diffusion.statistics.over_prompts import high_end, low_end
from fair_diffusion.statistics.process_deviation import worst_deviation

OCCUPATION = "occupation"
DIFFERENCES = tuple(f"from_{other}{end}" for other in ("plain", "nearest") for end in ("", "_low", "_high"))
"""The fields of an outcome that are differences."""

Cells = Sequence[tuple[Ask, Drawn]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Quality and cost of one way over all prompts of an instruction. They do not depend on the target.

    Attributes:
        images: the number of images.
        fidelity: share of images whose occupation, as the judge reads it, is the one that most plain images of their
            prompt show; unknown counts against it. None if the judge reads no occupations.
        fidelity_low: lower end of its 95 % interval over prompts; None for fewer than 5 prompts.
        fidelity_high: upper end of that interval.
        kid: kernel distance of the judge's features to the reference.
        kid_std: its standard error; None under 50 images.
        pixels: mean absolute difference to the plain image of the same seed, in 0…1; None if no image has one.
        features: mean of 1 − cosine between the judge's features of the two images.
        moved: of the steered images with a plain image of their seed, the share that shows another group than it, by
            each attribute that the instruction asks nothing of, as the judge reads both; unread images count for none.
        steered: share of images that are not plain.
        repaired: share of images that replace others.
        without_twin: share of images from a seed that no plain image has. They do not count in `pixels` and `features`.
        missed: share of images of which the perceiver is not sure; None if the way does not ask the perceiver.
        training_steps: training steps before drawing; None if not known.
        training_seconds: training time; None if not known.
        evaluations: network evaluations per image.
        ratio: evaluations over those of plain generation.
        seconds: wall-clock time per image, with reading.
        seconds_ratio: time over that of the plain images, as the median over prompts.
        memory: peak memory in bytes (`memory.MEMORY`).
        notes: remarks of the pipeline, each once.
    """

    images: int
    fidelity: float | None
    fidelity_low: float | None
    fidelity_high: float | None
    kid: float | None
    kid_std: float | None
    pixels: float | None
    features: float | None
    moved: Mapping[str, float] = field(default_factory=dict)
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
    """One line of the table: one way with one instruction, measured in one attribute.

    Attributes:
        instruction: the name of the instruction.
        attribute: the attribute, or several that are joint.
        way: the name of the way.
        definitions: the hash of each definition of these attributes that is not the built-in one, by attribute.
        failed: why the way has no numbers; None if it has.
        judge: the deviation from the target, as the judge reads the images.
        perceiver: the same as the perceiver reads them.
        facts: quality and cost.
        floors: the scores of a perfect coin with as many images, by metric.
        from_plain: mean total variation by the judge, less that of the plain images of the same prompts; None for the
            plain way, and for one without numbers. This and the next are differences over prompts; all intervals of one
            instruction and attribute hold together (see `statistics.bootstrap`).
        from_plain_low: lower end of its 95 % interval; None where there is none.
        from_plain_high: upper end of that interval.
        from_nearest: likewise, less that of the way that is nearest to the target; None for that way itself.
        from_nearest_low: lower end of its interval.
        from_nearest_high: upper end of its interval.
    """

    instruction: str
    attribute: str
    way: str
    definitions: Mapping[str, str] = field(default_factory=dict)
    failed: str | None = None
    judge: Deviation | None = None
    perceiver: Deviation | None = None
    facts: Facts | None = None
    floors: dict[str, float]
    from_plain: float | None = None
    from_plain_low: float | None = None
    from_plain_high: float | None = None
    from_nearest: float | None = None
    from_nearest_low: float | None = None
    from_nearest_high: float | None = None

    def plain(self) -> dict[str, Any]:
        """The line as a flat row of plain data: `judge_tv_mean`, `perceiver_tv_mean`, `ratio`, `floor_kl`, …"""
        row = {name: getattr(self, name) for name in ("instruction", "attribute", "way", "failed", *DIFFERENCES)}
        for reader, deviation in (("judge", self.judge), ("perceiver", self.perceiver)):
            row |= {f"{reader}_{name}": getattr(deviation, name, None) for name in Deviation.__annotations__}
        facts = asdict(self.facts) if self.facts else dict.fromkeys(Facts.__annotations__)
        facts["notes"] = "; ".join(self.facts.notes) if self.facts else None
        row["definitions"] = ", ".join(f"{name} as {digest}" for name, digest in self.definitions.items()) or None
        facts |= {f"moved_{name}": share for name, share in (facts.pop("moved") or {}).items()}
        return row | facts | {f"floor_{name}": value for name, value in self.floors.items()}


def outcomes(comparison: Comparison, reference: Reference | None = None) -> list[Outcome]:
    """The lines of the table: every way with every instruction, in every attribute that it asks for.

    Args:
        comparison: the comparison.
        reference: the reference of the kernel distance; the plain images of the same instruction if None.
    """
    made: list[Outcome] = []
    for instruction in comparison.instructions:
        plain = comparison.cells(PLAIN, instruction)
        asks = [ask for ask, _ in plain]
        attributes = dict.fromkeys(JOINT.join(t.attributes) for ask in asks for t in ask.matched.targets)
        floors = {name: _floors(asks, name, comparison.settings["n"]) for name in attributes}
        own: dict[str, list[Outcome]] = {name: [] for name in attributes}
        drawn = [(way, plain if way == PLAIN else comparison.cells(way, instruction)) for way in comparison.ways]
        told = {name: _differences(drawn, name) for name in attributes}
        defined = asks[0].policy.attributes.own if asks else {}
        for way, cells in drawn:
            failed = comparison.failures.get((instruction, way.name))
            facts = _facts(way, cells, plain, reference) if cells else None
            for name, kept in own.items():
                kept.append(
                    Outcome(
                        instruction=instruction,
                        attribute=name,
                        way=way.name,
                        definitions={part: defined[part] for part in name.split(JOINT) if part in defined},
                        failed=failed,
                        judge=_deviation(way, cells, name, "judged"),
                        perceiver=_deviation(way, cells, name, "perceived"),
                        facts=facts,
                        floors=floors[name],
                        **told[name].get(way.name, {}),
                    )
                )
        made += [line for kept in own.values() for line in kept]
    return made


def images(comparison: Comparison) -> pa.Table:
    """All images of a comparison as a table of one row per image.

    Its columns are those of a cell (`drawn`), and instruction, way, prompt, `seconds` (the image's share of the time of
    its cell) and `memory` (the peak memory of its cell, in bytes).
    """
    parts = []
    for instruction in comparison.instructions:
        for way in comparison.ways:
            for ask, cell in comparison.cells(way, instruction):
                n = cell.images.num_rows
                said: dict[str, Any] = {"instruction": instruction, "way": way.name, "prompt": ask.prompt}
                said |= {"seconds": cell.seconds / n, "memory": cell.memory}
                columns = {name: pa.array([value] * n) for name, value in said.items()}
                parts.append(pa.table(columns | {name: cell.images[name] for name in cell.images.column_names}))
    return pa.concat_tables(parts, promote_options="default")


def _target(ask: Ask, attribute: str) -> Target | None:
    """The target of an ask for one attribute, or for several that are joint; None if it has none."""
    return next((t for t in ask.matched.targets if JOINT.join(t.attributes) == attribute), None)


def _deviation(way: Way, cells: Cells, attribute: str, reader: str) -> Deviation | None:
    measured = deviations(_tallies(way, cells, attribute, reader))
    return measured[0] if measured else None


def _differences(drawn: Sequence[tuple[Way, Cells]], attribute: str) -> dict[str, dict[str, float | None]]:
    """The differences of every way that has numbers, from plain and from the nearest way, as fields of `Outcome`."""
    tallies = {way.name: _tallies(way, cells, attribute, "judged") for way, cells in drawn if cells}
    values = {
        name: [tally_deviation(tuple(tally.counts.values()), tally.unknown, tally.asked).tv for tally in own]
        for name, own in tallies.items()
    }
    names = list(values)
    if len(names) < 2:
        return {}
    means = {name: float(np.mean(values[name])) for name in names}
    nearest = min(names[1:], key=lambda name: means[name])
    # One way may be on target where the other fails wholly.
    failed = max(worst_deviation(tally.asked) for own in tallies.values() for tally in own)
    ends = paired_differences(np.array(list(values.values())).T, max(failed, *map(max, values.values())))
    told: dict[str, dict[str, float | None]] = {}
    for k, name in enumerate(names):
        told[name] = {}
        for start, other in (("from_plain", names[0]), ("from_nearest", nearest)):
            if name != other:
                found = [float(end[k, names.index(other)]) for end in ends]
                fields = (start, f"{start}_low", f"{start}_high")
                told[name] |= {at: None if np.isnan(end) else end for at, end in zip(fields, found, strict=True)}
    return told


def _tallies(way: Way, cells: Cells, attribute: str, reader: str) -> list[Tally]:
    tallies = []
    for ask, cell in cells:
        target = _target(ask, attribute)
        if target is None:
            continue
        labels = cell.labels(reader)
        named = zip(target.attributes, target.group_names, strict=True)
        counts = Counter(joint_labels(*(known_labels(labels[name], groups) for name, groups in named)))
        groups = joint_groups(*target.group_names)
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
    """The noise floors of all metrics among the groups that are asked for, as their mean over prompts."""
    targets = [target for ask in asks if (target := _target(ask, attribute))]
    asked = [tuple(float(share) for share in target.shares.values() if share) for target in targets]
    every = [_floor(shares, n) for shares in asked if len(shares) > 1]
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
    low, high = _fidelity_ends(kept)
    distance = _kid(way, cells, plain, reference)
    evaluations, images = column("evaluations"), sum(cell.images.num_rows for _, cell in cells)
    learnt = {name: seconds for _, cell in cells for name, seconds in cell.learnt.items()}  # each is learnt once
    times = [cell.seconds / twin.seconds for (_, cell), (_, twin) in zip(cells, plain, strict=True)]
    return Facts(
        images=images,
        fidelity=float(np.mean(kept)) if kept else None,
        fidelity_low=low,
        fidelity_high=high,
        kid=distance.value if distance else None,
        kid_std=distance.error if distance else None,
        pixels=float(np.mean(twins)) if twins else None,
        features=float(np.mean(angles)) if angles else None,
        moved=_moved(cells, plain),
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


def _moved(cells: Cells, plain: Cells) -> dict[str, float]:
    """`Facts.moved`: the side effects of a way, over all prompts that ask nothing of the attribute."""
    pairs: dict[str, list[tuple[str | None, str | None]]] = {}
    for (ask, cell), (_, twin) in zip(cells, plain, strict=True):
        asked = {name for target in ask.matched.targets for name in target.attributes}
        shown, usual = cell.labels("judged"), twin.labels("judged")
        place = {seed: k for k, seed in enumerate(twin.column("seed"))}
        rows = [
            (k, place[seed])
            for k, (seed, steered) in enumerate(zip(cell.column("seed"), cell.column("steered"), strict=True))
            if steered and seed in place
        ]
        for name in shown.keys() & usual.keys() - asked - {OCCUPATION}:
            pairs.setdefault(name, []).extend((usual[name][other], shown[name][k]) for k, other in rows)
    known = {name: [pair for pair in own if None not in pair] for name, own in sorted(pairs.items())}
    return {name: float(np.mean([a != b for a, b in own])) for name, own in known.items() if own}


def _kept(cells: Cells, plain: Cells) -> list[float]:
    """The share of images that show the occupation of most plain images, by prompt; empty if nobody reads it."""
    shares = []
    for (_, cell), (_, twin) in zip(cells, plain, strict=True):
        labels, usual = (one.labels("judged").get(OCCUPATION, []) for one in (cell, twin))
        known = Counter(label for label in usual if label is not None)
        if labels and known:
            shares.append(labels.count(known.most_common(1)[0][0]) / len(labels))
    return shares


def _fidelity_ends(kept: Sequence[float]) -> tuple[float | None, float | None]:
    """The ends of the interval of the mean fidelity over prompts: what is lost is a deviation from 1."""
    if len(kept) < FEWEST_PROMPTS:
        return None, None
    lost = 1 - np.array(kept)
    return 1 - float(high_end(lost, 1.0)), 1 - float(low_end(lost))


def _kid(way: Way, cells: Cells, plain: Cells, reference: Reference | None) -> Kid | None:
    """The kernel distance and its standard error; None without features, with too few images, or to itself."""
    if reference is None and way == PLAIN:
        return None
    ours = [cell.vectors for _, cell in cells if cell.vectors is not None]
    theirs = [reference.vectors] if reference else [twin.vectors for _, twin in plain if twin.vectors is not None]
    if not ours or not theirs or min(sum(map(len, ours)), sum(map(len, theirs))) < FEWEST:
        return None
    return kid(np.concatenate(ours), np.concatenate(theirs))
