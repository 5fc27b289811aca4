"""The label page as a person uses it: keys, undo, skips, two raters at once, what labels buy, and what a key costs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from browsing import Studio
from label_examples import GENDER, made_set, new_pictures, sets_of
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import update
from stream_jobs import drawn

from fair_diffusion.service.keys import CLIENT, RATER
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_progress import progress
from fair_diffusion.service.label_queue import UNDOABLE, LabelQueue
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.label_table import import_labels
from fair_diffusion.service.labels import CANNOT_TELL, Labels
from fair_diffusion.service.signing import Signer
from fair_diffusion.service.tables import images
from fair_diffusion.studio.pages.label import AHEAD
from fair_diffusion.studio.sessions import cookie_of, entry

Look = Callable[[Page, str], None]
_FETCHED = (
    "count => performance.getEntriesByType('resource').filter(e => e.name.includes('/pictures/')).length >= count"
)
"""Whether so many pictures were fetched."""


def _set(studio: Studio, count: int, **given: Any) -> LabelSet:
    return made_set(studio.server.database, studio.server.settings.data, count, **given)[1]


def _labels(studio: Studio, made: LabelSet) -> list[str | None]:
    """What raters said, in order; reasons of skips in angle brackets."""
    return [
        each.answer if each.answer or each.reason == CANNOT_TELL else f"<{each.reason}>"
        for each in Labels(studio.server.database).all(label_set=made.id)
    ]


def _agree(page: Page) -> None:
    page.get_by_role("button", name="I agree").click()
    expect(page.locator("#stage img")).to_be_visible()


def _press(page: Page, key: str) -> None:
    """Press a key, and wait until its answer is stored."""
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.keyboard.press(key)


def _shown(page: Page) -> str:
    """The hash of the picture that is shown, as soon as there is one."""
    return (page.locator("#stage img").get_attribute("src") or "").rpartition("/")[2]


def _answer(page: Page, pressed: str) -> dict[str, str | None]:
    """Press a key as soon as a picture is shown, whatever the server has answered; what was said of each picture."""
    said: dict[str, str | None] = {}
    for key in pressed:
        said[_shown(page)] = {"1": "woman", "2": "man"}[key]
        page.keyboard.press(key)
    return said


def _stored(studio: Studio, made: LabelSet) -> dict[str, str | None]:
    """What raters said of each picture."""
    return {each.image: each.answer for each in Labels(studio.server.database).all(label_set=made.id)}


def _failure(status: int, code: str, **headers: str) -> dict[str, Any]:
    """An answer of a server that fails, or refuses."""
    error = {"message": f"it says {code}", "type": "x", "param": None, "code": code}
    return {"status": status, "headers": headers, "json": {"error": error}}


def _half(page: Page, group: str) -> int:
    """Half the width of a group's interval, in points."""
    said = page.locator(f'.bought [data-group="{group}"] .half').text_content() or ""
    return int(re.sub(r"\D", "", said))


