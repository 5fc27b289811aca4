"""Encoders for association tests: words and images as vectors.

"minilm" is the built-in text encoder. Any other name is a folder or hub id of a model like CLIP, with features of texts
and images in one space. Only safetensors are read, and no code of the model is run. Exports `embed_words` and
`embed_images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.files.guarded import Readable
from fair_diffusion.files.pictures import BrokenPicture, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

MINILM = "minilm"
Embeddings = NDArray[np.float32]
_BATCH = 16


def embed_words(encoder: str, words: Sequence[str]) -> Embeddings:
    """One embedding per word or phrase, (words, width).

    Raises:
        ValueError: there are no words, or the encoder cannot be loaded or has no text features.
    """
    if not words:
        raise ValueError("there are no words: give at least one")
    if encoder == MINILM:
        from fair_diffusion.policy.minilm import embed

        return embed(words)
    import torch

    model, processor = _model(encoder)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(words), _BATCH):
            batch = list(words[first : first + _BATCH])
            inputs = processor.tokenizer(batch, return_tensors="pt", padding=True, truncation=True)
            parts.append(_features(model.get_text_features(**inputs)))
    return np.concatenate(parts)


def embed_images(encoder: str, files: Sequence[Readable]) -> Embeddings:
    """One embedding per image, (images, width). Images are read in batches, never all at once.

    Raises:
        ValueError: there are no files, an image cannot be read, or the encoder cannot be loaded or has no features of
            images.
    """
    if not files:
        raise ValueError("there are no images: give at least one")
    if encoder == MINILM:
        raise ValueError("minilm reads words only: give word lists, or an encoder that sees images")
    import torch

    model, processor = _model(encoder)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(files), _BATCH):
            images = [_opened(file) for file in files[first : first + _BATCH]]
            inputs = processor.image_processor(images=images, return_tensors="pt")
            parts.append(_features(model.get_image_features(**inputs)))
    return np.concatenate(parts)


def _opened(file: Readable) -> Image:
    try:
        return open_picture(file, file.name)
    except BrokenPicture as error:
        raise ValueError(f"{file} cannot be read as an image ({error}): mend it or remove it") from error


def _features(found: Any) -> Embeddings:
    return np.asarray(found.pooler_output.float().numpy())


@lru_cache(maxsize=1)
def _model(encoder: str) -> tuple[Any, Any]:
    """The model, in evaluation mode, and its processor of texts and images."""
    from transformers import AutoModel, AutoProcessor

    from fair_diffusion.perception.pretrained import loaded

    try:
        model, processor = loaded(AutoModel, encoder), loaded(AutoProcessor, encoder)
    except ValueError as error:
        raise ValueError(f"{error}, of a CLIP-like model; or give minilm for words") from error
    lacking = [name for name in ("get_text_features", "get_image_features") if not hasattr(model, name)]
    lacking += [name for name in ("tokenizer", "image_processor") if not hasattr(processor, name)]
    if lacking:
        raise ValueError(f"the encoder {encoder!r} has no {lacking[0]}: give a CLIP-like model, or minilm for words")
    return model, processor
