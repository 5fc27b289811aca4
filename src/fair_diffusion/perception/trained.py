"""A perceiver that is trained on a labelled folder: each sub-folder is a group of one attribute.

The network is a narrow ResNet-18 (`judge`), small enough for two cores. A sub-folder "unknown" teaches it when to give
no group. A share of every group is held out, and the errors on that share are kept beside the weights:

    perceiver.safetensors   weights (fp16)
    perceiver.json          attribute, groups, side of the pictures in pixels, seed, and the held-out confusion matrix
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from PIL import Image
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError
from torch import Tensor, nn
from typing_extensions import TypedDict

from fair_diffusion.files.format_number import NewerFormatError
from fair_diffusion.files.guarded import InnerFile, refusal, why
from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.files.schema import EXACT, Count, DamagedFile, read_json
from fair_diffusion.perception import judge
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.reader import Reader, fill

FORMAT = 1
"""Format of the folder, kept in the card."""
WEIGHTS, CARD = "perceiver.safetensors", "perceiver.json"
UNKNOWN = "unknown"
BATCH = 32
FEWEST = 5
"""The least number of pictures per group: some to learn from and one to test on."""
RATE = 2e-3


class _Card(TypedDict):
    """The card."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    attribute: str
    groups: Annotated[list[str], Field(min_length=2, max_length=1000)]
    side: Annotated[int, Field(ge=1, le=4096)]
    seed: int
    confusion: list[list[Count]]
    measured_on: str


_SCHEMA: TypeAdapter[_Card] = TypeAdapter(_Card)


