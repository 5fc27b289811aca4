"""Small readers of pictures in folders as transformers writes them, built from configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessorPil,
)


def clip_folder(path: Path, tokenizer: Any) -> Path:
    """A random CLIP of one layer."""
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = text | {"image_size": 16, "patch_size": 8}
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    config = CLIPConfig(
        text_config=text | {"vocab_size": len(tokenizer), "max_position_embeddings": 16, **ends},
        vision_config=vision,
        projection_dim=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    size = {"height": 16, "width": 16}
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size).save_pretrained(path)
    return path


def classifier_folder(path: Path, probabilities: Mapping[str, float]) -> Path:
    """A classifier that says the same of every picture: these labels with these probabilities."""
    labels = list(probabilities)
    config = ResNetConfig(
        embedding_size=4,
        hidden_sizes=[4],
        depths=[1],
        layer_type="basic",
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: k for k, label in enumerate(labels)},
    )
    model = ResNetForImageClassification(config).eval()
    with torch.no_grad():  # logits are the bias
        model.classifier[1].weight.zero_()
        model.classifier[1].bias.copy_(torch.tensor(list(probabilities.values())).log())
    model.save_pretrained(path)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(path)
    return path
