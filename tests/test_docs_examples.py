"""Python examples of the documentation that no other test runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"


def test_descent_from_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    docs = (DOCS / "explanation" / "latents.md").read_text(encoding="utf-8")
    (block,) = [part for part in re.findall(r"```python\n(.*?)```", docs, re.DOTALL) if "from_images" in part]
    # fewer steps and one iteration: what is tried is the code, not the pictures
    for usual, fewer in (
        ("steps=25", "steps=5"),
        ("iterations=20", "iterations=1"),
        ("n=4).images", "n=4, steps=5).images"),
    ):
        assert usual in block
        block = block.replace(usual, fewer)
    defined: dict[str, Any] = {"__name__": "example"}
    exec(block, defined)
    assert len(defined["images"]) == 4
    assert all(isinstance(image, Image.Image) for image in defined["images"])
    groups = [shown.assigned["gender"] for shown in defined["order"].finished]
    assert sorted(groups) == ["man", "man", "woman", "woman"]
    assert [shown.seed for shown in defined["order"].finished] == [0, 1, 2, 3]
    assert capsys.readouterr().out.startswith("[")
