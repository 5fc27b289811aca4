"""The perceiver of the pocket model: a small convolutional network that may steer. It never scores results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from torch import nn

from fair_diffusion.models.pocket.folder import DRAWN_AS, WEIGHTS
from fair_diffusion.perception.reader import Reader, fill, heads_of, with_heads

WIDTHS = (48, 96, 144, 192)


def build(heads: Mapping[str, Sequence[str]]) -> Reader:
    """The untrained perceiver: seven convolutions with group normalisation, 0.9 M weights."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        if before > 3:
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
    # The last map, 4×4, is not pooled: the position of a shape tells a hat from a collar.
    return Reader(nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2)), WIDTHS[-1] * 16, heads)


@cache
def load(path: Path = WEIGHTS / "perceiver.safetensors") -> Reader:
    """The trained perceiver, loaded once."""
    reader = fill(build(heads_of(path)), path)
    reader.aliases = DRAWN_AS
    return reader


def opened(argument: str) -> Reader:
    """The perceiver of the pocket model, with further heads if `argument` names a file of them."""
    return with_heads(load(), Path(argument)) if argument else load()
