"""The options of loading a model, typed, and the check of what is given for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import torch

from fair_diffusion.request import check_fields


class LoadingOptions(TypedDict, total=False):
    """The keyword arguments of `loading.load`, as type checkers see them; it tells what each is."""

    dtype: str | torch.dtype | None
    device: str | None
    offload: str | None
    vae_slicing: bool
    vae_tiling: bool
    attention: str | None
    compile: bool
    lora: str | Sequence[str]
    textual_inversion: str | Sequence[str]
    config: str | None


_SWITCHES = ("vae_slicing", "vae_tiling", "compile")
_LISTS = ("lora", "textual_inversion")


def check_options(given: Mapping[str, Any]) -> None:
    """`ValueError` naming the first option that is unknown, with the nearest one, or of a wrong type."""
    check_fields(given, LoadingOptions.__annotations__)
    for name, value in given.items():
        if name in _SWITCHES:
            right, said = isinstance(value, bool), "True or False"
        elif name in _LISTS:
            many = isinstance(value, Sequence) and all(isinstance(one, str) for one in value)
            right, said = value is None or many, "a name, or a list of names"
        else:
            kinds = (str, torch.dtype) if name == "dtype" else str
            right, said = value is None or isinstance(value, kinds), "a text such as docs/reference/models.md shows"
        if not right:
            raise ValueError(f"{name} is {value!r}; give {said}")