@dataclass(frozen=True)
class TrainedPerceiver:
    """A trained reader and its errors on held-out pictures.

    Attributes:
        reader: the network.
        confusion: its errors on pictures that were held out from training.
        seed: of the split, the start and the order.
    """

    reader: Reader
    confusion: Confusion
    seed: int

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups of its one attribute."""
        return self.reader.groups

    @property
    def confusions(self) -> list[Confusion]:
        """Its errors, in the form that all perceivers with known errors have."""
        return [self.confusion]

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture."""
        return self.reader.read(images)

    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) of its one attribute."""
        return self.reader.every_probability(images)

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Features (n, width) of pictures."""
        return self.reader.embed(images)

    def probabilities(self, images: Sequence[Image.Image] | Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown), as `Reader.probabilities`; gradients flow through a tensor."""
        return self.reader.probabilities(images, attribute)

    def save(self, folder: Path) -> None:
        """Write weights and card into a new folder, completely or not at all.

        Raises:
            ValueError: the folder is not new.
        """
        card = {
            "format": FORMAT,
            "attribute": self.confusion.attribute,
            "groups": list(self.confusion.groups),
            "side": self.reader.side,
            "seed": self.seed,
            "confusion": [list(row) for row in self.confusion.counts],
            "measured_on": self.confusion.measured_on,
        }
        with new_folder(folder) as part:
            self.reader.save(part / WEIGHTS)
            (part / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TrainedPerceiver:
        """The perceiver in `folder`.

        Raises:
            ValueError: the folder holds none.
        """
        try:
            card = read_json(InnerFile(folder, CARD), _SCHEMA, FORMAT)
            groups, counts = card["groups"], card["confusion"]
            if len(counts) != len(groups) or any(len(row) != len(groups) + 1 for row in counts):
                raise DamagedFile(f"{folder / CARD} is damaged: confusion: there must be a count for each group")
            confusion = Confusion(
                attribute=card["attribute"],
                groups=card["groups"],
                counts=card["confusion"],
                measured_on=card["measured_on"],
            )
            if reason := refusal(InnerFile(folder, WEIGHTS)):
                raise DamagedFile(f"{WEIGHTS} is not opened: {reason}")
            reader = judge.build({card["attribute"]: card["groups"]})
            reader.side = card["side"]
            return cls(fill(reader, folder / WEIGHTS), confusion, card["seed"])
        except NewerFormatError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            message = f"{folder} is no trained perceiver ({type(error).__name__}: {why(error)})".splitlines()[0]
            raise DamagedFile(f"{message}; make one with `fair-diffusion perceiver train`") from error


def train(
    images: Tensor,
    groups: Sequence[str],
    *,
    attribute: str,
    names: Sequence[str],
    held_out: float = 0.2,
    epochs: int = 20,
    seed: int = 0,
    on_step: Callable[[int, int | None], None] = lambda done, total: None,
) -> TrainedPerceiver:
    """Train a perceiver on labelled pictures.

    The same seed and pictures give the same weights on the same machine.

    Args:
        images: bytes, (n, 3, side, side).
        groups: the group of each picture, or "unknown".
        attribute: the name of the attribute.
        names: the groups in order, without "unknown".
        held_out: the share of every group that is held out for the test.
        epochs: passes over the pictures.
        seed: of the split, the start and the order.
        on_step: called with the steps done and the steps in all.

    Raises:
        ValueError: a group, or "unknown", has too few pictures to learn from and to test on.
    """
    _check(groups, names, held_out, epochs)
    generator = torch.Generator().manual_seed(seed)
    classes = torch.tensor([len(names) if group == UNKNOWN else list(names).index(group) for group in groups])
    seen, held = _split(classes, held_out, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = judge.build({attribute: list(names)})
    reader.side = images.shape[-1]
    _fit(reader, images, classes, seen, attribute, epochs, generator, on_step)
    counts = [[0] * (len(names) + 1) for _ in names]
    for row in held.tolist():
        if classes[row] < len(names):
            with torch.no_grad():
                probabilities = reader.probabilities(images[row : row + 1].float() / 255, attribute)[0]
            counts[int(classes[row])][int(probabilities.argmax())] += 1
    measured_on = f"{int((classes[held] < len(names)).sum())} held-out pictures"
    return TrainedPerceiver(
        reader, Confusion(attribute=attribute, groups=list(names), counts=counts, measured_on=measured_on), seed
    )


def _fit(
    reader: Reader,
    images: Tensor,
    classes: Tensor,
    seen: Tensor,
    attribute: str,
    epochs: int,
    generator: torch.Generator,
    on_step: Callable[[int, int | None], None],
) -> None:
    """Minimise the cross-entropy with equal weight for every group. Half of the pictures are mirrored in each pass."""
    weights = 1 / torch.bincount(classes[seen], minlength=int(classes.max()) + 1).clamp(min=1)
    steps = epochs * len(_batches(seen))
    optimizer = torch.optim.AdamW(reader.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    reader.train()
    done = 0
    for _ in range(epochs):
        for rows in _batches(seen[torch.randperm(len(seen), generator=generator)]):
            x = images[rows].float() / 127.5 - 1
            mirrored = torch.rand(len(rows), 1, 1, 1, generator=generator) < 0.5
            logits = reader(torch.where(mirrored, x.flip(-1), x))[attribute]
            losses = nn.functional.cross_entropy(logits, classes[rows], reduction="none")
            weight = weights[classes[rows]]
            optimizer.zero_grad()
            (losses @ weight / weight.sum()).backward()
            optimizer.step()
            schedule.step()
            done += 1
            on_step(done, steps)
    _settle(reader, images, seen)
    reader.eval().requires_grad_(False)


def _batches(rows: Tensor) -> tuple[Tensor, ...]:
    """Rows in batches of at most `BATCH`, of nearly equal size: batch normalisation needs more than a few pictures."""
    return rows.tensor_split(-(-len(rows) // BATCH))


@torch.no_grad()
def _settle(reader: Reader, images: Tensor, seen: Tensor) -> None:
    """Compute the means and variances of batch normalisation anew over all training pictures.

    The running ones lag behind the weights, and are far off after few steps.
    """
    layers = [layer for layer in reader.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over batches
    for rows in _batches(seen):
        reader(images[rows].float() / 127.5 - 1)


def _split(classes: Tensor, held_out: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows to learn from and rows to test on, with the same share of every class."""
    seen, held = [], []
    for k in classes.unique().tolist():
        rows = torch.nonzero(classes == k).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        cut = _held(len(rows), held_out)
        held.append(rows[:cut])
        seen.append(rows[cut:])
    return torch.cat(seen), torch.cat(held)


def _held(pictures: int, share: float) -> int:
    """The number of held-out pictures of a class, at least one."""
    return max(1, round(share * pictures))


def _check(groups: Sequence[str], names: Sequence[str], held_out: float, epochs: int) -> None:
    if len(names) < 2 or UNKNOWN in names:
        raise ValueError(f"the groups are {list(names)}; give at least two groups, each in its own sub-folder")
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out}; hold out a share between 0 and 1, such as 0.2")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; train for 1 or more")
    for name in (*names, *([UNKNOWN] if UNKNOWN in groups else [])):
        n = groups.count(name)
        if n < FEWEST:
            raise ValueError(f"group {name!r} has {n} pictures; give at least {FEWEST}, better hundreds")
        rest = n - _held(n, held_out)
        if rest < 2:
            left = f"leaves {rest} of {n} pictures of {name!r} to learn from"
            raise ValueError(f"held_out is {held_out}, which {left}; hold out less")


def opened(argument: str) -> TrainedPerceiver:
    """The perceiver in the folder `argument`."""
    return TrainedPerceiver.load(Path(argument))
