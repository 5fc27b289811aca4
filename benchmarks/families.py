"""What semantic guidance costs on a UNet of Stable Diffusion 1.5's size: ours beside diffusers' own pipeline.

The weights are random, which costs what trained ones cost; latents are 32×32, text encoder and image decoder small. Two
concepts steer, the group to leave and the one to show; the warm-up is a fifth of the steps, as 10 of 50. All ways draw
the same seeds from prompt to picture, in turn, so that whatever else the machine does meets them alike; ratios are
taken within a turn. Evaluations are the rows that went through the UNet. Peak memory, model and libraries included, is
that of a process of its own for each way in each turn. "Outside": the time spent neither in the UNet nor in text
encoder and decoder.

    python -m benchmarks.families [--steps 5] [--images 2] [--turns 3]   → a table, and benchmarks/families.md
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from diffusers import SemanticStableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image

from benchmarks.profile import clock, timed
from benchmarks.random_sd import build
from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Batch, StableDiffusion, denoise
from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.readers import Readers
from fair_diffusion.policy import Attributes, Target, built_in
from fair_diffusion.request import Request
from fair_diffusion.statistics.distance import pixel_differences
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.semantic import SemanticGuidance

PROMPT, LEAVE, SHOW = "a photo of the face of a firefighter", "male person", "female person"
GUIDANCE, WARMUP = 7.0, 0.2
MEMORY_BAR, OUTSIDE_BAR = 1.0, 0.03
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def settings(steps: int, *, momentum_in_warmup: bool = True) -> SemanticGuidance:
    """Fair Diffusion's, with the longer warm-up of its README."""
    return SemanticGuidance(warmup=round(WARMUP * steps), momentum_in_warmup=momentum_in_warmup)


def theirs(pipeline: Any, images: int, steps: int) -> list[Image.Image]:
    """The pipeline of diffusers."""
    parts = {name: part for name, part in pipeline.components.items() if name != "image_encoder"}
    semantic = SemanticStableDiffusionPipeline(**parts, requires_safety_checker=False)
    semantic.set_progress_bar_config(disable=True)
    asked = settings(steps)
    pictures: list[Image.Image] = semantic(
        [PROMPT] * images,
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in range(images)],
        editing_prompt=[LEAVE, SHOW],
        reverse_editing_direction=[True, False],
        edit_guidance_scale=asked.strength,
        edit_warmup_steps=asked.warmup,
        edit_threshold=asked.threshold,
        edit_momentum_scale=asked.momentum_scale,
        edit_mom_beta=asked.momentum_beta,
    ).images
    return pictures


def ours(pipeline: Any, images: int, steps: int, *, momentum_in_warmup: bool = True) -> list[Image.Image]:
    """The denoising loop with semantic guidance on every image."""
    backbone = StableDiffusion(pipeline)
    concepts = backbone.encode([LEAVE, SHOW])
    (batch,) = denoise(
        backbone,
        prompts_cond=backbone.encode([PROMPT] * images),
        empty_cond=backbone.empty(),
        seeds=range(images),
        steps=steps,
        guidance=GUIDANCE,
        steering=settings(steps, momentum_in_warmup=momentum_in_warmup).steer(
            concepts, torch.tensor([[-1.0, 1.0]] * images)
        ),
        batch_size=images,
    )
    return backbone.images(batch.latents)


def skipping(pipeline: Any, images: int, steps: int) -> list[Image.Image]:
    """The same without edit evaluations during warm-up."""
    return ours(pipeline, images, steps, momentum_in_warmup=False)