@pytest.mark.chromium
def test_thirty_labels_by_keyboard_narrow_the_interval(empty: Studio, browser: Browser, look: Look) -> None:
    made = _set(empty, 60, readings=["woman", "man"] * 30)
    page = empty.open(browser, "label", key=empty.new_key(RATER))
    look(page, "label-sets")
    page.get_by_role("link", name="Label", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Which gender do you perceive?")
    look(page, "label-consent")
    _agree(page)
    expect(page.locator("#by")).to_have_text("Shares come with the first label.")
    halves, shown = [], []
    for k in range(30):
        shown.append(_shown(page))
        _press(page, "1" if k % 2 else "2")
        expect(page.locator("#labelled")).to_have_text(str(k + 1))
        halves.append(_half(page, "woman"))
    assert halves == sorted(halves, reverse=True)  # intervals that hold at every look lie in each other
    assert halves[29] < halves[2]
    assert _labels(empty, made) == ["man", "woman"] * 15
    woman = progress(empty.server.database, made).groups[0]
    assert woman.low is not None
    assert woman.high is not None
    assert halves[29] == round(50 * (woman.high - woman.low))
    expect(page.locator("#by")).to_contain_text("what the reader says of the other pictures")
    expect(page.locator("#last")).to_contain_text("The reader: ")
    earlier = page.locator("#last img").get_attribute("src") or ""
    assert earlier.endswith(shown[-1 - UNDOABLE]), "the last of those that can no longer be taken back"
    look(page, "label")


@pytest.mark.chromium
def test_a_key_press_costs_one_request_and_the_next_picture_is_there(empty: Studio, browser: Browser) -> None:
    """So a person never waits: the next picture is fetched before, and the answer is sent behind it."""
    made = _set(empty, 30)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    asked: list[str] = []
    for k in range(10):
        page.wait_for_function(_FETCHED, arg=k + AHEAD)
        if k == 0:
            page.on("request", lambda request: asked.append(f"{request.method} {request.resource_type}"))
        shown = page.locator("#stage img").get_attribute("src")
        page.keyboard.press("1")
        # At once, without an answer of the server: the next one, and it is loaded.
        following = page.evaluate(
            "(() => { const i = document.querySelector('#stage img'); return [i.src, i.complete] })()"
        )
        assert not following[0].endswith(str(shown).lstrip("./"))
        assert following[1], "the next picture was fetched before"
    page.wait_for_function(_FETCHED, arg=10 + AHEAD)
    expect(page.locator("#labelled")).to_have_text("10")
    assert sorted(asked) == ["GET image"] * 10 + ["POST fetch"] * 10


@pytest.mark.chromium
def test_keys_wait_for_no_answer_of_the_server(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 30)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    held: list[Route] = []
    released: list[bool] = []
    page.route("**/labels", lambda route: route.continue_() if released else held.append(route))
    with page.expect_request("**/labels"):
        said = _answer(page, "1212"[:AHEAD])
    assert len(said) == AHEAD
    page.keyboard.press("1")  # no picture is shown, so nothing is labelled
    expect(page.locator("#stage")).to_have_text("The next picture is on its way.")
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_hidden()
    (first,) = held
    released.append(True)
    first.continue_()
    said |= _answer(page, "".join(random.Random(0).choices("12", k=30 - AHEAD)))
    expect(page.locator("#labelled")).to_have_text("30")
    assert len(said) == 30
    assert _stored(empty, made) == said


@pytest.mark.chromium
def test_nothing_jumps_between_two_pictures(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 12, readings=["woman"] * 12)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    _press(page, "1")
    places = []
    for _ in range(6):
        _press(page, "2")
        boxes = [page.locator(name).bounding_box() for name in ("#stage", ".answers", ".bought", "#unsure")]
        places.append(boxes)
    assert all(each == places[0] for each in places)


@pytest.mark.chromium
def test_a_person_undoes_skips_and_cannot_tell(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 8)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    first = page.locator("#stage img").get_attribute("src")
    _press(page, "1")
    _press(page, "u")
    expect(page.locator("#stage img")).to_have_attribute("src", str(first))
    expect(page.locator("#labelled")).to_have_text("0")
    for key in ("2", "0", "c"):
        _press(page, key)
    page.keyboard.press("s")
    expect(page.get_by_role("group", name="Why you skip it")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("group", name="Why you skip it")).to_be_hidden()
    page.keyboard.press("s")
    _press(page, "1")
    expect(page.get_by_role("group", name="Why you skip it")).to_be_hidden()
    expect(page.locator("#rest")).to_have_text(", 2 cannot be told, 1 skipped")
    page.get_by_role("button", name="woman").click()
    expect(page.locator("#labelled")).to_have_text("4")
    assert _labels(empty, made) == ["man", None, None, "<no person>", "woman"]
    assert len(Labels(empty.server.database).all(label_set=made.id, undone=True)) == 6
    shown = page.locator("#stage img").get_attribute("src")
    page.get_by_label("Label by single keys").uncheck()
    page.keyboard.press("1")
    page.reload()
    expect(page.locator("#stage img")).to_have_attribute("src", str(shown))
    expect(page.get_by_label("Label by single keys")).not_to_be_checked()


@pytest.mark.chromium
def test_two_raters_at_once_share_the_pictures(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 20)
    raters = [empty.new_key(RATER) for _ in range(2)]
    pages = [empty.open(browser, f"label/{made.id}", key=key) for key in raters]
    for page in pages:
        _agree(page)
    for _ in range(8):
        for key, page in zip("12", pages, strict=True):
            _press(page, key)
    given = Labels(empty.server.database).all(label_set=made.id)
    assert len({each.image for each in given}) == 16
    assert {(each.rater, each.answer) for each in given} == {(raters[0].id, "woman"), (raters[1].id, "man")}
    expect(pages[0].locator("#labelled")).to_have_text("15")
    expect(pages[1].locator("#labelled")).to_have_text("16")


@pytest.mark.chromium
def test_the_last_picture_ends_the_work(empty: Studio, browser: Browser, look: Look) -> None:
    made = _set(empty, 3)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    for _ in range(3):
        _press(page, "2")
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_visible()
    look(page, "label-done")
    page.get_by_role("button", name="Undo the last label").click()
    expect(page.locator("#stage img")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert len(_labels(empty, made)) == 2


@pytest.mark.chromium
def test_no_key_falls_on_another_picture_while_a_label_is_taken_back(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 6)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    first = _shown(page)
    _press(page, "1")
    held: list[Route] = []
    page.route("**/undo?*", lambda route: held.append(route))
    with page.expect_request("**/undo?*"):
        page.keyboard.press("u")
    page.keyboard.press("2")  # the next picture still stands there
    page.keyboard.press("u")
    held[0].continue_()
    expect(page.locator("#labelled")).to_have_text("0")
    assert _shown(page) == first
    assert _stored(empty, made) == {}
    assert len(held) == 1
    page.unroute("**/undo?*")
    _press(page, "2")
    assert _stored(empty, made) == {first: "man"}


@pytest.mark.chromium
def test_a_label_whose_reading_was_shown_stays(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 8, readings=["woman", "man"] * 4)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    for _ in range(UNDOABLE + 1):
        expect(page.locator("#last img")).to_have_count(0)
        _press(page, "1")
    expect(page.locator("#last img")).to_have_count(1)
    for left in range(UNDOABLE, 0, -1):
        _press(page, "u")
        expect(page.locator("#labelled")).to_have_text(str(left))
    _press(page, "u")
    expect(page.get_by_text(f"Only your last {UNDOABLE} labels can be taken back")).to_be_visible()
    assert _labels(empty, made) == ["woman"]


@pytest.mark.chromium
def test_an_answer_outlives_a_server_that_is_away(empty: Studio, browser: Browser) -> None:
    made = _set(empty, 6)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    page.route("**/labels", lambda route: route.abort())
    page.keyboard.press("1")
    expect(page.get_by_text("Your answer is kept here and sent again")).to_be_visible()
    page.unroute("**/labels")
    expect(page.locator("#labelled")).to_have_text("1")
    assert _labels(empty, made) == ["woman"]


@pytest.mark.chromium
def test_answers_outlive_a_server_that_fails(empty: Studio, browser: Browser) -> None:
    """Also where all pictures are answered meanwhile: what is not stored is not done."""
    made = _set(empty, AHEAD)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    failures = [_failure(503, "server_is_overloaded"), _failure(429, "slow_down"), {"status": 502, "body": "<p>no"}]
    page.route("**/labels", lambda route: route.fulfill(**failures.pop(0)) if failures else route.continue_())
    said = _answer(page, "1221"[:AHEAD])
    expect(page.get_by_text("Your answer is kept here and sent again")).to_be_visible()
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_hidden()
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_visible()
    expect(page.get_by_text("Your answer is kept here and sent again")).to_be_hidden()
    assert _stored(empty, made) == said
    assert not failures


@pytest.mark.chromium
@pytest.mark.parametrize("count", [2, AHEAD])
def test_a_refused_answer_is_told_and_its_picture_comes_again(empty: Studio, browser: Browser, count: int) -> None:
    made = _set(empty, AHEAD)
    page = empty.open(browser, f"label/{made.id}")
    _agree(page)
    failures, held = [_failure(409, "not_held")] * count, list[Route]()
    page.route("**/labels", lambda route: held.append(route))
    with page.expect_request("**/labels"):
        said = _answer(page, "1" * AHEAD)
    page.route("**/labels", lambda route: route.fulfill(**failures.pop(0)) if failures else route.continue_())
    held[0].fulfill(**failures.pop(0))
    expect(page.get_by_text(f"{count} answers were not stored")).to_contain_text("It says not_held.")
    expect(page.locator("#labelled")).to_have_text(str(AHEAD - count))
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_hidden()
    again = _answer(page, "2" * count)
    expect(page.get_by_role("heading", name="No picture is left for you")).to_be_visible()
    expect(page.get_by_text("not stored")).to_be_hidden()
    assert list(again) == list(said)[:count]
    assert _stored(empty, made) == {**said, **again}


@pytest.mark.chromium
def test_a_label_of_a_table_ends_the_look_at_its_picture(empty: Studio, browser: Browser) -> None:
    """An operator imports what the rater said before, while the rater looks at the same picture."""
    made = _set(empty, 8)
    key = empty.new_key(RATER)
    page = empty.open(browser, f"label/{made.id}", key=key)
    _agree(page)
    first = _shown(page)
    (rater,) = [each.id for each in empty.server.keys.all() if each.role == RATER]
    rows = Adjudications(empty.server.database, made).pictures([first])
    table = f"file,attribute,group,rater\n{rows[first].file},gender,man,{rater}\n"
    import_labels(empty.server.database, made, table)
    _press(page, "1")
    expect(page.get_by_text("Your answer (woman) was not stored.")).to_contain_text("already (man), and that stands.")
    expect(page.locator("#labelled")).to_have_text("1")
    _answer(page, "1111111")
    expect(page.locator("#labelled")).to_have_text("8")
    expect(page.get_by_text("not stored")).to_be_hidden()
    assert _stored(empty, made)[first] == "man"
    assert len(_stored(empty, made)) == 8


@pytest.mark.chromium
def test_answers_outlive_a_session_and_are_never_sent_as_those_of_somebody_else(
    empty: Studio, browser: Browser
) -> None:
    made = _set(empty, 8)
    key, other = empty.new_key(RATER), empty.new_key(RATER)
    page = empty.open(browser, f"label/{made.id}", key=key)
    _agree(page)
    page.context.clear_cookies()
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto(empty.address + entry(empty.server, key))
    page.goto(f"{empty.address}label/{made.id}")
    expect(page.locator("#labelled")).to_have_text("1")
    tab = page.context.new_page()
    tab.goto(empty.address + entry(empty.server, other))
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="I agree")).to_be_visible()  # the other one's page
    _agree(page)
    expect(page.locator("#labelled")).to_have_text("1")
    tab.goto(empty.address + entry(empty.server, key))
    page.reload()
    expect(page.locator("#labelled")).to_have_text("2")
    given = Labels(empty.server.database).all(label_set=made.id)
    assert [(each.answer, each.rater) for each in given] == [("woman", key.id), ("man", key.id)]


