"""Signing in, what pages may do, and addresses behind a prefix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from browsing import ERRORS, Studio, browsing, studio
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import event

from fair_diffusion.service.keys import OPERATOR, Keys
from fair_diffusion.service.signing import Signer
from fair_diffusion.studio.sessions import cookie_of, entry

Look = Callable[[Page, str], None]


def test_nobody_gets_in_without_a_key(empty: Studio) -> None:
    with httpx2.Client(base_url=empty.address) as http:
        page = http.get("", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "./sign-in?to=")
        assert http.get("", headers={"hx-request": "true"}).headers["hx-redirect"] == "./sign-in"
        assert http.get("", headers={"accept": "image/png"}).status_code == 401
        forged = f"{cookie_of(empty.server.database)}={Signer(empty.server.database).sign('entry', empty.key.id)}"
        assert http.get("", headers={"accept": "image/png", "cookie": forged}).status_code == 401


def test_a_revoked_key_ends_its_sessions(empty: Studio) -> None:
    name = cookie_of(empty.server.database)
    cookies = {name: Signer(empty.server.database).sign("session", empty.key.id)}
    with httpx2.Client(base_url=empty.address, cookies=cookies) as http:
        assert http.get("").status_code == 200
        empty.server.keys.revoke(empty.key.id)
        assert http.get("").status_code == 401


def test_a_browser_is_signed_in_to_two_studios_of_a_machine(empty: Studio, tmp_path: Path) -> None:
    """As somebody who labels a folder while the studio is open; browsers send cookies to all ports."""
    with studio(tmp_path / "other") as other, httpx2.Client(follow_redirects=True) as http:
        for each in (empty, other):
            answer = http.get(each.address + entry(each.server, each.key))
            assert (answer.status_code, str(answer.url)) == (200, each.address)
        assert [http.get(each.address).status_code for each in (empty, other)] == [200, 200]
        proof = Signer(other.server.database).mark("form", http.cookies[cookie_of(other.server.database)])
        http.post(other.address + "sign-out", data={"proof": proof})
        assert [http.get(each.address).status_code for each in (empty, other)] == [200, 401]


def test_forms_of_other_pages_are_refused(empty: Studio) -> None:
    name = cookie_of(empty.server.database)
    cookies = {name: Signer(empty.server.database).sign("session", empty.key.id)}
    with httpx2.Client(base_url=empty.address, cookies=cookies) as http:
        assert http.post("sign-out").status_code == 403
        assert http.post("sign-out", headers={"x-proof": "guessed"}).status_code == 403
        proof = Signer(empty.server.database).mark("form", cookies[name])
        assert http.post("sign-out", data={"proof": proof}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert http.post("sign-out", data={"proof": proof}).status_code == 303


def test_pages_say_what_browsers_may_load(empty: Studio) -> None:
    with httpx2.Client(base_url=empty.address) as http:
        answer = http.get("sign-in")
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert http.get("static/studio.css").status_code == 200
        assert http.get("static/%2e%2e/app.py").status_code == 404


def test_pages_ask_for_the_secret_once(empty: Studio) -> None:
    """Each page signs several texts, and asking for the secret takes the lock of all who write."""
    Signer(empty.server.database).mark("form", "a")
    asked: list[str] = []

    def told(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    event.listen(empty.server.database.engine, "before_cursor_execute", told)
    with browsing(empty, empty.key) as http:
        assert http.get("instruct").status_code == 200
    assert asked
    assert not [statement for statement in asked if "secrets" in statement]


def test_a_signed_text_is_of_one_purpose_and_one_database(empty: Studio, tmp_path: Path) -> None:
    signer = Signer(empty.server.database)
    token = signer.sign("session", "key_1")
    assert signer.read("session", token) == "key_1"
    assert Signer(empty.server.database).read("session", token, seconds=60) == "key_1"
    assert signer.read("entry", token) is None
    assert signer.read("session", token[:-2]) is None
    assert signer.read("session", token, seconds=-1) is None
    with studio(tmp_path / "other") as other:
        assert Signer(other.server.database).read("session", token) is None


@pytest.mark.chromium
def test_a_person_signs_in_with_a_key(empty: Studio, browser: Browser, look: Look) -> None:
    secret, _ = Keys(empty.server.database).add("Ada", role=OPERATOR)
    page = empty.visit(browser)
    look(page, "sign-in")
    page.get_by_label("Your key").fill("fd-wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("opens nothing")).to_be_visible()
    ERRORS[page].clear()  # the browser tells of the 401
    page.get_by_label("Your key").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Ada")).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing has been drawn here yet")).to_be_visible()
    look(page, "start")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your key")).to_be_visible()
    page.goto(empty.address)
    expect(page.get_by_label("Your key")).to_be_visible()


@pytest.mark.chromium
def test_the_studio_works_behind_a_prefix(tmp_path: Path, browser: Browser) -> None:
    with studio(tmp_path / "data", prefix="/people/fair") as found:
        page = found.open(browser)
        assert page.url == found.address
        page.goto(found.address.rstrip("/"))
        assert page.url == found.address
        page.goto(found.address + "no/such/page")
        page.get_by_role("link", name="Back to the start").click()
        assert page.url == found.address
