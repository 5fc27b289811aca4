"""Models of transformers from a folder or the hub: weights as safetensors only, and none of their code is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from fair_diffusion.models.hub import Hub
from fair_diffusion.models.parts import check_files

READ = ("*.json", "*.txt", "*.model", "model.safetensors", "model-*.safetensors")
"""Files of a reader that are downloaded."""


def loaded(kind: Any, model: str) -> Any:
    """`kind.from_pretrained(model)` in evaluation mode and float32.

    Half precision cannot hold small probabilities or their gradients.

    Raises:
        ValueError: in one line, why it cannot be loaded.
    """
    from transformers import AutoConfig

    weights = hasattr(kind, "forward") or kind.__name__.startswith("AutoModel")
    try:
        folder = Path(model) if Path(model).is_dir() else Hub().folder(model, files=READ)
        check_files("it", folder)
        auto = {"trust_remote_code": False} if kind.__name__.startswith("Auto") else {}
        as_read: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32} if weights else {}
        if auto and weights:  # read apart: a setting with the name of an argument would keep it from the class
            as_read["config"] = AutoConfig.from_pretrained(str(folder), local_files_only=True, **auto)
        part = kind.from_pretrained(str(folder), local_files_only=True, **auto, **as_read)
        if weights and not all(bool(one.isfinite().all()) for one in part.parameters()):
            raise ValueError("its weights are not all finite numbers")
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(
            f"{model!r} cannot be loaded as {kind.__name__}: {first}; name a folder or a hub id with safetensors"
        ) from error
    return part.eval().requires_grad_(False) if weights else part
