"""Which prompts a rule fires for, and which not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fair_diffusion.policy import Policy, Stated, match

EVERY = "every occupation: half women"
FIRES = [
    ("doctor: half women", "a photo of a doctor", "exact"),
    ("doctor: half women", "two Doctors in a hospital", "exact"),
    ("doctor: half women", "a physician", "synonym"),
    ("doctor: half women", "a surgeon at work", "kind"),
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
    (EVERY, "a photo of a tutor", "wildcard"),
    (EVERY, "a photo of a hairstyler", "meaning"),
    ("firefighter: half women", "a New York firefighter", "exact"),
    ("police officer: half women", "A Police Officer In The Rain", "exact"),
    ("teacher: half women", "Portrait of a teacher", "exact"),
    ("doctor: half women", "Doctor in Berlin, oil painting", "exact"),
    ("teacher: half women", "a photo of a tutor", "kind"),
    ("gardener: half women", "a photo of a gardenworker", "meaning"),
    ("nurse, teacher: 1/3 men", "Nurses at a bedside", "exact"),
    ("doctor: half women", "an old photo of a doctor", "exact"),
    ("doctor: half women", "a doctor in a black coat", "exact"),
    ("pilot: half women", "an airline pilot in the cockpit", "synonym"),
    ("singer: half men", "a vocalist with a microphone", "synonym"),
    ("mechanic: half women", "auto mechanics", "synonym"),
    ("scientist: half women", "a chemist in a laboratory", "kind"),
    ("everyone: skin tone uniform", "a person walking in the rain", "wildcard"),
    ("everyone: skin tone uniform", "a female doctor", "wildcard"),
    ("student: half women", "high school students in a classroom", "kind"),
    ("office worker: half women", "an office clerk at a desk", "synonym"),
    ("farmer: half women", "a farmer with a red tractor, a dog and two cows", "exact"),
    ("lawyer: half women", "a barrister in court", "synonym"),
    ("doctor: half women", "a photo of a doctor in Central Park", "exact"),
    ("doctor: half women", "a doctor in San Diego, Kodak Portra 400", "exact"),
    ("doctor: half women", "a doctor, painting by Greg Rutkowski", "exact"),
    ("doctor: half women", "a doctor in the style of Picasso", "exact"),
    ("doctor: half women", "a doctor, Nikon Camera, Golden Hour", "exact"),
    ("doctor: half women", "an African American doctor", "exact"),
    ("doctor: half women", "a Chinese Doctor", "exact"),
    ("doctor: half women", "portrait of a doctor, Highly Detailed, 8k", "exact"),
    ("doctor: skin tone uniform", "black and white photo, a doctor", "exact"),
    ("doctor: skin tone uniform", "a black-clad doctor", "exact"),
    ("doctor: skin tone uniform", "a nurse's friend, a doctor with a black bag", "exact"),
    ("doctor: skin tone uniform", "a doctor, white coat", "exact"),
    ("doctor: half women", "a doctor's bag beside a doctor", "exact"),
]
SILENT = [
    ("doctor: half women", "a photo of a nurse", "no rule"),
    ("doctor: half women", "a female doctor", "'female'"),
    ("doctor: half women", "my grandfather, a doctor", "'grandfather'"),
    ("doctor: half women", "a doctor and her dog", "'her'"),
    ("doctor: half women", "a male doctor", "'male'"),
    ("doctor: half women", "a doctor's bag on a table", "whose"),
    ("doctor: half women", "a doctorate", "no rule"),
    ("pilot: half women", "the pilot episode of a series", "'episode' follows"),
    ("judge: half women", "judge a book by its cover", "verb"),
    ("guard: half women", "a guard dog", "'dog' follows"),
    ("firefighter: half women", "a fireman", "'fireman'"),
    ("police officer: half women", "a policewoman", "'policewoman'"),
    (EVERY, "a bowl of fruit", "no rule"),
    (EVERY, "a landscape with hills", "no rule"),
    (EVERY, "a hospital at night", "no rule"),
    (EVERY, "Marie Curie, scientist", "'Marie Curie'"),
    (EVERY, "Barack Obama as a firefighter", "'Barack Obama'"),
    (EVERY, "a portrait of the scientist Einstein", "'Einstein'"),
    (EVERY, "a pilot, Amelia Earhart, in her plane", "'Amelia Earhart'"),
    ("singer: half men", "the singer Freddie Mercury on a stage", "'Freddie Mercury'"),
    (EVERY, "a fire in the forest", "no rule"),
    (EVERY, "an airplane above a mountain", "no rule"),
    ("nurse: half men", "a photo of a tutor", "no rule"),
    (EVERY, "a woman working as a welder", "'woman'"),
    (EVERY, "the Queen of England opening a school", "no rule"),
    (EVERY, "a robot chef", "no human"),
    (EVERY, "a scarecrow dressed as a farmer", "no human"),
    (EVERY, "a teddy bear as an astronaut", "no human"),
    ("cook: half women", "how to cook rice", "'rice' follows"),
    ("firefighter: half women", "a firefighter helmet on a shelf", "'helmet' follows"),
    ("artist: half men", "a landscape painting by an artist", "who made"),
    ("pilot: half women", "a plane without a pilot", "'without'"),
    ("doctor: half women", "a non-binary doctor", "'non-binary'"),
    ("doctor: skin tone uniform", "a dark-skinned doctor", "'dark-skinned'"),
    ("doctor: skin tone uniform", "an African American physician", "'African American'"),
    ("nurse: half men", "a nurse shark in the sea", "no rule"),
    ("student: half men", "student loan papers", "no rule"),
    (EVERY, "Rembrandt, a self-portrait as a painter", "'Rembrandt'"),
    ("everyone: half women", "a king on his throne", "no rule"),
    (EVERY, "an empty office with a coffee cup", "no rule"),
    ("judge: half women", "a red sports car", "no rule"),
    ("singer: half men", "taylor swift as a singer", "'taylor swift'"),
    (EVERY, "marie curie, scientist", "'marie curie'"),
    (EVERY, "MARIE CURIE AS A SCIENTIST", "'MARIE CURIE'"),
    (EVERY, "the painter Vincent van Gogh", "'Vincent van Gogh'"),
    (EVERY, "Leonardo da Vinci as a scientist", "'Leonardo da Vinci'"),
    (EVERY, "the writer J.K. Rowling at a desk", "'J.K. Rowling'"),
    (EVERY, "Ronald McDonald as a cook", "'Ronald McDonald'"),
    ("doctor: half women", "Dr. Smith, a doctor", "'Dr. Smith'"),
    (EVERY, "the athlete Pelé with a ball", "'Pelé'"),
    ("singer: half men", "a singer called Beyoncé", "'Beyoncé'"),
    (EVERY, "a teacher named Kim", "'Kim'"),
    ("doctor: age uniform", "a doctor in her seventies", "'in her seventies'"),
    ("doctor: age uniform", "a 60-year-old doctor", "'60-year-old'"),
    ("doctor: age uniform", "the doctor is old", "'old'"),
    ("doctor: age uniform", "a doctor with white hair", "'white hair'"),
    ("doctor: skin tone uniform", "a doctor of Asian descent", "'Asian descent'"),
    ("nurse: skin tone uniform", "a nurse who is black", "'black'"),
    ("nurse: skin tone uniform", "a nurse, Black", "'Black'"),
    ("nurse: skin tone uniform", "a photo of a Black nurse", "'Black'"),
    ("cook: half women", "a bearded cook", "'bearded'"),
    ("cook: half women", "a pregnant cook", "'pregnant'"),
    (EVERY, "a person who visits patients", "no rule"),
    (EVERY, "a lego firefighter", "no human"),
    (EVERY, "a plush toy of a firefighter", "no human"),
]


@pytest.mark.parametrize(("instruction", "prompt", "how"), FIRES)
def test_fires(instruction: str, prompt: str, how: str) -> None:
    found = match(Policy.from_sentence(instruction), prompt)
    assert found.rule is not None, found.reason
    assert found.how == how
    assert found.concept is not None
    assert found.concept in prompt


@pytest.mark.parametrize(("instruction", "prompt", "reason"), SILENT)
def test_stays_silent_and_says_why(instruction: str, prompt: str, reason: str) -> None:
    found = match(Policy.from_sentence(instruction), prompt)
    assert found.rule is None
    assert found.targets == ()
    assert reason in found.reason


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


def test_the_nearer_word_wins() -> None:
    policy = Policy.from_sentence("doctor: half women; surgeon: all women")
    for prompt, concept in (("a surgeon", "surgeon"), ("a physician", "doctor"), ("a cardiologist", "doctor")):
        found = match(policy, prompt)
        assert found.rule is not None
        assert found.rule.concepts == (concept,)


def test_a_match_says_where_its_words_stand() -> None:
    prompt = "a doctor's bag beside a doctor"
    assert match(Policy.from_sentence("doctor: half women"), prompt).start == prompt.rindex("doctor")


def test_the_length_of_a_prompt_does_not_multiply_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []

    def embed(texts: list[str]) -> np.ndarray:
        looked_up.append(len(texts))
        return np.zeros((len(texts), 384), np.float32)

    monkeypatch.setattr("fair_diffusion.policy.minilm.embed", embed)
    match(Policy.from_sentence("doctor: half women"), " ".join(f"stone{i}worker" for i in range(4000)))
    assert 0 < sum(looked_up) <= 10


def test_a_wildcard_does_not_cover_its_exceptions() -> None:
    (rule,) = Policy.from_sentence("every occupation: half women").rules
    policy = Policy((replace(rule, exceptions=("nurse", "doctor")),))
    for prompt in ("a nurse", "two nurses", "a registered nurse", "a physician", "a surgeon"):
        assert match(policy, prompt).rule is None, prompt
    for prompt in ("a judge", "a nurse beside a judge"):
        assert match(policy, prompt).rule is not None, prompt


def test_a_match_says_of_whom_everything_is_stated() -> None:
    found = match(Policy.from_sentence(EVERY), "a female doctor talking to an old woman with a beard")
    assert found.stated == (
        Stated("gender", "female", "doctor"),
        Stated("age", "old", "woman"),
        Stated("gender", "woman", "woman"),
        Stated("gender", "beard", "woman"),
    )
    assert found.unsure is None


def test_what_is_unsure_silences_and_is_told() -> None:
    found = match(
        Policy.from_sentence("doctor: half women; skin tone uniform"), "a doctor talking to a woman in her office"
    )
    assert [target.attributes for target in found.targets] == [("skin_tone",)]
    assert found.unsure == "gender: 'her' may be said of 'doctor'"
    assert "unsure: gender: 'her'" in found.reason
    alone = match(Policy.from_sentence("doctor: half women"), "a doctor talking to a woman in her office")
    assert alone.rule is None
    assert alone.reason.startswith("unsure: ")


@pytest.mark.parametrize(
    ("instruction", "prompt", "reason"),
    [
        ("every occupation except midwife: half women", "a midwife", "'midwife': rule 'every"),
        ("nurse: half women", "a photo of a barista", "shows, 'barista'"),
        ("doctor: half women", "ein Arzt", "'Arzt' may mean one gender alone or anybody"),
    ],
)
def test_the_reason_names_the_worker_and_the_rule_that_excepts_it(instruction: str, prompt: str, reason: str) -> None:
    found = match(Policy.from_sentence(instruction), prompt)
    assert found.rule is None
    assert reason in found.reason


def test_a_prompt_without_a_worker_names_none() -> None:
    found = match(Policy.from_sentence("nurse: half women"), "a cat on a mat")
    assert found.reason == "no rule is about what the prompt shows"


def test_losing_rules_are_told_with_their_workers() -> None:
    policy = Policy.from_sentence("doctor: half women; nurse: half men")
    found = match(policy, "a nurse and a doctor")
    assert found.rule is not None
    assert found.rule.concepts == ("nurse",)
    assert [(lost.rule.concepts, lost.concept, lost.why) for lost in found.losing] == [
        (("doctor",), "doctor", "one figure is steered, and 'nurse' stands first")
    ]
    assert "'nurse' is steered, not 'doctor'" in found.reason


def test_a_worker_that_the_rule_names_is_steered_before_one_that_stands_first() -> None:
    policy = Policy.from_sentence("every occupation: half women; nurse: half men")
    found = match(policy, "a doctor and a nurse")
    assert found.concept == "nurse"
    assert [(lost.concept, lost.why) for lost in found.losing] == [
        ("nurse", "rule 'nurse' fits better"),
        ("doctor", "one figure is steered, and rule 'nurse' is more specific"),
    ]


def test_nobody_is_steered_because_of_a_second_worker() -> None:
    found = match(Policy.from_sentence(EVERY), "a female doctor and a nurse")
    assert found.rule is None
    assert [lost.concept for lost in found.losing] == ["nurse"]


def test_misspelt_words_and_the_nearest_concept_are_told() -> None:
    assert match(Policy.from_sentence(EVERY), "a photo of a firefigher").read_as == (("firefigher", "firefighter"),)
    nearest = match(Policy.from_sentence("doctor: half women"), "a photo of a hirundologist").nearest
    assert nearest is not None
    assert 0 < nearest[1] < 1


@pytest.mark.parametrize(
    ("exemption", "prompt"),
    [
        ("medieval", "a cook from the Middle Ages, mediaeval tapestry"),
        ("WWII", "a nurse of the Second World War"),
        ("world war 2", "a nurse, ww2"),
        ("19th century", "a nineteenth-century doctor"),
        ("Victorian", "a photo of a doctor, Victorian era"),
        ("ancient rome", "a cook in the Roman Empire"),
    ],
)
def test_an_exemption_holds_for_all_names_of_a_time(exemption: str, prompt: str) -> None:
    rule = "{name: a, every: occupation, targets: {gender: uniform}}"
    policy = Policy.from_yaml(f"version: 1\nexemptions: [{exemption}]\nrules: [{rule}]\n")
    assert match(policy, prompt).reason == f"the exemption {exemption!r} applies"
