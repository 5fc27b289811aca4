"""How often intervals for shares as people see them hold, over repeated draws of the labels from recorded readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fair_diffusion.statistics.active import inclusion, uncertainty, weighted_share
from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.prediction_powered import Stratum, predict_strata

RUNS = 200
LOOKS = (10, 20, 30, 50, 75, 100, 150, 200, 300)
GROUPS = (("gender", "woman"), ("gender", "man"), ("skin_tone", "medium"), ("skin_tone", "dark"))


def coverage(found: Sequence[Mapping[str, Any]], labels: int = 300, runs: int = RUNS) -> list[str]:
    """Lines of a table: coverage of 95 % intervals, and their mean width. The truth is the share of all images.

    Args:
        found: by occupation, what people and the perceiver saw in each image.
        labels: images that people label, at most half of all.
    """
    labels = min(labels, sum(len(facts["people"]) for facts in found) // 2)
    lines = [f"95 % intervals from {labels} labels hold, over {runs} draws of the labels (bar: 93 %):", ""]
    lines += ["| group | stratified prediction-powered | width | active | width | anytime, at all looks | width |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, group in GROUPS:
        human = [np.array([one[name] == group for one in facts["people"]]) for facts in found]
        machine = [np.array([one[name] == group for one in facts["perceived"]]) for facts in found]
        truth = float(np.concatenate(human).mean())
        cells = [f"{name}: {group}"]
        for repeated in (
            _stratified(human, machine, labels),
            _active(human, machine, labels),
            _anytime(human, machine),
        ):
            ends = [next(repeated) for _ in range(runs)]
            held = np.mean([all(low <= truth <= high for low, high in looks) for looks in ends])
            width = np.mean([looks[-1][1] - looks[-1][0] for looks in ends])
            cells += [f"{held:.1%}", f"{width:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


Arrays = Sequence[np.ndarray[Any, Any]]
Ends = Iterator[list[tuple[float, float]]]


def _stratified(human: Arrays, machine: Arrays, labels: int) -> Ends:
    """As many labels of each occupation."""
    rng, each = np.random.default_rng(0), labels // len(human)
    while True:
        strata = []
        for y, f in zip(human, machine, strict=True):
            own = rng.permutation(len(y))[:each]
            a, b = y[own], f[own]
            pairs = (int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))
            strata.append(Stratum(pairs, int(f.sum() - b.sum()), len(y) - each))
        share = predict_strata(strata)
        yield [(share.low, share.high)]


def _active(human: Arrays, machine: Arrays, labels: int) -> Ends:
    """More labels of the group that the machine reads more rarely: it is less sure of it here."""
    rng, y, f = np.random.default_rng(1), np.concatenate(human), np.concatenate(machine)
    sure = np.where(f, 0.8, 0.95)
    chance = inclusion(uncertainty(np.stack([sure, 1 - sure], axis=1)), labels)
    while True:
        own = rng.random(len(y)) < chance
        share = weighted_share(y[own], f[own], chance[own], float(f.sum()), len(y))
        yield [(share.low, share.high)]


def _anytime(human: Arrays, machine: Arrays) -> Ends:
    """All looks together must hold."""
    rng, y, f = np.random.default_rng(2), np.concatenate(human), np.concatenate(machine)
    while True:
        order = rng.permutation(len(y))
        looks = [order[:n] for n in LOOKS if n <= len(y) // 2]
        yield [anytime_share(y[own], f[own], float(f.sum()), len(y))[1] for own in looks]
