"""Definitions of attributes: data that travels with a policy, and that nothing else names."""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import fair_diffusion
from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.perception.skin_tone import SCALES, SkinTone
from fair_diffusion.policy import Attributes, Policy, PolicyError, Target, built_in, match
from fair_diffusion.policy.attributes import BUILT_IN, READY, read_data
from fair_diffusion.policy.definitions import KEYS
from fair_diffusion.policy.group_nodes import GROUP_KEYS
from fair_diffusion.policy.holding import held
from fair_diffusion.policy.schema import policy_schema
from fair_diffusion.policy.target import cells, uniform

ROOT = Path(fair_diffusion.__file__).parent


def test_nothing_outside_the_policy_names_a_built_in_group() -> None:
    # "medium" is also a quality of pictures in the service's requests
    groups = set(built_in().group_names) - {"medium"}
    named = []
    for module in sorted(ROOT.rglob("*.py")):
        if module.is_relative_to(ROOT / "policy"):
            continue
        tree = ast.parse(module.read_text(encoding="utf-8"))
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        named += [
            f"{module.relative_to(ROOT)}:{node.lineno} {node.value!r}"
            for node in texts
            if node.value in groups or ((words := re.findall(r"[\w-]+", str(node.value))) and groups.issuperset(words))
        ]
    assert not named


def test_no_page_and_no_data_outside_the_policy_names_a_built_in_group() -> None:
    groups = "|".join(map(re.escape, sorted({*built_in().group_names} - {"medium"}, key=len, reverse=True)))
    quoted = re.compile(rf"""["'`](?:{groups})["'`]|[>\[{{,]\s*(?:{groups})\s*[<\]}},:]""")
    named = []
    for file in sorted(ROOT.rglob("*")):
        # what the heads of the pocket model's readers are called, and how they err, is part of its weights
        own = file.is_relative_to(ROOT / "policy") or file.is_relative_to(ROOT / "models" / "pocket" / "weights")
        if not own and file.suffix in {".css", ".csv", ".html", ".j2", ".js", ".json", ".md", ".mjs", ".txt", ".yaml"}:
            found = quoted.findall(file.read_text(encoding="utf-8"))
            named += [f"{file.relative_to(ROOT)}: {each}" for each in found]
    assert not named
    assert quoted.search('const groups = ["woman", "man"]')


def test_definitions_are_read_once_and_are_equal_by_content() -> None:
    same = Attributes(built_in().values())
    assert built_in() is built_in()
    assert same == built_in()
    assert hash(same) == hash(built_in())
    assert Attributes([built_in()["age"]]) != built_in()
    assert built_in()["age"].digest == same["age"].digest != same["gender"].digest


def test_a_target_has_the_definitions_of_its_attributes() -> None:
    joint = Target(("age", "gender"), dict.fromkeys(cells(("age", "gender")), uniform("age").shares["old",] / 3))
    assert joint.definitions == (built_in()["age"], built_in()["gender"])
    assert joint.group_names == (built_in()["age"].group_names, built_in()["gender"].group_names)


