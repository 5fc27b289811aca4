"""Several people at once, a drawing that is cancelled, and a server that is killed while it draws."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from browsing import Studio, check
from playwright.sync_api import Browser, expect

from fair_diffusion.service.keys import CLIENT

pytestmark = pytest.mark.chromium
IMAGES = "Images"


def test_two_browsers_draw_at_once_and_see_their_own(drawing: Studio, browser: Browser) -> None:
    pages = [drawing.open(browser, "instruct"), drawing.open(browser, "instruct", key=drawing.new_key(CLIENT))]
    for page, prompt in zip(pages, ("a photo of a nurse", "a photo of a teacher"), strict=True):
        page.get_by_label("What should the images show?").fill(prompt)
        page.get_by_label(IMAGES, exact=True).fill("2")
    expect(pages[1].get_by_label("Which people, in which proportions?")).to_have_count(0)
    for page in pages:
        page.get_by_role("button", name="Draw").click()
    for page in pages:
        expect(page.get_by_role("list", name=IMAGES, exact=True)).to_be_visible(timeout=120_000)
        check(page)
    pages[1].goto(drawing.address + "instruct")
    expect(pages[1].get_by_text("a photo of a teacher")).to_be_visible()
    expect(pages[1].get_by_text("a photo of a nurse")).to_have_count(0)
    job = pages[0].url.rpartition("/")[2]
    pages[1].goto(drawing.address + f"instruct/{job}")
    expect(pages[1].get_by_role("heading", name="Not there")).to_be_visible()


def test_previews_come_and_a_drawing_can_be_cancelled(drawing: Studio, browser: Browser) -> None:
    page = drawing.open(browser, "instruct")
    page.get_by_label("What should the images show?").fill("a photo of a nurse")
    page.get_by_label(IMAGES, exact=True).fill("2")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("150")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_role("img", name=re.compile("not finished")).first).to_be_visible(timeout=120_000)
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"about \d+ s left"))
    check(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Change and draw again").click()
    expect(page.get_by_label("What should the images show?")).to_have_value("a photo of a nurse")


def started(data: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    """A studio in processes of its own, and the link that signs in."""
    command = [*("-m", "fair_diffusion.cli", "studio", "--no-browser"), "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, next(line.split()[-1] for line in process.stdout if line.startswith("the studio is"))


def test_a_page_goes_on_when_its_server_was_killed(tmp_path: Path, browser: Browser) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, link = started(tmp_path / "data", port)
    try:
        page = browser.new_context().new_page()
        page.goto(link)
        page.goto(f"http://127.0.0.1:{port}/studio/instruct")
        expect(page.get_by_text("The model is being loaded")).to_be_visible()
        page.get_by_label("What should the images show?").fill("a photo of a nurse")
        page.get_by_label(IMAGES, exact=True).fill("4")
        expect(page.get_by_text("The model is being loaded")).to_have_count(0, timeout=120_000)
        page.get_by_role("button", name="Draw").click()
        expect(page.get_by_role("status")).to_contain_text("Drawing", timeout=120_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process, _ = started(tmp_path / "data", port)
        images = page.get_by_role("list", name=IMAGES, exact=True).get_by_role("listitem")
        expect(images).to_have_count(4, timeout=120_000)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
