"""Definitions that people might write: odd names, promises in disguise, two meanings, files that differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.policy import Attributes, Policy, PolicyError, match
from fair_diffusion.policy.attributes import READY, shipped
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.promises import promised


def defined(groups: str, *, name: str = "thing", more: str = "") -> Policy:
    return Policy.from_yaml(
        f"version: 1\nattributes:\n  {name}:\n    groups: {groups}\n{more}"
        f"rules:\n- every: occupation\n  targets: {{{name}: uniform}}\n"
    )


def told(groups: str, *, name: str = "thing", more: str = "") -> list[str]:
    with pytest.raises(PolicyError) as caught:
        defined(groups, name=name, more=more)
    return [f"{each.value}: {each.message}; {each.mend}" for each in caught.value.problems]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("{no: {}, yes: {}}", "no: YAML reads true or false here; put it in quotes: 'no'"),
        ("{~: {}, x: {}}", "~: YAML reads nothing here"),
        ("{unknown: {}, known: {}}", "unknown: this is no name of a group"),
        ("{not sure: {}, sure: {}}", "not sure: this is no name of a group"),
        ("{n/a: {}, sure: {}}", "n/a: this is no name of a group"),
        ("{tall: {}, Tall: {}}", "Tall: 'Tall' names 'tall' too"),
        ("{tall-one: {}, TALL ONES: {}}", "TALL ONES: 'TALL ONES' names 'tall-one' too"),
        ("{fish: {}, ﬁsh: {}}", "ﬁsh: 'ﬁsh' names 'fish' too"),
        ("{cap: {}, beret: {called: [caps]}}", "beret: 'caps' names 'cap' too"),
        ("{1: {}, 2: {}}", "1: '1' is a number"),
        ("{nurse: {}, no nurse: {}}", "nurse: 'nurse' names an occupation"),
        ("{gender: {}, other one: {}}", "gender: 'gender' names the attribute gender already"),
        ("{man: {}, other one: {}}", "man: 'man' names 'man' of gender already"),
        ("{mostly: {}, hardly: {}}", "mostly: 'mostly' is a word of instructions: 'mostly' says no share"),
        ('{"\u202eevil": {}, ok: {}}', "this is no name of a group"),
        ("{hаt: {}, no hat: {}}", "the name has the letter 'а' (CYRILLIC SMALL LETTER A); write it in one alphabet"),
        ('{hat: {phrases: ["a\u202eb"]}, no hat: {}}', "'phrases' has a character that is not seen"),
        (f"{{{'a' * 300}: {{}}, b: {{}}}}", "this is no name of a group; write up to 40 letters"),
        (f"{{{', '.join(f'x{k}: {{}}' for k in range(200))}}}", "write 2 to 60 groups"),
        ("{tall: {share: 50%}, short: {share: 60%}}", "the default shares sum to 110 %; make them sum to 100 %"),
        ("{tall: {share: -50%}, short: {share: 150%}}", "-50%"),
    ],
)
def test_a_group_that_would_mean_two_things_or_none_is_refused(groups: str, said: str) -> None:
    assert any(said in each for each in told(groups)), told(groups)


@pytest.mark.parametrize(
    "name", ["no", "null", "unknown", "gender_confidence", "steered", "model", "ä", "a-b", "a" * 41]
)
def test_a_name_of_an_attribute_is_no_word_of_yaml_and_no_column(name: str) -> None:
    assert any("this is no name of an attribute" in each for each in told("{tall: {}, short: {}}", name=name))


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("nurse", "", "'nurse' names an occupation; choose another name for the attribute"),
        ("women", "", "'woman' names 'woman' of gender already"),
        ("rest", "", "'rest' is a word of instructions"),
        ("thing", "    called: [gender]\n", "'gender' names the attribute gender already"),
        ("thing", "    label: every occupation\n", "'every occupation' is a word of instructions"),
    ],
)
def test_a_name_of_an_attribute_takes_no_word_from_sentences(name: str, more: str, said: str) -> None:
    assert any(said in each for each in told("{tall: {}, short: {}}", name=name, more=more))


PROMISES = (
    *(
        "sexual-orientation",
        "Sexual_Orientation",
        "sexualorientation",
        "orientation sexuelle",
        "sexuelle Orientierung",
        "sexualidad",
    ),
    *("Religion (perceived)", "religionn", "r3ligion", "RELIGIÓN", "Religionszugehörigkeit", "kind of faith", "muslim"),
    *("IQ", "i q", "iq score", "intelligence", "intelligenz", "trustworthyness", "jewishness", "queerness"),
    *(
        "nationalite",
        "Staatsangehörigkeit",
        "migration status",
        "birth sex",
        "gender identity",
        "mental state",
        "homeless",
    ),
)
GROUPS = (
    *("gay", "g a y", "g-a-y", "g4y", "ｇａｙ", "Gay people", "schwul", "hétérosexuel", "homosexuelle"),
    *("muslim-looking", "Müslim", "jüdisch", "chretien", "católica", "مسلم", "мусульманин", "ungläubig"),
    *("rich", "criminals", "immigrant", "homeless", "disabled", "autistic", "obdachlos"),
)
HARMLESS = (
    *("religious dress", "religious_clothing", "head covering", "glasses", "hair", "clothing", "body type", "smile"),
    *("ethnicity", "race", "skin tone", "posture", "setting", "uniform worn", "age band", "expression"),
)


@pytest.mark.parametrize("name", PROMISES)
def test_attributes_that_promise_what_no_picture_shows_are_found_in_disguise(name: str) -> None:
    assert promised(name, group=False), name


@pytest.mark.parametrize("name", GROUPS)
def test_groups_that_promise_what_no_picture_shows_are_found_in_disguise(name: str) -> None:
    assert promised(name, group=True), name
    if name.isascii() and not name[0].isdigit():
        assert any(
            "no picture shows" in each for each in told(f"{{thing one: {{adjective: '{name}'}}, thing two: {{}}}}")
        )


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_seen_promises_nothing(name: str) -> None:
    assert promised(name, group=False) is None
    assert promised(name, group=True) is None


@pytest.mark.parametrize("ready", READY)
def test_the_ready_definitions_promise_nothing(ready: str) -> None:
    for attribute in shipped(ready):
        assert not any(promised(text, group=False) for text in (attribute.name, attribute.label, *attribute.called))
        texts = {text for each in attribute.groups for text in (each.name, each.adjective, *each.phrases, *each.called)}
        assert not [text for text in texts if promised(text, group=True)]


NAMES = st.text(min_size=1, max_size=60).filter(lambda text: '"' not in text and "\\" not in text)


@given(NAMES, NAMES)
def test_any_two_names_are_taken_whole_or_refused_with_the_mend(one: str, two: str) -> None:
    problems: list[Problem] = []
    try:
        policy = defined(f'{{"{one}": {{}}, "{two}": {{}}}}')
    except PolicyError as error:
        problems += error.problems
    assert all(each.message and each.mend for each in problems)
    if problems:
        return
    names = policy.attributes["thing"].group_names
    assert names == (one.strip(), two.strip())
    assert len({name.casefold() for name in names}) == 2
    assert match(policy, "a photo of a nurse").targets[0].group_names == (names,)


@pytest.mark.parametrize(
    ("groups", "prompt", "fires"),
    [
        ("{hat: {}, no hat: {}}", "a nurse with a hat", False),
        ("{hat: {}, no hat: {}}", "a nurse wearing a hat", False),
        ("{hat: {}, no hat: {}}", "a nurse without a hat", False),
        ("{hat: {}, no hat: {}}", "a nurse with no hat", False),
        ("{hat: {called: [bonnet]}, no hat: {}}", "a nurse in a bonnet", False),
        ("{hat: {}, no hat: {}}", "a nurse beside a man with a hat", True),
        ("{white coat: {}, blue coat: {}}", "a nurse in a white coat", False),
        ("{tall: {}, short: {}}", "a tall nurse", False),
        ("{tall: {}, short: {}}", "a nurse with short hair", True),
        ("{curly-haired: {}, white-haired: {}}", "a curly-haired nurse", False),
        ("{curly-haired: {}, white-haired: {}}", "a nurse with a curly-haired dog", True),
    ],
)
def test_a_groups_own_words_state_it_where_no_others_are_given(groups: str, prompt: str, fires: bool) -> None:
    assert (match(defined(groups), prompt).rule is not None) == fires


def test_files_in_a_circle_and_files_that_differ_are_refused(tmp_path: Path) -> None:
    rule = "rules:\n- concepts: [nurse]\n  targets: {hair: uniform}\n"
    for name, label in (("a", "hair"), ("b", "kind of hair"), ("c", "hair")):
        text = f"hair:\n  label: {label}\n  groups: {{white-haired: {{}}, curly-haired: {{}}}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\ninclude: [policy.yaml]\n{rule}")
    with pytest.raises(PolicyError, match="by policy files only"):
        Policy.from_file(policy)
    policy.write_text(f"version: 1\ninclude: [a.yaml, b.yaml]\n{rule}")
    with pytest.raises(PolicyError, match=r"line 2: 'b.yaml': hair is defined by 'a.yaml' too, in another way"):
        Policy.from_file(policy)
    policy.write_text(f"version: 1\ninclude: [a.yaml, c.yaml, a.yaml]\n{rule}")
    twice = Policy.from_file(policy).attributes
    policy.write_text(f"version: 1\ninclude: [a.yaml]\n{rule}")
    assert twice.own == Policy.from_file(policy).attributes.own
    with pytest.raises(PolicyError, match="skin_tone is defined by 'monk' too"):
        Attributes.named("monk", "fitzpatrick")
    assert Attributes.named("monk", "monk").own == Attributes.named("monk").own
    policy.write_text(
        f"version: 1\ninclude: [a.yaml]\nattributes:\n  hair: {{groups: {{long: {{}}, bald: {{}}}}}}\n{rule}"
    )
    assert Policy.from_file(policy).attributes["hair"].group_names == (
        "long",
        "bald",
    )  # a policy refines what it includes


def test_what_is_named_and_is_no_file_of_definitions_is_told_in_one_line(tmp_path: Path) -> None:
    contents = {
        "binary": b"\x00\x01\xff",
        "empty": b"",
        "list": b"[1, 2]",
        "itself": b"thing: &t\n  groups: {x one: {}, y two: {}}\n  label: *t\n",
        "dangling": b"a: {groups: {x one: *b, y two: {}}}\n",
        "code": b"thing: !!python/object/apply:os.getcwd []\n",
        "merged": b"thing:\n  groups:\n    <<: {x one: {}}\n    y two: {}\n",
        "two documents": b"thing: {groups: {x one: {}, y two: {}}}\n---\nother: {}\n",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_bytes(content)
        with pytest.raises(PolicyError) as caught:
            Attributes.named(tmp_path / f"{name}.yaml")
        (problem,) = caught.value.problems
        assert problem.line is None
        assert f"{name}.yaml" in str(caught.value)
        assert problem.mend
    with pytest.raises(PolicyError, match=r"^'\S+gone.yaml': cannot be read: not there"):
        Attributes.named(tmp_path / "gone.yaml")


def test_a_policy_refines_what_is_built_in_and_loses_no_restraint() -> None:
    tones = Policy.from_yaml(
        "version: 1\nattributes:\n  skin_tone: {groups: {light one: {}, deep one: {}}}\n"
        "rules:\n- every: occupation\n  targets: {skin_tone: uniform}\n"
    )
    assert tones.attributes["skin_tone"].label == "skin tone"
    assert tones.attributes["skin_tone"].peoples
    assert match(tones, "a nurse").rule
    for prompt in ("a dark-skinned nurse", "a Kenyan nurse", "a nurse from Kenya", "a deep one nurse"):
        assert match(tones, prompt).rule is None


def test_a_sentence_with_the_groups_that_a_refined_attribute_lost_names_the_new_ones() -> None:
    monk = Attributes.named("monk")
    for sentence in ("nurse: half dark", "nurse: 30% dark-skinned women", "nurse: skin tone: half dark, half light"):
        with pytest.raises(PolicyError) as caught:
            Policy.from_sentence(sentence, monk)
        assert "monk 01, monk 02" in str(caught.value), str(caught.value)
