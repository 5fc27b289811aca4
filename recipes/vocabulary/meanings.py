"""The vectors of the known occupations, so that no prompt waits for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.meaning import PEOPLE, THINGS
from fair_diffusion.policy.minilm import SHA256, embed


def write(path: Path) -> None:
    """Write the unit vectors with their phrases and the hash of the model.

    A vector is its row of "lows", (phrases, 1), float32, plus that of "steps", the same, times that of "vectors",
    (phrases, 384), uint8.
    """
    phrases = list(dict.fromkeys([*lists()["occupations"], *PEOPLE, *THINGS]))
    told = {"phrases": json.dumps(phrases), "model": SHA256}
    vectors = embed(phrases)
    lows, highs = vectors.min(axis=1, keepdims=True), vectors.max(axis=1, keepdims=True)
    steps = (highs - lows) / np.float32(255)
    whole = np.rint((vectors - lows) / steps).astype(np.uint8)
    save_file({"vectors": whole, "lows": lows, "steps": steps}, path, metadata=told)
