"""The judge of the pocket model: a narrow ResNet-18 (He et al. 2016, arXiv 1512.03385). It scores and never steers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel

from fair_diffusion.models.pocket.folder import DRAWN_AS, WEIGHTS
from fair_diffusion.perception.reader import Reader, fill, heads_of, with_heads

WIDTHS = [32, 64, 128, 256]


class Trunk(nn.Module):
    """Pooled features (n, 256) of transformers' ResNet."""

    def __init__(self) -> None:
        super().__init__()
        config = ResNetConfig(
            embedding_size=WIDTHS[0],
            hidden_sizes=WIDTHS,
            depths=[2, 2, 2, 2],
            layer_type="basic",
            downsample_in_first_stage=False,
        )
        self.resnet: Any = ResNetModel(config)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, 256) of pictures (n, 3, side, side)."""
        pooled: Tensor = self.resnet(x).pooler_output
        return pooled.flatten(1)


def build(heads: Mapping[str, Sequence[str]]) -> Reader:
    """The untrained judge: 2.8 M weights."""
    return Reader(Trunk(), WIDTHS[-1], heads)


@cache
def load(path: Path = WEIGHTS / "judge.safetensors") -> Reader:
    """The trained judge, loaded once."""
    reader = fill(build(heads_of(path)), path)
    reader.aliases = DRAWN_AS
    return reader


def opened(argument: str) -> Reader:
    """The judge of the pocket model, with further heads if `argument` names a file of them."""
    return with_heads(load(), Path(argument)) if argument else load()
