"""A folder of images that a kernel distance is to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stub_readers import StubReader

from fair_diffusion.compare.reference import read_reference
from fair_diffusion.readers.kid_reference import FEWEST


def test_features_are_those_of_the_pictures_and_broken_ones_are_named(tmp_path: Path) -> None:
    for k in range(FEWEST):
        Image.new("RGB", (8, 8), (20 * k, 0, 255)).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    found = read_reference(StubReader(0), tmp_path)
    colours = np.array([[20 * k, 0, 255] for k in range(FEWEST)]) / 127.5 - 1
    np.testing.assert_allclose(
        found.vectors.reshape(FEWEST, 3, 64), np.repeat(colours[:, :, None], 64, axis=2), atol=1e-6
    )
    (note,) = found.notes
    assert note.startswith("1 could not be read: broken.png (")
    assert found.name == tmp_path.name


@pytest.mark.parametrize(
    ("count", "judge", "said"),
    [
        (None, StubReader(0), "is not there"),
        (FEWEST - 1, StubReader(0), f"fewer than {FEWEST}"),
        (FEWEST, object(), "no network with features"),
    ],
)
def test_what_cannot_be_a_reference(tmp_path: Path, count: int | None, judge: Any, said: str) -> None:
    folder = tmp_path / "r"
    if count is not None:
        folder.mkdir()
        for k in range(count):
            Image.new("RGB", (8, 8)).save(folder / f"{k}.png")
    with pytest.raises(ValueError, match=said):
        read_reference(judge, folder)
