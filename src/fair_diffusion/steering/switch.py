"""Prompt switching: from some step on, condition an image on the prompt that names its group.

c = c_p + s·(c_q − c_p)      c_p: the prompt's text embeddings; c_q: those of the prompt with the group's word in it

The noise removed before that step has fixed the composition, which stays; each step still costs what it did, since the
one conditioning replaces the other. s = 1 is the other prompt; s > 1 goes on in its direction.
Usual is 1.5: where s = 1 leaves one image in four as it was, this leaves one in 25 (`benchmarks/settings.md`).
(The idea is that of prompt-to-prompt's schedule: Hertz et al. 2022, arXiv 2208.01626.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Guide
from fair_diffusion.steering import plain
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.prompt import used_prompt as used_prompt


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide steered images by the prompt that names their group; the strength is that of the card times the aim's."""
    unsteered = plain.guide(images)
    if not any(aim.strength for _, aim in images):
        return unsteered
    brief = images[0].brief
    grouped = brief.encode([used_prompt(brief, aim.assigned) for brief, aim in images])
    strength = torch.tensor([brief.card.switch * aim.strength for brief, aim in images])
    return replace(unsteered, cond=switched(unsteered.cond, grouped, strength))


def switched(plain: Conditioning, grouped: Conditioning, strength: Tensor) -> Conditioning:
    """The conditionings of steered images. strength: s of each image, (n,); 0 leaves it plain, to the bit."""
    return plain.towards(grouped, strength)
