"""Instruct: what is understood as one types, sliders, a drawing from its place in the queue to its files."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable

import pytest
from browsing import Studio, check
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.service.labels import Labels
from fair_diffusion.service.ledger import DatabaseLedger

pytestmark = pytest.mark.chromium
Look = Callable[[Page, str], None]


def type_in(page: Page, prompt: str, sentence: str = "") -> None:
    page.get_by_label("What should the images show?").fill(prompt)
    page.get_by_label("Which people, in which proportions?").fill(sentence)


def drawn(page: Page) -> None:
    """Draw, and wait until the images are there."""
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_role("list", name="Images", exact=True)).to_be_visible(timeout=120_000)


def test_a_person_draws_corrects_and_takes_the_images_away(drawing: Studio, browser: Browser, look: Look) -> None:
    page = drawing.open(browser, "instruct")
    type_in(page, "a photo of a firefighter", "firefighter: half women, half men")
    understood = page.locator("#understood")
    expect(understood).to_contain_text("Of 8 images, 4 women and 4 men")
    look(page, "instruct")
    page.get_by_label("Seed", exact=True).fill("11")
    drawn(page)
    expect(page.locator("#said")).to_contain_text(re.compile(r"\d of 8 (women|men)"))
    expect(page.locator("#said")).to_contain_text("steered")
    expect(page.locator("#said")).to_contain_text("changed in")
    look(page, "drawing")
    images = page.get_by_role("list", name="Images", exact=True).get_by_role("listitem")
    expect(images).to_have_count(8)

    slide = page.get_by_role("slider").first
    slide.fill("60")
    assert (
        slide.locator("xpath=ancestor::figure").locator(".pair").evaluate("e => e.style.getPropertyValue('--cut')")
        == "60%"
    )
    page.get_by_role("link", name=re.compile("^steered")).click()
    expect(page).to_have_url(re.compile("only=steered"))
    steered = images.count()
    assert 0 < steered < 8
    page.get_by_role("link", name=re.compile("^all")).click()
    expect(images).to_have_count(8)

    before = page.locator("#tile-0 img").first.get_attribute("src")
    page.get_by_role("button", name="Image 1: not what I asked").click()
    expect(page.locator("#tile-0")).to_contain_text("made again", timeout=120_000)
    assert page.locator("#tile-0 img").first.get_attribute("src") != before
    labels = Labels(drawing.server.database).all()
    assert [(label.queue, label.answer, label.probability) for label in labels] == [("correction", None, None)]
    assert sum(row.asked for row in DatabaseLedger(drawing.server.database).rows()) == 8  # it takes no new turn
    page.reload()
    expect(page.locator("#tile-0")).to_contain_text("made again")
    check(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="ZIP").click()
    with zipfile.ZipFile(download.value.path()) as files:
        names = files.namelist()
        rows = list(csv.DictReader(io.StringIO(files.read("images.csv").decode())))
        content = files.read("image-0001.png")
    assert {"image-0007.png", "plain-0007.png", "settings.json"} <= set(names)
    assert len(rows) == 8
    assert rows[0]["made_again"] == "True"
    assert {row["gender_asked"] for row in rows} == {"woman", "man"}

    page.get_by_role("link", name=re.compile(r"Image 3, seed \d+: draw again from this seed")).click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value(rows[2]["seed"])
    expect(page.get_by_label("Images", exact=True)).to_have_value("1")
    expect(understood).to_contain_text("Of 1 image")
    expect(page.get_by_text("Image 3 was to show")).to_be_visible()
    look(page, "instruct-again")

    page.goto(drawing.address + "instruct")
    pictures = [{"name": "one.png", "mimeType": "image/png", "buffer": content}]
    page.locator("#picture").set_input_files(pictures)  # type: ignore[arg-type]
    expect(page.get_by_label("What should the images show?")).to_have_value("a photo of a firefighter")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("11")
    expect(understood).to_contain_text("Of 8 images")
    expect(page.get_by_text("The form has the settings with which this picture was drawn.")).to_be_visible()
    look(page, "instruct-dropped")


def test_sliders_write_the_sentence_and_back(empty: Studio, browser: Browser) -> None:
    page = empty.open(browser, "instruct")
    type_in(page, "a photo of a nurse", "nurse: half women, half men")
    woman = page.get_by_role("slider", name="woman")
    expect(woman).to_have_value("50")
    woman.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    sentence = page.get_by_label("Which people, in which proportions?")
    expect(sentence).to_have_value("nurse: 60% woman, 40% man")
    expect(page.locator("#understood")).to_contain_text("5 women and 3 men")
    expect(woman).to_be_focused()
    sentence.fill("nurse: 10% women, 90% men")
    expect(woman).to_have_value("10")
    page.get_by_label("Also draw each image without").uncheck()
    page.reload()
    expect(page.get_by_label("Also draw each image without")).not_to_be_checked()
    expect(sentence).to_have_value("nurse: 10% women, 90% men")
    expect(page.get_by_label("What should the images show?")).to_have_value("a photo of a nurse")


def test_it_is_said_why_a_rule_stays_silent_and_what_a_mistake_is(empty: Studio, browser: Browser, look: Look) -> None:
    page = empty.open(browser, "instruct")
    understood = page.locator("#understood")
    type_in(page, "a photo of a female nurse", "nurse: half women, half men")
    expect(understood).to_contain_text("Nobody is steered: the prompt states gender: 'female'")
    type_in(page, "a photo of a nurse", "nurse: 80% women, 70% men")
    expect(understood).to_contain_text("cannot be followed")
    expect(understood).to_contain_text("Make them sum to 100 %")
    look(page, "instruct-mistake")
    type_in(page, "a photo of a nurse")
    page.get_by_role("button", name="nurse: half women, half men").click()
    expect(understood).to_contain_text("4 women and 4 men")
    type_in(page, "a photo of a blorfsmith", "every occupation: gender equal")
    page.get_by_text("How the words were read").click()
    expect(understood).to_contain_text("nearest in meaning")


def test_an_empty_studio_explains_itself_and_draws_an_example(drawing: Studio, browser: Browser) -> None:
    page = drawing.open(browser, "instruct")
    expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=120_000)
    page.get_by_role("link", name="Fair Diffusion").click()
    page.get_by_role("button", name="Draw this example").click()
    expect(page.locator("#said")).to_contain_text("4 of 8 women, as asked", timeout=120_000)
    page.get_by_role("button", name="Report").click()
    page.get_by_role("link", name="Read the report").click(timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("a photo of a firefighter")
    check(page)
    page.goto(drawing.address)
    expect(page.get_by_role("heading", name="Your latest drawings")).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing has been drawn here yet")).to_have_count(0)
