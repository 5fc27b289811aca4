"""Policy files: what they mean, every mistake with its line, and the published schema."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fair_diffusion.policy import Policy, PolicyError, match
from fair_diffusion.policy.schema import policy_schema

DOCS = Path(__file__).parents[2] / "docs"
QUARTER = Fraction(1, 4)


@pytest.fixture(scope="module")
def example() -> Policy:
    return Policy.from_file(DOCS / "policy.yaml")


def test_a_joint_target_holds_every_combination(example: Policy) -> None:
    (target,) = match(example, "a firefighter").targets
    assert target.attributes == ("gender", "skin_tone")
    assert len(target.shares) == 15
    assert {cell: share for cell, share in target.shares.items() if share} == {
        (gender, tone): QUARTER for gender in ("woman", "man") for tone in ("light", "dark")
    }


def test_a_stated_gender_takes_the_whole_joint_target_away(example: Policy) -> None:
    assert match(example, "a female firefighter").rule is None


def test_exemptions_of_a_rule_and_of_the_policy(example: Policy) -> None:
    assert "19th century" in match(example, "a 19th century firefighter").reason
    assert match(example, "a 19th century doctor").rule is not None
    assert match(example, "a medieval doctor").rule is None


def test_every_occupation_is_for_the_rest(example: Policy) -> None:
    found = match(example, "a photo of a welder")
    assert found.rule is not None
    assert found.rule.name == "all other occupations"
    assert found.how == "wildcard"
    assert [target.attributes for target in found.targets] == [("gender",), ("skin_tone",)]


def test_an_unstated_rest_of_a_joint_target_is_shared_out_and_noted() -> None:
    policy = Policy.from_yaml(
        "version: 1\nrules:\n- name: a\n  concepts: [cook]\n  joint: [{gender: woman, skin_tone: dark, share: 1/3}]\n"
    )
    (target,) = policy.rules[0].targets
    assert target.shares["woman", "dark"] == Fraction(1, 3)
    assert sum(target.shares.values()) == 1
    assert target.shares["man", "dark"] == target.shares["woman", "light"] > 0
    assert target.note


HEAD = "version: 1\nrules:\n"
MISTAKES: list[tuple[str, int, str, str]] = [
    # the file, then the line, the value and a word of the mend
    (HEAD + "- name: a\n  concepts: [cook]\n  targets: {gendr: uniform}\n", 5, "gendr", "gender"),
    (HEAD + "- name: a\n  concepts: [cook]\n  targets:\n    gender: {womam: 50%}\n", 6, "womam", "woman"),
    (HEAD + "- name: a\n  concepts: [cook]\n  targets: {gender: {woman: 50}}\n", 5, "50", "50%"),
    (HEAD + "- name: a\n  concepts: [cook]\n  targets: {gender: {woman: -5%}}\n", 5, "-5%", "50%"),
    (
        HEAD + "- name: a\n  concepts: [cook]\n  targets: {gender: {woman: 30%, man: 30%, androgynous: 30%}}\n",
        5,
        "gender",
        "100 %",
    ),
    (HEAD + "- name: a\n  exempt: [x]\n  concepts: [cook]\n  targets: {gender: uniform}\n", 4, "exempt", "exemptions"),
    (HEAD + "- name: a\n  every: ocupation\n  targets: {gender: uniform}\n", 4, "ocupation", "occupation"),
    (HEAD + "- name: a\n  concepts: [cook]\n", 3, "a", "targets"),
    ("version: 2\nrules: [{name: a, every: person, targets: {gender: uniform}}]\n", 1, "2", "version: 1"),
    ("rules: [{name: a, every: person, targets: {gender: uniform}}]\n", 1, "version", "version: 1"),
    (HEAD + "- name: a\n  concepts: [cook]\n  joint: [{gender: woman, share: 30%}]\n", 5, "gender", "name"),
    (
        HEAD + "- name: a\n  concepts: [cook]\n  joint:\n"
        "  - {gender: woman, skin_tone: dark, share: 30%}\n  - {gender: woman, skin_tone: dark, share: 20%}\n",
        7,
        "woman + dark",
        "keep one",
    ),
    (
        HEAD + "- {name: a, concepts: [doctor], targets: {gender: {woman: 1/2, man: 1/2}}}\n"
        "- {name: b, concepts: [physician], targets: {gender: {woman: 1/3, man: 2/3}}}\n",
        4,
        "doctor",
        "keep one",
    ),
    (HEAD + "- name: [a\n", 4, "", "quotes"),
    # letters of another alphabet, and what YAML reads in plain words
    (HEAD + "- concepts: [cook]\n  targets: {g\u0435nder: uniform}\n", 4, "g\u0435nder", "gender"),
    (HEAD + "- concepts: [c\u043eok]\n  targets: {gender: uniform}\n", 3, "c\u043eok", "alphabet"),
    (HEAD + "- concepts: [no]\n  targets: {gender: uniform}\n", 3, "no", "quotes"),
    (HEAD + "- concepts: [cook]\n  exemptions: [on]\n  targets: {gender: uniform}\n", 4, "on", "quotes"),
    (HEAD + "- name: yes\n  concepts: [cook]\n  targets: {gender: uniform}\n", 3, "yes", "quotes"),
    (HEAD + "- concepts: [cook]\n  targets: {gender: {woman: no}}\n", 4, "no", "50%"),
    (HEAD + "- concepts: [cook]\n  targets: {gender: {no: 50%}}\n", 4, "no", "woman"),
    (HEAD + "- concepts: [cook]\n  targets: {gender: {female: 50%}}\n", 4, "female", "'woman'"),
    (HEAD + "- concepts: [cook]\n  targets: {sex: uniform}\n", 4, "sex", "'gender'"),
    (HEAD + "- concepts: [cook]\n  targets: {gender: {woman: 50%, woman: 60%}}\n", 4, "woman", "keep one"),
    (HEAD + "- concepts: [cook]\n  targets: {gender: {woman: '>=40%'}}\n", 4, ">=40%", "exact"),
    # concepts that are none
    (HEAD + "- concepts: [asdfgh]\n  targets: {gender: uniform}\n", 3, "asdfgh", "nearest"),
    (HEAD + "- concepts: [if a doctor]\n  targets: {gender: uniform}\n", 3, "if a doctor", "exemptions"),
    (HEAD + "- concepts: [old doctor]\n  targets: {gender: uniform}\n", 3, "old doctor", "occupation"),
    (
        HEAD + "- concepts: [every occupation]\n  targets: {gender: uniform}\n",
        3,
        "every occupation",
        "every: occupation",
    ),
    (HEAD + "- concepts: [nurse shark]\n  targets: {gender: uniform}\n", 3, "nurse shark", "occupation"),
    # exceptions
    (HEAD + "- concepts: [cook]\n  except: [doctor]\n  targets: {gender: uniform}\n", 4, "except", "every: occupation"),
    (HEAD + "- every: person\n  except: [tiktoker]\n  targets: {gender: uniform}\n", 4, "tiktoker", "name one"),
    # words of other languages
    ("words: {no: {woman: kvinnelig}}\n" + HEAD + "- {every: person, targets: {age: uniform}}\n", 1, "no", "quotes"),
    ("words: {German: {woman: x}}\n" + HEAD + "- {every: person, targets: {age: uniform}}\n", 1, "German", "'de'"),
    ("words: {de: {womn: x}}\n" + HEAD + "- {every: person, targets: {age: uniform}}\n", 1, "womn", "'woman'"),
]


@pytest.mark.parametrize(("text", "line", "value", "mend"), MISTAKES)
def test_a_mistake_names_line_value_and_mend(text: str, line: int, value: str, mend: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.value) == (line, value)
    assert mend in problem.mend


@pytest.mark.parametrize("mark", "[{")
def test_brackets_without_an_end_are_refused_before_they_are_read(mark: str) -> None:
    with pytest.raises(PolicyError, match="brackets are open"):
        Policy.from_yaml(HEAD + "- name: " + mark * 500)


def test_a_short_misspelt_concept_has_its_mend() -> None:
    with pytest.raises(PolicyError, match="did you mean 'nurse'"):
        Policy.from_yaml(HEAD + "- concepts: [nurs]\n  targets: {gender: uniform}\n")


def test_mistakes_below_a_misspelt_key_are_reported_too() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(HEAD + "- concepts: [cook]\n  tagets:\n    gendr:\n      womn: 50%\n      man: 5\n")
    assert [(problem.line, problem.value) for problem in caught.value.problems] == [
        (4, "tagets"),
        (5, "gendr"),
        (6, "womn"),
        (7, "5"),
    ]


def test_an_attribute_in_targets_and_in_joint_is_reported_beside_other_mistakes() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(
            HEAD + "- concepts: [cook]\n  targets: {gender: {womn: 50%}}\n"
            "  joint: [{gender: woman, skin_tone: dark, share: 300%}]\n"
        )
    assert {(4, "gender"), (4, "womn"), (5, "300%")} == {(p.line, p.value) for p in caught.value.problems}


def test_a_rule_without_a_name_is_called_after_its_concepts() -> None:
    policy = Policy.from_yaml(
        HEAD + "- {concepts: [cook, chef de partie], targets: {gender: uniform}}\n"
        "- {every: occupation, except: [nurse], targets: {gender: uniform}}\n"
    )
    assert [rule.name for rule in policy.rules] == ["cook, chef de partie", "every occupation except nurse"]
    assert policy.rules[1].exceptions == ("nurse",)
    assert match(policy, "a nurse").rule is None
    assert match(policy, "a judge").rule == policy.rules[1]


def test_a_file_means_what_the_sentence_means() -> None:
    written = Policy.from_yaml(HEAD + "- {every: occupation, except: [nurse], targets: {gender: {woman: half}}}\n")
    assert written == Policy.from_sentence("half women in every job apart from nurses")


def test_an_unknown_concept_in_a_file_is_warned_of_with_its_line() -> None:
    policy = Policy.from_yaml(HEAD + "- {concepts: [tiktoker], targets: {gender: uniform}}\n")
    assert policy.rules[0].concepts == ("tiktoker",)
    (warning,) = policy.warnings
    assert warning.startswith("line 3: 'tiktoker'")
    assert "nearest" in warning


def test_words_of_other_languages_by_group() -> None:
    policy = Policy.from_yaml(
        "words: {de: {woman: weibliche, man: männlicher}, 'no': {woman: kvinnelig}}\n"
        + HEAD
        + "- {every: occupation, targets: {gender: uniform}}\n"
    )
    assert policy.words == {"de": {"woman": "weibliche", "man": "männlicher"}, "no": {"woman": "kvinnelig"}}


def test_the_published_schema_is_current() -> None:
    assert json.loads((DOCS / "policy.schema.json").read_text()) == policy_schema()


def test_the_schema_accepts_what_the_reader_does_and_refuses_its_mistakes() -> None:
    schema: Any = jsonschema.Draft202012Validator(policy_schema())
    schema.check_schema(policy_schema())
    assert schema.is_valid(yaml.safe_load((DOCS / "policy.yaml").read_text()))
    for wrong in (
        {"version": 2, "rules": []},
        {"version": 1, "rules": [{"name": "a", "concepts": ["cook"]}]},
        {"version": 1, "rules": [{"name": "a", "concepts": ["cook"], "targets": {"hair": "uniform"}}]},
        {"version": 1, "rules": [{"name": "a", "every": "thing", "targets": {"gender": "uniform"}}]},
    ):
        assert not schema.is_valid(wrong)


def test_brackets_within_brackets_are_bounded() -> None:
    with pytest.raises(PolicyError, match="brackets are open"):
        Policy.from_yaml("rules: " + "[" * 20_000)
    with pytest.raises(PolicyError, match="version"):
        Policy.from_yaml("{rules: [[{}], []]}")


def test_half_a_character_is_refused_since_no_database_holds_it() -> None:
    text = 'version: 1\nrules:\n  - name: "a\\uD800"\n    every: occupation\n    targets: {gender: uniform}\n'
    with pytest.raises(PolicyError, match=r"line 3: .*half a character; write the character itself"):
        Policy.from_yaml(text)
