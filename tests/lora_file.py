"""A LoRA of random weights, in a file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def make_lora(pipeline: Any, folder: Path, seed: int) -> dict[str, Tensor]:
    """Write a random LoRA of rank 2 and full strength; what it adds to the weights of the UNet's queries."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = copy.deepcopy(pipeline.unet)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q"]))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    weights = get_peft_model_state_dict(unet)
    type(pipeline).save_lora_weights(folder, unet_lora_layers=weights)
    ends = (".lora_A.weight", ".lora_B.weight")
    places = [name.removesuffix(ends[0]) for name in weights if name.endswith(ends[0])]
    return {place: weights[place + ends[1]] @ weights[place + ends[0]] for place in places}
