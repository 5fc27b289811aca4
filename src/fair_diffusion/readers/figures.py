"""Numbers in tables that people wrote: counts and shares, as far as they can be read in one way only."""

from __future__ import annotations

import math
import re

MOST = 10**15
"""The largest count that is taken."""
LONGEST = 40
"""The most letters of a number, zeros before a count apart."""

_WHOLE = re.compile(r"([0-9]+)(?:[.,](?:0{1,2}|0{4,}))?")
"""A count, perhaps as a spreadsheet writes it ("86.0"). "86.000" may be 86 or 86,000, and is not read."""
_SHARE = re.compile(r"([0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(e[-+]?[0-9]{1,3})? ?(%?)", re.IGNORECASE)


def count(text: str) -> int | None:
    """A whole number up to `MOST`; None for anything else. Long texts are never converted."""
    short = text.lstrip("0") or text[:1]
    found = _WHOLE.fullmatch(short if short[:1].isdigit() else f"0{short}") if len(short) <= LONGEST else None
    if found is None or len(found[1]) > len(str(MOST)) + 1:
        return None
    return int(found[1]) if int(found[1]) <= MOST else None


def share(text: str) -> float | None:
    """A share in 0…1, as a number or in percent ("0,5", "50 %"); None for an empty text; NaN for anything else."""
    if not text:
        return None
    found = _SHARE.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return math.nan
    value = float(found[1].replace(",", ".") + (found[2] or "")) / (100 if found[3] else 1)
    lost = value == 0 and any(digit in "123456789" for digit in found[1])
    return value if 0 <= value <= 1 and not lost else math.nan


def said_share(text: str) -> float | None:
    """A share as a table says it beside its counts, where "86" is 86 %; None for anything else."""
    found = [share(text), share(f"{text}%")]
    return next((value for value in found if value is not None and not math.isnan(value)), None) if text else None
