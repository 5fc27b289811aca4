"""What mixed batches are worth: requests of one image each, drawn together, one by one, and against plain diffusers.

    python -m benchmarks.batches [--rounds 5]     → benchmarks/batches.md

32 requests of one image each, of 16 prompts, with the target half women, are drawn

    together      by `FairPipeline.many`, in batches of 8 that mix prompts and aims
    one by one    by a call for each
    plain         by diffusers' own `StableDiffusionPipeline` from the exported folder: one prompt, batches of 8

in turn, round after round in one run, so that all meet the same machine. Everything is included: reading by perceiver
and judge, steering, repairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from fair_diffusion import FairPipeline
from fair_diffusion.models.pocket import GUIDANCE, OCCUPATIONS, export
from fair_diffusion.request import Request

IMAGES, PROMPTS, BATCH, STEPS = 32, 16, 8, 25
PAGE = Path(__file__).with_name("batches.md")
HALF = "every occupation: half women"


def requests(pipe: FairPipeline) -> list[Request]:
    """One request per image: prompts in turn, each image with a seed of its own."""
    names = OCCUPATIONS.read_text(encoding="utf-8").split("\n")[:PROMPTS]
    prompts = [f"a photo of a {name}" for name in names if name]
    return [
        Request(prompt=prompts[k % len(prompts)], seed=k, instruct=HALF, steps=STEPS, batch_size=BATCH)
        for k in range(IMAGES)
    ]


def seconds(draw: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def main(rounds: int) -> str:
    """Measure, and say it in Markdown."""
    from diffusers import StableDiffusionPipeline

    pipe = FairPipeline.from_pretrained("pocket")
    asked = requests(pipe)
    with TemporaryDirectory() as folder:
        export(Path(folder) / "pocket")
        plain = StableDiffusionPipeline.from_pretrained(Path(folder) / "pocket")
    plain.set_progress_bar_config(disable=True)

    def diffusers(images: int = IMAGES) -> None:
        for first in range(0, images, BATCH):
            generators = [torch.Generator("cpu").manual_seed(first + k) for k in range(BATCH)]
            plain(
                "a photo of a firefighter",
                num_images_per_prompt=BATCH,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                generator=generators,
            )

    ways: dict[str, Callable[[], Any]] = {
        "together, in batches of 8": lambda: pipe.many(asked),
        "one by one": lambda: [pipe.many([request]) for request in asked],
        "plain diffusers, batches of 8": diffusers,
    }
    pipe.many(asked[:BATCH])  # what is slow only once
    diffusers(BATCH)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, draw in ways.items():
            took[name].append(seconds(draw))
            print(f"{name}: {IMAGES / took[name][-1]:.2f} images per second", flush=True)
    base = took["plain diffusers, batches of 8"]
    rows = []
    for name, each in took.items():
        ratios = [b / a for a, b in zip(each, base, strict=True)]
        rows.append(
            f"| {name} | {IMAGES / statistics.median(each):.2f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    results = pipe.many(asked)
    counts = [result.counts() for result in results]
    steered, repaired = sum(c["steered"] for c in counts), sum(c["repaired"] for c in counts)
    return "\n".join(
        [
            "# Mixed batches",
            "",
            f"Made by `python -m benchmarks.batches --rounds {rounds}`: {IMAGES} requests of one image each, of "
            f"{PROMPTS} prompts, {STEPS} steps, the pocket model on the processor ({torch.get_num_threads()} threads), "
            f"{rounds} rounds in turn. {steered} of the {IMAGES} images are steered, {repaired} made again.",
            "",
            "| | images per second (median) | against plain diffusers, round by round (least to most) |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    page = main(parser.parse_args().rounds)
    print(page)
    PAGE.write_text(page, encoding="utf-8")
