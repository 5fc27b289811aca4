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
    """Write the unit vectors, (phrases, 384), float16, with their phrases and the hash of the model."""
    phrases = list(dict.fromkeys([*lists()["occupations"], *PEOPLE, *THINGS]))
    told = {"phrases": json.dumps(phrases), "model": SHA256}
    save_file({"vectors": embed(phrases).astype(np.float16)}, path, metadata=told)
