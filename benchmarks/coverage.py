"""Do the intervals hold what they say? Every kind is simulated where its truth is known.

    python -m benchmarks.coverage                    → benchmarks/coverage.md (half an hour on one core)
    python -m benchmarks.coverage --only Wilson KID  → the lines whose names begin so; the others stay as they are

The bar of an interval is 93 to 98 % in every setting, at nominal 95 %. The bar of what is no interval (a test, a label,
bounds of a count) is 94 % or more: at most 6 false alarms of 100. A line outside its bar says why, in `WHY`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks import coverage_of_comparisons as comparisons
from benchmarks import coverage_of_labels as labels
from benchmarks import coverage_of_means as means
from fair_diffusion.statistics.correction import correct
from fair_diffusion.statistics.impact import impact_ratios
from fair_diffusion.statistics.intervals import clopper_pearson_bounds, score_bounds, wilson_bounds
from fair_diffusion.statistics.prediction_powered import predict
from fair_diffusion.statistics.stopping import anytime_bounds
from fair_diffusion.statistics.true_counts import true_counts

Array = NDArray[np.float64]
SHARES = np.arange(1, 100) / 100
LEAST, MOST, LEAST_OF_TESTS = 0.93, 0.98, 0.94
SCATTER = 2.5
"""Standard errors by which the worst of many settings may lie outside by the chance of the runs alone."""
WHOLE_NUMBERS = "counts are whole numbers"
WHOLE = f"{WHOLE_NUMBERS}, and an exact interval holds at every share"
EDGE = "at the edge only one end can err"
WHY = {
    "Wilson": f"{WHOLE_NUMBERS}: at a share of 0.01 the counts 0 and 1 of 50 hold 91.1 %, 0 to 2 hold 98.6 %",
    "Clopper–Pearson": WHOLE,
    "simultaneous": f"{WHOLE}; Bonferroni's correction is for any dependence of the groups",
    "anytime": "it holds at all looks together, so oftener at one of them",
    "Newcombe": "shares near 0: counts are few, and the interval is widened until its test agrees",
    "Tango": "shares near 0: few pairs change, and the interval is widened until its test agrees",
    "impact ratio": f"the ratio of the group that is shown most is 1, and those of others can be near 1: {EDGE}",
    "prediction-powered": "a machine that is rarely wrong is wrong in 0 to 3 of the labels: too few to know how often",
    "corrected": f"of a share of 0 or near it: {EDGE}",
    "people would see": f"{WHOLE_NUMBERS}; mid-p ends fell below 92 %",
    "mean deviation": "its high end allows for a prompt that fails although none was drawn (see `over_prompts`)",
    "KID": "no interval is printed, a standard error is; where the sets hardly differ, the distance and it go together",
    "difference": "it allows for a prompt on which a way fails although none was drawn (see `bootstrap`)",
    "clustered": "phrasings of few images differ by chance alone",
}
"""Why a line is outside its bar, by the beginning of its name."""
HEAD = """How often a nominal 95 % interval holds the truth, by `python -m benchmarks.coverage`. {enough} of
{of_intervals} kinds of intervals hold it in 93 or more of 100 runs in every setting, and {intervals} of these in no
more than 98; the mean over the settings of a kind goes from {low} to {high}. The others are outside in some
setting, and their lines say why. {tests} of {of_tests} tests, labels and bounds of counts raise at most 6 false
alarms in 100 runs in every setting. A simulated figure has a standard error of 0.3 points (4,000 runs) or 0.7
(1,000), so the worst and the most of many settings lie farther out than they are in truth.
"""


KEPT: dict[tuple[str, str], Coverage] = {}
"""Lines of the page that are not made anew, by name and settings."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How often one kind of interval held the truth.

    `mean`, `worst` and `most` are over the settings tried (`where` is the worst), `runs` simulated ones in each, or
    None where the coverage was computed exactly. `kind` is "interval", "test", or "replaced": what is not used, because
    it fails.
    """

    kind: str = "interval"

    name: str
    settings: str
    mean: float
    worst: float
    most: float
    where: str
    runs: int | None

    @property
    def row(self) -> str:
        """As a row of the table."""
        runs = "exact" if self.runs is None else f"{self.runs:,}"
        ends = f"{self.worst:.1%} | {self.where} | {self.most:.1%} | {self.why}"
        return f"| {self.name} | {self.settings} | {runs} | {self.mean:.1%} | {ends} |"

    @property
    def inside(self) -> bool:
        """Whether every setting is inside the bar."""
        return self.worst >= (LEAST_OF_TESTS if self.kind == "test" else LEAST) and (
            self.most <= MOST or self.kind == "test"
        )

    @property
    def why(self) -> str:
        """Why a setting is outside the bar; empty where none is, and for what is not used."""
        if self.inside or self.kind == "replaced":
            return ""
        told = next((why for name, why in WHY.items() if self.name.startswith(name)), None)
        if told is not None:
            return told
        given = 0.0 if self.runs is None else SCATTER * float(np.sqrt(0.95 * 0.05 / self.runs))
        least = LEAST_OF_TESTS if self.kind == "test" else LEAST
        near = self.worst >= least - given and (self.most <= MOST + given or self.kind == "test")
        return "the chance of the runs" if near else "not explained"


def collected(
    name: str, settings: str, found: Iterable[tuple[str, float]], runs: int | None = None, kind: str = "interval"
) -> Coverage:
    """A line from the coverage in each setting; nothing is simulated for a line that is kept."""
    if (name, settings) in KEPT:
        return KEPT[name, settings]
    covered = list(found)
    where, worst = min(covered, key=lambda pair: pair[1])
    shares = [share for _, share in covered]
    return Coverage(
        name=name,
        settings=settings,
        mean=float(np.mean(shares)),
        worst=worst,
        most=max(shares),
        where=where,
        runs=runs,
        kind=kind,
    )


def one_share(bounds: Callable[[Array, int], tuple[Array, Array]], n: int) -> Iterator[tuple[str, float]]:
    """Exact coverage for every share in whole per cent: outcomes that cover it, weighted by their probability."""
    counts = np.arange(n + 1.0)
    low, high = bounds(counts, n)
    for share in SHARES:
        inside = (low <= share) & (share <= high)
        yield f"share {share:.2f}", float(binom.pmf(counts[inside], n, share).sum())


def joint(runs: int) -> Iterator[tuple[str, float]]:
    """All of several groups together, by simultaneous intervals."""
    rng = np.random.default_rng(0)
    for shares in ([0.34, 0.33, 0.33], [0.9, 0.05, 0.05], [0.4, 0.3, 0.2, 0.1], [0.1] * 10, [0.91, *[0.01] * 9]):
        for n in (20, 100, 250):
            counts = rng.multinomial(n, shares, runs)
            low, high = clopper_pearson_bounds(counts, n, 0.025 / len(shares))
            held = ((low <= shares) & (shares <= high)).all(axis=1)
            yield f"{len(shares)} groups, n {n}", float(held.mean())


def stopped(runs: int, *, anytime: bool, narrow: bool) -> Iterator[tuple[str, float]]:
    """The last interval of an audit that looks every 25 images, 60 times at most.

    It stops when its half width is ±5 points (`narrow`), or when the interval excludes the target, which is the truth.
    """
    rng = np.random.default_rng(0)
    looks = np.arange(25, 1_501, 25)
    for share in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        counts = rng.binomial(25, share, (runs, len(looks))).cumsum(axis=1)
        low, high = at_any_time(counts, looks) if anytime else score_bounds(counts, looks)
        held = (low <= share) & (share <= high)
        stop = high - low <= 0.1 if narrow else ~held
        at = np.where(stop.any(axis=1), stop.argmax(axis=1), len(looks) - 1)
        yield f"share {share:.2f}", float(held[np.arange(runs), at].mean())


def ever(runs: int) -> Iterator[tuple[str, float]]:
    """All intervals of an audit at once, looked at after each of 1,500 images: whyever it stops."""
    rng = np.random.default_rng(1)
    n = np.arange(1, 1_501)
    for share in (0.02, 0.1, 0.3, 0.5):
        counts = (rng.random((runs, len(n))) < share).cumsum(axis=1)
        low, high = at_any_time(counts, n)
        yield f"share {share:.2f}", float(((low <= share) & (share <= high)).all(axis=1).mean())


def at_any_time(counts: NDArray[np.int64], n: NDArray[np.int64]) -> tuple[Array, Array]:
    """`anytime_bounds` of counts (runs, looks), each different pair of a count and a look being solved once."""
    width = int(n[-1]) + 1
    pairs, where = np.unique(counts + width * np.arange(len(n)), return_inverse=True)
    low, high = anytime_bounds(pairs % width, n[pairs // width], 0.05, 0.05)
    return low[where].reshape(counts.shape), high[where].reshape(counts.shape)


def corrected(runs: int, n: int) -> Iterator[tuple[str, float]]:
    """Shares of `n` images corrected by a confusion matrix of 100 images per group, where they are not refused."""
    rng = np.random.default_rng(0)
    readers = {
        "good reader": [[0.95, 0.03, 0.02], [0.04, 0.94, 0.02]],
        "poor reader": [[0.80, 0.15, 0.05], [0.10, 0.70, 0.20]],
        "three groups": [[0.90, 0.05, 0.03, 0.02], [0.05, 0.85, 0.05, 0.05], [0.02, 0.08, 0.80, 0.10]],
        "five groups": [[0.8 if j == i else 0.02 if j == 5 else 0.045 for j in range(6)] for i in range(5)],
    }
    truths = {
        2: ([0.5, 0.5], [0.3, 0.7], [0.1, 0.9], [0.02, 0.98], [0, 1]),
        3: ([0.4, 0.4, 0.2], [0.7, 0.3, 0.0]),
        5: ([0.4, 0.3, 0.15, 0.1, 0.05], [0.02, 0.08, 0.2, 0.3, 0.4]),
    }
    for name, rates in readers.items():
        groups = [f"group {k}" for k in range(len(rates))]
        for truth in truths[len(rates)]:
            held, told = np.zeros(len(groups)), 0
            for run in range(runs):
                readings = rng.multinomial(n, np.array(truth) @ rates)
                try:
                    shares = correct(readings, [rng.multinomial(100, row) for row in rates], seed=run)
                except ValueError:  # the readings contradict the matrix
                    continue
                told += 1
                held += (shares.low <= truth) & (truth <= shares.high)
            for group, share, count in zip(groups, truth, held, strict=True):
                yield f"{name}, {group} at {share:g}", count / told


def ratios(runs: int) -> Iterator[tuple[str, float]]:
    """Impact ratios of every group that is not shown most."""
    rng = np.random.default_rng(0)
    for shares in ((0.3, 0.7), (0.1, 0.9), (0.8, 0.1, 0.1), (0.4, 0.3, 0.15, 0.1, 0.05), (0.24, 0.21, 0.2, 0.18, 0.17)):
        p = np.array(shares)
        truth = p / p.max()
        for n in (50, 200, 2_000):
            _, low, high = impact_ratios(rng.multinomial(n, p, runs))
            held = ((low <= truth) & (truth <= high)).mean(axis=0)
            for share, one in zip(shares, held.tolist(), strict=True):
                if share < max(shares):
                    yield f"share {share:g} of {len(p)} groups, n {n:,}", one


def seen(runs: int) -> Iterator[tuple[str, float]]:
    """How many of these very images people would see as women, by a judge whose errors were measured."""
    rng = np.random.default_rng(0)
    judges = {
        "good judge": ([[0.95, 0.04, 0.01], [0.03, 0.96, 0.01]], 400),
        "poor judge": ([[0.85, 0.12, 0.03], [0.10, 0.85, 0.05]], 100),
        "best judge": ([[0.99, 0.01, 0.0], [0.01, 0.99, 0.0]], 430),
    }
    for name, (rates, labelled) in judges.items():
        for women, n in ((16, 32), (50, 100), (30, 300)):
            held = 0
            for run in range(runs):
                readings = rng.multinomial(women, rates[0]) + rng.multinomial(n - women, rates[1])
                low, high = true_counts(readings, [rng.multinomial(labelled, row) for row in rates], seed=run)[0]
                held += low <= women <= high
            yield f"{name}, {women} of {n}", held / runs


def powered(runs: int) -> Iterator[tuple[str, float]]:
    """Few human labels, 2,000 machine labels."""
    rng = np.random.default_rng(0)
    for labelled in (30, 100, 300):
        for share in (0.02, 0.1, 0.5):
            for right in (0.99, 0.9):
                held = 0
                for _ in range(runs):
                    human = rng.random(labelled) < share
                    machine = human ^ (rng.random(labelled) > right)
                    seen = int(rng.binomial(2_000, share * right + (1 - share) * (1 - right)))
                    both, neither = int((human & machine).sum()), int((~human & ~machine).sum())
                    pairs = (both, int(human.sum()) - both, int(machine.sum()) - both, neither)
                    predicted = predict(pairs, seen, 2_000)
                    held += predicted.low <= share <= predicted.high
                yield f"{labelled} labels, share {share:g}, machine right {right:.0%}", held / runs


def measured(runs: int) -> Iterator[Coverage]:
    """Every kind of interval; `runs` simulated audits per setting, fewer where each takes long."""
    few = max(2, runs // 4)
    for n in (20, 50, 250):
        yield collected("Wilson", f"n {n}, shares 0.01 to 0.99", one_share(wilson_bounds, n))
    for n in (20, 50, 250):
        found = one_share(score_bounds, n)
        yield collected("Wilson's own, not widened", f"n {n}, shares 0.01 to 0.99", found, kind="replaced")
    for n in (20, 50, 250):
        yield collected("Clopper–Pearson", f"n {n}, shares 0.01 to 0.99", one_share(exact, n))
    yield collected("simultaneous, all groups together", "3 to 10 groups, n 20 to 250", joint(runs), runs)
    for narrow, when in ((True, "at ±5 points"), (False, "when it excludes the target")):
        for name in ("Wilson", "anytime"):
            found = stopped(runs, anytime=name == "anytime", narrow=narrow)
            kind = "interval" if name == "anytime" else "replaced"
            yield collected(f"{name}, stopped {when}", "a look every 25 images, to 1,500", found, runs, kind)
    yield collected("anytime, all looks together", "a look after each image, to 1,500", ever(few), few)
    yield collected("impact ratio", "2 to 5 groups, n 50 to 2,000", ratios(runs), runs)
    yield from between_sources(runs)
    yield collected("prediction-powered", "30 to 300 human labels, 2,000 of the machine", powered(runs), runs)
    of_labels = "20 concepts × 40 to 1,000 images"
    yield collected("prediction-powered, labels of concepts pooled", of_labels, labels.pooled(few), few, "replaced")
    yield collected("prediction-powered, concepts as strata", of_labels, labels.stratified(few), few)
    for n in (250, 2_000):
        yield collected(
            "corrected for reader errors", f"n {n:,}, 100 labelled images per group", corrected(few, n), few
        )
    yield collected("people would see", "32 to 300 images, 100 to 430 labelled images per group", seen(few), few)
    yield from over_prompts(few)


def over_prompts(runs: int) -> Iterator[Coverage]:
    """The kinds that take prompts, or phrasings, as clusters; first what ordinary intervals say of the same."""
    sizes, few = "20 to 150 prompts × 20 to 250 images", "5 and 10 prompts × 20 and 250 images"
    plain = means.of_plain_mean(runs)
    yield collected(
        "Student's of the plain mean deviation, for the process", "20 prompts × 50 images", plain, runs, "replaced"
    )
    for name, kinds in (("on target", means.FAIR), ("near it", means.NEAR), ("1 of 10 fails", means.FAIL)):
        yield collected(f"mean deviation of the process, {name}", sizes, means.of_process(runs, kinds), runs)
    for name, kinds in (("9 of 10 fail", means.MOST), ("shares spread", means.SPREAD)):
        yield collected(f"mean deviation of the process, {name}", sizes, means.of_process(runs, kinds), runs)
    kinds = (*means.FAIR, *means.NEAR, *means.FAIL, *means.SPREAD)
    found = means.of_process(runs, kinds, prompts=(5, 10), images=(20, 250))
    yield collected("mean deviation of the process, few prompts", few, found, runs)
    found = means.phrased_concepts(runs)
    yield collected("mean deviation of the process, 5 phrasings × 20 of a concept", "20 concepts", found, runs)
    found = means.stopped_prompts(runs)
    yield collected("mean deviation of the process, prompts stopped at ±10 points", "20 prompts", found, runs)
    found = means.stopped_within_chance(4 * runs)
    yield collected("within chance, prompts stopped at ±10 points", "shares 0.1 to 0.5", found, 4 * runs, "test")
    found = means.of_many_images(runs)
    yield collected("mean deviation of as many images", "20 and 50 prompts × 50 images", found, runs)
    for name, clustered in (("Wilson", False), ("clustered", True)):
        found = means.phrasings(4 * runs, clustered=clustered)
        kind = "interval" if clustered else "replaced"
        yield collected(f"{name}, a share over phrasings", "5 to 20 phrasings × 5 and 20 images", found, 4 * runs, kind)
    found = means.ways(runs, few=False)
    yield collected("differences of four ways, together", "10 to 50 prompts × 50 images", found, runs)
    found = means.ways(runs, few=True)
    yield collected("difference of two ways in 1 of 10 prompts", "10 to 50 prompts × 50 images", found, runs)


def between_sources(runs: int) -> Iterator[Coverage]:
    """What is said about a source and another, or a reference; of tests, how often there is no false alarm."""
    few = max(2, runs // 4)
    for n, m in ((50, 50), (20, 250)):
        found = comparisons.differences(n, m)
        yield collected("Newcombe, as Fisher's mid-p test agrees", f"{n} and {m} images", found)
    yield collected("Tango, as McNemar's mid-p test agrees", "50 pairs", comparisons.paired(50))
    of_tables = "20 and 100 prompts × 3 groups, 20 to 250 images"
    for name, by_group in (("group by group", True), ("over the table", False)):
        found = comparisons.no_false_alarm(runs, by_group=by_group)
        kind = "replaced" if by_group else "test"
        yield collected(f"no false alarm in a table: Holm {name}", of_tables, found, runs, kind)
    found = comparisons.no_false_alarm_in_pairs(runs)
    yield collected("no false alarm in a table of pairs: Holm over the table", of_tables, found, runs, "test")
    for name, exact_test in (("the published band", False), ("the exact test", True)):
        found = comparisons.within_chance(few, exact=exact_test)
        kind = "test" if exact_test else "replaced"
        yield collected(f"within chance, by {name}", "3 and 5 groups, n 8 to 250", found, few, kind)
    for name, likely in (("observed", False), ("likeliest", True)):
        found = comparisons.not_called_amplified(4 * runs, likely=likely)
        yield collected(
            f"not called amplified, by the {name} relation",
            "a model that draws the reference's shares",
            found,
            4 * runs,
            "test" if likely else "replaced",
        )
    of_prompts = "20 and 50 prompts × 20 and 100 images"
    yield collected("how many prompts are amplified", of_prompts, comparisons.amplified(few), few, "test")
    for m in (20, 2_000):
        found = comparisons.mean_amplification(few, m)
        yield collected("mean amplification", f"100 and 200 prompts × 50 images, {m:,} of the reference", found, few)
    yield collected("KID ± 1.96 standard errors", "50 to 400 images", comparisons.kernel_distance(few), few)


def exact(counts: Array, n: int) -> tuple[Array, Array]:
    """A single interval by Clopper and Pearson."""
    return clopper_pearson_bounds(counts, n, 0.025)


TABLES = {
    "interval": "## Intervals",
    "test": """## Tests, labels and bounds of counts

