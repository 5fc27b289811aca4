"""The sentence embeddings, against transformers."""

from __future__ import annotations

import numpy as np
import torch
from transformers import AutoTokenizer, BertModel

from fair_diffusion.policy.minilm import embed, folder

TEXTS = ["a firefighter", "a person who puts out fires", "", "The quick brown fox; naïve café!", "word " * 300]


@torch.no_grad()
def test_embeddings_equal_the_reference() -> None:
    words = AutoTokenizer.from_pretrained(folder())
    model = BertModel.from_pretrained(folder(), add_pooling_layer=False).eval()
    batch = words(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    states, mask = model(**batch)[0], batch["attention_mask"][..., None]
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    np.testing.assert_allclose(embed(TEXTS), expected, atol=1e-4)


def test_near_meanings_are_near() -> None:
    fire, near, far = embed(["firefighter", "a person who puts out fires", "a bowl of fruit"])
    assert fire @ near > fire @ far + 0.2
    assert embed([]).shape == (0, 384)
