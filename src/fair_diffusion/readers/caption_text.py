"""Where datasets keep captions: under which names, and in which shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CAPTIONS = ("caption", "text", "prompt", "captions", "texts", "alt_text", "description")
CAPTION_BYTES = 2**20
"""Bytes of a caption that are taken at most."""

Item = tuple[str, str, bytes | None]
"""Name, caption ("" for none) and picture of one example."""


def caption_column(columns: Iterable[str]) -> str | None:
    """The column that holds captions, by its name."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in CAPTIONS if name in lower), None)


def caption_text(value: Any) -> str:
    """A caption, whichever way a dataset keeps it: the first of several; "" for null and what else is no text."""
    if isinstance(value, list):
        value = next((one for one in value if one), None)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
