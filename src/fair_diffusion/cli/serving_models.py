"""The models of a worker, as its options name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.options import LoadingModels
from fair_diffusion.cli.usage import MODEL, loaded
from fair_diffusion.files.text import public
from fair_diffusion.policy.attributes import suggestion

if TYPE_CHECKING:
    from fair_diffusion.service.models import Models

_NAMED = re.compile(r"(?:([^=]+)\+)?([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)")
"""A LoRA that requests may ask for: its model, which may be left out where there is only one, its name and its file."""


def models_of(options: LoadingModels, *, batch: int) -> Models:
    """The models, each loaded once. `ValueError` if one cannot be, or if a LoRA is of none of them.

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
    if always := [word for word in words if not _NAMED.fullmatch(word)]:
        given["lora"] = always
    if len(set(models)) < len(models):
        raise ValueError(f"--model names {next(m for m in models if models.count(m) > 1)} twice; name it once")
    named = [
        {name: one_file(place, LORA_FILE, Hub()) for name, place in own.items()} for own in loras_of(words, models)
    ]
    found = Models(
        [partial(loaded, {"model": model, **given}) for model in models],  # type: ignore[typeddict-item]
        named=named,
        memory=None if memory is None else memory * 2**30,
    )
    found.open(batch)
    return found


def loras_of(words: Sequence[str], models: Sequence[str]) -> list[dict[str, str]]:
    """For each model the LoRAs that requests may ask for: name and place.

    Args:
        words: NAME=FILE, or MODEL+NAME=FILE with several models. Others always act, and are passed by.
        models: as they are given. A LoRA names its model so, or as requests do.

    Raises:
        ValueError: a LoRA does not say of which of several models it is, is of none of them, or is named twice.
    """
    called = {name: place for place, model in enumerate(models) for name in (model, public(model))}
    found: list[dict[str, str]] = [{} for _ in models]
    for told in filter(None, map(_NAMED.fullmatch, words)):
        model, name, place = told.groups()
        if model is None and len(models) > 1:
            of = " or ".join(f"{public(each)}+{name}" for each in models)
            raise ValueError(f"--lora {name}=… does not say which model it is for; name it {of}")
        if model is not None and model not in called:
            raise ValueError(f"--lora {model}+{name}=… is for no --model; {suggestion(model, tuple(called))}")
        own = found[called[model] if model is not None else 0]
        if name in own:
            raise ValueError(f"--lora names {name} twice for one model; give each LoRA a name of its own")
        own[name] = place
    return found
