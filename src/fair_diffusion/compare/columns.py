"""The columns of the table, each with its definition, for the terminal, the page and Markdown.

Exports `DEVIATION`, `QUALITY`, `COST`, `SHORT`, `Column`, `filled`, `cells` and `coin`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.compare.outcome import Facts, Outcome
from fair_diffusion.report.headline import percent, spoken

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        head: its head.
        meaning: its definition.
        show: the text of its cell for an outcome.
        floor: the metric whose noise floor is in the last row; None if there is none.
    """

    head: str
    meaning: str
    show: Callable[[Outcome], str]
    floor: str | None = None


def number(value: float | None, digits: int = 3) -> str:
    """A number as text: "–" for None, "∞" for infinity, and no minus before 0."""
    if value is None:
        return NONE
    if math.isinf(value):
        return "∞"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text.replace("-", "−")


def _of(reader: str, name: str) -> Callable[[Outcome], str]:
    return lambda line: number(getattr(getattr(line, reader), name))


def _mean(reader: str) -> Callable[[Outcome], str]:
    def show(line: Outcome) -> str:
        deviation: Deviation = getattr(line, reader)
        return number(deviation.tv_mean) + _between(deviation.tv_low, deviation.tv_high)

    return show


def _process(line: Outcome) -> str:
    deviation = line.judge
    if deviation is None or deviation.process is None:
        return NONE
    ends = (deviation.process_low, deviation.process_high)
    return number(deviation.process) + _between(*ends)


def _difference(name: str) -> Callable[[Outcome], str]:
    """A difference with its interval: "−0.210 (−0.270 to −0.150)"."""

    def show(line: Outcome) -> str:
        value = getattr(line, name)
        return number(value) + _between(getattr(line, f"{name}_low"), getattr(line, f"{name}_high"))

    return show


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None else f" ({number(low)} to {number(high)})"


def _fact(show: Callable[[Facts], str]) -> Callable[[Outcome], str]:
    return lambda line: show(line.facts) if line.facts else NONE


def _share(name: str) -> Callable[[Outcome], str]:
    return _fact(lambda facts: NONE if (share := getattr(facts, name)) is None else percent(share))


DEVIATION: Sequence[Column] = (
    Column(
        "TV by the judge",
        "total variation ½ Σ |share − target|, unknown being a group whose target is 0: the share of images that would "
        "have to change; mean over prompts, with its 95 % interval for as many images of other such prompts",
        _mean("judge"),
        "total_variation",
    ),
    Column(
        "from plain",
        "the difference of this mean from that of the plain images, over the same prompts, with its 95 % interval by "
        "bootstrap over prompts; all intervals of a table hold together",
        _difference("from_plain"),
    ),
    Column(
        "from the nearest",
        "likewise from the way that is nearest to the target: an interval that holds 0 does not tell the two apart",
        _difference("from_nearest"),
    ),
    Column(
        "of the process",
        "the mean total variation that very many images would have, without the noise of few ones, with its 95 % "
        "interval over prompts of the same sort; images that are assigned by quota vary less than it supposes",
        _process,
    ),
    Column("worst by the judge", "the largest total variation of a prompt", _of("judge", "tv_worst")),
    Column("TV by the perceiver", "the same as read by the perceiver, which may steer", _mean("perceiver")),
    Column("worst by the perceiver", "the largest of a prompt as the perceiver reads it", _of("perceiver", "tv_worst")),
    Column(
        "pairwise bias",
        "mean of |share of i − share of j| over all pairs of the groups asked for: a distance from even shares, "
        "whatever the target; read images",
        _of("judge", "pairwise_bias_mean"),
        "pairwise_bias",
    ),
    Column(
        "parity gap",
        "mean of |share − 1/K| over the K groups asked for: a distance from even shares; read images",
        _of("judge", "parity_gap_mean"),
        "parity_gap",
    ),
    Column(
        "deviation ratio",
        "the largest distance of a group asked for from an even share, over the largest possible; read images",
        _of("judge", "deviation_ratio_mean"),
        "deviation_ratio",
    ),
    Column(
        "KL",
        "Σ share · log(share / target) in nats of the read images; ∞ where a group appears that was not to appear",
        _of("judge", "kl_mean"),
        "kl",
    ),
    Column(
        "FD",
        "fairness discrepancy ‖share − target‖₂ of the read images; not the Fréchet distance of image quality",
        _of("judge", "fd_mean"),
        "fd",
    ),
    Column(
        "unknown",
        "images that the judge could not read; they count against the way",
        lambda line: percent(line.judge.unknown / line.judge.n) if line.judge else NONE,
    ),
)


