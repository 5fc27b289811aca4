"""The early reader: calibrated at each time, and the shipped one foresees what the perceiver sees in the end."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from fair_diffusion import FairPipeline
from fair_diffusion.perception.early import TIMES, EarlyReader

HEADS = {"gender": ("woman", "man"), "skin_tone": ("light", "dark")}


@pytest.fixture
def reader() -> EarlyReader:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EarlyReader(HEADS).eval()


def test_temperatures_are_interpolated_between_times_and_held_outside(reader: EarlyReader) -> None:
    reader.temperatures[1] = torch.arange(1.0, len(TIMES) + 1)
    assert reader.temperature("gender", 850.0) == 1.0
    for k, time in enumerate(TIMES):
        assert reader.temperature("skin_tone", time) == k + 1
    middle = (TIMES[2] + TIMES[3]) / 2
    assert reader.temperature("skin_tone", middle) == pytest.approx(3.5)
    assert reader.temperature("skin_tone", 999.0) == 1.0
    assert reader.temperature("skin_tone", 0.0) == len(TIMES)


def test_probabilities_are_logits_over_temperature(reader: EarlyReader) -> None:
    clean = torch.randn(3, 4, 16, 16)
    logits = reader.logits(clean, torch.full((3,), 800.0))
    reader.temperatures[0] = 2.0
    found = reader.early(clean, 800.0)
    torch.testing.assert_close(found["gender"], (logits["gender"] / 2).softmax(dim=1))
    torch.testing.assert_close(found["skin_tone"], logits["skin_tone"].softmax(dim=1))
    assert found["gender"].shape == (3, 3)


def test_the_time_matters(reader: EarlyReader) -> None:
    clean = torch.randn(1, 4, 16, 16)
    early, late = (reader.logits(clean, torch.tensor([t]))["gender"] for t in (900.0, 100.0))
    assert (early - late).abs().max() > 1e-4


def test_the_pocket_model_meets_quotas_at_the_cost_of_plain_generation() -> None:
    """What the early reader is for: images kept by its word show their group, and hardly any is made again."""
    pipe = FairPipeline.from_pretrained("pocket")
    result = pipe("a photo of a doctor", n=8, steps=10, batch_size=8, instruct="doctor: half women, half men")
    assert Counter(record.perceived["gender"] for record in result.records) == {"woman": 4, "man": 4}
    counts, cost = result.counts(), result.summary()["cost"]
    assert counts["missed"] == 0
    assert counts["untouched"] >= 4
    assert cost["ratio"] <= 1.25
