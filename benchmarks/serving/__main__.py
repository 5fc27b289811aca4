"""What serving costs, and what it survives, against the bars.

    python -m benchmarks.serving                     → all parts, benchmarks/serving.md (30 minutes on two quiet cores)
    python -m benchmarks.serving --part database     → one part; the lines of the others stay as they were

`--requests N` makes a part smaller, to see that it works: such figures are printed and not kept.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from benchmarks.pace import pace
from benchmarks.serving.line import keep

PARTS = ("database", "proportions", "throughput", "overhead", "kills", "burst", "sigterm", "proxy")
NOTE = """By `python -m benchmarks.serving`, with the pocket model on a machine with 2 cores, which load, API,
workers and database share.

An image counts as what the perceiver sees in it. So an image that shows another group than it was assigned is made up
for by the next ones, and what was *assigned* leaves the target by as much, on purpose: what is *seen* is what meets it.
The ledger guarantees that no turn puts its group more than one image over its share of what was counted and is under
way. Where every image shows what it was assigned, that is the same as every prefix within one image of the target.
"""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--requests", type=int, help="of each part; the page is not written then")
    given = parser.parse_args()
    for part in given.part or PARTS:
        start = time.perf_counter()
        lines = [*import_module(f"benchmarks.serving.{part}").measure(given.requests), pace(part)]
        print("\n".join(line.row for line in lines), f"({part}: {time.perf_counter() - start:.0f} s)", flush=True)
        if given.requests is None:
            keep(part, lines, PARTS, NOTE)


if __name__ == "__main__":
    main()
