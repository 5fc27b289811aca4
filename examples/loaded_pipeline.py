"""A diffusers pipeline that your program has loaded already, with its own scheduler, draws to an instruction.

    fair-diffusion pocket export out/pocket
    python examples/loaded_pipeline.py out/pocket

The pocket model stands for yours: any pipeline of the families that `fair-diffusion models` lists is taken as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from fair_diffusion import FairPipeline


def main() -> None:
    """Load, draw, print what came out, and keep the pictures."""
    options = argparse.ArgumentParser(description="draw with a loaded pipeline")
    options.add_argument("model", help="a folder or hub id of Stable Diffusion 1 or 2")
    options.add_argument("--perceiver", default="pocket", help="who may steer; clip:MODEL for photographs")
    options.add_argument("--judge", default="judge", help="who scores, with other weights; faces for photographs")
    options.add_argument("-n", type=int, default=8, help="images")
    options.add_argument("--steps", type=int, help="denoising steps; the model's usual ones if not given")
    options.add_argument("--out", type=Path, default=Path("out/loaded"), help="a new folder")
    given = options.parse_args()

    own = StableDiffusionPipeline.from_pretrained(given.model)
    own.scheduler = EulerDiscreteScheduler.from_config(own.scheduler.config)

    fair = FairPipeline.from_pretrained(own, perceiver=given.perceiver, judge=given.judge)
    result = fair("a photo of a mechanic", n=given.n, steps=given.steps, seed=0, instruct="mechanic: half women")
    for row in result.audit:
        print(row.group, "asked:", row.quota, "drawn:", row.count)
    result.save(given.out)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
