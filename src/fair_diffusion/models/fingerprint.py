"""Fingerprints: the SHA-256 of networks, folders and readers, by which two of them are never confused.

A network's fingerprint covers its tensors, sorted by name: name, number type, shape and bytes of each, on any device. A
folder's covers the files from which a model is loaded, in it and in the folders of its parts: name and content of each.
Exports `of_network`, `of_folder`, `of_reader`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.models.parts import READ
from fair_diffusion.models.provenance import sha256

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver


def of_network(network: nn.Module) -> str:
    """The hash of a network's parameters and buffers; empty if they are offloaded to where they cannot be read."""
    tensors = network.state_dict()
    if any(tensor.is_meta for tensor in tensors.values()):
        return ""
    digest = hashlib.sha256()
    _add(digest, "", tensors)
    return digest.hexdigest()


def of_folder(folder: Path) -> str:
    """The hash of the weights, settings and vocabularies of the model in `folder`; empty if there are none."""
    paths = sorted(path for depth in ("*", "*/*") for path in folder.glob(depth) if path.suffix in READ)
    files = [InnerFile(folder, path.relative_to(folder).as_posix()) for path in paths]
    said = [f"{file.path} {sha256(file)}\n" for file in files if file.is_file()]
    return hashlib.sha256("".join(said).encode()).hexdigest() if said else ""


def of_reader(reader: Perceiver) -> str:
    """A reader's class, and the hash of everything that determines its readings: groups, weights, numbers and texts."""
    digest = hashlib.sha256()
    _add(digest, "groups", {name: list(groups) for name, groups in reader.groups.items()})
    if isinstance(reader, nn.Module):
        _add(digest, "", reader.state_dict())
    _add(digest, "", {name: value for name, value in vars(reader).items() if name[0] != "_" and name != "training"})
    return f"{type(reader).__name__}, sha256 {digest.hexdigest()}"


def _add(digest: Any, name: str, value: object) -> None:
    """Add plain data, a tensor or a network to a hash. Other values are left out."""
    match value:
        case Tensor():
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(flat.view(torch.uint8).numpy())
        case nn.Module():
            _add(digest, name, value.state_dict())
        case Mapping():
            for key in sorted(value, key=str):
                _add(digest, f"{name}.{key}", value[key])
        case list() | tuple():
            for k, part in enumerate(value):
                _add(digest, f"{name}.{k}", part)
        case str() | int() | float() | None:
            digest.update(f"{name} {value!r}\n".encode())