HAIR = """version: 1
attributes:
  hair:
    label: kind of hair
    groups:
      white-haired: {share: 1/4, words: {de: weißhaarige}}
      curly-haired: {share: 3/4}
rules:
- every: occupation
  targets: {hair: {white-haired: 30%}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(text)
    return [f"{each.line}: {each.value}: {each.message}" for each in caught.value.problems]


def test_an_attribute_of_ones_own_is_asked_for_stated_and_held() -> None:
    policy = Policy.from_yaml(HAIR)
    target = policy.rules[0].targets[0]
    assert target.shares == {("white-haired",): Fraction(3, 10), ("curly-haired",): Fraction(7, 10)}
    assert str(target) == "kind of hair: 30 % white-haired, 70 % curly-haired"
    assert policy.attributes["hair"].group("white-haired").words == {"de": "weißhaarige"}
    assert match(policy, "a photo of a nurse").targets == (target,)
    stated = match(policy, "a photo of a curly-haired nurse")
    assert stated.rule is None
    assert stated.stated == (("hair", "curly-haired", "nurse"),)
    women = Policy.from_sentence("nurse: half women", policy.attributes)
    assert held(match(women, "a photo of a nurse")) == ("skin_tone", "age", "hair")


@pytest.mark.parametrize(
    ("sentence", "targets"),
    [
        ("nurse: glasses 30%", ["glasses: 30 % glasses, 70 % no glasses"]),
        ("nurse: 30% with glasses", ["glasses: 30 % glasses, 70 % no glasses"]),
        ("nurse: glasses uniform", ["glasses: 50 % glasses, 50 % no glasses"]),
        ("every occupation: 60% women; skin tone uniform", ["gender: 60 % woman, 40 % man", "skin tone: 10 % monk 01"]),
        ("doctors: perceived ethnicity balanced", ["perceived ethnicity: 20 % White, 20 % Black, 20 % Asian"]),
        ("doctor: 100% dark-skinned women with glasses", None),
        ("doctor: 30% monk 10, the rest monk 01", ["skin tone: 70 % monk 01, 30 % monk 10"]),
        ("doctor: half in their forties, half in their fifties", ["age: 50 % 40-49, 50 % 50-59"]),
        (
            "doctor: half bareheaded women, half men with a turban",
            ["gender × head covering: 50 % woman + uncovered"],
        ),
    ],
)
def test_sentences_use_definitions_at_once(sentence: str, targets: list[str] | None) -> None:
    defined = Attributes.named("glasses", "monk", "ethnicity_five", "age_bands", "head_covering")
    if targets is None:  # a built-in group that the refined attribute does not have
        with pytest.raises(PolicyError):
            Policy.from_sentence(sentence, defined)
        return
    found = [str(target) for rule in Policy.from_sentence(sentence, defined).rules for target in rule.targets]
    assert len(found) == len(targets)
    assert all(one.startswith(wanted) for one, wanted in zip(found, targets, strict=True))


@pytest.mark.parametrize("name", READY)
def test_ready_definitions_pass_the_checks_of_definitions(name: str) -> None:
    policy = Policy.from_yaml(
        f"version: 1\ninclude: [{name}]\nrules:\n- every: occupation\n  targets: {{gender: uniform}}\n"
    )
    (own,) = policy.attributes.own
    assert policy.attributes[own].note
    assert policy.attributes[own].sources or policy.attributes[own].caution


@pytest.mark.parametrize("name", [*READY, *BUILT_IN])
def test_shipped_files_have_the_form_of_a_users_definition(name: str) -> None:
    data = read_data(f"shipped/{name}.yaml")
    for attribute in data.values():
        shipped_only = {"patterns"}
        assert set(attribute) - shipped_only <= set(KEYS)
        assert all(set(group or {}) <= set(GROUP_KEYS) for group in attribute["groups"].values())


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("religion", "head covering"),
        ("perceived_religion", "head covering"),
        ("sexual_orientation", "leave it out"),
        ("nationality", "ethnicity"),
        ("mental_health", "what is seen"),
        ("political_opinion", "leave it out"),
    ],
)
def test_names_that_promise_what_no_picture_shows_are_refused(name: str, mend: str) -> None:
    with pytest.raises(PolicyError, match="no picture shows") as caught:
        Policy.from_yaml(HAIR.replace("hair:\n    label", f"{name}:\n    label", 1))
    assert mend in str(caught.value)


def test_every_mistake_of_a_definition_is_told_by_its_line() -> None:
    text = """version: 1
include: [glases, ../secret.yaml]
attributes:
  Hair: {groups: {a: {}, b: {}}}
  hat:
    lable: x
    groups: {Muslim: {}, hat: {share: 50%}, bare head: {share: 20%}}
  body:
    groups: {dark: {}, nurse: {}, half: {}}
  one: {groups: {only: {}}}
  coat: {stands: nowhere, sensitive: maybe, groups: {coat: {adjective: [a]}, no coat: 5}}
rules:
- concepts: [nurse]
  targets: {hat: uniform}
