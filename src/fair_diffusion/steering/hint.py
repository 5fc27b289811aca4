"""The prompt-hint baseline: ask for variety in the prompt itself, of every image alike.

"a photo of a doctor" → "a photo of a doctor, all genders and skin tones"

No image is assigned a group, so what comes out is whatever the model makes of the words (Bansal et al. 2022, arXiv
2210.15230, call such hints ethical interventions). Sampling stays as it is, and costs what it did.
"""

from __future__ import annotations

from collections.abc import Sequence

from fair_diffusion.steering.prompt import append


def with_hint(prompt: str, labels: Sequence[str]) -> str:
    """The prompt with a hint at the end. labels: of the attributes, in the singular; without any it stays as it is."""
    if not labels:
        return prompt
    *first, last = [f"{label}s" for label in labels]
    return append(prompt, f"all {', '.join(first)} and {last}" if first else f"all {last}")
