"""Python examples of the documentation that no other test runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app

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


def test_the_policy_of_the_page_and_its_mistakes(tmp_path: Path) -> None:
    docs = (DOCS / "how-to" / "write-a-policy.md").read_text(encoding="utf-8")
    text, *_ = re.findall(r"```yaml\n(.*?)```", docs, re.DOTALL)
    told, *_ = re.findall(r"```text\n(.*?)```", docs, re.DOTALL)
    policy = tmp_path / "fair.yaml"
    asked = ["explain", "a photo of two surgeons", "--policy", str(policy)]
    policy.write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(app, [*asked, "-n", "8"])
    assert "woman: 50 %, 4 of 8 images" in shown.stdout
    wrong = text.replace("woman: 1/2", "womam: 1/2").replace("gender: {woman: 45%", "gendr: {woman: 45%")
    policy.write_text(wrong, encoding="utf-8")
    shown = CliRunner().invoke(app, asked)
    assert (shown.exit_code, shown.stderr) == (2, told)
