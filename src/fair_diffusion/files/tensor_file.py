"""Safetensors files that are read: their tensors and metadata, or one error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fair_diffusion.files.format_number import check_metadata
from fair_diffusion.files.guarded import RefusedFile, regular, why
from fair_diffusion.files.schema import DamagedFile
from fair_diffusion.files.text import printable

if TYPE_CHECKING:
    from torch import Tensor


def read_tensors(path: Path, known: int) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Read a safetensors file.

    Args:
        path: the file, which the user named.
        known: the newest format that this version reads.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        NewerFormatError: the file has a newer format.
        DamagedFile: it is no such file, or it holds numbers of a kind that does not calculate or are not finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(regular(path), "pt") as file:
            metadata = file.metadata() or {}
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, RefusedFile, SafetensorError) as error:
        raise DamagedFile(f"{path} cannot be read as safetensors ({printable(why(error))})") from error
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, OverflowError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}".split("\n")[0]
        raise DamagedFile(f"{path} cannot be read as safetensors ({printable(said)})") from error
    check_metadata(metadata, known, path)
    plain = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for name, tensor in tensors.items():
        if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype not in plain):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise DamagedFile(f"{path} holds {name!r} in {kind}, which is not calculated with; save it as float16")
        if not torch.isfinite(tensor).all():
            raise DamagedFile(f"{path} holds numbers in {name!r} that are not finite; make the file again")
    return tensors, metadata
