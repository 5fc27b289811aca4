"""Which prompts a rule fires for, and which not."""

from __future__ import annotations

import pytest

from fair_diffusion.policy import Policy, match

EVERY = "every occupation: half women"
FIRES = [
    ("doctor: half women", "a photo of a doctor", "exact"),
    ("doctor: half women", "two Doctors in a hospital", "exact"),
    ("doctor: half women", "a physician", "synonym"),
    ("doctor: half women", "a surgeon at work", "synonym"),
    ("software developer: half women", "a portrait of a programmer", "synonym"),
    ("software developer: half women", "software-developers", "exact"),
    ("police officer: half women", "a cop on a street", "synonym"),
    ("firefighter: half women", "a photo of the face of a firefighter", "exact"),
    ("firefighter: half women", "fire fighters", "synonym"),
    ("cook: half women", "a chef in a kitchen", "synonym"),
    ("nurse, teacher: 1/3 men", "a school teacher", "synonym"),
    (EVERY, "an astronaut on the moon", "wildcard"),
    (EVERY, "a photo of a judge", "wildcard"),
    (EVERY, "a welder", "wildcard"),
    (EVERY, "a photo of a tutor", "meaning"),
    ("firefighter: half women", "a New York firefighter", "exact"),
    ("police officer: half women", "A Police Officer In The Rain", "exact"),
    ("teacher: half women", "Portrait of a teacher", "exact"),
    ("doctor: half women", "Doctor in Berlin, oil painting", "exact"),
    ("teacher: half women", "a photo of a tutor", "meaning"),
    ("nurse, teacher: 1/3 men", "Nurses at a bedside", "exact"),
    ("doctor: half women", "an old photo of a doctor", "exact"),
    ("doctor: half women", "a doctor in a black coat", "exact"),
    ("pilot: half women", "an airline pilot in the cockpit", "synonym"),
    ("singer: half men", "a vocalist with a microphone", "synonym"),
    ("mechanic: half women", "auto mechanics", "synonym"),
    ("scientist: half women", "a chemist in a laboratory", "synonym"),
    ("everyone: skin tone uniform", "a person walking in the rain", "wildcard"),
    ("everyone: skin tone uniform", "a female doctor", "wildcard"),
    ("student: half women", "high school students in a classroom", "synonym"),
    ("office worker: half women", "an office clerk at a desk", "synonym"),
    ("farmer: half women", "a farmer with a red tractor, a dog and two cows", "exact"),
    ("lawyer: half women", "a barrister in court", "synonym"),
]
SILENT = [
    ("doctor: half women", "a photo of a nurse"),
    ("doctor: half women", "a female doctor"),
    ("doctor: half women", "my grandfather, a doctor"),
    ("doctor: half women", "a doctor and her dog"),
    ("doctor: half women", "a male doctor"),
    ("doctor: half women", "a doctor's bag on a table"),
    ("doctor: half women", "a doctorate"),
    ("pilot: half women", "the pilot episode of a series"),
    ("judge: half women", "judge a book by its cover"),
    ("guard: half women", "a guard dog"),
    ("firefighter: half women", "a fireman"),
    ("police officer: half women", "a policewoman"),
    (EVERY, "a bowl of fruit"),
    (EVERY, "a landscape with hills"),
    (EVERY, "a hospital at night"),
    (EVERY, "Marie Curie, scientist"),
    (EVERY, "Barack Obama as a firefighter"),
    (EVERY, "a portrait of the scientist Einstein"),
    (EVERY, "a pilot, Amelia Earhart, in her plane"),
    ("singer: half men", "the singer Freddie Mercury on a stage"),
    (EVERY, "a fire in the forest"),
    (EVERY, "an airplane above a mountain"),
    ("nurse: half men", "a photo of a tutor"),
    (EVERY, "a woman working as a welder"),
    (EVERY, "the Queen of England opening a school"),
    (EVERY, "a robot chef"),
    (EVERY, "a scarecrow dressed as a farmer"),
    (EVERY, "a teddy bear as an astronaut"),
    ("cook: half women", "how to cook rice"),
    ("firefighter: half women", "a firefighter helmet on a shelf"),
    ("artist: half men", "a landscape painting by an artist"),
    ("pilot: half women", "a plane without a pilot"),
    ("doctor: half women", "a non-binary doctor"),
    ("doctor: skin tone uniform", "a dark-skinned doctor"),
    ("doctor: skin tone uniform", "an African American physician"),
    ("nurse: half men", "a nurse shark in the sea"),
    ("student: half men", "student loan papers"),
    (EVERY, "Rembrandt, a self-portrait as a painter"),
    ("everyone: half women", "a king on his throne"),
    (EVERY, "an empty office with a coffee cup"),
    ("judge: half women", "a red sports car"),
]


@pytest.mark.parametrize(("instruction", "prompt", "how"), FIRES)
def test_fires(instruction: str, prompt: str, how: str) -> None:
    found = match(Policy.from_sentence(instruction), prompt)
    assert found.rule is not None, found.reason
    assert found.how == how
    assert found.concept is not None
    assert found.concept in prompt


@pytest.mark.parametrize(("instruction", "prompt"), SILENT)
def test_stays_silent(instruction: str, prompt: str) -> None:
    found = match(Policy.from_sentence(instruction), prompt)
    assert found.rule is None
    assert found.targets == ()
    assert found.reason


def test_a_stated_identity_takes_only_its_own_targets_away() -> None:
    found = match(Policy.from_sentence("doctor: half women; skin tone uniform"), "a female doctor")
    assert [target.attributes for target in found.targets] == [("skin_tone",)]


def test_a_named_concept_wins_over_every_occupation() -> None:
    policy = Policy.from_sentence("every occupation: half women; doctor: all women")
    found = match(policy, "a doctor")
    assert found.rule is not None
    assert found.rule.concepts == ("doctor",)


def test_exemption_and_empty_policy() -> None:
    policy = Policy.from_yaml(
        "version: 1\nexemptions: [medieval]\nrules: [{name: d, concepts: [doctor], targets: {gender: uniform}}]\n"
    )
    assert "medieval" in match(policy, "a medieval doctor").reason
    assert match(policy, "a doctor").rule is not None
    assert match(Policy(), "a doctor").rule is None
