"""What readers are taught by generated pictures, and how calibration is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from recipes.pocket.captions import Caption, Mix
from recipes.pocket.data import Drawing
from recipes.pocket.early import expected_calibration_error
from recipes.pocket.readers import HEADS, IGNORE, asked
from recipes.pocket.trajectories import CHUNK, captions, generated

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


def test_perceiver_and_judge_learn_from_different_generated_pictures(tmp_path: Path) -> None:
    for k in range(4):
        save_file(
            {"images": torch.full((CHUNK, 2, 2, 3), k, dtype=torch.uint8)}, tmp_path / f"train-{k:04d}.safetensors"
        )
    save_file({"images": torch.full((CHUNK, 2, 2, 3), 9, dtype=torch.uint8)}, tmp_path / "held-out-01.safetensors")
    for odd, files in ((False, (0, 2)), (True, (1, 3))):
        pictures, asked_for = generated(MIX, tmp_path, odd=odd)
        assert pictures.shape == (2 * CHUNK, 3, 2, 2)
        assert pictures[:, 0, 0, 0].tolist() == [k for k in files for _ in range(CHUNK)]
        assert asked_for == [caption for k in files for caption in captions(MIX, k)[0]]


def test_calibration_error_of_known_cases() -> None:
    sure = torch.tensor([0.95] * 4 + [0.55] * 4)
    right = torch.tensor([True] * 4 + [True, True, False, False])
    assert expected_calibration_error(sure, right) == pytest.approx((0.05 + 0.05) / 2)
    assert expected_calibration_error(torch.ones(5), torch.zeros(5, dtype=torch.bool)) == pytest.approx(1.0)
