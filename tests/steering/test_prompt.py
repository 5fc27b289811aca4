from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fair_diffusion.policy import Attributes
from fair_diffusion.request import Request
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.prompt import used_prompt, with_group


@pytest.mark.parametrize(
    ("prompt", "concept", "adjectives", "expected"),
    [
        ("a photo of a firefighter", "firefighter", ["female"], "a photo of a female firefighter"),
        ("a photo of a firefighter", "firefighter", ["androgynous"], "a photo of an androgynous firefighter"),
        ("a photo of an engineer", "engineer", ["male"], "a photo of a male engineer"),
        ("An astronaut", "astronaut", ["female"], "A female astronaut"),
        ("A cook", "cook", ["elderly", "female"], "An elderly female cook"),
        ("AN ENGINEER", "engineer", ["androgynous"], "AN androgynous ENGINEER"),
        ("a cook", "cook", ["unisex"], "a unisex cook"),
        ("a cook", "cook", ["uninhibited"], "an uninhibited cook"),
        ("a cook", "cook", ["European"], "a European cook"),
        ("a cook", "cook", ["honest"], "an honest cook"),
        ("two firefighters at work", "firefighter", ["female"], "two female firefighters at work"),
        ("the firefighter's hat", "firefighter", ["male"], "the male firefighter's hat"),
        ("a police  officer", "police officer", ["female"], "a female police  officer"),
        ("a happy teacher, smiling", "teacher", ["male"], "a happy male teacher, smiling"),
        ("a doctor and a doctor", "doctor", ["female"], "a female doctor and a doctor"),
        ("someone fixing a car.", None, ["female"], "someone fixing a car, female person"),
        ("a city street", None, ["dark-skinned", "female"], "a city street, dark-skinned female person"),
        ("a c++ (coder)", "c++ (coder)", ["female"], "a female c++ (coder)"),
        ("", None, ["female"], "female person"),
        ("a co-pilot in the cockpit", "pilot", ["female"], "a female co-pilot in the cockpit"),
        ("an ex-soldier", "soldier", ["male"], "a male ex-soldier"),
        ("a school bus driver", "bus", ["female"], "a female school bus driver"),
        ("an old tree surgeon", "surgeon", ["female"], "an old female tree surgeon"),
        ("an air force pilot", "pilot", ["female"], "a female air force pilot"),
        ("a sketch doctor", "doctor", ["female"], "a sketch female doctor"),
        ("two tired night nurses", "nurse", ["male"], "two tired male night nurses"),
        ("photo, nurse, hospital", "nurse", ["female"], "photo, female nurse, hospital"),
        ("the dog's doctor", "doctor", ["female"], "the dog's female doctor"),
        ("a [chef|baker] at work", "baker", ["female"], "a female [chef|baker] at work"),
        ("a {young chef|old baker}", "baker", ["female"], "a female {young chef|old baker}"),
        ("a [chef:baker:0.5]", "chef", ["androgynous"], "an androgynous [chef:baker:0.5]"),
        ("an (engineer:1.2), desk", "engineer", ["female"], "a (female engineer:1.2), desk"),
        ("((scientist)), lab", "scientist", ["female"], "((female scientist)), lab"),
        ("pilot++, cockpit", "pilot", ["female"], "female pilot++, cockpit"),
        ("photo_of_an_engineer", "engineer", ["light-skinned", "male"], "photo_of_a_light-skinned_male_engineer"),
        ("photo of police_officer", "police", ["female"], "photo of female police_officer"),
        ("消防士の写真", "消防士", ["female"], "消防士の写真, female person"),
        ("une photo de dentiste", "dentiste", ["female"], "une photo de dentiste, female person"),
        ("a cook", "cook", [], "a cook"),
        ("a cook", "cook", [" "], "a cook"),
    ],
)
def test_with_group(prompt: str, concept: str | None, adjectives: list[str], expected: str) -> None:
    start = prompt.lower().find(concept.split()[0]) if concept else None
    assert with_group(prompt, start, adjectives) == expected


