"""File names, prompts and captions from outside, made safe to show."""

from __future__ import annotations

import os


def printable(text: str) -> str:
    """`text` with every invisible character written as an escape: safe to print and to store."""
    if text.isprintable():  # nearly all texts; an audit has hundreds of thousands
        return text
    decoded = os.fsencode(text).decode("utf-8", "backslashreplace") if _surrogates(text) else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in decoded)


def _surrogates(text: str) -> bool:
    """Whether `text` holds bytes that could not be decoded in a file name; Python keeps them as surrogates."""
    return any("\ud800" <= character <= "\udfff" for character in text)