@pytest.mark.chromium
def test_an_operator_looks_after_raters_and_decides(empty: Studio, browser: Browser, look: Look) -> None:
    made = _set(empty, 6, second=1.0, gold=1)
    for rater, answers in ((empty.new_key(RATER), ("woman", "man", "woman")), (empty.new_key(RATER), ("man", "man"))):
        queue = LabelQueue(empty.server.database, made, lambda: 1.0)
        for answer in answers:
            (task,) = queue.next(rater.id)
            queue.label(rater.id, task.image, answer, guideline=made.guideline)
    page = empty.open(browser, f"label/{made.id}/raters")
    expect(page.get_by_text("Raters agree on 50 % of 2 pictures".replace(" %", "\u00a0%"))).to_be_visible()
    look(page, "label-raters")
    page.goto(f"{empty.address}label/{made.id}/disagreements")
    look(page, "label-disagreements")
    page.get_by_label("woman").check()
    page.get_by_label("Why").fill("seen at full size")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Every disagreement is decided.")).to_be_visible()
    look(page, "label-decided")
    (decided,) = Adjudications(empty.server.database, made).all()
    assert (decided.answer, decided.by) == ("woman", empty.key.id)
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("button", name="Decide")).to_be_visible()
    page.goto(f"{empty.address}label")
    with page.expect_download() as loaded:
        page.get_by_role("link", name="All labels (CSV)").click()
    text = loaded.value.path().read_text()
    assert text.startswith("file,attribute,group,rater,concept,source,probability,guideline,definition\n")
    assert len(text.splitlines()) == 6
    page.get_by_text("Add labels, or remove the set").click()
    more = "file,attribute,group,rater\n005.png,gender,man,carla\nx.png,gender,man,carla\n"
    page.set_input_files("input[type=file]", {"name": "l.csv", "mimeType": "text/csv", "buffer": more.encode()})
    look(page, "label-sets-operator")
    page.get_by_role("button", name="Add its labels").click()
    expect(page.get_by_role("heading", name="1 label added")).to_be_visible()
    expect(page.get_by_text("1 file of the table is not in this set, such as x.png.")).to_be_visible()


