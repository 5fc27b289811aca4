"""examples/space/app.py, driven in a browser: instruct, draw, compare; and nothing is asked of another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium
EXAMPLE = Path(__file__).parents[1] / "examples" / "space" / "app.py"
MILLISECONDS = 300_000
"""A bound for a machine that is busy."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The page, at the first port from 7860 on that is free, with few steps."""
    pytest.importorskip("gradio", reason="the example's own requirement: pip install '.[examples]'")
    variables = {**os.environ, "STEPS": "4", "GRADIO_SERVER_NAME": "127.0.0.1"}
    told = [sys.executable, "-u", str(EXAMPLE)]
    with subprocess.Popen(told, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        said = iter(page.stdout.readline, "")
        try:
            yield next(found[0] for line in said if (found := re.search(r"http://[\d.:]+", line)))
        finally:
            page.terminate()


def test_instruct_draw_compare(browser: Browser, address: str, tmp_path: Path) -> None:
    page = browser.new_page()
    page.set_default_timeout(MILLISECONDS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_label("Instruction", exact=True).fill("firefighter: all women")
    page.get_by_text("rule 'firefighter' fires for 'firefighter'").wait_for()
    page.get_by_role("button", name="Draw").click()
    page.get_by_text("woman", exact=True).first.wait_for()
    told = " ".join(page.locator("body").inner_text().split())
    assert re.search(r"gender woman 8 \d gender man 0 \d", told), told  # group, asked, drawn
    assert page.locator("img").count() >= 16
    kept = os.environ.get("STUDIO_PICTURES")
    page.screenshot(path=Path(kept or tmp_path) / "space.png", full_page=True)
    hosts = {urlsplit(url).hostname for url in asked if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
    page.close()


def test_a_wrong_instruction_is_told(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(MILLISECONDS)
    page.goto(address)
    page.get_by_label("Instruction", exact=True).fill("firefighter: 60% women, 60% men")
    page.get_by_text("120").first.wait_for()
    page.close()
