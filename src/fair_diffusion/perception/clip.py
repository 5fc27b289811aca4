"""CLIP zero-shot: the group with phrases nearest to the picture in CLIP's common space of pictures and text.

    p(group | picture) = softmax_g( s · cos(picture, t_g) )        t_g: mean of the normalised embeddings of g's phrases

(Radford et al. 2021, arXiv 2103.00020; s is the model's own scale.) The phrases come from the definitions of
attributes, each in several frames where the definition is a user's own, or from a YAML file: `attribute: {group:
[phrase, …]}`. A picture is unknown if the likeliest group is not sure, or if the second one is close. CLIP's own bias
is part of its readings: it reads occupations into groups. Measure it on labelled pictures first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from torch import Tensor

from fair_diffusion.files import guarded
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.prepared import prepared
from fair_diffusion.perception.pretrained import loaded
from fair_diffusion.policy import Attributes, Group, built_in
from fair_diffusion.policy.attributes import READY, is_built_in
from fair_diffusion.policy.definitions import has_definitions
from fair_diffusion.policy.spelling import UNKNOWN, named

Phrases = Mapping[str, Mapping[str, Sequence[str]]]
"""The phrases of every group, by attribute and group."""

FRAME = "a photo of a {}"
FRAMES = (FRAME, "a picture of a {}", "a portrait of a {}", "a close-up photo of the face of a {}", "an image of a {}")
"""The frames of phrases of an attribute of one's own; the mean over several frames errs less (Radford et al.)."""
CHUNK = 64
SURE = 0.5
MARGIN = 0.1


