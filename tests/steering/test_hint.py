"""The prompt hint: its words, and that it asks the same of every image and leaves the model as it was."""

from __future__ import annotations

import pytest
import torch
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.steering.hint import with_hint


@pytest.mark.parametrize(
    ("labels", "hinted"),
    [
        ([], "a photo of a doctor."),
        (["gender"], "a photo of a doctor, all genders"),
        (["gender", "skin tone"], "a photo of a doctor, all genders and skin tones"),
        (["gender", "age", "skin tone"], "a photo of a doctor, all genders, ages and skin tones"),
    ],
)
def test_the_words(labels: list[str], hinted: str) -> None:
    assert with_hint("a photo of a doctor.", labels) == hinted


def test_every_image_gets_the_hint_and_no_group(tiny_sd: object) -> None:
    pipe = pipe_of(tiny_sd)
    before, plain = weights(tiny_sd), plain_latents(adapt(tiny_sd))
    result = pipe("a doctor", n=3, steps=2, method="hint", instruct="doctor: half women; skin tone uniform")
    assert {record.used_prompt for record in result.records} == {"a doctor, all genders and skin tones"}
    assert {(record.control, record.steered, record.evaluations) for record in result.records} == {("all", True, 4)}
    assert all(not record.assigned for record in result.records)
    assert {row.quota for row in result.audit} == {None}
    assert result.audit[0].target == 0.5
    asked = pipe("a doctor, all genders and skin tones", n=3, steps=2, method="none")
    assert [a.tobytes() for a in result.images] == [b.tobytes() for b in asked.images]
    assert torch.equal(plain, plain_latents(adapt(tiny_sd)))
    assert before == weights(tiny_sd)


def test_without_a_rule_there_is_no_hint(tiny_sd: object) -> None:
    result = pipe_of(tiny_sd)("a female doctor", n=1, steps=1, method="hint", instruct="doctor: half women")
    assert result.records[0].used_prompt == "a female doctor"
    assert (result.control, result.records[0].steered) == ("none", False)
