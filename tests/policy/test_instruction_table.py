"""What sentences mean: a table of sentences as people write them, about half of which are refused or warned of.

instructions.csv has, for each: its kind; the concepts, by rule; the shares, by rule and target; and words of
the message of a refused sentence ("refuse"), or after "warns" words of the warning.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from fair_diffusion.policy import Policy, PolicyError

with (Path(__file__).parent / "instructions.csv").open(encoding="utf-8", newline="") as file:
    TABLE = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
REFUSED = [case for case in TABLE if case["shares"] == "refuse"]
READ = [case for case in TABLE if case["shares"] != "refuse"]


def name(case: dict[str, str]) -> str:
    return case["instruction"]


def shares(text: str) -> list[dict[str, Fraction]]:
    """The targets in "woman 1/2 man 1/2; dark 1"."""
    words = [target.split() for target in text.split(";")]
    return [dict(zip(target[::2], map(Fraction, target[1::2]), strict=True)) for target in words]


@pytest.mark.parametrize("case", READ, ids=name)
def test_what_a_sentence_means(case: dict[str, str]) -> None:
    policy = Policy.from_sentence(case["instruction"])
    assert [rule.name for rule in policy.rules] == case["concepts"].split(" // ")
    for rule, expected in zip(policy.rules, case["shares"].split(" // "), strict=True):
        got = [{"+".join(cell): share for cell, share in target.shares.items() if share} for target in rule.targets]
        assert got == shares(expected)
    warned = case["says"].removeprefix("warns ")
    assert warned in "\n".join(policy.warnings)
    assert bool(warned) == bool(policy.warnings)


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_what_is_not_understood_is_refused_with_the_mend(case: dict[str, str]) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_sentence(case["instruction"])
    assert case["says"] in str(caught.value)
    assert all(problem.message and problem.mend for problem in caught.value.problems)
