"""A sentence that sliders write means what the sliders say, for every target that a sentence can state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.policy import Attributes, Policy, match
from fair_diffusion.policy.target import Cell
from fair_diffusion.studio.understanding import understood, written
from fair_diffusion.studio.view import shown

Shares = dict[tuple[int, Cell], int]
SENTENCES = (
    "nurse: half women, half men",
    "nurse, teacher: 20% women; skin tone uniform",
    "every occupation except farmer: a third young, two thirds old",
    "farmer: half women; nurse: 12.5% women, 87.5% men",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_is_written_as_it_was_meant(sentence: str) -> None:
    policy = Policy.from_sentence(sentence)
    text = written(match(policy, "a photo of a nurse"), sentence, {})
    assert text is not None
    read = Policy.from_sentence(text)
    assert [(rule.concepts, rule.exceptions) for rule in read.rules] == [
        (rule.concepts, rule.exceptions) for rule in policy.rules
    ]
    assert [[t.shares for t in rule.targets] for rule in read.rules] == [
        [t.shares for t in rule.targets] for rule in policy.rules
    ]


@given(st.integers(0, 100))
def test_moved_shares_are_in_the_sentence_exactly(women: int) -> None:
    sentence = "every occupation: half women, half men; age uniform"
    found = match(Policy.from_sentence(sentence), "a photo of a nurse")
    shares: Shares = {(0, ("woman",)): women, (0, ("man",)): 100 - women, (0, ("androgynous",)): 0}
    text = written(found, sentence, shares)
    assert text is not None
    first, second = Policy.from_sentence(text).rules[0].targets
    assert first.shares[("woman",)] * 100 == women
    assert second.shares == found.targets[1].shares


def test_a_policy_becomes_a_sentence_about_the_prompt() -> None:
    rule = "every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
    policy = Policy.from_yaml(f"version: 1\nrules:\n  - {rule}")
    found = understood("a photo of a nurse", "", 8, policy, 3)
    assert (found.whose, found.version, found.sliders) == ("policy", 3, True)
    assert found.matched is not None
    shares: Shares = {(0, ("woman",)): 30, (0, ("man",)): 70}
    assert written(found.matched, "", shares) == "nurse: 30% woman, 70% man"
    assert [part.quota for part in found.asked[0].parts] == [4, 4, 0]


def test_a_prompt_that_states_a_gender_is_left_alone_and_a_mistake_has_its_mend() -> None:
    silent = understood("a photo of a female nurse", "nurse: half women", 8, Policy(), None)
    assert not silent.fires
    assert "states gender" in silent.reason
    wrong = understood("a photo of a nurse", "nurse: 80% women, 70% men", 8, Policy(), None)
    assert [problem.mend for problem in wrong.problems] == ["make them sum to 100 %"]
    assert understood("a photo of a nurse", "", 8, Policy(), None).suggestion == "nurse: half women, half men"


def test_a_sentence_may_name_an_attribute_that_the_policy_defines() -> None:
    policy = Policy(attributes=Attributes.named("glasses"))
    found = understood("a photo of a nurse", "nurse: glasses 30%", 10, policy, 3)
    assert found.problems == ()
    assert (found.asked[0].attributes, found.whose, found.version) == (("glasses",), "sentence", None)
    assert [part.quota for part in found.asked[0].parts] == [3, 7]
    assert found.sliders


@pytest.mark.parametrize(("n", "said"), [(1, "Of 1 image, 1 woman"), (3, "Of 3 images, 2 women and 1 man")])
def test_one_person_is_one(n: int, said: str) -> None:
    found = understood("a photo of a nurse", "nurse: half women, half men", n, Policy(), None)
    assert shown(found.asked[0], n) == said