How often they raise no false alarm, or hold. A label is said where its probability is 0.8 or more, and bounds of a
count hold whichever prompts are amplified: both are right oftener than an interval of 95 %.""",
    "replaced": """## What they replace

Ordinary intervals and tests of the same settings. They are not used.""",
}


def page(found: Sequence[Coverage]) -> str:
    """The page in Markdown, with an introduction that is counted from the lines."""
    own = {kind: [line for line in found if line.kind == kind] for kind in TABLES}
    means = [line.mean for line in own["interval"]]
    head = HEAD.format(
        enough=sum(line.worst >= LEAST for line in own["interval"]),
        intervals=sum(line.inside for line in own["interval"]),
        of_intervals=len(own["interval"]),
        low=f"{min(means):.1%}",
        high=f"{max(means):.1%}",
        tests=sum(line.inside for line in own["test"]),
        of_tests=len(own["test"]),
    )
    parts = [f"{title}\n\n{table(own[kind])}" for kind, title in TABLES.items()]
    return "\n".join(["# Coverage of the intervals\n", head, *parts])


def table(found: Iterable[Coverage]) -> str:
    """The lines as Markdown."""
    head = "| nominal 95 % | settings | runs per setting | mean | worst | where | most | outside 93 to 98 %, because |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *(line.row for line in found)]) + "\n"


def lines_of(text: str) -> Iterator[Coverage]:
    """The lines of a page, as `page` wrote them."""
    kind = ""
    titles = {title.splitlines()[0]: kind for kind, title in TABLES.items()}
    for line in text.splitlines():
        kind = titles.get(line, kind)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 8 or not cells[3].endswith("%"):
            continue
        name, settings, runs, mean, worst, where, most, _ = cells
        shares = (float(share.rstrip("%")) / 100 for share in (mean, worst, most))
        of = dict(zip(("mean", "worst", "most"), shares, strict=True))
        simulated = None if runs == "exact" else int(runs.replace(",", ""))
        yield Coverage(kind=kind, name=name, settings=settings, where=where, runs=simulated, **of)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4_000)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="beginnings of the names of the lines to make anew")
    args, place = parser.parse_args(), Path(__file__).with_suffix(".md")
    if args.only:
        old = lines_of(place.read_text(encoding="utf-8"))
        KEPT.update({(line.name, line.settings): line for line in old if not line.name.startswith(tuple(args.only))})
    found = []
    for line in measured(args.runs):
        print(line.row, flush=True)
        found.append(line)
    place.write_text(page(found), encoding="utf-8")
