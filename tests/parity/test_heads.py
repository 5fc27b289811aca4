"""Heads in the middle of the network: their gradient by finite differences, learning against scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fair_diffusion.steering.bottleneck_heads import BottleneckHeads, train

GROUPS = {"gender": ("woman", "man")}


def random_heads(times: int = 2, width: int = 12) -> BottleneckHeads:
    rng = np.random.default_rng(0)
    weights, biases = (torch.from_numpy(rng.normal(size=(times, 3, *last))) for last in ((width,), ()))
    return BottleneckHeads(torch.linspace(900, 100, times), GROUPS, {"gender": weights}, {"gender": biases})


def test_probabilities_are_scipys_at_temperature_8() -> None:
    heads, h = random_heads(), torch.randn(5, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for t, place in ((850.0, 0), (300.0, 1)):
        z = h.flatten(1).numpy() @ heads.weights["gender"][place].numpy().T + heads.biases["gender"][place].numpy()
        np.testing.assert_allclose(heads.probabilities(h, t, "gender").numpy(), softmax(z / 8, axis=1), rtol=1e-9)


def test_their_gradient_is_that_of_finite_differences_and_bounded_by_their_size() -> None:
    heads, h = random_heads(), torch.randn(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda x: heads.probabilities(x, 900, "gender"), h.requires_grad_())
    # the largest change of the logits over all directions is along the first right singular vector
    weight = heads.weights["gender"][0].numpy()
    _, _, directions = np.linalg.svd(weight)
    assert abs(np.linalg.norm(weight @ directions[0]) / 8 - heads.size(900, "gender")) < 1e-9


def test_learning_is_logistic_regression() -> None:
    """Without decay, and at temperature 1, the most likely heads are those of scikit-learn; each time has its own."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(400, 2, 3, generator=generator) * torch.tensor([1.0, 5.0])[None, :, None]
    z = torch.stack([h[:, 0, 0] + h[:, 0, 1], h[:, 0, 2], h[:, 1, 0] / 5], dim=1)
    labels = torch.multinomial(z.softmax(dim=1), 1, generator=generator)[:, 0]
    seen = {"gender": torch.eye(3)[labels]}
    times = torch.tensor([900.0, 100.0])
    found = train(h, times, seen, GROUPS, steps=500, batch=400, rate=0.003, decay=0.0)
    found.temperature = 1.0
    for place, t in enumerate((900.0, 100.0)):
        features = h[:, place].double().numpy()
        best = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(features, labels.numpy())
        ours: Tensor = found.probabilities(h[:, place], t, "gender")
        assert np.abs(best.predict_proba(features) - 1 / 3).max() > 0.3
        np.testing.assert_allclose(ours.numpy(), best.predict_proba(features), atol=0.05)