class ClipPerceiver:
    """A CLIP model as a perceiver.

    Args:
        model: the CLIP model, as transformers loads it.
        tokenizer: of its texts, as transformers loads it.
        processor: of its pictures, as transformers loads it.
        phrases: of every group, by attribute; those of the attributes if None.
        sure: below this probability the likeliest group is unknown.
        margin: a group that leads the next one by less is unknown.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        processor: Any,
        *,
        phrases: Phrases | None = None,
        sure: float = SURE,
        margin: float = MARGIN,
    ) -> None:
        self.model, self.processor, self.sure, self.margin = model, processor, sure, margin
        phrases = default_phrases() if phrases is None else phrases
        self.groups = {attribute: tuple(groups) for attribute, groups in phrases.items()}
        self.texts = {
            attribute: torch.stack([_mean(self._embed_text(tokenizer, texts)) for texts in groups.values()])
            for attribute, groups in phrases.items()
        }

    @classmethod
    def load(cls, model: str, *, phrases: Path | None = None, attributes: Attributes | None = None) -> ClipPerceiver:
        """The model of a folder or hub id, from safetensors only.

        Args:
            model: the folder or hub id.
            phrases: a table of phrases.
            attributes: definitions whose phrases are taken instead; the built-in ones if None.

        Raises:
            ValueError: the model or the table of phrases cannot be used.
        """
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        read = default_phrases(attributes) if phrases is None else read_phrases(phrases)
        network = loaded(CLIPModel, model)
        return cls(network, loaded(AutoTokenizer, model), loaded(CLIPImageProcessorPil, model), phrases=read)

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute that has phrases."""
        if not images:
            return {attribute: [] for attribute in self.groups}
        return {
            attribute: decide(table[:, :-1], self.groups[attribute], sure=self.sure, margin=self.margin)
            for attribute, table in self.every_probability(images).items()
        }

    def probabilities(self, images: Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) of one attribute. Unknown is 0, since CLIP always compares.

        Args:
            images: pixels (n, 3, height, width) in 0…1; gradients flow through them.
            attribute: one with phrases.

        Raises:
            ValueError: the attribute has no phrases.
        """
        if attribute not in self.groups:
            raise ValueError(f"cannot read {attribute!r}; phrases are given for {', '.join(self.groups)}")
        return self._compared(self._features(prepared(images.to(self.model.device), self.processor)), attribute)

    @torch.no_grad()
    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) of every attribute, without gradient."""
        pictures = self.embed(images)
        return {attribute: self._compared(pictures, attribute) for attribute in self.groups}

    @torch.no_grad()
    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Normalised features (n, width) of pictures."""
        parts = [list(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        pixels = [self.processor(images=part, return_tensors="pt")["pixel_values"] for part in parts]
        return torch.cat([self._features(part.to(self.model.device)) for part in pixels])

    def _compared(self, pictures: Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) from features of pictures."""
        scaled = self.model.logit_scale.exp().detach() * pictures @ self.texts[attribute].T
        return torch.cat([scaled.softmax(dim=1), pictures.new_zeros(len(pictures), 1)], dim=1)

    def _features(self, pixels: Tensor) -> Tensor:
        """Normalised features (n, width) of the processor's output."""
        return _normal(self.model.get_image_features(pixel_values=pixels).pooler_output)

    @torch.no_grad()
    def _embed_text(self, tokenizer: Any, texts: Sequence[str]) -> Tensor:
        longest = self.model.config.text_config.max_position_embeddings
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        tokens = {name: tokens[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        return _normal(self.model.get_text_features(**tokens).pooler_output)


def decide(probabilities: Tensor, groups: Sequence[str], *, sure: float, margin: float) -> list[Reading]:
    """The likeliest group of each row, or None.

    Args:
        probabilities: (n, groups).
        groups: their names.
        sure: the least probability of a decided group.
        margin: the least lead over the second group.
    """
    found = []
    for row in probabilities:
        best = int(row.argmax())
        first = float(row[best])
        second = max((float(value) for k, value in enumerate(row) if k != best), default=0.0)
        clear = first >= sure and first - second >= margin
        found.append(Reading(groups[best] if clear else None, first))
    return found


def default_phrases(attributes: Attributes | None = None) -> Phrases:
    """ "a photo of a …" with every phrase of a group that mentions a person; own definitions get more frames."""
    return {
        name: {group.name: _framed(group, built=is_built_in(attribute)) for group in attribute.groups}
        for name, attribute in (attributes or built_in()).items()
    }


def _framed(group: Group, *, built: bool) -> list[str]:
    """The texts for a group. Without a phrase that mentions a person: its name, or its first phrase."""
    texts = [text for text in group.phrases if "person" in text] or [group.name if built else group.phrases[0]]
    return [frame.format(text) for text in texts for frame in ((FRAME,) if built else FRAMES)]


def read_phrases(path: Path) -> Phrases:
    """The phrases in a YAML file.

    Raises:
        ValueError: the file is not `attribute: {group: [phrase, …]}`.
    """
    try:
        data = yaml.safe_load(guarded.text(path))
    except (yaml.YAMLError, guarded.RefusedFile, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    mend = f"{path} must say `attribute: {{group: [phrase, …]}}`"
    if not isinstance(data, dict) or not data:
        raise ValueError(mend)
    for attribute, groups in data.items():
        if not isinstance(groups, dict) or len(groups) < 2:
            raise ValueError(f"{mend}; {attribute!r} needs at least two groups")
        for group, texts in groups.items():
            if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
                raise ValueError(f"{mend}; {attribute}: {group!r} needs a list of phrases")
    return _spelt(
        path, {str(name): {str(group): texts for group, texts in groups.items()} for name, groups in data.items()}
    )


def _spelt(path: Path, phrases: Phrases) -> Phrases:
    """The phrases by the known names of attributes and groups: "Women" gives "woman"."""
    names = named((attribute, group) for attribute, groups in phrases.items() for group in groups)
    found: dict[str, dict[str, Sequence[str]]] = {}
    for attribute, groups in phrases.items():
        for group, texts in groups.items():
            if (attribute, group) in names.wrong:
                raise ValueError(f"{path}: {names.wrong[attribute, group]}")
            name, known = names.names[attribute, group]
            if known == UNKNOWN:
                raise ValueError(
                    f"{path}: {attribute} has the group {group!r}; leave it out: what fits no group is unknown"
                )
            if known in found.setdefault(name, {}):
                raise ValueError(f"{path}: {name} has the group {known!r} twice, once as {group!r}; keep one")
            found[name][known] = texts
    return found


def _normal(features: Tensor) -> Tensor:
    normal: Tensor = features / features.norm(dim=-1, keepdim=True)
    return normal


def _mean(features: Tensor) -> Tensor:
    return _normal(features.mean(dim=0))


def opened(argument: str) -> ClipPerceiver:
    """The perceiver by `argument`: MODEL; MODEL,PHRASES.yaml, or MODEL with definitions: MODEL,glasses,own.yaml."""
    model, *named = argument.split(",")
    if len(named) == 1 and named[0] not in READY and not has_definitions(Path(named[0])):
        return ClipPerceiver.load(model, phrases=Path(named[0]))
    return ClipPerceiver.load(model, attributes=Attributes.named(*named) if named else None)
