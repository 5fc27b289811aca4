"""One person's whole way: instruct, draw, correct, label by keys, activate a policy, read the stream, export."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable

import pytest
from browsing import Studio, check
from playwright.sync_api import Browser, Download, Page, expect

from fair_diffusion.service.labels import Labels

Look = Callable[[Page, str], None]
SENTENCE = "firefighter: half women, half men"
POLICY = "version: 1\nrules:\n  - concepts: [firefighter]\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
LABELS = 30
DRAWN = 300_000.0
"""Milliseconds for a drawing, at most."""


@pytest.mark.chromium
def test_from_a_sentence_to_the_export(drawing: Studio, browser: Browser, look: Look) -> None:
    page = drawing.open(browser, "instruct")
    first = _instructed(page)
    _corrected(drawing, page)
    check(page)

    halves = _labelled(drawing, page)
    assert halves[-1] < halves[0]
    look(page, "journey-labelled")

    _activated(page)
    second = _drawn_by_the_policy(page)
    assert second != first

    _go(page, "Streams")
    said = page.get_by_role("region", name=re.compile("^firefighter"))
    expect(said.first).to_be_visible()
    rows = [row.inner_text() for row in page.get_by_role("row", name=re.compile("^woman")).all()]
    seen = [re.findall(r"(\d+)–(\d+)\s%", row) for row in rows]
    assert any(len(each) == 2 for each in seen)  # the judge's interval, and that of people
    look(page, "journey-stream")
    _exported(drawing, page, first)


def _go(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


def _instructed(page: Page) -> str:
    """Draw 32 images by a sentence; gives the id of the job."""
    page.get_by_label("What should the images show?").fill("a photo of a firefighter")
    page.get_by_label("Which people, in which proportions?").fill(SENTENCE)
    page.get_by_label("Images", exact=True).fill("32")
    page.get_by_label("Seed", exact=True).fill("3")
    page.get_by_label("Also draw each image without").uncheck()
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("6")
    expect(page.locator("#understood")).to_contain_text("Of 32 images, 16 women and 16 men")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_role("list", name="Images", exact=True)).to_be_visible(timeout=DRAWN)
    expect(page.locator("#said")).to_contain_text(re.compile(r"\d+ of 32 (women|men)"))
    return page.url.rpartition("/")[2]


def _corrected(studio: Studio, page: Page) -> None:
    """Say of an image that it is not what was asked; the click is kept, and enters no share."""
    page.get_by_role("button", name="Image 2: not what I asked").click()
    expect(page.locator("#tile-1")).to_contain_text("made again", timeout=DRAWN)
    (label,) = Labels(studio.server.database).all()
    assert (label.queue, label.answer, label.probability) == ("correction", None, None)


def _labelled(studio: Studio, page: Page) -> list[int]:
    """Make a set of the drawing, and label by keys what the judge read; gives half the width of an interval, in points,
    after each label from the third on."""
    results = [job.result or {} for job in studio.server.jobs.newest()]
    read = {image["file"]: image["judged"]["gender"] for result in results for image in result["images"]}
    keys = {"woman": "1", "man": "2", "androgynous": "3", None: "0"}
    _go(page, "Label")
    page.get_by_role("button", name="Make the set").click()
    page.get_by_role("button", name="I agree").click()
    halves = []
    for k in range(LABELS):
        shown = page.locator("#stage img").get_attribute("src") or ""
        with page.expect_response(lambda answer: answer.request.method == "POST" and "/labels" in answer.url):
            page.keyboard.press(keys[read[shown.rpartition("/")[2]]])
        expect(page.locator("#labelled")).to_have_text(str(k + 1))
        if k > 1:
            said = page.locator('.bought [data-group="woman"] .half').text_content() or ""
            halves.append(int(re.sub(r"\D", "", said)))
    labels = Labels(studio.server.database).all()
    assert sum(label.queue == "random" for label in labels) == LABELS
    return halves


def _activated(page: Page) -> None:
    """Make a policy hold that asks for the same."""
    _go(page, "Policies")
    page.get_by_role("textbox", name="The policy").fill(POLICY)
    expect(page.locator("#checked")).to_contain_text("1 rule, no mistake")
    page.get_by_label("Why?").first.fill("people see that it works")
    page.get_by_role("button", name="Make this text hold").click()
    expect(page.get_by_text("Version 1 is in force")).to_be_visible()


def _drawn_by_the_policy(page: Page) -> str:
    """Draw without a sentence, by the policy; gives the id of the job."""
    _go(page, "Instruct")
    page.get_by_label("Which people, in which proportions?").fill("")
    page.get_by_label("Images", exact=True).fill("8")
    page.get_by_label("Seed", exact=True).fill("")
    expect(page.locator("#understood")).to_contain_text("policy version 1")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_role("list", name="Images", exact=True)).to_be_visible(timeout=DRAWN)
    expect(page.get_by_text("By policy version 1")).to_be_visible()
    return page.url.rpartition("/")[2]


def _exported(studio: Studio, page: Page, job: str) -> None:
    """Take the images and the labels away."""
    page.goto(f"{studio.address}instruct/{job}")
    with page.expect_download() as coming:
        page.get_by_role("link", name="ZIP").click()
    with zipfile.ZipFile(coming.value.path()) as files:
        images = _rows(files.read("images.csv").decode())
        assert sum(name.endswith(".png") for name in files.namelist()) == 32
    assert [row["image"] for row in images if row["made_again"] == "True"] == ["2"]
    _go(page, "Label")
    check(page)
    with page.expect_download() as coming:
        page.get_by_role("link", name="All labels (CSV)").click()
    labels = _rows(_text(coming.value))
    assert len(labels) == LABELS
    assert {row["attribute"] for row in labels} == {"gender"}
    assert all(0 < float(row["probability"]) <= 1 for row in labels)


def _text(download: Download) -> str:
    return download.path().read_text()


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
