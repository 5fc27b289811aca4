"""docs/pictures/labelling.png: the page on which people label, after 24 labels of the drawn faces of `recipes.faces`.

The keys are pressed for what each face was drawn as. It needs Chromium (`apt-get install chromium`) and the extra dev.

python -m recipes.figures.labelling
"""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, expect, sync_playwright

from recipes.faces import faces, write

OUT = Path("docs/pictures/labelling.png")
LABELS, WIDTH, HEIGHT = 24, 1180, 900
KEYS = {"woman": "1", "man": "2"}


@contextmanager
def labelling(folder: Path) -> Iterator[str]:
    """Run `fair-diffusion label`, and give the link that it prints."""
    command = [sys.executable, "-m", "fair_diffusion.cli", "label", str(folder), "--rater", "maria", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the command printed no link"
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def label(page: Page, drawn_as: dict[str, str], count: int) -> None:
    """Press the keys for what the pictures were drawn as."""
    page.get_by_role("button", name="I agree").click()
    for k in range(count):
        shown = page.locator("#stage img").get_attribute("src") or ""
        page.keyboard.press(KEYS[drawn_as[shown.rpartition("/")[2]]])
        expect(page.locator("#labelled")).to_have_text(str(k + 1))


def figure(out: Path) -> None:
    """Write the picture."""
    with TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "faces"
        write(folder)
        drawn_as = {hashlib.sha256((folder / name).read_bytes()).hexdigest(): face.group for name, face in faces()}
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with labelling(folder) as link:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(link)
            label(page, drawn_as, LABELS)
            page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    figure(OUT)
    print(f"wrote {OUT}")
