"""Any image classifier of transformers, such as FairFace: a table maps its labels to groups.

The table is YAML: `attribute: {group: [label of the model, …]}`. The probability of a group is the sum over its labels;
labels outside the table count as unknown. Without a table, the model's labels are the groups of one attribute: of a
known one if they are its groups ("Female", "Male"), else of "label".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.perception.clip import CHUNK, Phrases, decide, read_phrases
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.prepared import prepared
from fair_diffusion.perception.pretrained import loaded
from fair_diffusion.policy import built_in
from fair_diffusion.policy.spelling import UNKNOWN, is_unknown, named

SURE = 0.5


class ClassifierPerceiver:
    """A classifier as a perceiver.

    Args:
        model: the classifier, as transformers loads it.
        processor: of its pictures, as transformers loads it.
        labels: the model's labels by attribute and group.
        sure: below this probability the likeliest group is unknown.
    """

    def __init__(self, model: Any, processor: Any, *, labels: Phrases | None = None, sure: float = SURE) -> None:
        own = [str(model.config.id2label[k]) for k in range(model.config.num_labels)]
        labels = _by_names(own) if labels is None else labels
        strange = [name for groups in labels.values() for names in groups.values() for name in names if name not in own]
        if strange:
            raise ValueError(f"the model has no label {strange[0]!r}; its labels are {', '.join(own)}")
        for attribute, groups in labels.items():
            named = [name for names in groups.values() for name in names]
            if len(named) != len(set(named)):
                raise ValueError(f"a label stands for two groups of {attribute}; give it to one group")
        self.model, self.processor, self.sure = model, processor, sure
        self.groups = {attribute: tuple(groups) for attribute, groups in labels.items()}
        self.columns = {
            attribute: [[own.index(name) for name in names] for names in groups.values()]
            for attribute, groups in labels.items()
        }

    @classmethod
    def load(cls, model: str, *, labels: Path | None = None) -> ClassifierPerceiver:
        """The model of a folder or hub id, from safetensors only.

        Raises:
            ValueError: the model or the table of labels cannot be used.
        """
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        read = None if labels is None else read_phrases(labels)
        return cls(loaded(AutoModelForImageClassification, model), loaded(AutoImageProcessor, model), labels=read)

    def probabilities(self, images: Sequence[Image.Image] | Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) of one attribute.

        Args:
            images: pictures, or a tensor (n, 3, height, width) in 0…1; gradients flow through a tensor.
            attribute: one that this classifier reads.

        Raises:
            ValueError: it does not read the attribute.
        """
        if attribute not in self.groups:
            raise ValueError(f"cannot read {attribute!r}; this classifier knows {', '.join(self.groups)}")
        return self._with_unknown(self._labels(images), attribute)

    @torch.no_grad()
    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute: the likeliest group, or unknown if it is less than `sure`."""
        if not images:
            return {attribute: [] for attribute in self.groups}
        return {
            attribute: decide(table[:, :-1], self.groups[attribute], sure=self.sure, margin=0.0)
            for attribute, table in self.every_probability(images).items()
        }

    @torch.no_grad()
    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) for every attribute."""
        parts = [self._labels(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        return {attribute: self._with_unknown(torch.cat(parts), attribute) for attribute in self.groups}

    def _labels(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """Probabilities (n, labels) of the model's own labels."""
        found: Tensor = self.model(pixel_values=self._pixels(images)).logits.softmax(dim=1)
        return found

    def _with_unknown(self, labels: Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) from probabilities of the model's labels."""
        sums = torch.stack([labels[:, columns].sum(dim=1) for columns in self.columns[attribute]], dim=1)
        return torch.cat([sums, (1 - sums.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1)

    def _pixels(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """The model's input: from pictures by its processor; from a tensor by the same steps, with gradient."""
        if not isinstance(images, Tensor):
            pixels: Tensor = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
            return pixels.to(self.model.device)
        return prepared(images.to(self.model.device), self.processor)


def _by_names(own: Sequence[str]) -> Phrases:
    """The labels of a model as the groups of the one attribute that they name; labels for nothing seen are unknown."""
    for attribute, each in built_in().items():
        found = named([(attribute, each.group_names[0]), *((attribute, name) for name in own)])
        if not found.wrong:
            groups: dict[str, list[str]] = {}
            for name in own:
                groups.setdefault(found.names[attribute, name][1], []).append(name)
            known = {group: names for group, names in groups.items() if group != UNKNOWN}
            if len(known) > 1:
                return {attribute: known}
    return {"label": {name: [name] for name in own if not is_unknown(name)}}


def opened(argument: str) -> ClassifierPerceiver:
    """The perceiver by `argument`: MODEL or MODEL,LABELS.yaml."""
    model, _, labels = argument.partition(",")
    return ClassifierPerceiver.load(model, labels=Path(labels) if labels else None)
