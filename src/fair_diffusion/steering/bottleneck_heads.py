"""Heads on the middle block of a UNet: one linear head per time of the run predicts what an image will show.

p = softmax((W_t·h + b_t) / T)    h: features of the middle block, flattened; T = 8 (Balancing Act, arXiv 2402.18206)

The heads learn, at T = 1, what the perceiver sees in the finished pictures. At a time without a head, the head of the
nearest time reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, TypeAdapter
from safetensors.torch import save
from torch import Tensor

from fair_diffusion.files.format_number import file_metadata
from fair_diffusion.files.schema import HEADS, DamagedFile, checked, parsed
from fair_diffusion.files.tensor_file import read_tensors
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.steering.cost import Cost

FORMAT = 1
"""Format of the file of heads."""
TEMPERATURE = 8.0
_TEMPERATURE: TypeAdapter[float] = TypeAdapter(Annotated[float, Field(gt=0, le=1e6)])


class BottleneckHeads:
    """One linear head per time and attribute. Its classes are the groups, then unknown.

    Args:
        times: the times of the run that have heads, (times,).
        groups: the groups of every attribute.
        weights: (times, classes, features) by attribute.
        biases: (times, classes) by attribute.
        temperature: T.
    """

    def __init__(
        self,
        times: Tensor,
        groups: Mapping[str, Sequence[str]],
        weights: Mapping[str, Tensor],
        biases: Mapping[str, Tensor],
        *,
        temperature: float = TEMPERATURE,
    ) -> None:
        self.times, self.weights, self.biases = times.float(), dict(weights), dict(biases)
        self.groups = {name: tuple(names) for name, names in groups.items()}
        self.temperature = temperature

    def probabilities(self, features: Tensor, t: float, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) from features (n, ...) at time t, with gradient.

        Raises:
            ValueError: the heads do not know the attribute, or the features have another length than the heads.
        """
        self.check_reads(attribute)
        h, k = features.flatten(1), self._nearest(t)
        weight, bias = self.weights[attribute][k].to(h), self.biases[attribute][k].to(h)
        if h.shape[1] != weight.shape[1]:
            raise ValueError(
                f"features of length {h.shape[1]} for heads of {weight.shape[1]}; they are another model's"
            )
        return ((h @ weight.T + bias) / self.temperature).softmax(dim=1)

    def check_reads(self, attribute: str, groups: Sequence[str] = ()) -> None:
        """`ValueError` naming the attribute, or the first of some groups, that the heads do not know."""
        if attribute not in self.groups:
            raise ValueError(f"these heads cannot read {attribute!r}; they know {', '.join(self.groups)}")
        if unknown := [group for group in groups if group not in self.groups[attribute]]:
            known = ", ".join(self.groups[attribute])
            raise ValueError(f"these heads cannot read {unknown[0]!r} of {attribute}; they know {known}")

    def size(self, t: float, attribute: str) -> float:
        """The spectral norm ‖W_t‖ / T: the largest change of logits for a change of the features of length 1."""
        return float(torch.linalg.matrix_norm(self.weights[attribute][self._nearest(t)], ord=2)) / self.temperature

    def save(self, path: Path, cost: Cost) -> None:
        """Write weights (fp16), times, groups and the cost of learning to a safetensors file, whole or not at all."""
        tensors = {"times": self.times}
        for name in self.groups:
            tensors |= {f"{name}.weight": self.weights[name].half(), f"{name}.bias": self.biases[name].half()}
        groups = json.dumps({name: list(names) for name, names in self.groups.items()})
        told = file_metadata(FORMAT) | {"heads": groups, "temperature": str(self.temperature)} | cost.metadata()
        with whole_file(path) as part:
            part.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, told))

    @classmethod
    def load(cls, path: Path) -> BottleneckHeads:
        """The heads in a file that `save` wrote.

        Raises:
            ValueError: the file holds something else, or has a newer format.
        """
        try:
            tensors, said = read_tensors(path, FORMAT)
            groups = parsed(said.get("heads", ""), HEADS, FORMAT, path)
            temperature = checked(_number(said.get("temperature", "")), _TEMPERATURE, path)
            weights, biases = (
                {name: tensors[f"{name}.{part}"].float() for name in groups} for part in ("weight", "bias")
            )
            times = tensors["times"]
            for name, names in groups.items():
                shape = (len(times), len(names) + 1)
                if weights[name].ndim != 3 or (weights[name].shape[:2], biases[name].shape) != (shape, shape):
                    raise DamagedFile(f"the heads of {name!r} are of another shape than their times and groups")
        except (DamagedFile, KeyError, TypeError) as error:
            raise DamagedFile(f"{path} holds no bottleneck heads ({error}); make them with `train`") from error
        return cls(times, groups, weights, biases, temperature=temperature)

    def _nearest(self, t: float) -> int:
        return int((self.times - t).abs().argmin())


def _number(text: str) -> float:
    """The number that a text says; "not a number" if it says none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def train(
    features: Tensor,
    times: Tensor,
    seen: Mapping[str, Tensor],
    groups: Mapping[str, Sequence[str]],
    *,
    steps: int = 400,
    batch: int = 128,
    rate: float = 1e-3,
    decay: float = 0.1,
    seed: int = 0,
) -> BottleneckHeads:
    """Learn all heads jointly, by cross-entropy. The same seed gives the same heads.

    Args:
        features: the features of the middle block, (images, times, ...).
        times: the times, (times,).
        seen: by attribute, the probabilities that a perceiver gives to the finished pictures, (images, groups +
            unknown).
        groups: the groups of every attribute.
        steps: optimizer steps.
        batch: images per step.
        rate: learning rate of AdamW.
        decay: weight decay of AdamW.
        seed: seed of the batches.

    Raises:
        ValueError: there are fewer than two images, or another number of them in `seen`.
    """
    if len(features) < 2 or any(len(table) != len(features) for table in seen.values()):
        raise ValueError(f"{len(features)} images; give 2 or more, and what is seen in each of them")
    h = features.flatten(2).float()
    generator = torch.Generator().manual_seed(seed)
    scale = h.pow(2).mean(dim=(0, 2), keepdim=True).sqrt().clamp_min(1e-6)  # heads of all times learn equally fast
    weights = {name: torch.zeros(h.shape[1], len(names) + 1, h.shape[2]) for name, names in groups.items()}
    biases = {name: torch.zeros(h.shape[1], len(names) + 1) for name, names in groups.items()}
    parameters = [tensor.requires_grad_() for tensor in (*weights.values(), *biases.values())]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    for _ in range(steps):
        rows = torch.randint(len(h), (min(batch, len(h)),), generator=generator)
        x = h[rows] / scale
        loss = torch.zeros(())
        for name, table in seen.items():
            logits = torch.einsum("ntd,tkd->ntk", x, weights[name]) + biases[name]
            target = table[rows].to(logits)[:, None].expand_as(logits)
            loss = loss + F.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learnt = {name: weight.detach() / scale.view(-1, 1, 1) for name, weight in weights.items()}
    return BottleneckHeads(times, groups, learnt, {name: bias.detach() for name, bias in biases.items()})
