"""Learned words (textual inversions) in a loaded diffusers pipeline. Exports `adding`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fair_diffusion.models.weights import one_line


@contextmanager
def adding(pipeline: Any, files: Mapping[str, Path]) -> Iterator[None]:
    """Put the words of safetensors files into the pipeline. The keys are the names that the user gave the files.

    If a file cannot be added, or the block fails, the pipeline knows the same words as before.
    """
    ends = [end for end in ("", "_2") if files and getattr(pipeline, f"text_encoder{end}", None) is not None]
    before = [(copy.deepcopy(getattr(pipeline, f"tokenizer{end}")), _rows(pipeline, end).clone()) for end in ends]
    try:
        for name, file in files.items():
            with one_line(name, f"it must be a textual inversion for {type(pipeline).__name__}"):
                _add(pipeline, file)
        yield
    except BaseException:
        for end, (tokenizer, rows) in zip(ends, before, strict=True):
            setattr(pipeline, f"tokenizer{end}", tokenizer)
            getattr(pipeline, f"text_encoder{end}").resize_token_embeddings(len(rows))
            _rows(pipeline, end).copy_(rows)
        raise


def _add(pipeline: Any, file: Path) -> None:
    """Load a file by diffusers. A file for two encoders (clip_l, clip_g) goes into both encoders of SDXL."""
    learned = load_file(file)
    if not {"clip_l", "clip_g"} <= learned.keys():
        pipeline.load_textual_inversion(learned)
        return
    for part, end in (("clip_l", ""), ("clip_g", "_2")):
        encoder, tokenizer = (getattr(pipeline, kind + end) for kind in ("text_encoder", "tokenizer"))
        word = {"token": f"<{file.stem}>", "text_encoder": encoder, "tokenizer": tokenizer}
        pipeline.load_textual_inversion(learned[part], **word)


def _rows(pipeline: Any, end: str) -> torch.Tensor:
    """The embeddings of a text encoder's tokens, (tokens, dim)."""
    rows: torch.Tensor = getattr(pipeline, f"text_encoder{end}").get_input_embeddings().weight.data
    return rows
