"""What sentences and files mean, and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.policy import Policy, PolicyError

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
