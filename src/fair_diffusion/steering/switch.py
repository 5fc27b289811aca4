"""Prompt switching: from some step on, condition an image on the prompt that names its group.

c = c_p + s·(c_q − c_p)      c_p: text embeddings of the prompt; c_q: those of the prompt with the group's word

The steps before have fixed the composition, which stays. Each step costs as much as before, because one conditioning
replaces the other. s = 1 is the other prompt; s > 1 goes further in the same direction. The usual s is 1.5: it leaves
one image in 25 in its old group, where s = 1 leaves one in four (`benchmarks/settings.md`).

Words for groups that an image keeps weaken the new group's own: "dark-skinned male nurse" is less male than "male
nurse". So c_q of such an image goes further, away from the prompt with the same words and the old group:

c_q + a·(c_q − c_o)          c_o: "dark-skinned female nurse"

(The idea comes from the schedule of prompt-to-prompt: Hertz et al. 2022, arXiv 2208.01626.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Guide
from fair_diffusion.steering import plain
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.prompt import used_prompt as used_prompt

AWAY = 0.6
"""a. `benchmarks/settings.md` has others beside it."""


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide steered images by the prompt that names their groups, with s = the card's strength · the aim's strength."""
    unsteered = plain.guide(images)
    if not any(aim.strength for _, aim in images):
        return unsteered
    brief = images[0].brief
    grouped = brief.encode([used_prompt(brief, aim.named) for brief, aim in images])
    if any(aim.held for _, aim in images):
        old = brief.encode([used_prompt(brief, {**aim.named, **_left(aim)}) for brief, aim in images])
        grouped = old.towards(grouped, torch.tensor([1 + AWAY if aim.held else 1.0 for _, aim in images]))
    strength = torch.tensor([brief.card.switch * aim.strength for brief, aim in images])
    return replace(unsteered, cond=switched(unsteered.cond, grouped, strength))


def _left(aim: Aim) -> dict[str, str]:
    """The groups that an image leaves, by attribute, as far as they are known."""
    return {name: groups[0] for name, groups in aim.change.items() if groups}


def switched(plain: Conditioning, grouped: Conditioning, strength: Tensor) -> Conditioning:
    """Move conditionings from one prompt towards another.

    Args:
        plain: c_p of n images.
        grouped: c_q of the same images.
        strength: s of each image, (n,); with 0 the conditioning stays plain, bit for bit.
    """
    return plain.towards(grouped, strength)
