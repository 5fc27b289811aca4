"""What sentences and files mean, and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fair_diffusion.policy import Policy, PolicyError, Problem, Target

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
SENTENCES = [
    ("firefighter: 50% woman, 50% man", ("firefighter",), {"woman": HALF, "man": HALF}),
    ("half of the doctors should be women", ("doctor",), {"woman": HALF, "man": HALF}),
    ("exactly half of the doctors should be women", ("doctor",), {"woman": HALF, "man": HALF}),
    ("about half of the doctors should be women", ("doctor",), {"woman": HALF, "man": HALF}),
    ("I want half of the doctors to be women", ("doctor",), {"woman": HALF, "man": HALF}),
    ("doctors should be women", ("doctor",), {"woman": Fraction(1)}),
    ("nurse, teacher: 1/3 men", ("nurse", "teacher"), {"woman": 2 * THIRD, "man": THIRD}),
    ("every occupation: 40% women, 60% men", ("every occupation",), {"woman": Fraction(2, 5), "man": Fraction(3, 5)}),
]


UNCLEAR = [
    "at least half of the doctors should be women",
    "not all doctors should be men",
    "doctors should not be men",
    "most doctors should be women",
    "no more than half of the doctors should be men",
    "doctors must never be only men",
    "more doctors should be women",
]


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_no_share_is_refused_and_never_read_as_all(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_sentence(text)
    assert all(problem.mend for problem in caught.value.problems)


@pytest.mark.parametrize(("text", "concepts", "shares"), SENTENCES)
def test_sentence(text: str, concepts: tuple[str, ...], shares: dict[str, Fraction]) -> None:
    (rule,) = Policy.from_sentence(text).rules
    assert rule.concepts == concepts
    (target,) = rule.targets
    assert {cell[0]: share for cell, share in target.shares.items() if share} == shares


def test_a_rest_is_noted() -> None:
    (rule,) = Policy.from_sentence("doctor: half women").rules
    assert "man" in str(rule.targets[0].note)


def test_a_clause_without_concept_joins_the_rule_before() -> None:
    (rule,) = Policy.from_sentence("every occupation: 40% women, 60% men; skin tone uniform").rules
    assert [target.attributes for target in rule.targets] == [("gender",), ("skin_tone",)]
    assert set(rule.targets[1].shares.values()) == {Fraction(1, 5)}


@given(st.integers(0, 1000))
def test_stated_shares_come_back_exactly(permille: int) -> None:
    (rule,) = Policy.from_sentence(f"judge: {permille / 10}% women, {(1000 - permille) / 10}% men").rules
    assert rule.targets[0].shares["woman",] == Fraction(permille, 1000)
    assert sum(rule.targets[0].shares.values()) == 1


def test_all_mistakes_of_a_sentence_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_sentence("doctor: 70% women, 60% men; nurse: 20% purple")
    assert [problem.value for problem in caught.value.problems] == ["70% women, 60% men", "purple"]


def test_all_mistakes_of_a_file_with_their_lines() -> None:
    text = """version: 1
rules:
  - name: a
    concepts: [doctor]
    targets: {gender: {woman: 70%, man: 70%}}
  - name: a
    concepts: [nurse]
    targets: {hair: uniform}
"""
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(text)
    assert {5, 6, 8} <= {problem.line for problem in caught.value.problems}
    assert all(problem.mend for problem in caught.value.problems)


def rules(text: str) -> dict[str, list[str]]:
    """The targets of each rule of a sentence, as people read them."""
    return {rule.name: [str(target) for target in rule.targets] for rule in Policy.from_sentence(text).rules}


def test_lines_and_full_stops_part_clauses_like_semicolons() -> None:
    expected = rules("nurse: 40% men; doctor: half women; skin tone uniform")
    assert len(expected) == 2
    assert rules("nurse: 40% men\ndoctor: half women\nskin tone uniform\n") == expected
    assert rules("- nurse: 40% men\n- doctor: half women\n- skin tone uniform") == expected
    assert rules("1. **nurse**: 40% men\n2. **doctor**: half women, skin tone uniform") == expected
    assert rules("Nurse: 40% men. Doctor: half women. Skin tone uniform.") == expected


def test_a_rest_may_stand_in_a_sentence_of_its_own() -> None:
    assert rules("A third of the doctors should be women. The rest should be men.") == rules(
        "doctor: 1/3 women, 2/3 men"
    )


def test_each_of_several_concepts_gets_its_own_share() -> None:
    expected = rules("doctor: 50% women; nurse: 30% men")
    for text in (
        "doctors should be 50% women and nurses 30% men",
        "half of the doctors should be women and 30% of the nurses should be men",
        "doctor: 50% women, nurse: 30% men",
        "doctors should be half women, but nurses should be 30% men",
    ):
        assert rules(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "doctor: half women and half of them dark-skinned",
        "doctor: 50% of the women old",
        "half of the women doctors should be old",
        "half of women should be doctors",
        "female doctors: 30% dark",
        "only doctors should not be women",
    ],
)
def test_a_share_of_a_group_is_not_a_share_of_all(text: str) -> None:
    with pytest.raises(PolicyError):
        Policy.from_sentence(text)


def test_a_word_that_says_nothing_elsewhere_is_part_of_a_concept_before_its_noun() -> None:
    assert list(rules("picture editor: half women")) == ["picture editor"]
    assert list(rules("half of the pictures of editors should show women")) == ["editor"]


@settings(max_examples=50)
@given(st.text(max_size=60) | st.text(alphabet="doctr: 50%,;womenad/.-()<>±½", max_size=60))
def test_any_text_is_read_or_refused_with_the_mend(text: str) -> None:
    targets: list[Target] = []
    problems: list[Problem] = []
    try:
        targets = [target for rule in Policy.from_sentence(text).rules for target in rule.targets]
    except PolicyError as error:
        problems = error.problems
    assert bool(targets) != bool(problems)
    assert all(problem.message and problem.mend for problem in problems)


LONG = [":", "half ", "1 ", "doctor, ", "50-", "(", "**a", "please ", "every occupation except "]


@pytest.mark.parametrize("piece", LONG)
def test_a_long_instruction_is_refused_at_once(piece: str) -> None:
    with pytest.raises(PolicyError):
        Policy.from_sentence((piece * 32_000)[:32_000])