@pytest.mark.chromium
def test_a_set_has_second_opinions_and_gold_questions(empty: Studio, browser: Browser, look: Look) -> None:
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 8)
    names = [each.image for each in pictures]
    drawn(empty.server, ["woman"] * 8, files=names)
    with database.writing() as connection:
        connection.execute(update(images).values(job=empty.server.jobs.newest()[0].id))
    for rater in ("key_a", "key_b"):
        told: dict[str, Any] = {"rater": rater, "queue": "second", "guideline": "1"}
        Labels(database).add(names[0], "gender", "woman", **told)
    page = empty.open(browser, "label")
    page.get_by_label("Percent of pictures that a second rater sees, too").fill("50")
    page.get_by_label("Gold questions").fill("2")
    look(page, "label-make")
    page.get_by_role("button", name="Make the set").click()
    expect(page.get_by_text("Gold questions that are wanted: 2; images that are kept whose answer")).to_be_visible()
    page.go_back()
    page.get_by_label("Percent of pictures that a second rater sees, too").fill("50")
    page.get_by_label("Gold questions").fill("1")
    page.get_by_role("button", name="Make the set").click()
    expect(page.get_by_role("button", name="I agree")).to_be_visible()
    (made,) = sets_of(database, data).all()
    assert (made.second, made.pictures) == (0.5, 7)
    queue = LabelQueue(database, made, lambda: 0.0)
    assert vars(queue.next("key_c")[0]) == {"image": names[0], "queue": "gold"}


