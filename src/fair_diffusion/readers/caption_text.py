"""The names of columns in which datasets hold captions, and the text of a caption in each shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CAPTIONS = ("caption", "text", "prompt", "captions", "texts", "alt_text", "description")
CAPTION_BYTES = 2**20
"""The largest size of a caption, in bytes."""

Item = tuple[str, str, bytes | None]
"""Name, caption ("" if there is none) and picture of one example."""


def caption_column(columns: Iterable[str]) -> str | None:
    """The first column that holds captions, by its name; None if there is none."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in CAPTIONS if name in lower), None)


def caption_text(value: Any) -> str:
    """The text of a caption: the first of several, decoded if it is bytes; "" for null and anything else."""
    if isinstance(value, list):
        value = next((one for one in value if one), None)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
