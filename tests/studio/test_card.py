"""The system card: what people write, what was decided, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from browsing import Studio
from label_examples import made_set
from playwright.sync_api import Browser, Page, expect
from stream_jobs import drawn

from fair_diffusion.service.calibrations import MADE
from fair_diffusion.service.keys import CLIENT
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_raters import raters_of
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.trail import changes, note
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.studio.flows import flows
from fair_diffusion.studio.system_card import SUBJECT, agreement, before, drawings
from fair_diffusion.studio.versions import calibration_made, calibrations_of, guidelines_of, readers_of

RULE = "version: 1\nrules:\n  - concepts: [nurse]\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"


def test_before_is_what_the_twins_of_a_stream_show(empty: Studio) -> None:
    drawn(empty.server, ["woman", "man"] * 5, plain=["woman"] * 8 + ["man"] * 2)
    drawn(empty.server, ["woman", "man"])
    (flow,) = flows(empty.server)
    found = before(drawings(empty.server), [flow])[flow.id]
    assert (found.n, found.unread) == (10, 0)
    assert found.share("woman") == 0.8
    assert found.interval("woman") == pytest.approx(wilson(8, 10))
    assert found.share("androgynous") == 0.0


def test_unread_twins_count_at_both_ends(empty: Studio) -> None:
    drawn(empty.server, ["woman", "man"] * 4, plain=["man"] * 2 + [None] * 6)
    (flow,) = flows(empty.server)
    found = before(drawings(empty.server), [flow])[flow.id]
    assert (found.n, found.unread) == (8, 6)
    assert (found.share("man"), found.share("woman")) == (0.25, 0.0)
    assert found.interval("man") == pytest.approx((wilson(2, 8)[0], 1.0))
    assert found.interval("woman") == pytest.approx((0.0, wilson(6, 8)[1]))


def test_the_card_names_readers_calibrations_and_guidelines(empty: Studio) -> None:
    server = empty.server
    old, new = {"perceiver": "Early, sha256 1", "judge": "Late, sha256 2"}, {"perceiver": "", "judge": "Late, sha256 3"}
    files = drawn(server, ["woman", "man"] * 3, result={"readers": old, "calibration": "abc123"})
    drawn(server, ["woman", "man"], result={"readers": new})
    found = drawings(server)
    assert [(one.role, one.fingerprint, one.images) for one in readers_of(found)] == [
        ("perceiver", "Early, sha256 1", 6),
        ("judge", "Late, sha256 2", 6),
        ("perceiver", "", 2),
        ("judge", "Late, sha256 3", 2),
    ]
    assert [(one.version, one.count) for one in calibrations_of(found)] == [("abc123", 6), ("", 2)]
    labels, told = Labels(server.database), dict[str, Any](rater="key_a", queue="random", probability=1.0)
    for file, guideline in zip(files[:3], ("g1", "g2", "g2"), strict=True):
        labels.add(file, "gender", "woman", guideline=guideline, **told)
    click = labels.add(files[0], "gender", None, rater="key_a", guideline="a click", queue="correction", reason="no")
    assert click.answer is None
    assert [(one.attribute, one.version, one.count) for one in guidelines_of(server.database)] == [
        ("gender", "g2", 2),
        ("gender", "g1", 1),
    ]
    assert calibration_made(server.database) is None
    with server.database.writing() as connection:
        for version in ("c1", "c2"):
            note(connection, by="key_a", change=MADE, subject=version, details={})
    made = calibration_made(server.database)
    assert made is not None
    assert made[0] == "c2"


def test_agreement_leaves_clicks_and_checks_aside(empty: Studio) -> None:
    files = drawn(empty.server, ["woman", "man"] * 2)
    labels = Labels(empty.server.database)
    for rater in ("key_a", "key_b"):
        for file, seen in zip(files, ("woman", "man", "woman", "man"), strict=True):
            labels.add(file, "gender", seen, rater=rater, guideline="1", queue="random", probability=1.0)
    labels.add(files[0], "gender", None, rater="key_a", guideline="1", queue="correction", reason="not what was asked")
    labels.add(files[0], "gender", "man", rater="key_c", guideline="1", queue="gold")
    labels.add(files[1], "gender", None, rater="key_c", guideline="1", queue="second", reason="no person")
    (one,) = agreement(empty.server.database)
    assert (one.pictures, one.raters, one.cannot_tell, one.tied) == (4, 2, 0, 0)
    assert one.alpha == pytest.approx(1.0)


def test_what_cannot_be_told_is_an_answer_of_the_agreement(empty: Studio) -> None:
    """The page of raters says the same."""
    database = empty.server.database
    _, made = made_set(database, empty.server.settings.data, 4, second=1.0)
    for rater, answers in (("key_a", ("woman", "man", None, None)), ("key_b", ("woman", "woman", None, "man"))):
        queue = LabelQueue(database, made, lambda: 1.0)
        for answer in answers:
            (task,) = queue.next(rater)
            queue.label(rater, task.image, answer, guideline=made.guideline)
    (one,) = agreement(database)
    assert (one.pictures, one.raters, one.cannot_tell, one.tied) == (4, 2, 1, 2)
    assert one.alpha == raters_of(database, made).alpha is not None


@pytest.mark.chromium
def test_the_card_says_who_decided_what_and_why(
    empty: Studio, browser: Browser, look: Callable[[Page, str], None]
) -> None:
    page = empty.open(browser, "card")
    expect(page.get_by_text("Nobody has written yet what this service is for")).to_be_visible()
    version = empty.server.policies.add(RULE, by=empty.key.id)
    empty.server.policies.activate(version.version, why="the board agreed", by=empty.key.id)
    files = drawn(
        empty.server,
        ["woman", "man"] * 30,
        plain=["woman"] * 50 + ["man"] * 10,
        result={"readers": {"judge": "Late, sha256 2"}},
    )
    for file in files[:3]:
        given: dict[str, Any] = {"rater": "key_a", "guideline": "1", "queue": "random", "probability": 1.0}
        Labels(empty.server.database).add(file, "gender", "woman", **given)
    page.get_by_label("What is this service for").fill("Pictures for a school book.\nFor teachers.")
    page.get_by_label("Where do the targets come from?").fill("Half and half, as the board decided in 2026.")
    page.get_by_role("button", name="Save the texts").click()
    expect(page.get_by_role("region", name="Purpose")).to_contain_text("For teachers.")
    expect(page.get_by_text("“the board agreed”")).to_be_visible()
    expect(page.get_by_text("gender: 50 % woman, 50 % man")).to_be_visible()
    expect(page.get_by_role("region", name="Before and after", exact=True).last).to_contain_text("83 %")
    expect(page.get_by_role("region", name="Labels")).to_contain_text("it takes pictures with two labels")
    versions = page.get_by_role("region", name="Versions")
    expect(versions).to_contain_text("of pocket: Late, sha256 2; read 60 images")
    expect(versions).to_contain_text("for gender: 1, 3 labels")
    came = page.get_by_role("region", name="Before and after", exact=True).last
    expect(came).to_contain_text("before: 60 images, 0 unread")
    look(page, "card")
    written = changes(empty.server.database, subject=SUBJECT)
    details: dict[str, Any] = written[0].details
    assert details["source"].endswith("in 2026.")
    assert written[0].by == empty.key.id
    other = empty.open(browser, "card", key=empty.new_key(CLIENT))
    expect(other.get_by_role("heading", name="Not allowed")).to_be_visible()
