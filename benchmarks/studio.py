"""How long the studio takes from a keystroke to what is understood of it, in a browser, and how many labels it takes.

Each prompt is typed letter by letter. The time is from the event of a key to the page that shows the answer, so it has
the 60 ms in it that the page waits for the next key.

The drawn faces of `recipes.faces` are labelled by keys, each pressed as soon as the next picture is there. So the rate
is what the page allows; people take the time that they look at a picture.

    python -m benchmarks.studio        → benchmarks/studio.md
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

from playwright.sync_api import Page, expect, sync_playwright

from recipes.faces import faces, write
from recipes.figures.labelling import labelling
from recipes.studio_pictures import FLAGS, opened, studio

OUT = Path(__file__).with_suffix(".md")
PROMPTS = (
    "a photo of a firefighter at work",
    "a portrait of a female software developer",
    "two nurses and a doctor in a hospital",
    "a photo of a blorfsmith",
    "ein Foto einer Krankenschwester",
)
SENTENCE = "every occupation: half women, half men; skin tone uniform"
PAUSE = 300.0
"""Milliseconds between two keys: each answer is waited for."""
LISTEN = """() => {
  window.times = []
  let pressed = 0
  document.getElementById("main").addEventListener("input", () => { pressed = performance.now() }, { capture: true })
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "understood" && pressed) { window.times.push(performance.now() - pressed); pressed = 0 }
  })
}"""

NEXT = """shown => {
  const picture = document.querySelector("#stage img")
  return document.getElementById("labelling").hidden || (picture && picture.complete && picture.src !== shown)
}"""
"""Whether another picture is there than the one that was shown, or none is left."""


def typed(page: Page, text: str) -> list[float]:
    """Type a prompt, and return the milliseconds to each answer."""
    field = page.get_by_label("What should the images show?")
    field.fill("")
    page.wait_for_timeout(2 * PAUSE)
    page.evaluate("window.times = []")
    field.press_sequentially(text, delay=PAUSE)
    page.wait_for_timeout(2 * PAUSE)
    found: list[float] = page.evaluate("window.times")
    return found


def labelled() -> tuple[int, float]:
    """Label all faces by keys: how many labels, and the seconds until the last one is stored."""
    with TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "faces"
        write(folder)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        with labelling(folder) as link:
            page = browser.new_page()
            page.goto(link)
            page.get_by_role("button", name="I agree").click()
            page.wait_for_function(NEXT, arg="")
            begin, count = perf_counter(), len(list(faces()))
            for k in range(count):
                shown = page.evaluate("document.querySelector('#stage img').src")
                page.keyboard.press("12"[k % 2])
                page.wait_for_function(NEXT, arg=shown)
            expect(page.locator("#labelled")).to_have_text(str(count))
            seconds = perf_counter() - begin
        browser.close()
    return count, seconds


def main() -> None:
    """Measure, and write the table."""
    with studio() as link, opened(link) as page:
        page.get_by_label("Which people, in which proportions?").fill(SENTENCE)
        page.evaluate(LISTEN)
        typed(page, "a warm-up")
        rows = [(text, typed(page, text)) for text in PROMPTS]
        load, cores = os.getloadavg()[0], os.cpu_count()
    every = [each for _, times in rows for each in times]
    count, seconds = labelled()
    lines = [
        "# From a keystroke to what is understood",
        "",
        "`python -m benchmarks.studio`: milliseconds in a browser, with the 60 that the page waits for the next key.",
        f"Pages, server and worker ran on {cores} cores; at the end {load:.1f} processes wanted one (load average).",
        "",
        "| prompt | keys | median | 95 % | most |",
        "|---|---|---|---|---|",
        *(_row(text, times) for text, times in [*rows, ("all", every)]),
        "",
        "# Labels by keys",
        "",
        f"{count} drawn faces, each key pressed as soon as the next picture is there: {seconds:.1f} s until the last "
        f"label is stored, {60 * count / seconds:.0f} labels a minute.",
        "",
    ]
    OUT.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def _row(text: str, times: list[float]) -> str:
    high = quantiles(times, n=20)[-1]
    return f"| {text} | {len(times)} | {median(times):.0f} | {high:.0f} | {max(times):.0f} |"


if __name__ == "__main__":
    main()
