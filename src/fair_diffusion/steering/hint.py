"""The prompt-hint baseline: the prompts of all images ask for variety.

"a photo of a doctor" → "a photo of a doctor, all genders and skin tones"

No image is assigned a group, so the shares depend on how the model reads the hint (Bansal et al. 2022, arXiv
2210.15230, call such hints ethical interventions). Sampling does not change and costs as much as before.
"""

from __future__ import annotations

from collections.abc import Sequence

from fair_diffusion.backbones import Guide
from fair_diffusion.policy import Assignment
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.prompt import append, guide_by


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide each image by the prompt with the hint."""
    return guide_by(images, used_prompt)


def used_prompt(brief: Brief, assigned: Assignment) -> str:
    """The prompt with a hint that names the attributes of the targets."""
    return with_hint(brief.request.prompt, [brief.definitions[name].label for name in brief.attributes])


def with_hint(prompt: str, labels: Sequence[str]) -> str:
    """The prompt with a hint at the end.

    Args:
        prompt: the prompt.
        labels: the attributes' labels, in the singular; without labels the prompt does not change.
    """
    if not labels:
        return prompt
    *first, last = [f"{label}s" for label in labels]
    return append(prompt, f"all {', '.join(first)} and {last}" if first else f"all {last}")
