"""Audits: of counts, of pictures that are sent, of the model; their reports, and links to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Studio, check
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.service.signing import Signer

pytestmark = pytest.mark.chromium
Look = Callable[[Page, str], None]


def test_counts_become_a_report_that_can_be_shared(drawing: Studio, browser: Browser, look: Look) -> None:
    page = drawing.open(browser, "instruct")
    expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=120_000)
    page.get_by_role("link", name="Audits").click()
    counts = page.get_by_role("region", name="Of counts")
    counts.get_by_label("Title").fill("Two occupations")
    counts.get_by_role("button", name="Audit").click()
    expect(page.get_by_role("link", name="Read the report")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Share").click()
    link = page.get_by_role("link", name="/shared/")
    expect(link).to_be_visible()
    look(page, "audits")
    address = str(link.get_attribute("href"))
    visitor = drawing.visit(browser, "shared/" + address.rpartition("/")[2])
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Two occupations")
    expect(visitor.locator("body")).to_contain_text("pilot")
    check(visitor)
    assert drawing.visit(browser, "shared/" + address.rpartition("/")[2][:-1]).get_by_text("Not there").count()
    forged = Signer(drawing.server.database).sign("entry", "job_" + 32 * "0")
    assert drawing.visit(browser, f"shared/{forged}").get_by_text("Not there").count()

    counts.get_by_label("Table").fill("prompt,attribute,group,count\nnurse,gender,woman,many\n")
    counts.get_by_role("button", name="Audit").click()
    expect(page.get_by_text(re.compile("counts.csv, line 2"))).to_be_visible(timeout=60_000)
    assert "/tmp" not in page.locator("main").inner_text()


def test_pictures_are_read_and_deleted(drawing: Studio, browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    for k, concept in enumerate(("nurse", "nurse", "pilot")):
        (folder / concept).mkdir(parents=True, exist_ok=True)
        Image.effect_noise((64, 64), 20 + k).convert("RGB").save(folder / concept / f"{k}.png")
    (folder / "notes.txt").write_text("no picture")
    page = drawing.open(browser, "instruct")
    expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=120_000)
    page.goto(drawing.address + "audits")
    sent = page.get_by_role("region", name="Of pictures")
    sent.get_by_label("Folder").set_input_files(folder)
    sent.get_by_role("button", name="Send and audit").click()
    expect(page.get_by_text("3 pictures")).to_be_visible()
    page.get_by_role("link", name="Read the report").click(timeout=60_000)
    expect(page.locator("body")).to_contain_text("pilot")
    (job,) = drawing.server.jobs.newest(kinds=["audit "])
    assert job.body["pictures"] == []
    assert list((drawing.server.settings.data / "images").rglob("*.png")) == []


def test_a_model_is_audited_with_and_without_an_instruction_in_two_ways(drawing: Studio, browser: Browser) -> None:
    page = drawing.open(browser, "instruct")
    expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=120_000)
    page.goto(drawing.address + "audits")
    suite = page.get_by_role("region", name="Of the model")
    suite.get_by_label("Occupations").fill("firefighter\nnurse")
    suite.get_by_label("Images of each").fill("4")
    expect(suite.get_by_role("checkbox", name="switch")).to_be_checked()
    suite.get_by_role("checkbox", name="prompt: the group's word").check()
    suite.get_by_role("button", name="Draw and audit").click()
    page.get_by_role("link", name="Read the report").click(timeout=180_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("2 occupations, 4 images each")
    for text in ("plain", "switch", "prompt", "firefighter", "nurse"):
        expect(page.locator("body")).to_contain_text(text)
    check(page)
    page.goto(drawing.address + "instruct")
    expect(page.get_by_role("heading", name="Your latest drawings")).to_have_count(0)
