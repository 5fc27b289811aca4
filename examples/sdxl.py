"""Stable Diffusion XL draws to an instruction: CLIP may steer, and the networks for faces score.

    pip install 'fair-diffusion[faces]'
    python examples/sdxl.py --instruct "every occupation: half women"

The weights of SDXL and CLIP (10 GB) are downloaded once. How strongly images are steered is a first guess for this
family: `fair-diffusion models` has the settings, and a run of 50 images says whether they fit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fair_diffusion import FairPipeline, Policy, Request

PROMPTS = ("a photo of a firefighter at work", "a photo of a nurse at work", "a portrait photo of a software developer")


def main() -> None:
    """Draw every prompt, in mixed batches, and say how near each came."""
    options = argparse.ArgumentParser(description="draw with SDXL to an instruction")
    options.add_argument("--instruct", default="every occupation: half women", help="what the judge can read")
    options.add_argument("--model", default="stabilityai/stable-diffusion-xl-base-1.0")
    options.add_argument("--perceiver", default="clip:openai/clip-vit-large-patch14", help="who may steer")
    options.add_argument("--judge", default="faces", help="who scores: other weights than the perceiver")
    options.add_argument("-n", type=int, default=8, help="images of each prompt")
    options.add_argument("--steps", type=int, help="denoising steps; the model's usual ones if not given")
    options.add_argument("--out", type=Path, default=Path("out/sdxl"), help="a new folder")
    given = options.parse_args()

    policy = Policy.from_sentence(given.instruct)  # a mistake is told before anything is loaded
    accelerated = torch.accelerator.is_available()
    fair = FairPipeline.from_pretrained(
        given.model,
        perceiver=given.perceiver,
        judge=given.judge,
        dtype="float16" if accelerated else "float32",
        offload="model" if accelerated else None,
    )
    requests = [Request(prompt=prompt, n=given.n, steps=given.steps, seed=0, policy=policy) for prompt in PROMPTS]
    for k, (prompt, result) in enumerate(zip(PROMPTS, fair.many(requests), strict=True)):
        print(f"{prompt}: {result.verdict}")
        for row in result.audit:
            print(" ", row.attribute, row.group, "asked:", row.quota, "drawn:", row.count)
        result.save(given.out / str(k))
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
