"""Policies: mistakes with their lines, a trial, what changes, and a reason for what holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browsing import Studio
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.policy.schema import policy_schema
from fair_diffusion.studio.pages.policies import HELP

BEGIN = "version: 1\nrules:\n  - "
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
