"""Who looks after labels in a browser: tables that come in, calibrations of chosen sets, and the page of errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browsing import ERRORS, Studio
from label_examples import GENDER, made_set, new_pictures, sets_of
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update
from stream_jobs import drawn

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.tables import images

Look = Callable[[Page, str], None]
pytestmark = pytest.mark.chromium


def _labelled(studio: Studio, made: LabelSet, answer: str) -> None:
    """Label the next picture of a set."""
    queue = LabelQueue(studio.server.database, made, lambda: 1.0)
    (task,) = queue.next("key_r")
    queue.label("key_r", task.image, answer, guideline=made.guideline)


def test_a_table_comes_in_and_a_wrong_one_is_told(empty: Studio, browser: Browser, look: Look) -> None:
    made_set(empty.server.database, empty.server.settings.data, 6)
    page = empty.open(browser, "label")
    for text, said in (
        (
            "file,attribute,group,rater\n005.png,gender,man,carla\n004.png,gender,woman,carla\nx.png,gender,man,carla\n",
            "",
        ),
        ("file,attribute,group\n003.png,gender,tall\n", "tall"),
    ):
        page.goto(f"{empty.address}label")
        page.get_by_text("Add labels, or remove the set").click()
        expect(page.get_by_text("of up to 64 MB")).to_be_visible()
        page.set_input_files("input[type=file]", {"name": "l.csv", "mimeType": "text/csv", "buffer": text.encode()})
        page.get_by_role("button", name="Add its labels").click()
        if not said:
            expect(page.get_by_role("heading", name="2 labels added")).to_be_visible()
            look(page, "label-imported")
    expect(page.get_by_role("heading", level=1, name="That did not work")).to_be_visible()
    expect(page.locator(".lead")).to_contain_text(said)
    ERRORS[page].clear()  # the browser tells of the 400
    look(page, "problem")
    page.goto(f"{empty.address}no/such/page")
    expect(page.get_by_role("heading", level=1, name="Not there")).to_be_visible()
    ERRORS[page].clear()
    look(page, "not-there")


def test_a_person_calibrates_by_some_sets_and_fetches_an_earlier_one(
    empty: Studio, browser: Browser, look: Look
) -> None:
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 8)
    drawn(empty.server, ["woman"] * 4 + ["man"] * 4, files=[each.image for each in pictures])
    (job,) = empty.server.jobs.newest()
    with database.writing() as connection:
        connection.execute(update(images).values(job=job.id))
    sets = sets_of(database, data)
    first, second = (sets.add(name, GENDER, pictures, second=0.0) for name in ("first", "second"))
    sets.add("look wrong", GENDER, pictures, second=0.0, chosen=True)
    _labelled(empty, first, "woman")
    _labelled(empty, second, "man")
    page = empty.open(browser, "label")
    ticks = page.get_by_role("group", name="By the labels of")
    expect(ticks.get_by_role("checkbox")).to_have_count(2)  # those that somebody chose never enter
    ticks.get_by_label("second").uncheck()
    page.get_by_role("button", name="Calibrate").click()
    expect(page.locator(".lead")).to_contain_text("1 labelled picture of 1 set")
    version = (page.get_by_role("heading", level=1).text_content() or "").removeprefix("Calibration ")
    _labelled(empty, first, "man")
    page.get_by_role("link", name="All sets").click()
    expect(page.get_by_role("heading", name="The last ones, as they were made")).to_be_visible()
    look(page, "label-calibrations")
    with page.expect_download() as coming:
        page.get_by_role("link", name=version).click()
    assert Calibration.load(coming.value.path()).version == version
