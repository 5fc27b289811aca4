"""What readers are taught by generated pictures, and how calibration is measured."""

from __future__ import annotations

import pytest
import torch

from recipes.pocket.captions import Caption, Mix
from recipes.pocket.data import Drawing
from recipes.pocket.early import expected_calibration_error
from recipes.pocket.readers import HEADS, IGNORE, asked
from recipes.pocket.trajectories import CHUNK, captions

MIX = Mix([Drawing("a", "font", "cook", "woman", "dark", 1), Drawing("b", "font", "cook", "man", "light", 1)])


def test_captions_teach_what_they_ask_for_and_nothing_else() -> None:
    asked_for = [Caption("a female cook", "cook", "woman"), Caption("a dark-skinned person", None, None, "dark")]
    classes = asked(asked_for, MIX)
    assert classes["gender"].tolist() == [HEADS["gender"].index("woman"), IGNORE]
    assert classes["skin_tone"].tolist() == [IGNORE, HEADS["skin_tone"].index("dark")]
    assert classes["occupation"].tolist() == [HEADS["occupation"].index("cook"), IGNORE]


def test_the_captions_of_a_file_are_found_again() -> None:
    first, again = captions(MIX, 3)[0], captions(MIX, 3)[0]
    assert first == again
    assert len(first) == CHUNK
    assert first != captions(MIX, 4)[0]


def test_calibration_error_of_known_cases() -> None:
    sure = torch.tensor([0.95] * 4 + [0.55] * 4)
    right = torch.tensor([True] * 4 + [True, True, False, False])
    assert expected_calibration_error(sure, right) == pytest.approx((0.05 + 0.05) / 2)
    assert expected_calibration_error(torch.ones(5), torch.zeros(5, dtype=torch.bool)) == pytest.approx(1.0)