def natural_first(pipeline: Any, images: int, steps: int, *, method: str = "semantic") -> list[Image.Image]:
    """Control towards half women, semantic guidance in its window, by readers that say what they are told to.

    At the look all images would show men, the first half of them less surely, so that half is steered; and it works.
    """
    backbone, half, groups = StableDiffusion(pipeline), images // 2, built_in()["gender"].group_names
    nobody: Any = None

    class Told(Readers):
        def look(self, batch: Batch, defined: Attributes) -> Shares:
            return shares(len(batch.images), 0.2)

        def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
            return shares(len(pictures), 1.0)

    def shares(count: int, women: float) -> dict[str, NDArray[np.float64]]:
        read = np.zeros((count, len(groups)))
        read[:half, groups.index("woman")] = women
        read[:, groups.index("man")] = 1 - read[:, groups.index("woman")]
        return {"gender": read}

    target = Target(("gender",), {(group,): share for group, share in built_in()["gender"].default_shares.items()})
    request = Request(prompt=PROMPT, n=images, steps=steps, guidance=GUIDANCE, batch_size=images, method=method)
    brief = Brief(backbone, request, targets=[target])
    order = Order(brief=brief, quotas=plan([target], images, seed=0), readers=Told(nobody))
    list(draw([order]))
    return [shown.image for shown in order.finished]


def switching(pipeline: Any, images: int, steps: int) -> list[Image.Image]:
    """The same by the usual method: the images to steer get another prompt at the look."""
    return natural_first(pipeline, images, steps, method="switch")


@dataclass(frozen=True)
class Way:
    """A way to draw the images, and the most that it may take of the first way's seconds."""

    name: str
    draw: Callable[[Any, int, int], list[Image.Image]]
    bar: float | None = None


WAYS = (
    Way("diffusers, all images at every step", theirs),
    Way("ours, all images at every step", ours, 1.02),
    Way("ours, no edits evaluated in the warm-up", skipping, 0.92),
    Way("ours, natural-first, semantic on half of the images", natural_first, 0.65),
    Way("ours, natural-first, prompt switching on half of the images", switching, 0.65),
)


@dataclass(frozen=True)
class Run:
    """One drawing. evaluations: rows through the UNet, per image. inside: those of its seconds spent in networks."""

    pictures: list[Image.Image]
    evaluations: float
    seconds: float
    inside: float


