"""What a prompt or a file name is about."""

from __future__ import annotations

import pytest

from fair_diffusion.readers.names import UNNAMED, concept_of, concept_of_file


@pytest.mark.parametrize(
    ("prompt", "concept"),
    [
        ("a photo of a firefighter", "firefighter"),
        ("A photo of the face of an air traffic controller.", "air traffic controller"),
        ("Portrait of a  nurse", "nurse"),
        ("an oil painting of the judge", "judge"),
        ("a photo of a female doctor", "female doctor"),
        ("firefighter", "firefighter"),
        ("a photo of", "a photo of"),
        ("two nurses talking", "two nurses talking"),
    ],
)
def test_a_prompt_without_its_frame(prompt: str, concept: str) -> None:
    assert concept_of(prompt) == concept


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("construction_worker-012.png", "construction worker"),
        ("nurse (3).jpg", "nurse"),
        ("a_photo_of_a_nurse_00017.png", "nurse"),
        ("00017.png", UNNAMED),
        ("x-ray technician.png", "x ray technician"),
        ("медсестра-1.png", "медсестра"),
    ],
)
def test_a_file_name_without_its_number(name: str, concept: str) -> None:
    assert concept_of_file(name) == concept
