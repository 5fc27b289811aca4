"""How long an audit of many images takes, and how much memory: from the records of runs, and from a table of images.

    python -m benchmarks.audit_scale        → a table, and benchmarks/audit_scale.md (half a minute on one core)

The bars are 10 seconds and 1 GiB for 100,000 images. Each part runs in a process of its own, so that its peak memory is
its own; imports, the report's page and the files of the study are in the figures.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.policy import built_in
from fair_diffusion.runs.occupations import read_occupations

IMAGES, SECONDS, MIB = 100_000, 10.0, 1024
PARTS = ("run", "images.parquet")
NOTE = f"""Audits of the records of {IMAGES:,} images, by `python -m benchmarks.audit_scale`; imports, study and report
are in the figures. The bars are {SECONDS:g} seconds by the clock and {MIB:,} MiB. Where the clock took longer, but the
processor did not, the machine was busy with other things: cannot tell.
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one audit took: seconds by the clock to the numbers and in all, of processor time, and the peak in MiB."""

    audited: str
    images: int
    lines: int
    numbers: float
    wall: float
    processor: float
    peak: float

    @property
    def verdict(self) -> str:
        """Against the bars; a machine that is busy with other things says nothing about the clock."""
        if self.peak > MIB or self.processor > SECONDS:
            return "misses"
        return "meets" if self.wall <= SECONDS else "cannot tell"

    @property
    def row(self) -> str:
        """As a row of the table."""
        seconds = f"{self.numbers:.1f} | {self.wall:.1f} | {self.processor:.1f}"
        return f"| {self.audited} | {self.images:,} | {self.lines:,} | {seconds} | {self.peak:.0f} | {self.verdict} |"


def table(costs: Sequence[Cost]) -> str:
    """The costs as Markdown."""
    head = "| audited | images | lines | s to the numbers | s in all | s of processor | peak, MiB | verdict |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *(cost.row for cost in costs)]) + "\n"


def write(folder: Path, images: int) -> None:
    """Records as `generate` keeps them, and a table of images as an audit keeps it, both of random labels."""
    draw = random.Random(0)
    concepts = list(read_occupations("occupations"))
    names = [name for name in built_in() if name != "age"]
    records, rows = [], []
    for k in range(images):
        concept = concepts[k * len(concepts) // images]
        labels = {name: draw.choice([*built_in()[name].group_names, None]) for name in names}
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


def measure(target: Path, out: Path) -> Cost:
    """Audit `target` into a study with its report, in this process."""
    start, cpu = time.monotonic(), time.process_time()
    from fair_diffusion.audit.numbers import numbers
    from fair_diffusion.cli.auditing import write as write_study
    from fair_diffusion.readers.target import read_target

    with tempfile.TemporaryDirectory() as scratch:
        findings = read_target(target, scratch=Path(scratch))
        found = numbers(findings.study)
        read = time.monotonic() - start
        write_study(findings.study, found, findings.images, out)
    return Cost(
        audited="the records of a run" if target.is_dir() else "a table of images",
        images=findings.images.num_rows if findings.images else 0,
        lines=len(found.lines),
        numbers=read,
        wall=time.monotonic() - start,
        processor=time.process_time() - cpu,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    )


def main() -> None:
    """Write what is audited, then measure each part in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)  # a part, in its own process
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.target:
            print(json.dumps(asdict(measure(arguments.target, folder / "study"))))
            return
        write(folder, arguments.images)
        command = [sys.executable, "-m", "benchmarks.audit_scale", "--target"]
        parts = [subprocess.run([*command, folder / part], check=True, stdout=subprocess.PIPE) for part in PARTS]
    costs = [Cost(**json.loads(part.stdout)) for part in parts]
    print(table(costs), end="")
    if arguments.images == IMAGES:
        page = f"# Audits at scale\n\n{NOTE}\n{table(costs)}"
        Path(__file__).with_suffix(".md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
