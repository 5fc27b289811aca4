"""Headlines: the sentences for each sort of study, word by word."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.report.headline import default_shares, headlines, number, units

HALF = {"woman": 0.5, "man": 0.5}


def tally(
    source: str,
    concept: str,
    women: int,
    men: int,
    *,
    unknown: int = 0,
    target: Mapping[str, float] | None = HALF,
    attribute: str = "gender",
) -> Tally:
    return Tally(
        source=source,
        concept=concept,
        attribute=attribute,
        counts={"woman": women, "man": men},
        unknown=unknown,
        target=target,
    )


def skin(source: str, *counts: int) -> Tally:
    groups = ["light", "medium-light", "medium", "medium-dark", "dark"][: len(counts)]
    return Tally(
        source=source,
        concept="cook",
        attribute="skin_tone",
        counts=dict(zip(groups, counts, strict=True)),
        target={group: 1 / len(groups) for group in groups},
    )


CASES: dict[str, tuple[list[Tally], dict[str, str], list[tuple[str, str]]]] = {
    "one source, one concept": (
        [tally("plain", "cook", 10, 90)],
        {},
        [
            (
                "For “cook”, plain images deviate 0.40 from an even split of women and men. "
                "A perfect coin with 100 images would deviate 0.040.",
                "",
            )
        ],
    ),
    "two sources, two concepts": (
        [
            tally("plain", "cook", 10, 90),
            tally("plain", "nurse", 100, 0),
            tally("instructed", "cook", 40, 60),
            tally("instructed", "nurse", 50, 50),
        ],
        {},
        [
            (
                "Over 2 occupations, plain images deviate 0.45 on average from an even split of women and men; "
                "instructed 0.050. A perfect coin with 100 images would deviate 0.040.",
                "Within what chance gives 95 times of 100: plain in 0 of 2 occupations and instructed in 2.",
            )
        ],
    ),
    "three sources, one of them data": (
        [
            tally("labour", "cook", 4_000, 6_000, target=None),
            tally("labour", "nurse", 9_000, 1_000, target=None),
            tally("plain", "cook", 10, 90, target=None),
            tally("plain", "nurse", 88, 12, target=None),
            tally("instructed", "cook", 45, 55, target=None),
            tally("instructed", "nurse", 60, 40, target=None),
        ],
        {"labour": "data"},
        [
            (
                "Over 2 occupations, labour images deviate 0.25 on average from an even split of women and men; "
                "plain 0.39; instructed 0.075. A perfect coin with 100 images would deviate 0.040.",
                "No target is asked for gender: the default shares are assumed. "
                "Within what chance gives 95 times of 100: "
                "plain in 0 of 2 occupations and instructed in 2. "
                "Against labour, plain amplifies 1 of 2 occupations, reflects 1 and mitigates 0; 0 cannot be told. "
                "With 95\u00a0% confidence it amplifies 1. "
                "The groups that labour shows more than evenly are 14.0 points more frequent there, on average. "
                "Against labour, instructed amplifies 0 of 2 occupations, reflects 0 and mitigates 1; "
                "1 cannot be told. With 95\u00a0% confidence it amplifies 0 to 1. "
                "The groups that labour shows more than evenly are 17.5 points less frequent there, on average.",
            )
        ],
    ),
    "a target that is not even": (
        [tally("plain", "cook", 30, 70, target={"woman": 0.3, "man": 0.7})],
        {},
        [
            (
                "For “cook”, plain images deviate 0 from the target (30\u00a0% women, 70\u00a0% men). "
                "A perfect coin with 100 images would deviate 0.036.",
                "",
            )
        ],
    ),
    "everybody the same": (
        [tally("plain", "cook", 30, 70, target={"woman": 1.0, "man": 0.0})],
        {},
        [
            (
                "For “cook”, plain images deviate 0.70 from all women. A perfect coin with 100 images would deviate 0.",
                "",
            )
        ],
    ),
    "targets that differ": (
        [tally("plain", "cook", 50, 50), tally("plain", "nurse", 50, 50, target={"woman": 0.9, "man": 0.1})],
        {},
        [
            (
                "Over 2 occupations, plain images deviate 0.20 on average from their targets. "
                "A perfect coin with 100 images would deviate 0.032.",
                "Within what chance gives 95 times of 100: plain in 1 of 2 occupations.",
            )
        ],
    ),
    "many sources": (
        [tally(name, "cook", n // 2, n // 2) for name, n in (("a", 10), ("b", 20), ("c", 50), ("d", 100))],
        {},
        [
            (
                "For “cook”, a images deviate 0 from an even split of women and men; b 0; c 0; d 0. "
                "A perfect coin with as many images would deviate 0.040 to 0.12.",
                "",
            )
        ],
    ),
    "other concepts, other sizes, unread images": (
        [tally("before", "cook", 10, 90), tally("after", "nurse", 4, 4, unknown=2)],
        {},
        [
            (
                "before images deviate 0.40 from an even split of women and men for “cook”; after 0.20 for “nurse”. "
                "A perfect coin with as many images would deviate 0.040 (before) and 0.12 (after).",
                "In 2 of 110 images (1.8\u00a0%) the gender could not be read.",
            )
        ],
    ),
    "nearly one size": (
        [tally("before", "cook", 120, 130), tally("after", "cook", 124, 125)],
        {},
        [
            (
                "For “cook”, before images deviate 0.020 from an even split of women and men; after 0.002. "
                "A perfect coin with as many images would deviate about 0.025.",
                "",
            )
        ],
    ),
    "two attributes": (
        [tally("plain", "cook", 10, 90), skin("plain", 20, 20, 20, 20, 20)],
        {},
        [
            (
                "Gender: For “cook”, plain images deviate 0.40 from an even split of women and men. "
                "A perfect coin with 100 images would deviate 0.040.",
                "",
            ),
            (
                "Skin tone: For “cook”, plain images deviate 0 from an even split over 5 groups of skin tone. "
                "A perfect draw with 100 images would deviate 0.079.",
                "",
            ),
        ],
    ),
    "three groups": (
        [skin("plain", 30, 30, 30)],
        {},
        [
            (
                "For “cook”, plain images deviate 0 from an even split of light, medium-light and medium. "
                "A perfect draw with 90 images would deviate 0.059.",
                "",
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_sentences(case: str) -> None:
    tallies, kinds, expected = CASES[case]
    names = dict.fromkeys(tally.source for tally in tallies)
    sources = [Source(name=name, kind=kinds.get(name, "other")) for name in names]
    found = numbers(Study(title="t", sources=sources, tallies=tallies, unit="occupation"))
    written = headlines(found.lines, found.deviations, found.relations, unit="occupation", reference=found.reference)
    assert [(words.lead, words.more) for words in written] == expected


def test_numbers_in_words() -> None:
    written = {0.0: "0", 0.0004: "0.000", 0.0254: "0.025", 0.0994: "0.099", 0.0996: "0.10", 0.1049: "0.10", 1.0: "1.00"}
    assert {value: number(value) for value in written} == written
    assert [units(count, "image") for count in (0, 1, 2, 1500)] == ["0 images", "1 image", "2 images", "1,500 images"]


def test_default_shares_are_told_where_they_are_no_even_split() -> None:
    def told(groups: list[str]) -> str:
        counted = Tally(source="s", concept="cook", attribute="gender", counts=dict.fromkeys(groups, 5))
        return default_shares(summarize([counted]))

    assert told(["woman", "man"]) == "the default shares"
    assert told(["woman", "man", "androgynous"]).replace("\u00a0", " ") == (
        "the default shares (50 % women, 50 % men, 0 % androgynous)"
    )
