"""What a study says of its quotas and of what was done, word by word, in the report and on the terminal of an audit."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Disputed, Quota, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.cli.study_table import show
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.report.delivered import of_study, reasons, selections
from fair_diffusion.report.report import report

HALF = {"woman": 0.5, "man": 0.5}
JUDGE = Confusion(
    attribute="gender",
    groups=["woman", "man"],
    counts=[[400, 24, 0], [0, 432, 0]],
    measured_on="held-out drawings",
    sources=["instructed"],
)
DONE = {"untouched": 17, "steered": 15, "repaired": 0, "reseeded": 0, "missed": 0, "looked_at": 32}


def tally(source: str, women: int, men: int, concept: str = "cook") -> Tally:
    counts = {"woman": women, "man": men}
    return Tally(source=source, concept=concept, attribute="gender", counts=counts, target=HALF)


def study(tallies: list[Tally], *, selection: dict[str, int] | None = None, **told: Any) -> Study:
    asked = [
        Quota(
            source=one.source, concept=one.concept, attribute="gender", counts={"woman": one.n // 2, "man": one.n // 2}
        )
        for one in tallies
        if one.source != "plain"
    ]
    sources = [
        Source(name="plain", kind="plain", asked=False),
        Source(name="instructed", kind="instructed", selection=DONE if selection is None else selection),
    ]
    return Study(title="t", sources=sources, tallies=tallies, quotas=asked, unit="occupation", **told)


ONE = [tally("plain", 1, 31), tally("instructed", 16, 16)]


def test_one_run_is_told_as_generate_tells_it() -> None:
    found = numbers(study(ONE))
    assert of_study(found, "gender") == ["16 of 32 women, as asked (plain: 1 of 32)."]
    assert selections(found) == ["15 images steered, 17 untouched, none missed."]
    assert of_study(found, "skin_tone") == []


def test_how_many_people_would_see_and_how_far_shared_errors_go() -> None:
    (_, people) = of_study(numbers(study(ONE, confusions=[JUDGE])), "gender")
    assert people == (
        "People would see 16 to 20 women, 12 to 16 men (15 to 21, 11 to 17 if the judge makes the very same errors as "
        "the perceiver)."
    )


def test_several_concepts_and_several_sources() -> None:
    more = [*ONE, tally("plain", 30, 2, "nurse"), tally("instructed", 20, 12, "nurse")]
    assert of_study(numbers(study(more)), "gender") == [
        "as asked in 1 of 2 occupations; in all 36 of 64 women, 32 asked (plain: 31 of 64)."
    ]
    both = [*ONE, tally("again", 14, 18)]
    assert of_study(numbers(study(both)), "gender") == [
        "instructed: 16 of 32 women, as asked (plain: 1 of 32).",
        "again: 14 of 32 women, 16 asked (plain: 1 of 32).",
    ]


def test_made_again_and_given_up_are_told() -> None:
    counts = {"untouched": 1, "steered": 31, "repaired": 9, "reseeded": 2, "missed": 3, "looked_at": 50}
    assert selections(numbers(study(ONE, selection=counts))) == [
        "31 images steered, 9 made again, 2 from a new seed, 1 untouched, 3 missed."
    ]
    assert selections(numbers(study(ONE, selection={}))) == []


def test_the_page_begins_with_these_images_and_ends_with_why_nobody_can_tell() -> None:
    disputed = [Disputed(source="instructed", concept="cook", attribute="gender", counts={"woman": 200, "man": 134})]
    wide = [tally("plain", 10, 1990), tally("instructed", 1000, 1000)]
    told: dict[str, Any] = {"confusions": [JUDGE], "perceived_confusions": [JUDGE], "disputed": disputed}
    found = numbers(study(wide, **told))
    page = report(found)
    assert '<p class="headline">1,000 of 2,000 women, as asked (plain: 10 of 2,000).</p>' in page
    assert page.count('class="headline"') == 1
    reason = "the readers disagree more than their errors explain"
    assert reasons(found.lines) == [(reason, 2)]
    assert f"Nobody can tell of 2 shares because {reason}." in page
    assert "is not corrected for the reader's errors: the readers disagree more" in unescape(page)


def test_the_terminal_of_an_audit(capsys: pytest.CaptureFixture[str]) -> None:
    show(numbers(study(ONE, confusions=[JUDGE])))
    shown = capsys.readouterr().out
    assert shown.splitlines()[1:3] == [
        "15 images steered, 17 untouched, none missed.",
        "16 of 32 women, as asked (plain: 1 of 32).",
    ]
    text = " ".join(shown.split())
    assert "plain, gender: 32 images. 46.9 % of them would have to change to meet the target;" in text
    assert "corrected (95 %)" in text
    assert "woman 50% 16 / 32 53% (36% to 70%) cannot tell" in text
    assert max(map(len, shown.splitlines())) <= 80


def test_the_terminal_says_why_nothing_is_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    disputed = [Disputed(source="instructed", concept="cook", attribute="gender", counts={"woman": 200, "man": 134})]
    told: dict[str, Any] = {"confusions": [JUDGE], "perceived_confusions": [JUDGE], "disputed": disputed}
    show(numbers(study([tally("plain", 10, 1990), tally("instructed", 1000, 1000)], **told)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Gender of instructed is not corrected for the reader's errors: the readers disagree more" in shown


def test_the_terminal_speaks_of_the_long_run_only_where_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    few = [tally("plain", 10, 90, concept) for concept in "abcd"]
    show(numbers(study(few)))
    assert "In the long run" not in capsys.readouterr().out
    show(numbers(study([*few, tally("plain", 10, 90, "e")])))
    assert "In the long run it would be 40.0\u00a0% (" in capsys.readouterr().out.replace("\n", " ")


def test_combinations_say_that_what_people_would_see_is_not_known() -> None:
    joint = {"woman × dark": 50, "man × light": 50}
    one = Tally(
        source="instructed",
        concept="cook",
        attribute="gender × skin_tone",
        counts=joint,
        target={"woman × dark": 0.5, "man × light": 0.5},
    )
    quota = Quota(source="instructed", concept="cook", attribute=one.attribute, counts=joint)
    found = numbers(Study(title="t", sources=[Source(name="instructed")], tallies=[one], quotas=[quota]))
    assert of_study(found, one.attribute)[-1].startswith("How many people would see of gender × skin tone is not told")


def test_one_misread_image_of_a_judge_whose_errors_are_unknown_is_no_miss() -> None:
    counts = {"woman": 1, "man": 0}
    one = tally("instructed", 0, 1)
    quota = Quota(source="instructed", concept="cook", attribute="gender", counts=counts)
    alone = Study(title="t", sources=[Source(name="instructed")], tallies=[one], quotas=[quota])
    assert [(own.missed, own.whole.verdict) for own in numbers(alone).deliveries] == [(1, "misses")]
    disputed = [Disputed(source="instructed", concept="cook", attribute="gender", counts={"man": 1})]
    (own,) = numbers(replace(alone, disputed=disputed)).deliveries
    assert (own.missed, own.whole.verdict) == (0, "cannot tell")
