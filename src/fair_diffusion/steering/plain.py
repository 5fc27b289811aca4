"""Plain guidance: classifier-free guidance by the prompt, without steering."""

from __future__ import annotations

from collections.abc import Sequence

from fair_diffusion.backbones import Conditioning, Guide
from fair_diffusion.policy import Assignment
from fair_diffusion.steering.brief import Aimed, Brief


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide each image by the prompt of its own request."""
    first = images[0].brief
    if prompts := [brief.request.prompt for brief, _ in images if brief.reads_text]:
        first.encode(prompts)  # one call for all that are new
    return Guide(
        Conditioning.cat([brief.plain for brief, _ in images]),
        Conditioning.cat([brief.empty for brief, _ in images]),
        first.guidance,
        rescale=first.request.guidance_rescale,
    )


def used_prompt(brief: Brief, assigned: Assignment) -> str:
    """The prompt of the request."""
    return brief.request.prompt
