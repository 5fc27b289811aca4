"""The table of docs/how-to/rebalance.md: plain drawings of the pocket model rebalanced to half women, both ways.

Plain firefighters, of whom nearly all are men, from seed 700 on, 25 steps, guidance 2, method switch. A row is one run
of `rebalance`, with its usual settings but for the depth.

    python -m benchmarks.rebalance [--images 24] [--steps 25]      → a table
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fair_diffusion import FairPipeline, Policy
from fair_diffusion.audit.table import deviation
from fair_diffusion.rebalance import RebalancedResult, rebalance
from fair_diffusion.rebalance.request import DEPTHS
from fair_diffusion.result import Result
from fair_diffusion.statistics.metrics import noise_floor

PROMPT, POLICY, SEED = "a photo of a firefighter", Policy.from_sentence("firefighter: half women"), 700
ROWS = [("inversion", 0.7), *DEPTHS.items()]
COLUMNS = (
    *("way", "depth", "moved", "missed", "deviation by the judge", "by the perceiver", "reconstruction error"),
    *("encoder alone", "pixel distance", "feature distance", "evaluations"),
)


def deviations(result: Result) -> str:
    """Total variation from the target, by the judge and by the perceiver."""
    return " | ".join(f"{deviation(rows)['tv']:.3f}" for rows in (result.audit, result.perceived_audit))


def line(result: RebalancedResult, way: str, depth: float) -> str:
    """One row of the table."""
    counts, moved = result.counts(), result.moved()

    def share(name: str) -> str:
        return "" if moved[name] is None else f"{moved[name]:.1%}"

    cells: list[Any] = [
        *(way, depth, counts["moved"], counts["missed"], deviations(result)),
        *(share(name) for name in ("reconstruction_error", "encoder_error", "pixel_distance")),
        "" if moved["feature_distance"] is None else f"{moved['feature_distance']:.3f}",
        f"{result.summary()['cost']['ratio']:.2f}×",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def table(pipe: FairPipeline, images: int, steps: int) -> Iterator[str]:
    """The lines of the table, the originals first."""
    plain = pipe(PROMPT, n=images, seed=SEED, steps=steps, method="none")
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    with TemporaryDirectory() as work:
        folder = Path(work, "originals")
        plain.save(folder)
        for k, (way, depth) in enumerate(ROWS):
            # other seeds than those of the drawings, whose own noise would flatter SDEdit
            asked: dict[str, Any] = {"way": way, "depth": depth, "steps": steps}
            (result,) = rebalance(pipe, folder, Path(work, str(k)), policy=POLICY, **asked)
            if not k:
                yield f"| originals | | | | {deviations(result.before)} |{' |' * 5}"
            yield line(result, way, depth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--steps", type=int, default=25)
    asked = parser.parse_args()
    for row in table(FairPipeline.from_pretrained("pocket"), asked.images, asked.steps):
        print(row, flush=True)
    print(f"A perfect coin deviates by {noise_floor([0.5, 0.5], asked.images):.3f}.")
