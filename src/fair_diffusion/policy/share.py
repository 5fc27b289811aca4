"""Shares and ratios as a person writes them: "50%", "1/3", "half", "fifty percent", "one in three", "2:1", "50/50".

`NUMBERS` is the list of patterns in the order in which they are tried. Each takes its whole text, so that "1,000%" is
never read as 0 %. What looks like a number and is no exact share is a `ValueError`: "what is wrong; mend".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

MEND = 'write percent ("50%"), a fraction ("1/3") or a word ("half")'
EXACT = 'a target is exact, so write the share that is wanted, such as "40% women"'
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_PARTS = {
    **{
        "half": 2,
        "halves": 2,
        "third": 3,
        "quarter": 4,
        "fourth": 4,
        "fifth": 5,
        "sixth": 6,
        "seventh": 7,
        "eighth": 8,
    },
    **{"ninth": 9, "tenth": 10, "twelfth": 12, "twentieth": 20, "hundredth": 100},
}
SPELLED = (*_SMALL, *_TENS, *_PARTS, "hundred", "percent")
_WHOLE = {"all": Fraction(1), "none": Fraction(0), "no": Fraction(0)}
_DIGITS = r"(?:\d{1,9}(?:\.\d{1,9}|,\d{1,2}(?!\d))?|\.\d{1,9})(?![\d.,]*\d)"
_TENS_AND_ONES = rf"(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_SMALL[1:10])}))?"
_SPELLED = rf"(?:(?:a |one )?hundred|{_TENS_AND_ONES}|{'|'.join(reversed(_SMALL))})\b"
_N = rf"(?:{_DIGITS}|{_SPELLED})"
_PERCENT = r"(?:\s*%|[\s-]*(?:percent|per cent|pct)\b)"
_MIXED = rf"\d{{1,2}}(?:\s+|-|\s+and\s+)\d{{1,2}}/\d{{1,2}}{_PERCENT}"
_UNIT = rf"(?:{'|'.join(f'{unit}s?' for unit in _PARTS)})\b"
_NTH = rf"(?:other|second|{'|'.join(list(_PARTS)[2:])}|\d{{1,3}}(?:st|nd|rd|th))\b"

Ratio = tuple[Fraction, ...]
"""The parts of a ratio: (2, 1) for "2:1"."""


def number(text: str) -> Fraction:
    """The number in digits ("12.5", "12,5") or words ("twenty-five")."""
    plain = text.strip().replace(",", ".")
    if plain[-1].isdigit():
        return Fraction(plain)
    words = re.split(r"[\s-]+", plain)
    if words[-1] == "hundred":
        return Fraction(100)
    return Fraction(sum(10 * (_TENS.index(w) + 2) if w in _TENS else _SMALL.index(w) for w in words))


def _share(value: Fraction) -> Fraction:
    if value > 1:
        raise ValueError(f"a share cannot be above 100 %; {MEND}")
    return value


def _percent(text: str) -> Fraction:
    return _share(number(_numbers_in(text)[0]) / 100)


def _mixed(text: str) -> Fraction:
    """ "33 1/3 %"."""
    whole, part, of = map(number, _numbers_in(text))
    return _share((whole + _fraction(part, of)) / 100)


def _n_of_m(text: str) -> Fraction:
    part, whole = map(number, _numbers_in(text))
    return _fraction(part, whole)


def _fraction(part: Fraction, whole: Fraction) -> Fraction:
    if not whole:
        raise ValueError(f"a fraction cannot divide by zero; {MEND}")
    return _share(part / whole)


def _every_nth(text: str) -> Fraction:
    nth = re.split(r"\s+", text)[-1]
    if nth[0].isdigit():
        return _fraction(Fraction(1), Fraction(re.sub(r"\D", "", nth)))
    return Fraction(1, _PARTS.get(nth, 2))


def _parts(text: str) -> Fraction:
    *count, unit = re.split(r"[\s-]+", text.strip())
    many = Fraction(1) if not count or count[0] in {"a", "an"} else number(" ".join(count))
    return _share(many / _PARTS.get(unit, _PARTS.get(unit.removesuffix("s"), 1)))


def _ratio(text: str) -> Ratio | Fraction:
    parts = tuple(number(part) for part in _numbers_in(text))
    if not sum(parts):
        raise ValueError(f"all parts of the ratio are zero; {MEND}")
    if "/" in text and len(parts) == 2 and sum(parts) != 100 and parts[0] <= parts[1]:
        if re.search(_PERCENT, text):  # half of all, or half a percent
            raise ValueError(f"{text} can be read in two ways; {MEND}")
        return _fraction(*parts)
    return parts


def _range(text: str) -> Ratio:
    parts = tuple(number(part) for part in _numbers_in(text))
    if sum(parts) != 100 or text.startswith("between"):
        raise ValueError(f"this is a range; {EXACT}")
    return parts


def _halves(_: str) -> Ratio:
    return Fraction(1), Fraction(1)


def _times(text: str) -> Fraction:
    if text in {"twice", "double"}:
        return Fraction(2)
    return _parts(text) if text.endswith(("half", "third", "quarter")) else number(_numbers_in(text)[0])


def _digits(text: str) -> Fraction:
    """A bare number: a share if it is written as a decimal ("0.4"), otherwise a count."""
    value = number(text)
    if value.denominator != 1 and value > 1:
        raise ValueError(f"it is not clear whether {text} is percent; {MEND}")
    return value


def _refused(why: str) -> Callable[[str], Fraction]:
    def refuse(text: str) -> Fraction:
        raise ValueError(why.format(text=text.strip()))

    return refuse


def _numbers_in(text: str) -> list[str]:
    return re.findall(_N, text)


NUMBERS: tuple[tuple[str, re.Pattern[str], Callable[[str], Fraction | Ratio]], ...] = tuple(
    (kind, re.compile(pattern), read)
    for kind, pattern, read in (
        ("times", rf"(?:twice|double|half|an? (?:half|third|quarter)|{_N} times)(?= as (?:many|often))", _times),
        ("share", _MIXED, _mixed),
        ("share", r"(?:±|\+\s?/\s?-)\s?\.?\d[\d.,]*(?:\s*%)?", _refused(f"this is a range; {EXACT}")),
        ("share", r"(?:>=|<=|=>|=<|[<>≥≤≧≦])\s*[\d.,]*(?:\s*%)?", _refused(f"this is a bound; {EXACT}")),
        ("share", r"(?<![\w%)])-\.?\d[\d.,]*(?:\s*%)?", _refused(f"a share cannot be negative; {MEND}")),
        ("share", r"(?<![\w%)])\+\.?\d[\d.,]*(?:\s*%)?", _refused(f"a share has no sign; {MEND}")),
        ("share", rf"{_N}{_PERCENT}\s?\+(?=\s|$)", _refused(f"this is a bound; {EXACT}")),
        ("share", rf"between {_N}{_PERCENT}? and {_N}{_PERCENT}", _range),
        ("ratio", rf"(?:{_DIGITS}{_PERCENT}?\s*-\s*{_DIGITS}|{_N}{_PERCENT}? to {_N}){_PERCENT}", _range),
        ("ratio", r"fifty[\s-]+fifty\b|half(?:[\s-]+and)?[\s-]+half\b", _halves),
        ("share", rf"{_N} (?:out of|of|in) (?:every |each )?{_N}(?!{_PERCENT}|\w)", _n_of_m),
        ("share", rf"every {_NTH}", _every_nth),
        ("ratio", rf"{_N}{_PERCENT}?(?:\s*[:/]\s*{_N}{_PERCENT}?)+", _ratio),
        ("ratio", rf"(?:{_DIGITS}(?:-{_DIGITS})+|{_N}(?: (?:to|vs\.?|against) {_N})+)(?!{_PERCENT})", _ratio),
        ("share", rf"{_N}{_PERCENT}", _percent),
        ("share", rf"(?:(?:an?|{_SPELLED}|\d{{1,2}})[\s-]+)?{_UNIT}", _parts),
        ("count", rf"{_N}(?![\w%])", _digits),
        ("share", r"\d[\d.,]*(?:\s*%)?(?!\w)", _refused(f"{{text}} can be read in two ways; {MEND}")),
    )
)
"""Kind ("share", "ratio", "count" or "times"), pattern and reader of every text that is a number."""


def parse_share(text: str) -> Fraction:
    """The exact share in "50%", "fifty percent", "0.5", "1/3", "half", "two thirds", "one in three", "all" or "none".

    Raises:
        ValueError: it is none of these, negative, or above 100 %. A bare number above 1 is refused, since it could mean
            percent or a count.
    """
    plain = " ".join(text.lower().split())
    if plain in _WHOLE:
        return _WHOLE[plain]
    for kind, pattern, read in NUMBERS:
        if pattern.fullmatch(plain):
            value = read(plain)
            if isinstance(value, tuple) or (kind == "count" and value > 1):
                raise ValueError(f"it is not clear whether {plain} is percent; {MEND}")
            return value
    raise ValueError(f"this is not a share; {MEND}")
