"""Streams: what they show, what calls for a look, and what people see."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from browsing import Studio
from playwright.sync_api import Browser, Page, expect
from stream_jobs import drawn

from fair_diffusion.service.labels import Labels
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.studio.flows import flows


def test_a_stream_that_leaves_its_band_calls_for_a_look(empty: Studio) -> None:
    drawn(empty.server, ["woman"] * 50 + ["man"] * 50)
    (flow,) = flows(empty.server)
    assert flow.alarms == []
    assert flow.verdict == "cannot tell"
    drawn(empty.server, ["woman"] * 60)
    (flow,) = flows(empty.server)
    low, high = wilson(110, 160)
    assert flow.groups[0].interval == pytest.approx((low, high))
    assert flow.verdict == "misses"
    assert len(flow.alarms) == 2
    assert "show women" in flow.alarms[0]
    assert len(flow.images) == 100
    assert flow.images[0]["judged"] == {"gender": "woman"}


def test_unread_images_that_rise_and_readers_that_disagree_call_for_a_look(empty: Studio) -> None:
    drawn(empty.server, ["woman", "man"] * 25)
    drawn(empty.server, ["woman", "man", None, None, "man"] * 10)
    (flow,) = flows(empty.server)
    assert flow.alarms == ["more images cannot be read: 20 of the last 50, 0 of the 50 before"]
    drawn(empty.server, ["woman", "man"] * 50, perceived=["man", "man", "woman", "man"] * 25)
    (flow,) = flows(empty.server)
    assert flow.alarms == ["judge and perceiver disagree on 25 of the last 100 images"]


def test_shares_as_people_see_them_come_from_labels_that_were_drawn_at_random(empty: Studio) -> None:
    files = drawn(empty.server, ["woman"] * 30 + ["man"] * 30)
    labels = Labels(empty.server.database)
    common: dict[str, Any] = {"rater": "key_r", "guideline": "1"}
    labels.add(files[0], "gender", None, queue="correction", reason="not what was asked", **common)
    (flow,) = flows(empty.server)
    assert flow.groups[0].people is None
    for file in files:  # people see a man in every image
        labels.add(file, "gender", "man", queue="random", probability=1.0, **common)
    (flow,) = flows(empty.server)
    woman, man = flow.groups[0].people, flow.groups[1].people
    assert flow.labels == 60
    assert woman is not None
    assert man is not None
    assert woman[0] == pytest.approx(0.0)
    assert man[0] == pytest.approx(1.0)
    assert woman[1][1] < 0.25  # the judge's share is one half
    labels.add(files[0], "gender", "woman", queue="random", probability=1.0, **common)  # the first label counts
    assert flows(empty.server)[0].groups[0].people == woman


@pytest.mark.chromium
def test_the_page_of_streams(empty: Studio, browser: Browser, look: Callable[[Page, str], None]) -> None:
    page = empty.open(browser, "streams")
    expect(page.get_by_text("There is none yet")).to_be_visible()
    look(page, "streams-empty")
    files = drawn(empty.server, ["woman"] * 20 + ["man"] * 60)
    for file in random.Random(0).sample(files, 40):
        common: dict[str, Any] = {"rater": "key_r", "guideline": "1", "queue": "random", "probability": 0.5}
        Labels(empty.server.database).add(file, "gender", "man", **common)
    page.route("**/images/*", lambda route: route.fulfill(content_type="image/svg+xml", body=SQUARE))
    page.reload()
    expect(page.get_by_text("1 stream; 1 calls for a look")).to_be_visible()
    expect(page.get_by_text("misses its target")).to_be_visible()
    expect(page.get_by_text("25 % of the images show women")).to_be_visible()
    look(page, "streams")


SQUARE = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><rect width='9' height='9' fill='#9ab'/></svg>"
