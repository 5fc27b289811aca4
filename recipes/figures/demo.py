"""docs/pictures/firefighters.png and report.png: the contact sheet that `make demo` leaves, and a report of that run.

    make demo
    python -m recipes.figures.demo        # needs Chromium for the report, and the extra dev

The pictures keep 256 colours, so that they are small.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from fair_diffusion.cli import app

RUN, OUT = Path("out/demo"), Path("docs/pictures")
COLOURS = 256
WIDTH, HEIGHT = 980, 900
"""Of the part of the report that is shown, in pixels."""


def small(image: Image.Image, path: Path) -> None:
    """Save a picture as PNG in few colours, which k-means brings near to those of faces and hair."""
    image.convert("RGB").quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def shot(page: Path, path: Path, *, width: int = WIDTH, height: int = HEIGHT, top: int = 0) -> None:
    """Save what Chromium shows of a page, from `top` pixels on."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        tab.screenshot(
            path=f"{folder}/shot.png", full_page=True, clip={"x": 0, "y": top, "width": width, "height": height}
        )
        browser.close()
        with Image.open(f"{folder}/shot.png") as image:
            small(image, path)


def main() -> None:
    """Write both pictures."""
    with Image.open(RUN / "contact-sheet.png") as sheet:
        small(sheet, OUT / "firefighters.png")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "demo.html"
        app(["report", str(RUN), "--out", str(page)], standalone_mode=False)
        shot(page, OUT / "report.png")


if __name__ == "__main__":
    main()
