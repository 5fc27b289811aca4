from __future__ import annotations

import pytest

from fair_diffusion.steering.prompt import with_group


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
        ("a cook", "cook", [], "a cook"),
        ("a cook", "cook", [" "], "a cook"),
    ],
)
def test_with_group(prompt: str, concept: str | None, adjectives: list[str], expected: str) -> None:
    start = prompt.lower().find(concept.split()[0]) if concept else None
    assert with_group(prompt, start, adjectives) == expected


def test_the_words_at_the_place_change() -> None:
    prompt = "a doctor's bag beside a doctor"
    assert with_group(prompt, prompt.rindex("doctor"), ["female"]) == "a doctor's bag beside a female doctor"
