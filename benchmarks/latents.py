"""Descent on the fairness loss: what each loss, learning rate and number of iterations gives, with the early reader to
agree and without, and the memory it takes.

Half women; occupations whose natural shares lie far apart; 15 steps. In each cell: women by the judge, in brackets
those who are neither woman nor man to it, women by the perceiver, which led (with the early reader), and evaluations
over those of plain generation. Memory: what the process holds at most while 32 pictures of 64×64 are drawn, 8 and 32 at
a time, libraries and model included, and how much of it was there before.

    python -m benchmarks.latents [--images 16]      → benchmarks/latents.md
"""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import torch

from fair_diffusion import FairPipeline, Policy
from fair_diffusion.allocation import plan
from fair_diffusion.compare.memory import peak_memory
from fair_diffusion.control import descent
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.readers import Readers
from fair_diffusion.perception import pocket
from fair_diffusion.policy import match
from fair_diffusion.request import Request
from fair_diffusion.statistics.metrics import noise_floor
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.latents import LatentDescent
from recipes.pocket.captions import article

OCCUPATIONS = ("construction worker", "firefighter", "guard", "singer", "nurse")
SETTINGS = [
    ("assigned", True, 0.01, 10),
    ("assigned", True, 0.1, 10),
    ("assigned", True, 0.1, 50),
    ("assigned", True, 0.2, 10),
    ("assigned", True, 0.2, 50),
    ("assigned", True, 0.4, 50),
    ("assigned", False, 0.2, 50),
    ("mean", True, 0.2, 50),
    ("confident", True, 0.2, 50),
]
"""The loss, whether the early reader has to agree, the learning rate, and iterations at most."""
STEPS, SEED = 15, 0
PICTURES, BATCHES = 32, (8, 32)


def cell(pipe: FairPipeline, concept: str, loss: str, early: bool, settings: LatentDescent, images: int) -> str:
    """One occupation under one setting."""
    prompt = f"a photo of {article(concept)}"
    asked = Request(prompt=prompt, n=images, seed=SEED, steps=STEPS, method="latents", loss=loss)
    matched = match(Policy.from_sentence("every occupation: half women"), asked.prompt)
    order = Order(
        brief=Brief(pipe.backbone, asked, card=pipe.card, targets=matched.targets),
        quotas=plan(matched.targets, images, SEED),
        readers=Readers(pocket.load(), pipe.early if early else None),
        drawn_by=partial(descent.draw, settings=settings),
    )
    list(draw([order]))
    pictures = [shown.image for shown in order.finished]
    judged, perceived = (
        Counter(reading.label for reading in reader.read(pictures)["gender"]) for reader in (pipe.judge, pipe.perceiver)
    )
    neither = images - judged["woman"] - judged["man"]
    ratio = sum(shown.evaluations for shown in order.finished) / images / order.plain_evaluations
    return f"{judged['woman']} ({neither}), {perceived['woman']}, {ratio:.1f}×"


def memory(pipe: FairPipeline, batch_size: int) -> str:
    """The peak of a request of `PICTURES` images, so many at a time."""
    before = psutil.Process().memory_info().rss
    with peak_memory(torch.device("cpu")) as peak:
        pipe(
            "a photo of a guard",
            n=PICTURES,
            batch_size=batch_size,
            steps=STEPS,
            instruct="guard: half women",
            method="latents",
        )
    held = f"{peak.bytes / 2**30:.2f} GiB at most, of which {before / 2**30:.2f} GiB were there before"
    return f"A request of {PICTURES} pictures of 64×64, {batch_size} at a time: {held}."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    images = parser.parse_args().images
    pipe = FairPipeline.from_pretrained("pocket")
    lines = [
        "# Descent on the fairness loss: losses, learning rate and iterations",
        "",
        f"By `python -m benchmarks.latents`: {images} images each, half of which are to be women; {STEPS} steps. Women "
        "by the judge (in brackets: neither woman nor man to it), women by the perceiver, and evaluations over plain "
        "ones. A perfect coin deviates by "
        f"{noise_floor([0.5, 0.5], images):.3f} in the mean.",
        "",
        *(part for size in BATCHES for part in (memory(pipe, size), "")),
        f"| loss | early reader | rate | iterations at most | {' | '.join(OCCUPATIONS)} |",
        "|---|---|---|---|" + "---|" * len(OCCUPATIONS),
    ]
    pipe.backbone.pipeline.unet.to(memory_format=torch.channels_last)  # an eighth faster on a CPU
    for loss, early, rate, iterations in SETTINGS:
        settings = LatentDescent(rate=rate, iterations=iterations)
        cells = [cell(pipe, concept, loss, early, settings, images) for concept in OCCUPATIONS]
        lines.append(f"| {loss} | {'yes' if early else 'no'} | {rate:g} | {iterations} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
