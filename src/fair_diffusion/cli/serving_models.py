"""The models of a worker, as its options name them."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.options import LoadingModels
from fair_diffusion.cli.usage import MODEL, loaded

if TYPE_CHECKING:
    from fair_diffusion.service.models import Models

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)")
"""A LoRA that requests may ask for."""


def models_of(options: LoadingModels, *, batch: int) -> Models:
    """The models, each loaded once. `ValueError` if one cannot be.

    Args:
        options: of the command line.
        batch: images in one batch at most.
    """
    from fair_diffusion.models.hub import Hub
    from fair_diffusion.models.loading import LORA_FILE
    from fair_diffusion.models.weights import one_file
    from fair_diffusion.service.models import Models

    given: dict[str, Any] = dict(options)
    models, memory = given.pop("model", None) or [MODEL], given.pop("memory", None)
    words = given.pop("lora", None) or []
    named = {told[1]: told[2] for word in words if (told := _NAMED.fullmatch(word))}
    if always := [word for word in words if not _NAMED.fullmatch(word)]:
        given["lora"] = always
    if len(set(models)) < len(models):
        raise ValueError(f"--model names {next(m for m in models if models.count(m) > 1)} twice; name it once")
    files: dict[str, Path] = {name: one_file(place, LORA_FILE, Hub()) for name, place in named.items()}
    found = Models(
        [partial(loaded, {"model": model, **given}) for model in models],  # type: ignore[typeddict-item]
        named=files,
        memory=None if memory is None else memory * 2**30,
    )
    found.open(batch)
    return found
