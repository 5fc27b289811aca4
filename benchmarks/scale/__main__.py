"""What many workers cost, how they grow, and what they survive, against the bars.

    python -m benchmarks.scale                     → all parts, benchmarks/scale.md (15 minutes on two quiet cores)
    python -m benchmarks.scale --part claims       → one part; the lines of the others stay as they were

`--size F` makes a part F times as large, such as 0.1, to see that it works: such figures are printed and not kept.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from benchmarks.pace import pace
from benchmarks.serving.line import keep

PARTS = ("overhead", "growth", "workers", "memory", "claims", "kills")
PAGE = Path(__file__).parents[1] / "scale.md"
NOTE = """By `python -m benchmarks.scale` on a machine with 2 cores, which workers, driver and database share.
"Simulated" workers sleep instead of drawing; all else is the same code. The lines on GPUs are arithmetic with the
measured constants: cells of 50 images, 1 second for each image, one connection for each worker.
"""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--size", type=float, default=1.0, help="of each part; the page is not written then")
    given = parser.parse_args()
    for part in given.part or PARTS:
        start = time.perf_counter()
        lines = [*import_module(f"benchmarks.scale.{part}").measure(given.size), pace(part)]
        print("\n".join(line.row for line in lines), f"({part}: {time.perf_counter() - start:.0f} s)", flush=True)
        if given.size == 1.0:
            keep(part, lines, PARTS, NOTE, PAGE)


if __name__ == "__main__":
    main()
