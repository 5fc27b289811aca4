"""What to label next: streams without labels first, then the widest interval for what is asked."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from browsing import Studio
from playwright.sync_api import Browser, expect
from stream_jobs import HALF, drawn

from fair_diffusion.policy.target import complete
from fair_diffusion.service.keys import RATER
from fair_diffusion.service.labels import Labels
from fair_diffusion.studio.flows import flows
from fair_diffusion.studio.label_next import label_next

FEW = complete(("gender",), {("woman",): Fraction(1, 10), ("man",): Fraction(9, 10)})


def _label(studio: Studio, files: list[str], answers: str) -> None:
    told: dict[str, Any] = {"rater": "key_r", "guideline": "1", "queue": "random", "probability": 1.0}
    for file, answer in zip(files, answers, strict=False):
        Labels(studio.server.database).add(file, "gender", {"w": "woman", "m": "man"}[answer], **told)


def test_labels_are_wanted_where_they_tell_least_for_what_is_asked(empty: Studio) -> None:
    assert label_next(flows(empty.server)) is None
    even = drawn(empty.server, ["woman", "man"] * 60, target=HALF)
    few = drawn(empty.server, ["man"] * 100, target=FEW)
    called = "gender of “every occupation: nurse” on pocket"
    assert label_next(flows(empty.server)) == f"nobody has labelled {called}, of which 120 images are kept"
    _label(empty, even, "wm" * 10)
    assert label_next(flows(empty.server)) == f"nobody has labelled {called}, of which 100 images are kept"
    _label(empty, few, "m" * 20)
    told = label_next(flows(empty.server))
    assert told is not None
    assert told.startswith(f"{called}: as people see it, 0–"), "as wide an interval is more of 10 % than of 50 %"
    assert told.endswith("are women, and 10 % are asked".replace(" %", "\u00a0%"))
    _label(empty, few[20:], "m" * 80)
    told = label_next(flows(empty.server))
    assert told is not None
    assert told.endswith("and 50 % are asked".replace(" %", "\u00a0%"))
    _label(empty, even[20:], "wm" * 50)
    assert label_next(flows(empty.server)) is None, "every interval is as narrow as the band"


@pytest.mark.chromium
def test_the_page_of_sets_says_what_to_label_next(empty: Studio, browser: Browser) -> None:
    drawn(empty.server, ["woman", "man"] * 5)
    page = empty.open(browser, "label")
    expect(page.get_by_text("Nobody has labelled gender of “every occupation: nurse”")).to_be_visible()
    page = empty.open(browser, "label", key=empty.new_key(RATER))
    expect(page.get_by_text("There is nothing to label yet.")).to_be_visible()
    expect(page.get_by_text("Nobody has labelled gender")).to_be_hidden()
