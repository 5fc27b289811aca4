"""What a study says of its quotas and of what was done, word by word, in the report and on the terminal of an audit."""

from __future__ import annotations

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
    assert "is not corrected for the reader's errors: the readers disagree more" in page


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
