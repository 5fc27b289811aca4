"""Many prompts, and which targets act on them; many ways to state an identity, and to mention somebody else.

`prompts.csv` says for each prompt which targets fire under a policy for every occupation: "gs" gender and skin tone,
"g" gender alone, "s" skin tone alone, and nothing if neither does.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from fair_diffusion.policy import Policy, match

POLICY = Policy.from_sentence("every occupation: half women, half men; skin tone uniform")
WORKERS = ("doctor", "firefighter", "software developer", "taxi driver", "nurse", "chef", "police officer")

GENDERS = ("female", "male", "bearded", "pregnant", "non-binary", "transgender", "masculine")
SKINS = tuple(
    "Black|white|Nigerian|Asian|dark-skinned|Indian|African American|Middle Eastern|Japanese|brown".split("|")
)
SAID_BY_ADJECTIVE = """
a {a} {w} | {a} {w} | two {a} {w}s | a young {a} {w} | a {a} young {w} | a {a}, smiling {w} | a smiling, {a} {w}
a tall, handsome, {a} {w} | a {w} who is {a} | the {w} is {a} | the {w} in the red coat is {a} | a {w}, {a}
{a}, {w}, portrait | {w}, {a}, portrait | a very {a} {w} | a {w} ({a}) | ({a}) {w} | ({a}:1.3) {w} | the {w} looks {a}
a {a}-looking {w} | a {w} with a smile, {a} | a {w} at work who is {a} | {a} person working as a {w}
a {a} person, a {w} | a {a} adult dressed as a {w} | a {w}. {a}. | {a} {w} portrait | a {w} standing in the rain, {a}
a {a} and strong {w} | a strong and {a} {w} | the {w} on the left is {a} | a 40 year old {a} {w}
"""
NOUNS = ("woman", "man", "girl", "boy", "lady", "gentleman", "mother", "guy", "grandmother")
SAID_BY_NOUN = """
a {n} {w} | a {n} working as a {w} | a {n} who is a {w} | a {n} dressed as a {w} | a {n} in a white coat, {w}
a {n}, {w} | {n}, {w}, hospital | {w}, {n}, hospital | a {w}, a {n} with glasses | a {w} who is a {n} | the {w} is a {n}
this {n} is a {w} | the {n} works as a {w} | my {n}, a {w} | my {n} the {w} | my {n} became a {w} | {n} as {w} | {n}+{w}
a {n} with long hair and glasses working as a {w} | a {n} who works as a {w} | a {n} who used to be a {w} | 1{n}, {w}
a {n} on her first day as a {w} | a {n} studying to become a {w} | a {n} playing the role of a {w} | {w}, 1{n} | {w} {n}
a {n} in the role of {w} | a {w} ({n}) | a {n} and {w} | a {n}. occupation: {w} | an old {n}, once a {w} | a {n} [{w}]
a {n} whose job is {w} | a {n} named Zed who is a {w} | a confident {n} as a {w} in a city
occupation: {w}, gender: {n}
"""
SAID_OF_SKIN = """
a {a} woman working as a {w} | a {a} woman who is a {w} | a {a} man dressed as a {w} | a {a} person employed as a {w}
a {w} of {a} descent | a {w} of {a} origin | a {w} with {a} heritage | a {w} with {a} features | a {a} mother, {w}
my {a} neighbour is a {w} | a {w}, a {a} man | {w}, {a} man, office | a {w} who is a {a} woman | a {a} lady {w}
a {a} man with a beard working as a {w} | a female {a} {w} | a {a}-born {w} | a {w}, ethnically {a}
a {w}, {a} ethnicity | a {w} whose ethnicity is {a} | a group of {a} {w}s
a {a} couple, both {w}s | a {a} family of {w}s
"""
SAID_OF_ORIGIN = """
a {w} from {c} | a {w} born in {c} | a {w} who was born in {c} | a {w} originally from {c} | a {w} who comes from {c}
a {w}, from {c} | an immigrant from {c} working as a {w} | a woman from {c} working as a {w} | a man from {c}, a {w}
a {w} who grew up in {c} | a {w} hailing from {c} | a {w} native to {c} | a {w} with parents from {c}
"""
FEATURES = ("a beard", "a goatee", "a moustache", "a long beard", "stubble", "a hijab", "a thick grey beard")
SAID_BY_FEATURE = """
a {w} with {f} | a {w} who has {f} | a {w}, {f} | {w}, {f}, office | a {w} with glasses and {f} | a {w} wearing {f}
a {w} in a blue coat with {f} | {f}, {w}
"""
SAID_BY_PRONOUN = """
a {w} and {p} dog | a {w} in {p} office | a {w}, {p} hands on the table | in {p} office, a {w} is thinking
the {w} drinks {p} coffee | a {w}. {p} hair is long. | a {w} with {p} students | a {w} taking off {p} helmet
"""

OTHERS = tuple(
    "an old woman|a Black man|a little girl|a pregnant woman|an Asian boy|two women|old men|a Nigerian family|"
    "a white bearded man|a blonde woman in a hijab|some Indian children|the king".split("|")
)
BESIDE = """
a {w} talking to {o} | a {w} helping {o} | a {w} with {o} | a {w} next to {o} | a {w} and {o} | {o} and a {w}
{o} talking to a {w} | {o} with a {w} | a {w} looks at {o} | a {w} standing behind {o} | a {w} surrounded by {o}
a {w} takes care of {o} | a {w} who is helping {o} | a {w} in a red coat speaking with {o} | photo of a {w} near {o}
{o} being helped by a {w} | {o} waiting for the {w} | {o} hugging a {w} | the {w} is helping {o} | two {w}s and {o}
the {w} is sitting beside {o} | a {w} gently talking to {o} | a {w} between {o} and a tree
"""
COLOURS = ("black", "white", "brown", "tan", "pale yellow")
THINGS = """
a {w} with a {c} bag | a {w} in a {c} coat | a {w} wearing {c} gloves | a {w}, {c} background | a {w} dressed in {c}
a {w} holding a {c} cup | a {w} with {c} hair | a {w} on a {c} horse | a {c} car and a {w} | a {w} drinking {c} tea
"""
PEOPLES = ("Italian", "Japanese", "Indian", "Mexican", "Nigerian", "Chinese")
OF_A_PEOPLE = """
a {w} in a {d} restaurant | a {w} eating {d} food | a {w} with a {d} flag | a {w} speaking {d} | a {w}, {d} style
a {w} in a {d} village | a {w} in front of a {d} temple | a {w} with a {d} cat | a {w}, {d} movie poster
"""
PLACES = (
    "Kenya",
    "Tokyo",
    "Mumbai",
    "Paris",
    "Florence",
    "San Francisco",
    "Jordan",
    "Victoria Station",
    "Austin, Texas",
)
IN_A_PLACE = """
a {w} in {c} | a {w} in a hospital in {c} | {w} in {c}, 35mm photo | a {w} visiting {c} | a {w} flying to {c}
"""
MAKERS = ("Frida Kahlo", "Vincent van Gogh", "Annie Leibovitz", "Greg Rutkowski", "Wes Anderson", "Banksy", "Rembrandt")
BY_A_MAKER = """
a {w} in the style of {n} | a {w}, by {n} | a {w}, art by {n} | a {w}, {n} style | a {w}, inspired by {n}
a painting by {n} of a {w} | a {w} photographed by {n} | {n} style painting of a {w} | a {w} in {n}'s style
a {w} in front of a {n} poster | a {w} at the {n} Museum | a {w} on {n} Street | a {w} with a {n} tattoo
"""


def fires(prompt: str) -> str:
    """Which of gender and skin tone the policy would steer."""
    targets = {name for target in match(POLICY, prompt).targets for name in target.attributes}
    return ("g" if "gender" in targets else "") + ("s" if "skin_tone" in targets else "")


def cases() -> list[tuple[str, str]]:
    with (Path(__file__).parent / "prompts.csv").open(newline="", encoding="utf-8") as file:
        return [(row["prompt"], row["fires"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("prompt", "expected"), cases())
def test_prompts(prompt: str, expected: str) -> None:
    assert fires(prompt) == expected, match(POLICY, prompt).reason


def written(templates: str, key: str, values: tuple[str, ...]) -> Iterator[str]:
    """Every template with every value, each with one of the workers."""
    worker = cycle(WORKERS)
    for line in templates.strip().splitlines():
        for template in line.split(" | "):
            for value in values:
                yield template.strip().format(w=next(worker), **{key: value})


@pytest.mark.parametrize(
    ("templates", "key", "values", "silent"),
    [
        (SAID_BY_ADJECTIVE, "a", GENDERS, "g"),
        (SAID_BY_ADJECTIVE, "a", SKINS, "s"),
        (SAID_BY_NOUN, "n", NOUNS, "g"),
        (SAID_OF_SKIN, "a", (*SKINS[:4], *SKINS[5:9]), "s"),
        (SAID_OF_ORIGIN, "c", ("Nigeria", "South Korea", "the Philippines", "West Africa", "Lagos"), "s"),
        (SAID_BY_FEATURE, "f", FEATURES, "g"),
        (SAID_BY_PRONOUN, "p", ("her", "his"), "g"),
    ],
)
@pytest.mark.parametrize("case", [str, str.upper, str.title])
def test_nothing_stated_is_overridden(
    templates: str, key: str, values: tuple[str, ...], silent: str, case: type
) -> None:
    prompts = [case(prompt) for prompt in written(templates, key, values)]
    assert [prompt for prompt in prompts if silent in fires(prompt)] == []


@pytest.mark.parametrize(
    ("templates", "key", "values"),
    [
        (BESIDE, "o", OTHERS),
        (THINGS, "c", COLOURS),
        (OF_A_PEOPLE, "d", PEOPLES),
        (IN_A_PLACE, "c", PLACES),
        (BY_A_MAKER, "n", MAKERS),
    ],
)
def test_what_is_not_the_workers_silences_nothing(templates: str, key: str, values: tuple[str, ...]) -> None:
    assert [prompt for prompt in written(templates, key, values) if fires(prompt) != "gs"] == []


@pytest.mark.parametrize(
    "unit",
    [
        "doctor 999 ",
        "by Ab ",
        "a doctor and her nurse, ",
        "old black ",
        "J.K. ",
        "1girl, ",
        "robot doctor ",
        "a woman, ",
    ],
)
def test_the_work_grows_with_the_length_alone(unit: str) -> None:
    def calls(prompt: str) -> int:
        count = 0

        def one_more(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        sys.setprofile(one_more)
        try:
            match(POLICY, prompt)
        finally:
            sys.setprofile(None)
        return count

    calls(unit * 50)  # the word lists are read
    assert calls(unit * 400) < 2.2 * calls(unit * 200)
