"""Stable Diffusion with other text encoders than CLIP, against its own pipeline: what gives hidden states will do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_families import TOKENS, t5, t5_tokenizer
from transformers import BertConfig, BertModel, BertTokenizer, GPT2Config, GPT2Model, GPT2Tokenizer

from fair_diffusion.backbones import StableDiffusion, denoise

PROMPTS = ["a man", "a pilot with a long name"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]


def bert() -> tuple[Any, Any]:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man", "pilot", "old"]
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=37
    )
    vocab = {word: i for i, word in enumerate(words)}
    return BertTokenizer(vocab=vocab, model_max_length=TOKENS), BertModel(config)


def gpt2() -> tuple[Any, Any]:
    vocab = {piece: i for i, piece in enumerate(["<|endoftext|>", "Ġ", *LETTERS])}
    tokenizer = GPT2Tokenizer(vocab=vocab, merges=[], pad_token="<|endoftext|>", model_max_length=TOKENS)
    sizes = {"vocab_size": len(vocab), "n_positions": TOKENS, "n_embd": 32, "n_layer": 1, "n_head": 4}
    return tokenizer, GPT2Model(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))


@pytest.mark.parametrize(
    ("build", "cut"),
    [(bert, False), (gpt2, True), (lambda: (t5_tokenizer(), t5(32)), True)],
    ids=["bert", "gpt2", "t5"],
)
def test_latents(tiny_sd: Any, build: Any, cut: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer, encoder = build()
    parts = {**tiny_sd.components, "tokenizer": tokenizer, "text_encoder": encoder.eval()}
    pipeline = type(tiny_sd)(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    backbone = StableDiffusion(pipeline)
    batches = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS),
        empty_cond=backbone.encode(["old"] * 2),
        seeds=[3, 4],
        steps=4,
        guidance=5,
    )
    expected = pipeline(
        PROMPTS,
        negative_prompt=["old"] * 2,
        num_inference_steps=4,
        guidance_scale=5,
        generator=[torch.Generator().manual_seed(seed) for seed in (3, 4)],
        output_type="latent",
    ).images
    torch.testing.assert_close(torch.cat([batch.latents for batch in batches]), expected, atol=1e-4, rtol=0)
    assert backbone.truncated_text(PROMPTS[0]) == ""
    end = backbone.truncated_text(PROMPTS[1]).strip()
    assert PROMPTS[1].endswith(end)
    assert bool(end) == cut
