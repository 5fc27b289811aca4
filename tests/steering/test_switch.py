"""Prompt switching: exact at both ends, on in the same direction beyond."""

from __future__ import annotations

import torch

from fair_diffusion.backbones import Conditioning
from fair_diffusion.steering.switch import switched


def test_strength_0_is_plain_and_1_the_other_prompt_to_the_bit() -> None:
    plain, grouped = (Conditioning(torch.randn(3, 5, 7)) for _ in range(2))
    mixed = switched(plain, grouped, torch.tensor([0.0, 1.0, 1.5])).embeddings
    assert torch.equal(mixed[0], plain.embeddings[0])
    assert torch.equal(mixed[1], grouped.embeddings[1])
    beyond = plain.embeddings[2] + 1.5 * (grouped.embeddings[2] - plain.embeddings[2])
    torch.testing.assert_close(mixed[2], beyond)
