"""examples/openai_client.py: the client of OpenAI gets the images of a server here."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image
from running_service import running

from fair_diffusion.pipeline import FairPipeline

EXAMPLE = Path(__file__).parents[2] / "examples" / "openai_client.py"


def test_the_client_of_openai_gets_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "data", pipe=FairPipeline.from_pretrained("pocket")) as served:
        monkeypatch.setenv("FAIR_DIFFUSION_KEY", served.client)
        asked = ["--address", served.address, "-n", "2", "--out", str(tmp_path / "asked")]
        monkeypatch.setattr(sys, "argv", ["openai_client.py", *asked])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    for k in range(2):
        with Image.open(tmp_path / "asked" / f"{k}.png") as picture:
            assert picture.size == (64, 64)