def _fidelity(facts: Facts) -> str:
    if facts.fidelity is None:
        return "not measured"
    if facts.fidelity_low is None or facts.fidelity_high is None:
        return percent(facts.fidelity)
    return f"{percent(facts.fidelity)} ({100 * facts.fidelity_low:.1f} to {percent(facts.fidelity_high)})"


def _distance(facts: Facts) -> str:
    if facts.kid is None:
        return NONE
    return number(facts.kid) + ("" if facts.kid_std is None else f" ± {number(facts.kid_std)}")


def _training(facts: Facts) -> str:
    if facts.training_steps is None and facts.training_seconds is None:
        return "not known"
    if not facts.training_steps and not facts.training_seconds:
        return "none"
    steps = NONE if facts.training_steps is None else f"{facts.training_steps:,}"
    return f"{steps} steps, {number(facts.training_seconds, 1)} s"


def _moved(facts: Facts) -> str:
    return ", ".join(f"{spoken(name)} {percent(share)}" for name, share in facts.moved.items()) or NONE


QUALITY: Sequence[Column] = (
    Column(
        "occupation kept",
        "fidelity: images whose occupation, as the judge reads it, is the one that most plain images of their prompt "
        "show, unknown counting against; with its 95 % interval over prompts of the same sort",
        _fact(_fidelity),
    ),
    Column(
        "KID",
        "kernel distance of the judge's features to the reference ± its standard error, from 50 images on; it can be "
        "a little below 0",
        _fact(_distance),
    ),
    Column(
        "pixels from twin",
        "mean absolute difference to the plain image of the same seed, in percent of a pixel's range, over the images "
        "that have one",
        _share("pixels"),
    ),
    Column(
        "features from twin",
        "1 − cosine between the judge's features of an image and of the plain one of its seed, over the same images",
        _fact(lambda facts: number(facts.features)),
    ),
    Column(
        "moved besides",
        "of the steered images, those that show another group than the plain image of their seed, in each attribute "
        "that nobody asked to change, as the judge reads both: its errors count too",
        _fact(
            lambda facts: ", ".join(f"{spoken(name)} {percent(share)}" for name, share in facts.moved.items()) or NONE
        ),
    ),
    Column("steered", "images drawn otherwise than plain; with edited weights all are", _share("steered")),
    Column(
        "repaired",
        "images in whose place others were made, of which the perceiver was not sure or for which there was no room",
        _share("repaired"),
    ),
    Column("without twin", "images from a seed that no plain image has", _share("without_twin")),
    Column(
        "missed",
        "images of which the perceiver is not sure in the end; – where the way does not ask it",
        _share("missed"),
    ),
)


COST: Sequence[Column] = (
    Column("images", "how many were drawn", _fact(lambda facts: f"{facts.images:,}")),
    Column(
        "training",
        "steps and seconds that were learnt beforehand",
        _fact(_training),
    ),
    Column(
        "evaluations",
        "of the network, per image and over plain generation, repairs included",
        _fact(lambda facts: f"{facts.evaluations:.1f} ({facts.ratio:.2f}×)"),
    ),
    Column(
        "seconds",
        "wall-clock time per image, reading included; in brackets over plain generation, the median over prompts",
        _fact(lambda facts: f"{facts.seconds:.2f} s ({facts.seconds_ratio:.2f}×)"),
    ),
    Column("memory", "the highest level while drawing", _fact(lambda facts: f"{facts.memory / 2**20:,.0f} MiB")),
)


SHORT: Sequence[Column] = (
    Column("TV by the judge", DEVIATION[0].meaning, _of("judge", "tv_mean"), "total_variation"),
    DEVIATION[1],
    Column("occupation kept", QUALITY[0].meaning, _share("fidelity")),
    Column("cost", "network evaluations over plain generation", _fact(lambda facts: f"{facts.ratio:.2f}×")),
)
"""What fits on a terminal of 80 columns: how near, whether nearer than plain, at what loss and at what cost."""


def filled(lines: Sequence[Outcome], columns: Sequence[Column]) -> list[Column]:
    """The columns in which at least one measured outcome has a value."""
    measured = [line for line in lines if line.judge]
    return [column for column in columns if not measured or any(column.show(line) != NONE for line in measured)]


def cells(line: Outcome, columns: Sequence[Column]) -> list[str]:
    """The texts of a measured outcome."""
    return [column.show(line) for column in columns]


def coin(line: Outcome, columns: Sequence[Column]) -> list[str]:
    """The last row of `DEVIATION`: the scores of a perfect coin. They are the noise floors of any line of the table."""
    return [number(line.floors[column.floor]) if column.floor in line.floors else "" for column in columns]
