"""Any image classifier of transformers, whose labels a table maps to groups: FairFace-like models as they are.

The table is YAML: `attribute: {group: [label of the model, …]}`; probabilities of a group's labels add up, and those of
labels that stand nowhere are unknown. Without a table the model's own labels are the groups of one attribute, "label".
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
from fair_diffusion.perception.pretrained import loaded

SURE = 0.5


class ClassifierPerceiver:
    """`model` and `processor` as transformers loads them; `labels` maps attribute and group to the model's labels."""

    def __init__(self, model: Any, processor: Any, *, labels: Phrases | None = None, sure: float = SURE) -> None:
        own = [str(model.config.id2label[k]) for k in range(model.config.num_labels)]
        labels = {"label": {name: [name] for name in own}} if labels is None else labels
        strange = [name for groups in labels.values() for names in groups.values() for name in names if name not in own]
        if strange:
            raise ValueError(f"the model has no label {strange[0]!r}; its labels are {', '.join(own)}")
        for attribute, groups in labels.items():
            named = [name for names in groups.values() for name in names]
            if len(named) != len(set(named)):
                raise ValueError(f"a label stands for two groups of {attribute}; give it to one")
        self.model, self.processor, self.sure = model, processor, sure
        self.groups = {attribute: tuple(groups) for attribute, groups in labels.items()}
        self.columns = {
            attribute: [[own.index(name) for name in names] for names in groups.values()]
            for attribute, groups in labels.items()
        }

    @classmethod
    def load(cls, model: str, *, labels: Path | None = None) -> ClassifierPerceiver:
        """The model in a folder or of a hub id, from safetensors only. `ValueError` with the mend if there is none."""
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        read = None if labels is None else read_phrases(labels)
        return cls(loaded(AutoModelForImageClassification, model), loaded(AutoImageProcessor, model), labels=read)

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute: the likeliest group, unknown if it is not sure."""
        if not images:
            return {attribute: [] for attribute in self.groups}
        return {
            attribute: decide(sums[:, :-1], self.groups[attribute], sure=self.sure, margin=0.0)
            for attribute, sums in self.every_probability(images).items()
        }

    @torch.no_grad()
    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) for every attribute."""
        parts = [list(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        pixels = [self.processor(images=part, return_tensors="pt")["pixel_values"] for part in parts]
        logits = [self.model(pixel_values=part.to(self.model.device)).logits for part in pixels]
        probabilities = torch.cat(logits).softmax(dim=1)
        found = {}
        for attribute, columns in self.columns.items():
            sums = torch.stack([probabilities[:, own].sum(dim=1) for own in columns], dim=1)
            found[attribute] = torch.cat([sums, 1 - sums.sum(dim=1, keepdim=True)], dim=1)
        return found
