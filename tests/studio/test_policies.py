"""Policies: mistakes with their lines, a trial, what changes, and a reason for what holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from browsing import ERRORS, Studio, browsing, check
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.policy.schema import policy_schema
from fair_diffusion.studio.pages.policies import HELP

BEGIN = "version: 1\nrules:\n  - "
RULE = f"{BEGIN}concepts: [nurse]\n    targets:\n      gender: {{woman: 1/2, man: 1/2}}\n"
Look = Callable[[Page, str], None]


def test_the_help_has_every_word_of_the_format() -> None:
    schema = policy_schema()
    assert set(HELP) == {*schema["properties"], *schema["$defs"]["rule"]["properties"]}


@pytest.mark.chromium
def test_a_person_writes_tries_and_activates_a_policy(empty: Studio, browser: Browser, look: Look) -> None:
    page = empty.open(browser, "policies")
    expect(page.get_by_text("No policy is in force")).to_be_visible()
    checked = page.locator("#checked")
    text = page.get_by_role("textbox", name="The policy")
    text.fill(f"{BEGIN}every: occupation\n    targets:\n      gender: {{woman: 80%, man: 70%}}\n      agee: uniform\n")
    expect(checked).to_contain_text("2 mistakes")
    page.get_by_role("button", name="Line 6").click()
    assert text.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "      agee: uniform"
    look(page, "policies-mistakes")
    text.fill(f"{BEGIN}concepts: [nurse]\n    targets:\n      gender: {{woman: 1/2, man: 1/2}}\n")
    page.get_by_role("textbox", name="Try it on prompts").fill("a photo of a nurse\na photo of a female nurse")
    expect(checked).to_contain_text("the prompt states gender: 'female'")
    expect(checked).to_contain_text("gender: 50 % woman, 50 % man")
    page.get_by_role("button", name="Make this text hold").click()
    expect(page.get_by_text("No policy is in force")).to_be_visible()  # the browser asks for the reason
    page.get_by_label("Why?").first.fill("the board agreed")
    page.get_by_role("button", name="Make this text hold").click()
    expect(page.get_by_text("Version 1 is in force")).to_be_visible()
    expect(page.get_by_text("“the board agreed”")).to_be_visible()
    expect(checked).to_contain_text("this text is in force")

    text.fill(text.input_value().replace("1/2, man: 1/2", "1/3, man: 2/3"))
    page.get_by_role("textbox", name="Try it on prompts").fill("a photo of a nurse")
    expect(checked.locator(".add")).to_contain_text("gender: {woman: 1/3, man: 2/3}")
    expect(checked).to_contain_text("changes")
    look(page, "policies")
    page.get_by_label("Why?").first.fill("as the market is")
    page.get_by_role("button", name="Make this text hold").click()
    expect(page.get_by_text("Version 2 is in force")).to_be_visible()
    page.get_by_role("link", name="version 1").click()
    page.get_by_label("Why?").first.fill("back again")
    page.get_by_role("button", name="Make this text hold").click()
    expect(page.get_by_text("Version 1 is in force")).to_be_visible()
    page.get_by_text("Let no policy hold").click()
    page.get_by_label("Why?").last.fill("a pause")
    page.get_by_role("button", name="Let none hold").click()
    expect(page.get_by_text("No policy is in force")).to_be_visible()
    assert [each.version for each in empty.server.policies.history()] == [None, 1, 2, 1]
    assert {each.by for each in empty.server.policies.history()} == {empty.key.id}


def test_a_policy_that_came_meanwhile_is_not_overwritten(empty: Studio) -> None:
    """Two people open the page; the second one is told what the first one did, and decides anew."""
    policies = empty.server.policies
    for path, own in (("policies", {"text": RULE.replace("nurse", "pilot")}), ("policies/none", {})):
        before = policies.active()
        with browsing(empty, empty.key) as http:
            seen = _seen(http.get("policies").text)
            assert seen == (str(before.version) if before else "none")
            other = policies.add(RULE.replace("1/2", "50%") if before else RULE, by=empty.key.id)
            policies.activate(other.version, why="the other one was faster", by=empty.key.id)
            answer = http.post(path, data={"reason": "it is my turn", "active": seen, **own})
            assert answer.status_code == 409
            assert "Nothing was changed" in answer.text
            assert "the other one was faster" in answer.text
            assert 'value="it is my turn"' in answer.text
            assert policies.active() == other
            if own:
                assert "concepts: [pilot]" in answer.text
                assert "-  - concepts: [nurse]" in answer.text
            assert _seen(answer.text) == str(other.version)
            again = http.post(path, data={"reason": "it is my turn", "active": _seen(answer.text), **own})
            assert again.status_code == 303
            assert http.post(path, data={"reason": "without a look", **own}).status_code == 400
    assert [each.why for each in policies.history()] == ["it is my turn", "the other one was faster"] * 2


def _seen(page: str) -> str:
    """The version with which a page compared."""
    found = re.search(r'name="active" value="([^"]*)"', page)
    assert found is not None
    return found[1]


@pytest.mark.chromium
def test_two_browsers_do_not_overwrite_each_other(empty: Studio, browser: Browser, look: Look) -> None:
    pages = [empty.open(browser, "policies") for _ in range(2)]
    for page, concept in zip(pages, ("nurse", "pilot"), strict=True):
        page.get_by_role("textbox", name="The policy").fill(RULE.replace("nurse", concept))
        expect(page.locator("#checked")).to_contain_text(f"+  - concepts: [{concept}]")
        with page.expect_response("**/policies/check"):
            page.get_by_label("Why?").first.fill(f"for the {concept}s")
    for page in pages:
        page.get_by_role("button", name="Make this text hold").click()
    expect(pages[0].get_by_text("Version 1 is in force")).to_be_visible()
    second = pages[1]
    expect(second.get_by_role("alert").last).to_contain_text("Version 1 came into force while this page was open")
    expect(second.locator("#checked .gone")).to_contain_text("concepts: [nurse]")
    expect(second.get_by_label("Why?").first).to_have_value("for the pilots")
    ERRORS[second][:] = [said for said in ERRORS[second] if "409" not in said]  # that is the answer
    look(second, "policies-meanwhile")
    assert [each.version for each in empty.server.policies.history()] == [1]
    second.get_by_role("button", name="Make this text hold").click()
    expect(second.get_by_text("Version 2 is in force")).to_be_visible()

    first = pages[0]  # it still compares with version 1, until its text changes
    first.get_by_role("textbox", name="Try it on prompts").fill("a photo of a nurse")
    expect(first.locator("#checked")).to_contain_text("Version 2 is in force by now")
    expect(first.locator("#checked .gone")).to_contain_text("concepts: [pilot]")
    check(first)
