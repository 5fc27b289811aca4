"""Names from outside, made fit to be shown: file names, prompts, captions."""

from __future__ import annotations

import os


def printable(text: str) -> str:
    """`text` with everything that is no visible character written out as an escape: safe to print and to store."""
    decoded = os.fsencode(text).decode("utf-8", "backslashreplace") if _surrogates(text) else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in decoded)


def _surrogates(text: str) -> bool:
    """Whether `text` holds bytes of a file name that are no text, as Python keeps them."""
    return any("\ud800" <= character <= "\udfff" for character in text)
