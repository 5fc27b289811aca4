"""docs/reference/http-api.md is what its command makes."""

from __future__ import annotations

from recipes.api_page import COMMAND, PAGE, page


def test_the_page_is_what_the_document_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run {COMMAND}"
