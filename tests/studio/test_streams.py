"""Streams: what they show, what calls for a look, and what people see."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from browsing import Studio
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.policy.target import Target, uniform
from fair_diffusion.service.claims import Claims, Ended
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.server import Server
from fair_diffusion.service.streams import Counted
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.studio.flows import flows

Read = Sequence[str | None]
HALF = uniform("gender")


def drawn(
    server: Server,
    judged: Sequence[str | None],
    *,
    perceived: Sequence[str | None] | None = None,
    target: Target = HALF,
) -> list[str]:
    """A job that drew images of a stream, each read so; half of them were asked to show women. Returns their files."""
    perceived = perceived or judged
    n = len(judged)
    job, _ = server.jobs.put("draw pocket", {}, key="key_x", images=n)
    claims = Claims(server.database, "a test")
    claimed = claims.claim(["draw pocket"])[0]
    turn = claims.reserve(claimed, rule="every occupation: nurse", target=target, n=n, model="pocket")
    cells = [cell for cell, count in zip(target.shares, turn.quotas, strict=True) for _ in range(count)]
    files = [f"{hash((job.id, k)) % 16**16:064x}" for k in range(n)]
    images: list[dict[str, Any]] = [
        {"file": file, "judged": {"gender": read}, "perceived": {"gender": other}, "assigned": {"gender": cell[0]}}
        for file, read, other, cell in zip(files, judged, perceived, cells, strict=True)
    ]
    stream = {"rule": "every occupation: nurse", "attributes": "gender", "target": target.key}
    both = [[None if read is None else (read,) for read in reads] for reads in (perceived, judged)]
    counted = Counted(turn, cells, *both)
    claims.end_all([Ended(claimed, result={"images": images, "streams": [stream]}, counted=[counted])])
    return files


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
