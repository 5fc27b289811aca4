"""A rule for every occupation holds for the list of occupations that comes with the package."""

from __future__ import annotations

import pytest

from fair_diffusion.models import pocket
from fair_diffusion.policy import Policy, match
from fair_diffusion.runs.occupations import POCKET, SHIPPED, read_occupations
from fair_diffusion.runs.suite import PROMPT

EVERY = Policy.from_sentence("every occupation: half women")
OCCUPATIONS = list(read_occupations(SHIPPED))


@pytest.mark.parametrize("occupation", OCCUPATIONS)
def test_every_occupation_of_the_shipped_list_is_one(occupation: str) -> None:
    found = match(EVERY, PROMPT.format(occupation))
    assert found.rule is not None, found.reason
    assert found.targets


@pytest.mark.parametrize("prompt", ["a dishwasher in a kitchen", "a data logger", "a 3d model of a car"])
def test_a_thing_of_the_same_name_is_none(prompt: str) -> None:
    assert match(EVERY, prompt).rule is None


def test_a_rule_for_such_a_word_holds_everywhere() -> None:
    assert match(Policy.from_sentence("model: half women"), "a model on a runway").rule is not None


def test_the_occupations_of_the_pocket_model_are_a_list_by_name() -> None:
    assert list(read_occupations(POCKET)) == pocket.OCCUPATIONS.read_text(encoding="utf-8").splitlines()
