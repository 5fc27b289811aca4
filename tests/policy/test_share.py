"""Shares and ratios as text, against arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.policy import Policy
from fair_diffusion.policy.share import parse_share

ONES = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = [*ONES, *TEENS, *(f"{ten}-{one}".removesuffix("-zero") for ten in TENS for one in ONES), "one hundred"]


def women(sentence: str) -> Fraction:
    """The share of women in the one target of a sentence."""
    ((target,),) = (rule.targets for rule in Policy.from_sentence(sentence).rules)
    return target.shares["woman",]


@pytest.mark.parametrize("n", range(101))
def test_number_words_are_the_numbers(n: int) -> None:
    for text in (f"{WORDS[n]} percent", f"{WORDS[n].replace('-', ' ')} per cent", f"{n}%", f"{n} %", f"{n}.00%"):
        assert parse_share(text) == Fraction(n, 100)
    assert women(f"judge: {WORDS[n]} percent women") == Fraction(n, 100)


@given(st.integers(0, 10**6))
def test_percent_and_decimals_are_exact(parts: int) -> None:
    share = Fraction(parts, 10**6)
    assert parse_share(f"{parts // 10**4}.{parts % 10**4:04d}%") == share
    assert parse_share(f"{parts}/1000000") == share
    if parts < 10**6:
        assert parse_share(f"0.{parts:06d}") == parse_share(f".{parts:06d}") == share


@given(st.integers(1, 20), st.integers(1, 20))
def test_ratios_and_counts_are_fractions_of_their_sum(a: int, b: int) -> None:
    for text in (f"{a}:{b}", f"{a} to {b}", f"{WORDS[a]} to {WORDS[b]}"):
        assert women(f"judge: {text} women to men") == Fraction(a, a + b)
        assert women(f"women to men {text} for judges") == Fraction(a, a + b)
    if a <= b:
        for text in (f"{a} of {b}", f"{a} out of {b}", f"{WORDS[a]} in {WORDS[b]}"):
            assert women(f"{text} judges should be women") == Fraction(a, b)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("half", Fraction(1, 2)),
        ("a third", Fraction(1, 3)),
        ("two thirds", Fraction(2, 3)),
        ("three-quarters", Fraction(3, 4)),
        ("nine tenths", Fraction(9, 10)),
        ("every other", Fraction(1, 2)),
        ("every 3rd", Fraction(1, 3)),
        ("one in four", Fraction(1, 4)),
        ("12,5%", Fraction(1, 8)),
        ("all", Fraction(1)),
        ("none", Fraction(0)),
    ],
)
def test_words_for_shares(text: str, share: Fraction) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text",
    [
        *("-5%", "+5%", "±5%", ">5%", ">=5%", "<5%", "1,000%", "1.2.3%", "101%", "5", "4/3", "1/0", "3 of 2", "five"),
        *("1/2%", "1/3 percent", "30%/40%"),
        *(
            "three halves",
            "50%+",
            "40-60%",
            "40 to 60%",
            "1e-1",
            "0x1",
            "½%%",
            "nan",
            "inf",
            "1" * 400 + "%",
            "",
            "some",
        ),
    ],
)
def test_what_is_no_exact_share_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match="; "):
        parse_share(text)
