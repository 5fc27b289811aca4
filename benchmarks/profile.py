"""Where the time of a natural-first request goes: network, decoder, text encoder, readers, and all that is left.

python -m benchmarks.profile [--images 64]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import torch

from fair_diffusion import FairPipeline


def clock() -> float:
    """Seconds, once an accelerator has done all that it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(spent: dict[str, float], part: str, owner: Any, name: str) -> None:
    """Count the seconds of every call of `owner.name` under `part`."""
    function = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        result = function(*args, **kwargs)
        spent[part] += clock() - start
        return result

    setattr(owner, name, call)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    images = parser.parse_args().images
    pipe, spent = FairPipeline.from_pretrained("pocket"), defaultdict[str, float](float)
    parts = pipe.backbone.pipeline
    timed(spent, "network", parts.unet, "forward")
    timed(spent, "decoder", parts.vae, "decode")
    timed(spent, "text encoder", parts.text_encoder, "forward")
    timed(spent, "judge", pipe.judge, "forward")
    timed(spent, "perceiver", pipe.perceiver, "forward")
    timed(spent, "early reader", pipe.early, "early")
    timed(spent, "sampler", type(pipe.backbone), "step")
    start = clock()
    pipe("a photo of a firefighter", n=images, instruct="firefighter: half women")
    whole = clock() - start
    spent["all else"] = whole - sum(spent.values())
    for part, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{part:<13} {seconds:7.2f} s {seconds / whole:6.1%}")
