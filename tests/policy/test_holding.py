"""What is held: what no target asks for and the prompt does not state."""

from __future__ import annotations

import pytest

from fair_diffusion.policy import Policy, PolicyError, built_in, match
from fair_diffusion.policy.holding import attributes_in, held
from fair_diffusion.request import Request

HALF = Policy.from_sentence("every occupation: half women")


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        ("a photo of a doctor", ["skin_tone", "age"]),
        ("a photo of a Kenyan doctor", ["age"]),
        ("a photo of an old doctor", ["skin_tone"]),
        ("a dark-skinned, elderly doctor", []),
        ("a doctor beside an old Kenyan patient", ["skin_tone", "age"]),
        ("a photo of a lighthouse", []),
        ("a photo of a female doctor", []),
    ],
)
def test_all_that_is_neither_asked_for_nor_stated_is_held(prompt: str, kept: list[str]) -> None:
    assert list(held(match(HALF, prompt))) == kept


def test_a_joint_target_asks_for_each_of_its_attributes() -> None:
    policy = Policy.from_yaml(
        "version: 1\nrules:\n- every: occupation\n  joint:\n"
        "  - {gender: woman, age: old, share: 50%}\n  - {gender: man, age: young, share: 50%}\n"
    )
    assert held(match(policy, "a doctor")) == ("skin_tone",)


@pytest.mark.parametrize(("said", "kept"), [("none", ()), ("[age]", ("age",)), ("[age, gender]", ("age",)), ("[]", ())])
def test_a_policy_says_what_is_held(said: str, kept: tuple[str, ...]) -> None:
    rules = "rules:\n- every: occupation\n  targets: {gender: {woman: 50%}}\n"
    policy = Policy.from_yaml(f"version: 1\nhold: {said}\n{rules}")
    assert held(match(policy, "a doctor")) == kept
    assert held(match(policy, "a doctor"), ("skin_tone",)) == ("skin_tone",), "a request says more than a policy"


def test_an_unknown_attribute_in_a_policy_is_named_with_the_nearest() -> None:
    text = "version: 1\nhold: [skin_ton]\nrules:\n- every: occupation\n  targets: {gender: uniform}\n"
    with pytest.raises(PolicyError, match=r"line 2.*skin_ton.*skin_tone"):
        Policy.from_yaml(text)


@pytest.mark.parametrize(
    ("hold", "names"),
    [
        ("none", ()),
        ("", None),
        ("skin_tone", ("skin_tone",)),
        ("Skin tone, age ,age", ("skin_tone", "age")),
        (["age"], ("age",)),
        ((), ()),
    ],
)
def test_a_request_names_attributes_in_a_text_or_a_list(hold: object, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(ValueError, match="unknown attribute ''"):
            Request(prompt="a doctor", hold=hold)  # type: ignore[arg-type]
    else:
        assert Request(prompt="a doctor", hold=hold).hold_names == names  # type: ignore[arg-type]


@pytest.mark.parametrize("hold", ["skin_ton", ["none", "age"], "none, age", 3, [3]])
def test_a_wrong_name_is_refused_with_the_mend(hold: object) -> None:
    with pytest.raises(ValueError, match="hold"):
        Request(prompt="a doctor", hold=hold)  # type: ignore[arg-type]


def test_names_are_kept_once() -> None:
    assert attributes_in(built_in()) == tuple(built_in())
