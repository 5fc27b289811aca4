"""Pictures of the studio for docs/how-to/studio.md: a person's way through its pages, in Debian's chromium.

python -m recipes.studio_pictures        → docs/pictures/studio-*.png
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "pictures"
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
LARGEST = 150_000
"""Bytes of a picture at most."""
WAIT = 300_000.0
"""Milliseconds for a drawing, at most."""
LOADED = (
    "() => [...document.querySelectorAll('img:not(.over)')]"
    ".filter(each => each.getBoundingClientRect().top < innerHeight).every(each => each.complete)"
)
"""Whether the images in the window are there. Those below it, and plain ones that are cut away, are loaded later."""
POLICY = "version: 1\nrules:\n  - every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"


@contextmanager
def studio() -> Iterator[str]:
    """A studio in processes of its own, on the pocket model and an empty folder; gives the link that signs in."""
    with TemporaryDirectory() as data:
        command = [sys.executable, "-m", "fair_diffusion.cli", "studio", "--no-browser", "--port", "0", "--data", data]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                yield next(line.split()[-1] for line in process.stdout if line.startswith("the studio is"))
            finally:
                process.send_signal(signal.SIGTERM)


@contextmanager
def opened(link: str) -> Iterator[Page]:
    """A page of a browser without a window, signed in, once the model is there."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        page = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce").new_page()
        page.goto(link)
        go(page, "Instruct")
        expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=WAIT)
        yield page
        browser.close()


def main() -> None:
    """Go through the pages, and keep a picture of each."""
    with studio() as link, opened(link) as page:
        page.get_by_role("link", name="Fair Diffusion").click()
        keep(page, "start")
        page.get_by_role("button", name="Draw this example").click()
        expect(page.locator("#said")).to_be_visible(timeout=WAIT)
        keep(page, "drawing")
        page.get_by_role("link", name="Change and draw again").click()
        expect(page.locator("#understood")).to_contain_text("Of 8 images")
        keep(page, "instruct")
        go(page, "Policies")
        page.get_by_role("textbox", name="The policy").fill(POLICY)
        page.get_by_label("Why?").first.fill("agreed on by the board")
        expect(page.locator("#checked")).to_contain_text("1 rule, no mistake")
        keep(page, "policies")
        page.get_by_role("button", name="Make this text hold").click()
        for prompt in ("a photo of a nurse", "a photo of a pilot"):
            go(page, "Instruct")
            page.get_by_label("What should the images show?").fill(prompt)
            page.get_by_label("Which people, in which proportions?").fill("")
            page.get_by_label("Images", exact=True).fill("8")
            page.get_by_role("button", name="Draw", exact=True).click()
            expect(page.locator("#said")).to_be_visible(timeout=WAIT)
        go(page, "Streams")
        keep(page, "streams")
        go(page, "Audits")
        page.get_by_role("region", name="Of counts").get_by_role("button", name="Audit").click()
        expect(page.get_by_role("link", name="Read the report")).to_be_visible(timeout=WAIT)
        keep(page, "audits")
        go(page, "System card")
        page.get_by_label("What is this service for").fill("Pictures for a school book.")
        page.get_by_label("Where do the targets come from?").fill("Half and half: a decision of the board.")
        page.get_by_role("button", name="Save the texts").click()
        keep(page, "card")


def go(page: Page, name: str) -> None:
    """Open one of the pages that are linked at the side."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


def keep(page: Page, name: str) -> None:
    """A picture of what is in the window, small enough for a page of the documentation."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(LOADED)
    page.evaluate("document.activeElement?.blur()")
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    small = picture.quantize(256, kmeans=2, dither=Image.Dither.NONE)
    path = OUT / f"studio-{name}.png"
    small.save(path, optimize=True)
    assert path.stat().st_size <= LARGEST, f"{path.name} has {path.stat().st_size:,} bytes"
    assert re.fullmatch(r"[a-z]+", name)


if __name__ == "__main__":
    main()
