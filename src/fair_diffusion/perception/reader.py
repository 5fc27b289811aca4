"""A reader of pictures: one trunk, and one linear head per attribute with "unknown" as its last class.

probabilities = softmax(head(trunk(x)))            x: (n, 3, 64, 64) in −1…1

The perceiver (steers) and the judge (scores) of the pocket model are both readers. Their architectures, weights and
training data differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fair_diffusion.files.tensor_file import read_tensors
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import Reading as Reading

FORMAT = 1
"""Format of the file of weights."""
SIZE = 64
SURE = 0.5
CHUNK = 256


class Reader(nn.Module):
    """A network with one head per attribute.

    Args:
        trunk: turns (n, 3, side, side) into features (n, width).
        width: of the features.
        heads: the groups of each attribute.

    Attributes:
        side: pictures are resized to this size in pixels. Trunks that pool over all places take other sizes than 64.
        confusions: its measured errors, one entry for each attribute with a measurement.
        aliases: its own name for each occupation that people ask for by another name.
    """

    def __init__(self, trunk: nn.Module, width: int, heads: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.trunk = trunk
        self.side = SIZE
        self.confusions: Sequence[Confusion] = ()
        self.aliases: Mapping[str, str] = {}
        self.groups = {attribute: tuple(groups) for attribute, groups in heads.items()}
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(groups) + 1) for name, groups in heads.items()})

    def features(self, x: Tensor) -> Tensor:
        """Features (n, width) of (n, 3, side, side) in −1…1, with gradient."""
        features: Tensor = self.trunk(x)
        return features

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits (n, groups + 1) for each attribute, with gradient."""
        features = self.features(x)
        return {name: head(features) for name, head in self.heads.items()}

    def probabilities(self, images: Sequence[Image.Image] | Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) of one attribute.

        Args:
            images: pictures, or a tensor (n, 3, height, width) in 0…1; gradients flow through a tensor.
            attribute: one that this reader reads.

        Raises:
            ValueError: it does not read the attribute.
        """
        if attribute not in self.groups:
            raise ValueError(f"cannot read {attribute!r}; this reader knows {', '.join(self.groups)}")
        logits: Tensor = self.heads[attribute](self.features(self.pixels(images)))
        return logits.softmax(dim=1)

    @torch.no_grad()
    def every_probability(self, images: Sequence[Image.Image] | Tensor) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) of every attribute, without gradient; `images` as in `probabilities`."""
        parts = [self(self.pixels(images[i : i + CHUNK])) for i in range(0, len(images), CHUNK)]
        return {name: torch.cat([part[name] for part in parts]).softmax(dim=1) for name in self.groups}

    @torch.no_grad()
    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Features (n, width) of pictures, without gradient."""
        return torch.cat([self.features(self.pixels(images[i : i + CHUNK])) for i in range(0, len(images), CHUNK)])

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """The most probable group of every attribute for each picture; None if it is unknown or less than `SURE`."""
        found: dict[str, list[Reading]] = {attribute: [] for attribute in self.groups}
        for attribute, probabilities in self.every_probability(images).items() if images else ():
            names = (*self.groups[attribute], None)
            for confidence, k in zip(*probabilities.max(dim=1), strict=True):
                sure = confidence.item() >= SURE
                found[attribute].append(Reading(names[int(k)] if sure else None, confidence.item()))
        return found

    def pixels(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """Pictures, or a tensor in 0…1, as a tensor (n, 3, side, side) in −1…1 on this reader's device."""
        device = next(self.parameters()).device
        if isinstance(images, Tensor):
            x = images.to(device)
            if x.shape[-2:] != (self.side, self.side):
                x = nn.functional.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
            return x * 2 - 1
        small = [image.convert("RGB").resize((self.side, self.side), Image.Resampling.BOX) for image in images]
        stack = np.stack([np.asarray(image) for image in small])
        return torch.from_numpy(stack).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1

    def save(self, path: Path) -> None:
        """Write weights (fp16) and the groups of every head to one safetensors file."""
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        told = {"heads": json.dumps(self.groups)}
        with whole_file(path) as part:
            part.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, told))


def with_heads(reader: Reader, path: Path) -> Reader:
    """`reader` with further heads on its trunk, which a file of `save_heads` holds. It stays as it is.

    Raises:
        ValueError: the file holds none for this trunk.
    """
    try:
        tensors, heads = read_tensors(path, FORMAT)[0], heads_of(path)
        width = next(head.in_features for head in reader.heads.values() if isinstance(head, nn.Linear))
        found = Reader(reader.trunk, width, {**reader.groups, **heads})
        found.load_state_dict({**reader.state_dict(), **{f"heads.{k}": v.float() for k, v in tensors.items()}})
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} holds no heads for this reader: {str(error).splitlines()[0]}") from error
    found.side, found.confusions, found.aliases = reader.side, reader.confusions, reader.aliases
    return found.eval().requires_grad_(False)


def save_heads(heads: Mapping[str, nn.Linear], groups: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write heads (fp16) and their groups to one safetensors file, a few kilobytes for each."""
    tensors = nn.ModuleDict(heads).half().state_dict()
    with whole_file(path) as part:
        part.write_bytes(save(tensors, {"heads": json.dumps({name: list(each) for name, each in groups.items()})}))


def heads_of(path: Path) -> dict[str, list[str]]:
    """The groups of every head in a file that `Reader.save` wrote."""
    with safe_open(path, "pt") as file:
        heads: dict[str, list[str]] = json.loads(file.metadata()["heads"])
    return heads


def fill(reader: Reader, path: Path) -> Reader:
    """`reader` with the weights in `path`, in float32 and evaluation mode.

    If a file holds its confusions, it has them too.

    Raises:
        DamagedFile: the file cannot be read, or holds numbers that are not finite.
    """
    reader.load_state_dict(read_tensors(path, FORMAT)[0])
    beside = path.with_name(f"{path.stem}-confusions.json")
    if beside.is_file():
        reader.confusions = [Confusion(**one) for one in json.loads(beside.read_text(encoding="utf-8"))]
    return reader.float().eval().requires_grad_(False)
