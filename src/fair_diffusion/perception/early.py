"""The early reader of the pocket model: what an image will show, from the clean latents predicted mid-way.

probabilities = softmax( head(trunk([x̂0, t/1000])) / T(t) )      x̂0: (n, 4, 16, 16); T: by head and time

It makes decoding unnecessary. It was trained on what the perceiver reads in the finished pictures
(`recipes/pocket/early.py`). The temperatures (Guo et al. 2017, arXiv 1706.04599) calibrate it at each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception.reader import Reader, fill, heads_of

CHANNELS = 4
WIDTHS = (64, 96, 128)
TIMES = (980, 940, 900, 860, 820, 780, 740, 700, 600, 500, 300, 0)
"""The times with a known temperature. Between them, temperatures are interpolated."""


class EarlyReader(Reader):
    """A reader of clean latents that takes into account the time at which they were predicted."""

    def __init__(self, heads: Mapping[str, Sequence[str]]) -> None:
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(zip((CHANNELS + 1, *WIDTHS), WIDTHS, strict=False)):
            layers += [nn.Conv2d(before, after, 3, stride=1 if k == 0 else 2, padding=1), nn.GroupNorm(8, after)]
            layers += [nn.SiLU()]
        super().__init__(nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3)), WIDTHS[-1] * 16, heads)
        self.temperatures: Tensor
        self.register_buffer("temperatures", torch.ones(len(heads), len(TIMES)))

    def logits(self, clean: Tensor, t: Tensor) -> dict[str, Tensor]:
        """Logits (n, groups + 1) for each attribute.

        Args:
            clean: clean latents, (n, 4, 16, 16).
            t: the time of each image, (n,), in 0…1000.
        """
        plane = (t / 1000).to(clean)[:, None, None, None].expand(-1, 1, *clean.shape[2:])
        found: dict[str, Tensor] = self(torch.cat([clean, plane], dim=1))
        return found

    def foresee(self, clean: Tensor, t: float, attribute: str) -> Tensor:
        """Probabilities (n, groups + 1) of one attribute, "unknown" last, with gradient."""
        clean = clean.to(next(self.parameters()))
        logits = self.logits(clean, torch.full((len(clean),), t))[attribute]
        return (logits / self.temperature(attribute, t)).softmax(dim=1)

    @torch.no_grad()
    def early(self, clean: Tensor, t: float) -> dict[str, Tensor]:
        """Probabilities (n, groups + 1) for each attribute, "unknown" last."""
        clean = clean.to(next(self.parameters()))
        logits = self.logits(clean, torch.full((len(clean),), t))
        return {name: (found / self.temperature(name, t)).softmax(dim=1) for name, found in logits.items()}

    def temperature(self, name: str, t: float) -> float:
        """The temperature of one head at time t, interpolated between the two nearest of `TIMES`."""
        row = self.temperatures[list(self.groups).index(name)]
        for k in range(len(TIMES) - 1):
            if t >= TIMES[k + 1]:
                part = min(1.0, (t - TIMES[k + 1]) / (TIMES[k] - TIMES[k + 1]))
                return float(row[k + 1] + part * (row[k] - row[k + 1]))
        return float(row[-1])


@cache
def load(path: Path = WEIGHTS / "early.safetensors") -> EarlyReader:
    """The trained early reader, loaded once."""
    reader = EarlyReader(heads_of(path))
    fill(reader, path)
    return reader