"""
    told = problems(text)
    for line, value in (
        *((2, "glases"), (2, "../secret.yaml"), (4, "Hair"), (6, "lable"), (7, "Muslim"), (9, "dark"), (9, "nurse")),
        *((9, "half"), (10, "one"), (11, "nowhere"), (11, "maybe"), (11, "5")),
    ):
        at = 8 if value in ("dark", "nurse", "half") else line
        assert any(each.startswith(f"{at}: {value}") or each.startswith(f"{line}: {value}") for each in told), value


def test_more_definitions_than_anybody_needs_are_refused_at_once() -> None:
    many = "".join(f"  a{k}:\n    groups: {{x{k}: {{}}, y{k}: {{}}}}\n" for k in range(500))
    assert "too many attributes" in problems(HAIR.replace("  hair:", f"{many}  hair:"))[0]
    files = ", ".join(["glasses"] * 500)
    assert "too many files" in problems(f"version: 1\ninclude: [{files}]\n{HAIR.partition(chr(10))[2]}")[0]


def test_definitions_of_one_policy_share_no_word() -> None:
    twice = HAIR.replace("attributes:\n", "attributes:\n  wig:\n    groups: {curly-haired: {}, no wig: {}}\n")
    assert problems(twice)[0].endswith("'curly haired' names 'curly-haired' of wig already")
    assert "'dark' names 'dark' of skin tone already" in problems(HAIR.replace("curly-haired", "dark"))[0]


def test_default_shares_are_given_for_all_groups_and_sum_to_one() -> None:
    assert "sum to 75 %" in problems(HAIR.replace("3/4", "1/2"))[0]
    assert "have none" in problems(HAIR.replace("{share: 3/4}", "{}"))[0]


def test_a_policy_includes_files_beside_it_and_an_uploaded_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "hair.yaml").write_text("hair:\n  groups: {white-haired: {}, curly-haired: {}}\n")
    rule = "rules:\n- concepts: [nurse]\n  targets: {hair: uniform}\n"
    (tmp_path / "policy.yaml").write_text(f"version: 1\ninclude: [hair.yaml]\n{rule}")
    assert "hair" in Policy.from_file(tmp_path / "policy.yaml").attributes.own
    (tmp_path / "other.yaml").write_text(HAIR.replace("rules", "include: [glasses]\nrules"))
    assert list(Attributes.named("monk", tmp_path / "other.yaml").own) == ["skin_tone", "glasses", "hair"]
    with pytest.raises(PolicyError, match="by policy files only"):
        Attributes.named(tmp_path / "policy.yaml")
    assert any("by policy files only" in each for each in problems(f"version: 1\ninclude: [hair.yaml]\n{rule}"))
    (tmp_path / "hair.yaml").write_text("hair:\n  groups: {white-haired: {}}\n")
    with pytest.raises(PolicyError, match=r"line 2: 'hair': hair.yaml, line 2: an attribute has groups"):
        Policy.from_file(tmp_path / "policy.yaml")


def test_a_refined_attribute_is_still_stated_by_what_stated_it() -> None:
    defined = Attributes.named("monk")
    policy = Policy.from_sentence("every occupation: skin tone uniform", defined)
    for prompt in ("a dark-skinned nurse", "a Kenyan nurse", "a nurse with ebony skin", "a Black nurse"):
        assert match(policy, prompt).rule is None
    assert len(match(policy, "a nurse").targets[0].shares) == 10


def test_a_ledger_knows_a_definition_and_todays_streams_go_on(tmp_path: Path) -> None:
    built = Policy.from_sentence("nurse: half women").rules[0].targets[0]
    assert built.key == "androgynous 0, man 1/2, woman 1/2"  # as in ledgers of earlier versions
    mine = Policy.from_yaml(HAIR).rules[0].targets[0]
    other = Policy.from_yaml(HAIR.replace("label: kind of hair", "label: hair")).rules[0].targets[0]
    noted = Policy.from_yaml(HAIR.replace("    label", "    note: as raters see it\n    label")).rules[0].targets[0]
    assert mine.key == f"curly-haired 7/10, white-haired 3/10; hair as {mine.definitions[0].digest}"
    assert noted.key == mine.key != other.key
    ledger = Ledger(tmp_path / "ledger.db")
    for target in (built, mine, other, noted):
        ledger.release(ledger.reserve(rule="nurse", target=target, n=1, model="m"))
    assert len({row.stream for row in ledger.rows()}) == 3


def test_the_schema_takes_definitions_and_knows_the_built_in_groups_without_them() -> None:
    check = Draft202012Validator(policy_schema()).is_valid
    own = yaml.safe_load(HAIR)
    assert check(own)
    assert not check({**own, "attributes": {"hair": {"groups": {"one": {}}}}})
    assert not check({**own, "attributes": {"hair": {"lable": "x", "groups": {"a": {}, "b": {}}}}})
    rules = [{"concepts": ["nurse"], "targets": {"glasses": {"no glasses": "30%"}}}]
    assert check({"version": 1, "include": ["glasses"], "rules": rules})
    assert not check({"version": 1, "rules": rules})
    assert check({"version": 1, "rules": [{"concepts": ["nurse"], "targets": {"gender": {"woman": "30%"}}}]})
    assert not check({"version": 1, "rules": [{"concepts": ["nurse"], "targets": {"gender": {"lady": "30%"}}}]})


@pytest.mark.parametrize("scale", SCALES)
def test_ready_scales_have_the_groups_that_the_measurement_of_skin_gives(scale: str) -> None:
    assert SkinTone(scale).groups["skin_tone"] == Attributes.named(scale)["skin_tone"].group_names
