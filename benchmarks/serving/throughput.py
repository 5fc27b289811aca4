"""Images per second of the mixed stream with everything included, against plain diffusers in batches of 8.

Both have two processes that draw, of one thread each. Plain diffusers draw one prompt and read nothing; the service
reads, steers, repairs, encodes, stores, counts and answers. Twice as many clients ask as fill the batches, so that the
queue is never empty. They take turns, round after round, and the ratio is of each round.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, Running, asked, draw, serving
from fair_diffusion.models.pocket import GUIDANCE, export
from fair_diffusion.service.jobs import Jobs

IMAGES, ROUNDS, BATCH, WORKERS, STEPS = 200, 3, 8, 2, 25
BAR = 0.85


def measure(requests: int | None) -> list[Line]:
    """SQLite: the database has no part in it that is seen."""
    images = requests or IMAGES
    with places() as found, TemporaryDirectory() as folder:
        url, data = found["SQLite"]
        export(Path(folder) / "pocket")
        with serving(url, data, workers=WORKERS) as service, Plain(Path(folder) / "pocket") as plain:
            served(service, 2 * BATCH)  # what is slow only once
            rounds = [(images / served(service, images), images / plain.seconds(images)) for _ in range(ROUNDS)]
            evaluations = control(service)
    ratio = statistics.median(ours / theirs for ours, theirs in rounds)
    ours, theirs = (statistics.median(each) for each in zip(*rounds, strict=True))
    of = f"{images} one-image requests of {len(PROMPTS)} prompts, {STEPS} steps, median of {ROUNDS} rounds"
    figure = f"{ratio:.2f} ({ours:.2f} against {theirs:.2f} images per second)"
    what = f"throughput of the mixed stream against plain diffusers in batches of {BATCH} ({of})"
    return [
        Line(what=what, figure=figure, bar=f"≥ {BAR}", meets=ratio >= BAR),
        Line(
            what="the price of control in it: evaluations of the network, against those of an unsteered image",
            figure=f"{evaluations:.2f}",
        ),
        Line(
            what="the price of serving in it: throughput by evaluations instead of images, against plain diffusers",
            figure=f"{ratio * evaluations:.2f}",
        ),
    ]


def control(service: Running) -> float:
    """The evaluations of all images so far, steering and repairs included, against those of unsteered images."""
    results = [job.result for job in Jobs(service.database).newest(most=10_000) if job.result]
    spent, plain = (sum(float(one[name]) for one in results) for name in ("evaluations", "plain_evaluations"))
    return spent / plain


def served(service: Running, images: int) -> float:
    """The seconds that the service takes."""
    start = time.perf_counter()
    clients = 2 * BATCH * WORKERS
    asked(service, images, clients, lambda client, k: draw(client, PROMPTS[k % len(PROMPTS)], steps=STEPS))
    return time.perf_counter() - start


class Plain:
    """Processes that draw with diffusers alone, as a context manager."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.serving.throughput", str(folder)]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
        ]

    def __enter__(self) -> Plain:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.communicate(timeout=60)

    def seconds(self, images: int) -> float:
        """The seconds that they take for so many images together."""
        start = time.perf_counter()
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{images // WORKERS}\n")
            process.stdin.flush()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        for process in self._processes:
            assert process.stdout
            process.stdout.readline()


def plain(folder: Path) -> None:
    """Draw as many images as each line on standard input says."""
    import torch
    from diffusers import StableDiffusionPipeline

    torch.set_num_threads(1)
    pipeline: Any = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    usual = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "num_images_per_prompt": BATCH}
    pipeline(PROMPTS[0], **usual)
    print("ready", flush=True)
    for line in sys.stdin:
        for first in range(0, int(line), BATCH):
            generators = [torch.Generator("cpu").manual_seed(first + k) for k in range(BATCH)]
            pipeline(PROMPTS[0], generator=generators, **usual)
        print("done", flush=True)


if __name__ == "__main__":
    plain(Path(sys.argv[1]))
