"""How long an audit of many images takes, and how much memory: from the records of runs, and from a table of images.

    python -m benchmarks.audit_scale [--images 100000]

Each part runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.sources.suite import read_occupations
from fair_diffusion.policy import ATTRIBUTES


def write(folder: Path, images: int) -> None:
    """Records as `generate` keeps them, and a table of images as an audit keeps it, both of random labels."""
    draw = random.Random(0)
    concepts = list(read_occupations("occupations"))
    names = [name for name in ATTRIBUTES if name != "age"]
    records, rows = [], []
    for k in range(images):
        concept = concepts[k * len(concepts) // images]
        labels = {name: draw.choice([*ATTRIBUTES[name].group_names, None]) for name in names}
        sure = {name: round(draw.random(), 4) for name in names}
        records.append(
            {
                "index": k,
                "prompt": f"a photo of the face of a {concept}",
                "used_prompt": f"a photo of the face of a {concept}",
                "seed": k,
                "model": "pocket",
                "method": "none",
                "rule": None,
                "steps": 25,
                "guidance": 4.0,
                "assigned": "{}",
                "judged": json.dumps(labels),
                "perceived": json.dumps(labels),
                "confidence": json.dumps(sure),
                "evaluations": 50,
                "plain_evaluations": 50,
            }
        )
        row = {"file": f"{k:06d}.png", "source": "plain", "concept": concept}
        rows.append(row | labels | {f"{name}_confidence": value for name, value in sure.items()})
    (folder / "run").mkdir()
    pq.write_table(pa.Table.from_pylist(records), folder / "run" / "records.parquet")
    pq.write_table(pa.Table.from_pylist(rows), folder / "images.parquet")


def measure(target: Path, out: Path) -> None:
    """Audit `target` into a study with its report; print seconds (imports included) and the process's peak memory."""
    start, cpu = time.monotonic(), time.process_time()
    from fair_diffusion.audit.numbers import numbers
    from fair_diffusion.audit.sources.target import read_target
    from fair_diffusion.cli.audit import write as write_study

    with tempfile.TemporaryDirectory() as scratch:
        findings = read_target(target, scratch=Path(scratch))
        found = numbers(findings.study)
        read = time.monotonic() - start
        write_study(findings.study, found, findings.images, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(
        f"{target.name}: {findings.images.num_rows if findings.images else 0:,} images, {len(found.lines):,} lines: "
        f"{read:.1f} s to the numbers, {time.monotonic() - start:.1f} s with study and report "
        f"({time.process_time() - cpu:.1f} s of processor), peak {peak:.0f} MiB"
    )


def main() -> None:
    """Write what is audited, then measure each part in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--target", type=Path)
    arguments = parser.parse_args()
    if arguments.target:
        with tempfile.TemporaryDirectory() as folder:
            measure(arguments.target, Path(folder) / "study")
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), arguments.images)
        for name in ("run", "images.parquet"):
            subprocess.run([sys.executable, "-m", "benchmarks.audit_scale", "--target", f"{folder}/{name}"], check=True)


if __name__ == "__main__":
    main()
