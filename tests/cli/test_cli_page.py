"""docs/reference/cli.md holds the help of the verbs as they are."""

from __future__ import annotations

import pytest

from recipes.cli_page import COMMAND, PAGE, WIDTH, helps, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/reference/cli.md is not current; make it anew: {COMMAND}"


def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/reference/cli.md is not current; make it anew: {COMMAND}"


def test_every_verb_has_its_help_in_plain_lines() -> None:
    found = dict(helps())
    assert {"fair-diffusion", "fair-diffusion audit-suite", "fair-diffusion ledger reset"} <= found.keys()
    for text in found.values():
        assert text.startswith("Usage: fair-diffusion")
        assert max(map(len, text.splitlines())) <= WIDTH
        assert not set(text) & set("╭╰│\x1b")
