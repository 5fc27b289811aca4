"""Weight edits: a safetensors file that changes a loaded pipeline for a while, and is undone to the last bit.

    with edited(pipeline, Path("edit.safetensors")):
        ...

The file holds some or all parameters of the network (UNet or transformer) under the network's own names, as unified
concept editing and a retrained network are saved; or a LoRA as diffusers saves it, which needs `peft`. The names of its
tensors tell which of the two it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fair_diffusion.files.schema import DamagedFile
from fair_diffusion.files.tensor_file import read_tensors
from fair_diffusion.models.loras import act, adding, check_peft, present

FORMAT = 1
"""Format of the files of edits and LoRAs that are learnt here. Files from elsewhere have no number."""
ADAPTER = "fair-diffusion"
"""The name under which a LoRA is loaded, beside the LoRAs that the pipeline already has."""


@contextmanager
def edited(pipeline: Any, path: Path) -> Iterator[None]:
    """Edit the networks of a diffusers pipeline by the file at `path`. On leaving, they are as they were.

    Raises:
        ValueError: the file is neither kind, does not fit the networks, or holds numbers that are not finite. Nothing
            is changed then.
    """
    tensors = read(path)
    if any(".lora" in name for name in tensors):
        with same_training(pipeline), _lora(pipeline, path, tensors):
            yield
        return
    network = getattr(pipeline, "transformer", None) or pipeline.unet
    with swapped(network, tensors, of=str(path)):
        yield


@contextmanager
def swapped(network: nn.Module, tensors: Mapping[str, Tensor], *, of: str = "the edit") -> Iterator[None]:
    """Replace the parameters of the same names by `tensors`. On leaving, they hold their old bits.

    Args:
        network: a UNet or transformer.
        tensors: by the names of the network's state.
        of: where the tensors come from, for messages.

    Raises:
        ValueError: a tensor does not fit; the message names the first one.
    """
    own = network.state_dict()
    kind = type(network).__name__
    for name, tensor in tensors.items():
        if name not in own:
            raise ValueError(f"{of} holds {name!r}, which this model's {kind} does not have; use the file's own model")
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"{of} holds {name!r} of shape {tuple(tensor.shape)}, but this model's is {tuple(own[name].shape)}; "
                "use the model that the file was made for"
            )
        if own[name].is_meta:  # a copy into it would silently do nothing
            raise ValueError(
                f"{of} holds {name!r}, which this model keeps off the device between uses (offload 'sequential'), "
                "so it cannot be changed; load the model with offload 'model', or without offload"
            )
    kept = {name: own[name].clone() for name in tensors}
    try:
        put(network, tensors)
        yield
    finally:
        try:
            put(network, kept)
        except BaseException:  # an interrupt on the way back must not leave the edit in the model
            put(network, kept)
            raise


@torch.no_grad()
def put(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` into the parameters and buffers of the same names and shapes."""
    own = network.state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight edit.

    Raises:
        ValueError: the file cannot be one.
    """
    try:
        tensors, _ = read_tensors(path, FORMAT)
    except DamagedFile as error:
        raise DamagedFile(f"{error}; name a file of edited weights") from error
    if not tensors:
        raise ValueError(f"{path} holds no weights; name a file of edited weights")
    return tensors


@contextmanager
def same_training(pipeline: Any) -> Iterator[None]:
    """Restore on leaving which parameters take gradients, since a LoRA freezes the network that it is loaded into."""
    networks = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    took = [(parameter, parameter.requires_grad) for network in networks for parameter in network.parameters()]
    try:
        yield
    finally:
        for parameter, before in took:
            parameter.requires_grad_(before)


@contextmanager
def _lora(pipeline: Any, path: Path, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Load a LoRA under a name of its own, beside those already loaded, and delete it on leaving."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"{path} is a LoRA, which {type(pipeline).__name__} cannot load; use edited weights instead")
    check_peft(f"{path} is a LoRA, which")
    with adding(pipeline, keep=False) as acted:
        try:
            pipeline.load_lora_weights(dict(tensors), adapter_name=ADAPTER)
        except (ValueError, RuntimeError, LookupError, TypeError) as error:
            raise ValueError(f"{path} is no LoRA for this model: {error}".splitlines()[0]) from error
        if ADAPTER not in present(pipeline):
            raise ValueError(f"{path} is a LoRA that fits no part of this model; use the model that it was made for")
        act(pipeline, [*acted, ADAPTER])
        yield