@pytest.mark.chromium
def test_a_set_is_made_of_drawings(drawing: Studio, browser: Browser) -> None:
    page = drawing.open(browser, "label")
    expect(page.get_by_text("There is nothing to label yet.")).to_be_visible()
    page.get_by_role("button", name="Make the set").click()
    expect(page.get_by_text(re.compile("no drawing of this rule is kept", re.IGNORECASE))).to_be_visible()


def test_pages_are_for_who_may_label(empty: Studio) -> None:
    made = _set(empty, 2)
    for role, path, status in (
        (CLIENT, "label", 403),
        (CLIENT, f"label/{made.id}", 403),
        (RATER, f"label/{made.id}/disagreements", 403),
        (RATER, f"label/{made.id}/labels.csv", 403),
        (RATER, f"label/{made.id}/raters", 200),
        (RATER, "label/set_000000000000", 404),
        (RATER, f"v1/label/sets/{made.id}/progress", 200),
    ):
        cookies = {
            cookie_of(empty.server.database): Signer(empty.server.database).sign("session", empty.new_key(role).id)
        }
        with httpx2.Client(base_url=empty.address, cookies=cookies) as http:
            assert http.get(path).status_code == status, (role, path)
            assert http.post(f"v1/label/sets/{made.id}/next").status_code == 403, "without the proof of a page"


@pytest.mark.chromium
def test_labels_become_a_calibration_by_one_click(empty: Studio, browser: Browser, look: Look) -> None:
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 8)
    drawn(empty.server, ["woman"] * 4 + ["man"] * 4, files=[each.image for each in pictures])
    (job,) = empty.server.jobs.newest()
    with database.writing() as connection:
        connection.execute(update(images).values(job=job.id))
    made = sets_of(database, data).add("a set", GENDER, pictures, second=0.0)
    queue = LabelQueue(database, made, lambda: 1.0)
    for _ in range(6):
        (task,) = queue.next("key_r")
        queue.label("key_r", task.image, "woman", guideline=made.guideline)
    page = empty.open(browser, "label")
    page.get_by_role("button", name="Calibrate").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Calibration")
    expect(page.locator(".lead")).to_contain_text("6 labelled pictures of 1 set")
    look(page, "label-calibrated")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download").click()
    assert coming.value.suggested_filename.startswith("calibration-")
