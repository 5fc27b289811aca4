"""The first call in Python: what a newcomer sees of it."""

from __future__ import annotations

import os
import subprocess
import sys

CALL = """
from fair_diffusion import FairPipeline

pipe = FairPipeline.from_pretrained("pocket")
result = pipe("a photo of a firefighter", n=2, steps=4, instruct="firefighter: 50% woman, 50% man")
print(len(result.images))
"""
QUIETERS = ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "PYTHONWARNINGS")


def test_the_first_call_prints_nothing_of_other_libraries() -> None:
    plain = {name: value for name, value in os.environ.items() if name not in QUIETERS}
    said = subprocess.run([sys.executable, "-c", CALL], env=plain, capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("2\n", "")