@pytest.mark.parametrize(
    ("prompt", "concept", "translated", "expected"),
    [
        ("eine Lehrkraft im Klassenzimmer", "Lehrkraft", ["weibliche"], "eine weibliche Lehrkraft im Klassenzimmer"),
        ("une photo de dentiste au travail", "dentiste", ["femme"], "une photo de dentiste femme au travail"),
        ("一位医生的照片", "医生", ["女"], "一位女医生的照片"),
        ("消防士の写真", "消防士", ["女性の"], "女性の消防士の写真"),
        ("a doctor", "doctor", ["weibliche"], "a female doctor"),
    ],
)
def test_translated_words_go_into_prompts_of_their_language(
    prompt: str, concept: str, translated: list[str], expected: str
) -> None:
    assert with_group(prompt, prompt.index(concept), ["female"], translated) == expected


def test_the_words_at_the_place_change() -> None:
    prompt = "a doctor's bag beside a doctor"
    assert with_group(prompt, prompt.rindex("doctor"), ["female"]) == "a doctor's bag beside a female doctor"


WORDS = {"de": {"woman": "weibliche", "man": "männlicher", "dark": "dunkelhäutiger"}, "zh": {"woman": "女"}}


@pytest.mark.parametrize(
    ("prompt", "concept", "assigned", "expected"),
    [
        ("ein Elektriker bei der Arbeit", "Elektriker", {"gender": "man"}, "ein männlicher Elektriker bei der Arbeit"),
        (
            "ein Elektriker bei der Arbeit",
            "Elektriker",
            {"gender": "man", "skin_tone": "dark"},
            "ein dunkelhäutiger männlicher Elektriker bei der Arbeit",
        ),
        ("一位医生在医院里", "医生", {"gender": "woman"}, "一位女医生在医院里"),
        # without a word for one of the groups, and in English, all is as without a policy's words
        ("ein Elektriker", "Elektriker", {"gender": "androgynous"}, "ein Elektriker, androgynous person"),
        ("an electrician", "electrician", {"gender": "man"}, "a male electrician"),
        ("an electrician", "electrician", {}, "an electrician"),
    ],
)
def test_a_prompt_in_another_language_gets_the_policys_words(
    prompt: str, concept: str, assigned: dict[str, str], expected: str
) -> None:
    backbone: Any = SimpleNamespace(distilled=False)
    brief = Brief(backbone, Request(prompt=prompt), prompt.index(concept), words=WORDS)
    assert used_prompt(brief, assigned) == expected


@pytest.mark.parametrize(
    ("prompt", "assigned", "expected"),
    [
        ("a photo of a nurse", {"glasses": "glasses"}, "a photo of a nurse with glasses"),
        ("an engineer, smiling", {"glasses": "glasses", "gender": "woman"}, "a female engineer with glasses, smiling"),
        ("two (nurses:1.2) at work", {"glasses": "no glasses"}, "two (nurses without glasses:1.2) at work"),
        ("the nurse's hat", {"glasses": "glasses", "gender": "man"}, "the male nurse's hat, person with glasses"),
        ("a photo of a nurse", {"skin_tone": "monk 10", "gender": "man"}, "a photo of an ebony-skinned male nurse"),
        ("a city street", {"glasses": "glasses", "gender": "man"}, "a city street, male person with glasses"),
        ("ein Foto einer Ärztin", {"glasses": "glasses"}, "ein Foto einer Ärztin mit Brille"),
        ("une photo d'un plombier", {"glasses": "glasses"}, "une photo d'un plombier à lunettes"),
        (
            "ein Foto eines Elektrikers",
            {"skin_tone": "monk 10", "glasses": "glasses"},
            "ein Foto eines Elektrikers, ebony-skinned person with glasses",
        ),
    ],
)
def test_words_of_a_definition_stand_where_it_says(prompt: str, assigned: dict[str, str], expected: str) -> None:
    nobody: Any = SimpleNamespace(distilled=False)
    named = ("nurse", "engineer", "Ärztin", "plombier", "Elektriker")
    start = next((prompt.index(word) for word in named if word in prompt), None)
    brief = Brief(nobody, Request(prompt=prompt), start, definitions=Attributes.named("glasses", "monk"))
    assert used_prompt(brief, assigned) == expected
