"""Exact proportions at nearly no cost: natural-first control beside the baselines and the published way.

20 occupations, the same seeds for every row. Targets: half women; 30 % women; gender × skin tone uniform over woman and
man and five tones. TV is the total variation from the target, unknown counted against the row, by the judge and by the
perceiver; fidelity: occupation right; KID: judge's features against the training renders; distances: to the plain twin
of the same seed. Seconds are those of 12 images of one occupation over plain, in turn.
Results are kept by row, target, occupation, weights and settings, so that a run goes on where it stopped; remove
work/pocket/control after a change of the code.

    python -m benchmarks.control [--images 100]      → a table, and benchmarks/control.md
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import STEPS, TARGETS, Bench, Measured, deviations, policy, renders
from benchmarks.rows import ROWS, Row
from fair_diffusion.audit.corrections import corrected
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception import judge as judges
from fair_diffusion.perception import pocket as perceivers
from fair_diffusion.statistics.kid import kid
from fair_diffusion.statistics.metrics import noise_floor
from fair_diffusion.statistics.over_prompts import high_end, low_end
from fair_diffusion.statistics.process_deviation import worst_deviation
from recipes.pocket.data import WORK
from recipes.pocket.readers import confusions

COLUMNS = (
    "row",
    "images",
    "TV judge, mean (95 %)",
    "worst",
    "TV perceiver, mean",
    "worst",
    "perfect coin",
    "evaluations",
    "seconds",
    "steered",
    "repaired",
    "re-seeded",
    "missed",
    "occupation right",
    "KID",
    "pixels from twin",
    "features from twin",
)


def line(bench: Bench, row: Row, target: str, found: list[Measured], reference: NDArray[np.float32]) -> str:
    """One row of the table."""
    facts = [measured.facts for measured in found]
    judge, perceiver = zip(*(deviations(each, target) for each in facts), strict=True)
    (wanted,) = policy(target).rules[0].targets
    failed = worst_deviation([float(share) for share in wanted.shares.values()])
    low, high = float(low_end(judge)), float(high_end(judge, max(failed, *judge)))
    n = len(facts[0]["judged"])

    def mean(key: str) -> float:
        return float(np.mean([np.mean(each[key]) for each in facts]))

    distance = kid(np.concatenate([measured.features for measured in found]), reference)
    cells = [
        row.name,
        f"{len(facts)} × {n}",
        f"{np.mean(judge):.3f} ({low:.3f} to {high:.3f})",
        f"{max(judge):.3f}",
        f"{np.mean(perceiver):.3f}",
        f"{max(perceiver):.3f}",
        f"{noise_floor([float(share) for share in wanted.shares.values()], n):.3f}",
        f"{mean('ratio'):.2f}×",
        f"{bench.seconds(row, target):.2f}×",
        *(f"{mean(key):.1%}" for key in ("steered", "repaired", "reseeded", "missed", "fidelity")),
        f"{distance.value:.3f}" + ("" if distance.error is None else f" ± {distance.error:.3f}"),
        f"{mean('pixels'):.1%}",
        f"{abs(mean('features')):.3f}",  # rounding may leave −0
    ]
    return f"| {' | '.join(cells)} |"


def disagreement(bench: Bench, found: dict[tuple[str, str], list[Measured]], row: Row) -> list[str]:
    """Where judge and perceiver differ on the pictures of one row, and what is left when both are corrected."""
    lines = [f"## Where judge and perceiver differ: {row.name}", ""]
    readers = {"judged": confusions(judges.load(), WORK), "perceived": confusions(perceivers.load(), WORK)}
    lines += ["| target | attribute | of images left alone | of steered ones | most often (perceiver → judge) |"]
    lines += ["|---|---|---|---|---|"]
    for target in TARGETS:
        facts = [measured.facts for measured in found[target, row.name]]
        for name in policy(target).rules[0].targets[0].attributes:
            seen = [
                (pixels > 0, perceived[name], judged[name])  # only steered images differ from their twins at all
                for each in facts
                for pixels, perceived, judged in zip(each["pixels"], each["perceived"], each["judged"], strict=True)
            ]
            parts = [[a != b for steered, a, b in seen if steered == which] for which in (False, True)]
            pairs = Counter((a, b) for _, a, b in seen if a != b).most_common(3)
            often = ", ".join(f"{a or 'unknown'} → {b or 'unknown'} {count}" for (a, b), count in pairs)
            shares = " | ".join(f"{np.mean(part):.1%}" for part in parts)
            lines.append(f"| {target} | {name} | {shares} | {often} |")
    lines += [
        "",
        "Shares over all occupations, as read and corrected for each reader's errors on held-out drawings:",
        "",
    ]
    lines += ["| target | group | asked | judge read | corrected (95 %) | perceiver read | corrected (95 %) |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for target in ("half women", "30 % women"):
        facts = [measured.facts for measured in found[target, row.name]]
        asked = policy(target).rules[0].targets[0].shares
        both = []
        for reader, matrices in readers.items():
            labels = [labels["gender"] for each in facts for labels in each[reader]]
            counts = {group: labels.count(group) for group in matrices["gender"].groups}
            tally = Tally(
                source=row.name, concept=target, attribute="gender", counts=counts, unknown=labels.count(None)
            )
            both.append({line.group: line for line in corrected(tally, matrices["gender"])})
        for group in both[0]:
            cells = [
                f"{one.share:.1%} | {one.corrected:.1%} ({one.low:.1%} to {one.high:.1%})"
                for one in (each[group] for each in both)
            ]
            lines.append(f"| {target} | {group} | {float(asked[group,]):.0%} | {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100, help="per occupation and row")
    bench = Bench(parser.parse_args().images)
    found: dict[tuple[str, str], list[Measured]] = {(t, row.name): [] for t in TARGETS for row in ROWS}
    for concept in bench.concepts:
        for row, target, measured in bench.run(concept):
            found[target, row.name].append(measured)
            print(concept, target, row.name, [round(tv, 3) for tv in deviations(measured.facts, target)], flush=True)
    reference = renders()
    text = [f"# Control on the pocket model: {STEPS} steps, guidance {bench.pipe.card.guidance:g}", ""]
    for target in TARGETS:
        text += [f"## {target}", "", f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        text += [line(bench, row, target, found[target, row.name], reference) for row in ROWS]
        text.append("")
    text += disagreement(bench, found, ROWS[-1])
    Path(__file__).with_suffix(".md").write_text("\n".join(text))
    print("\n".join(text))