class Bench:
    """A pipeline whose networks are watched."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self._inside, self._rows = defaultdict[str, float](float), 0
        for part, name in ((pipeline.unet, "forward"), (pipeline.text_encoder, "forward"), (pipeline.vae, "decode")):
            timed(self._inside, "networks", part, name)
        pipeline.unet.register_forward_pre_hook(self._count)

    def run(self, way: Way, images: int, steps: int) -> Run:
        """Draw once."""
        self._inside.clear()
        self._rows, start = 0, clock()
        pictures = way.draw(self.pipeline, images, steps)
        return Run(pictures, self._rows / images, clock() - start, self._inside["networks"])

    def _count(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self._rows += len(inputs[0])


def take_turns(bench: Bench, *, images: int, steps: int, turns: int) -> list[list[Run]]:
    """A run of each way in each turn, after a short one that is not counted: what runs first pays for what comes."""
    for way in WAYS:
        bench.run(way, images, 1)
    done = []
    for turn in range(turns):
        done.append([bench.run(way, images, steps) for way in WAYS])
        print(f"turn {turn + 1}:", ", ".join(f"{run.seconds:.1f} s" for run in done[-1]), flush=True)
    return done


def peak(way: int, images: int, steps: int, **size: Any) -> int:
    """Draw in this process, and return the most bytes that it ever held (an accelerator's, if there is one)."""
    WAYS[way].draw(build(**size).to(DEVICE), images, steps)
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated()
    # Linux's own record: getrusage would start from the peak of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 2**10


def peaks(images: int, steps: int, turns: int, **size: Any) -> list[list[int]]:
    """The peak memory of every way in every turn, each in a fresh process. size: of the model, see `build`."""
    fresh, ways = multiprocessing.get_context("spawn"), range(len(WAYS))
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        return [[pool.submit(peak, way, images, steps, **size).result() for way in ways] for _ in range(turns)]


COLUMNS = (
    "way",
    "evaluations per image",
    "seconds",
    "of diffusers' seconds",
    "bar",
    "peak memory",
    "of diffusers' memory",
    "bar",
    "outside the networks",
    "bar",
)


def table(turns: Sequence[Sequence[Run]], memory: Sequence[Sequence[int]]) -> list[str]:
    """One line per way. turns: one run of each way in each; memory: bytes of each way in each."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for k, way in enumerate(WAYS):
        runs = [turn[k] for turn in turns]
        evaluations, reference = runs[0].evaluations, turns[0][0].evaluations
        ratios = [turn[k].seconds / turn[0].seconds for turn in turns]
        outside = [1 - run.inside / run.seconds for run in runs]
        held, shares = [turn[k] / 2**30 for turn in memory], [turn[k] / turn[0] for turn in memory]
        bars = ["", "", ""]
        if way.bar is not None:
            bars = [
                verdict(median(ratios), way.bar, "{:.2f}×"),
                verdict(median(shares), MEMORY_BAR, "{:.2f}×"),
                verdict(median(outside), OUTSIDE_BAR, "{:.0%}"),
            ]
        cells = [
            way.name,
            f"{evaluations:g} ({evaluations / reference:.2f}×)",
            spread([run.seconds for run in runs], "{:.1f}"),
            spread(ratios, "{:.3f}×"),
            bars[0],
            spread(held, "{:.2f}") + " GiB",
            spread(shares, "{:.3f}×"),
            bars[1],
            spread(outside, "{:.2%}"),
            bars[2],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def spread(values: Sequence[float], form: str) -> str:
    """The median, and from where to where the values go."""
    return f"{form.format(median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def verdict(value: float, bar: float, form: str) -> str:
    """The bar, and whether the value keeps to it."""
    return f"≤ {form.format(bar)}: {'meets' if value <= bar else 'misses'}"


def report(turns: Sequence[Sequence[Run]], memory: Sequence[Sequence[int]], *, images: int, steps: int) -> list[str]:
    """The page: what was run, the table, and that it was the same work."""
    levels = 255 * pixel_differences(turns[0][0].pictures, turns[0][1].pictures)[:, 1].max()
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} threads of a CPU"
    return [
        "# Semantic guidance on a UNet of Stable Diffusion 1.5's size",
        "",
        f"By `python -m benchmarks.families`: random weights, float32, latents of 32×32, {images} images at once, two",
        f"concepts, {steps} steps in the proportions of 50 ({round(WARMUP * steps)} of warm-up); torch",
        f"{torch.__version__} on {where}. Medians of {len(turns)} turns with the least and the most; verdicts",
        "are those of the medians.",
        "",
        *table(turns, memory),
        "",
        f"The first two ways do the same work: their pictures differ by {levels:.0f} of 255 levels at most. Random",
        "weights show nothing, so what each image would show by itself is made up for natural-first.",
    ]


def main() -> None:
    """Memory first, each way in a process of its own; then all ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5, help="a multiple of 5, for the same shares as of 50 steps")
    parser.add_argument("--images", type=int, default=2, help="drawn at once; an even number")
    parser.add_argument("--turns", type=int, default=3, help="how often each way is timed and weighed")
    asked = parser.parse_args()
    if asked.steps < 5 or asked.steps % 5:
        parser.error(f"--steps is {asked.steps}: use a multiple of 5")
    if asked.images < 2 or asked.images % 2:
        parser.error(f"--images is {asked.images}: use an even number")
    if asked.turns < 1:
        parser.error(f"--turns is {asked.turns}: use at least 1")
    memory = peaks(asked.images, asked.steps, asked.turns)
    turns = take_turns(Bench(build().to(DEVICE)), images=asked.images, steps=asked.steps, turns=asked.turns)
    text = "\n".join(report(turns, memory, images=asked.images, steps=asked.steps)) + "\n"
    print(text)
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
