"""Probabilities and features of perceivers that know them, and of those that only decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from fair_diffusion.control.assignments import SURE_AT_END, SURE_AT_LOOK
from fair_diffusion.perception import pocket
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.probabilities import DECIDED, features, probabilities
from fair_diffusion.perception.vocabulary import check_reads, known_groups, shares
from fair_diffusion.policy import Policy, built_in

PICTURES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "white")]


class Decides:
    """Says what it is told to."""

    groups: Mapping[str, Sequence[str]] = {
        "age": ("young", "old"),
        "gender": ("man", "woman", "robot"),
        "hat": ("yes", "no"),
    }

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        said = [Reading("young", 0.02), Reading(None, 0.4), Reading("old", 0.9)]
        return {"age": said, "gender": [Reading("robot", 1.0)] * 3, "hat": [Reading("no", 0.5)] * 3}


def test_what_only_decides_is_sure_of_what_it_says_and_ranked_by_confidence() -> None:
    table = probabilities(Decides(), PICTURES)["age"]
    torch.testing.assert_close(table.sum(dim=1), torch.ones(3))
    expected = [[0.755, 0.0, 0.245], [0.0, 0.0, 1.0], [0.0, 0.975, 0.025]]
    torch.testing.assert_close(table, torch.tensor(expected))
    assert max(SURE_AT_LOOK, SURE_AT_END) < DECIDED < 1
    assert features(Decides(), PICTURES) is None


def test_what_knows_probabilities_gives_its_own() -> None:
    reader = pocket.load()
    table = probabilities(reader, PICTURES)["gender"]
    torch.testing.assert_close(table, reader.probabilities(PICTURES, "gender"))
    embedded = features(reader, PICTURES)
    assert embedded is not None
    np.testing.assert_allclose(embedded, reader.features(reader.pixels(PICTURES)), atol=1e-5)


def test_only_our_groups_count() -> None:
    found = shares(Decides(), probabilities(Decides(), PICTURES), built_in())
    assert set(found) == {"age", "gender"}
    assert found["gender"].sum() == 0  # robots are no group of ours
    assert known_groups(Decides(), built_in()["gender"]) == ["woman", "man"]
    assert known_groups(Decides(), built_in()["skin_tone"]) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("half androgynous", "the judge cannot read 'androgynous'; of gender it reads woman, man"),
        ("skin tone uniform", "the judge cannot read 'skin_tone'; it reads"),
    ],
)
def test_what_cannot_be_read_is_named(wish: str, said: str) -> None:
    (rule,) = Policy.from_sentence(f"doctor: {wish}").rules
    with pytest.raises(ValueError, match=said):
        check_reads(Decides(), rule.targets, "the judge", built_in())
    (rule,) = Policy.from_sentence("doctor: half women").rules
    check_reads(Decides(), rule.targets, "the judge", built_in())
