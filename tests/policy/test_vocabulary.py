"""What the shipped words find in a prompt, and what they must leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.policy import Policy, match, vocabulary
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.meaning import PEOPLE, THINGS, _shipped, best
from fair_diffusion.policy.mentions import mentions
from fair_diffusion.policy.minilm import embed
from fair_diffusion.policy.words import phrase, words

POLICY = Policy.from_sentence("every occupation: half women, half men; skin tone uniform")
JOBS = """
a barista | a blacksmith | a lifeguard | a locksmith | a referee | a translator | a nanny | a beekeeper | a
glassblower | a court stenographer | a fishmonger | a bricklayer | an air traffic controller | a vice president of
marketing | a postal worker | a lorry driver | an undertaker | a zookeeper | a lumberjack | a tattoo artist | a
stunt double | a chimney sweep | a window cleaner | a traffic warden | a crane operator | a forklift driver | a
goldsmith | a watchmaker | a cobbler | a shoemaker | a seamstress | a sommelier | a sushi chef | a pastry chef | a
street vendor | a rickshaw puller | a park ranger | a museum curator | a tour guide | a ski instructor | a yoga
teacher | a personal trainer | a dog walker | a data analyst | a UX designer | a podcaster | a youtuber | a train
conductor | a ticket inspector | a customs officer | a prison guard | a bailiff | a notary | an actuary | an
auctioneer | a beautician | a bookbinder | a butler | a chauffeur | a choreographer | a clown | a concierge | a
croupier | a dietitian | an embalmer | a falconer | a farrier | a ferry captain | a film director | a foreman | a
gamekeeper | a geologist | a harpist | an interpreter | a jockey | a juggler | a lighthouse keeper | a magician | a
midwife | a milkman | an optician | an organist | a paralegal | a pharmacist | a piano tuner | a plasterer | a
puppeteer | a radiographer | a realtor | a rower's coach | a saddler | a shepherd | a sign language interpreter | a
sound engineer | a stockbroker | a street sweeper | a surveyor | a swimming instructor | a taxidermist | a
telemarketer | a tiler | a toolmaker | a trombonist | an umpire | an upholsterer | a usher | a ventriloquist | a
violin maker | a weaver | a welder | a wedding planner | a zoologist | a garbage collector | a kindergarten teacher
| a brain surgeon | a tree surgeon | a school bus driver | a co-pilot | a cowhand | an oil rig worker | an umbrella
maker | a trombone player | a rubber tapper foreman | a stonemason | a wheelwright | a vintner | a fruit picker | an
ice cream vendor | a flower seller | a chess player | a basketball player | a lab technician | a nail technician | a
hotel receptionist | a bellhop | a bouncer | a drummer | a DJ | a rapper | a busker
"""
MISSPELT = """
a docter | an enginer | a firefigher | a phamacist | an electrican | a plummer | a photograper | a scientst | an
archtect | a carpentar | a musican | a libarian | a vetenarian | a receptionst | a politican | a nurce
"""
SHOWN = """
a nurse­ in a ward | a fire fighter | a police_officer, night, rain | PoliceOfficer in the rain | #firefighter #hero
| a [chef|baker] in a kitchen | (air traffic controller:1.3), tower | a docter with a stethoscope | an electrican
fixing a lamp | phamacist behind a counter | a beekeper with a smoker | a barrista pouring milk | a proffesor at the
blackboard | a journlist interviewing people | students cook together in a kitchen | a violin maker in a workshop |
a sheep shearer at work | a mail carrier with a bag | a jeweller polishing a ring | a storyteller by the fire | a
doctor who smiles | the doctor who saved me | portrait of a spy in a trench coat | a tour guide with a flag | an
orchestra conductor | a train conductor | a messenger on a bicycle | a bus driver in winter | a judge in a robe | a
personal trainer in a gym | a ship captain on the bridge | a mad scientist in a lab | a house painter on a ladder |
a treasure hunter in the jungle | a park ranger in a forest | a coffee farmer picking beans | a
potter shaping clay on a wheel | vector icon of a plumber | a woodworker carving a bowl
"""
NOBODY = """
a banker's lamp | a mason jar | a cast iron cook stove | a chef salad | a web server in a rack | a table runner on
the table | a pair of trainers | a tin soldier | a statue of a soldier | Butler University campus | friends cook
together | a coffee maker | a record player | a game controller | a robot nurse | a judge's gavel | a cook book | a
pilot light | a carpenter ant | a nurse log | a bronze statue of a blacksmith | a potter's wheel | the cook islands
| baker street at night | a vacuum cleaner | a toy soldier on a shelf | the doctor's office | a lego pilot | a
sailor moon poster | a shepherd's pie | a messenger bag | an officer's mess | a captain's chair | a guide dog | a
guide book | white trainers | sneakers | painted walls | a banner | a coach station | a tailored suit | a lawyer
joke | a pilot whale | a soldier beetle | a teller machine | a spy camera | a driver's license | the engine driver's
cap | a wooden soldier nutcracker | a cashier's check | a farmer's market | a scarecrow dressed as a farmer | an
empty barber shop | no doctor | a city | two dogs | a bowl of fruit | a red car | a mountain lake | a banana | an
old castle | a doctorate | a nursery | a bakery | engineering drawings | firefighting equipment | a piloted drone |
a doctored photo | gerard butler | karen carpenter singing | james mason | Doctor Who in the tardis | a sculpture of
a blacksmith | a marble bust of a lawyer | a sailor costume on a hanger | the costume of a pilot | a paper cutout of
a nurse | a snowman dressed as a chef | a cat in a doctor costume | a chef hat on a table | nurse scrubs folded on a
chair | a plumber van parked outside | an electrician toolbox | a baker's oven | the barber shop sign | a butcher
shop window | children judge a cake contest | friends cook pasta together | they guard the gate | he will coach the
team | to nurse a drink | a pilot episode title card | an engine driver's cab | a screw driver and a hammer | a game
controller on a sofa | a record player in the corner | doctor who, tardis | Doctor Who poster | a spy satellite in
orbit | a guide dog in harness | a lightning conductor on a roof | a messenger bag | the driver seat | a judge's
robe | a dishwasher in a kitchen | a printer on a desk | a tanner | white trainers on a shelf | a pair of trainers |
servers in a data center | a web server rack | a nurse station | a firefighter pole | a farmer market stall |
captain america fan art | a hair salon | a hospital | a restaurant kitchen | a painter's palette | an oil painting |
a hunter green sofa | the lone ranger | harry potter in a hallway
"""
# Prompt, and the attributes that a rule for both may touch: g for gender, s for skin tone.
OTHER_LANGUAGES = [
    ("ein Arzt im Krankenhaus", "s"),
    ("eine Ärztin im Krankenhaus", "s"),
    ("eine Krankenschwester mit einem Kind", "s"),
    ("ein Feuerwehrmann vor einem Haus", "s"),
    ("Porträt eines Bäckers in der Backstube", "s"),
    ("zwei Polizisten auf der Straße", "s"),
    ("Foto von einer Lehrkraft im Klassenzimmer", "gs"),
    ("une infirmière dans un couloir d'hôpital", "s"),
    ("un pompier devant une maison en feu", "s"),
    ("portrait d'architecte au travail", "gs"),
    ("une photo de journaliste", "gs"),
    ("una doctora en el hospital", "s"),
    ("un bombero con casco", "s"),
    ("foto de estudiante en la biblioteca", "gs"),
    ("retrato de taxista, luz natural", "gs"),
    ("un pompiere davanti a una casa", "s"),
    ("ritratto di dentista al lavoro", "gs"),
    ("foto di una insegnante", "s"),
    ("uma enfermeira no hospital", "s"),
    ("retrato de um padeiro", "s"),
    ("foto de motorista de ônibus", "gs"),
    ("一名女医生在医院", "s"),
    ("护士的照片", "gs"),
    ("一位厨师在厨房里做饭", "gs"),
    ("一群建筑工人", "gs"),
    ("医生的包", ""),
    ("警察局", ""),
    ("看護師の写真", "gs"),
    ("女性の医師", "s"),
    ("料理人がキッチンで料理をしている", "gs"),
    ("看護師の帽子", ""),
    ("コックピットの写真", ""),
    ("ロボット看護師", ""),
    ("صورة طبيب في المستشفى", "s"),
    ("طبيبة في المستشفى", "s"),
    ("مهندس يعمل على الحاسوب", "s"),
]


def split(cases: str) -> list[str]:
    return [case.strip() for case in cases.replace("\n", " ").split("|")]


def touched(prompt: str) -> str:
    """The first letters of the attributes that the policy's targets for `prompt` name."""
    found = match(POLICY, prompt)
    return "".join(sorted(name[0] for target in found.targets for name in target.attributes))


@pytest.mark.parametrize("prompt", split(JOBS) + split(MISSPELT) + split(SHOWN))
def test_everyday_occupations_are_known(prompt: str) -> None:
    found = match(POLICY, prompt)
    assert found.rule is not None, found.reason


@pytest.mark.parametrize("prompt", split(NOBODY))
def test_words_that_depict_no_worker_fire_nothing(prompt: str) -> None:
    found = match(POLICY, prompt)
    assert found.rule is None, found.reason


@pytest.mark.parametrize(("prompt", "attributes"), OTHER_LANGUAGES)
def test_other_languages(prompt: str, attributes: str) -> None:
    """A word that may mean a man alone is unsure, so that gender is left alone."""
    assert touched(prompt) == attributes


@pytest.mark.parametrize(
    ("text", "occupation", "language", "group"),
    [
        ("Ärztin", "doctor", "de", "woman"),
        ("Ärztinnen", "doctor", "de", "woman"),
        ("Arzt", "doctor", "de", ""),
        ("infirmière", "nurse", "fr", "woman"),
        ("une dentiste", "dentist", "fr", "woman"),
        ("médica", "doctor", "es", "woman"),
        ("女医生", "doctor", "zh", "woman"),
        ("消防士", "firefighter", "ja", ""),
        ("ممرضة", "nurse", "ar", "woman"),
        ("والطبيب", "doctor", "ar", ""),
        ("l'architecte", "architect", "fr", ""),
        ("jeweller", "jeweler", "en", ""),
        ("waitress", "waiter", "en", ""),
        ("ferryman", "ferryman", "en", "man"),
    ],
)
def test_what_a_phrase_means(text: str, occupation: str, language: str, group: str) -> None:
    entry = known()[phrase(text)]
    assert (entry.occupation, entry.language, entry.group) == (occupation, language, group)


def test_a_narrower_phrase_holds_a_rule_for_its_head() -> None:
    surgeon, bus_driver = Policy.from_sentence("surgeon: half women"), Policy.from_sentence("bus driver: half women")
    assert match(surgeon, "a heart surgeon").rule is not None
    assert match(bus_driver, "a school bus driver").rule is not None
    assert match(Policy.from_sentence("president: half women"), "a vice president").rule is None


def test_a_rule_for_an_english_word_holds_for_other_languages() -> None:
    doctor = Policy.from_sentence("doctor: skin tone uniform")
    for prompt in ("ein Arzt", "un médecin", "una médica", "un medico", "uma médica", "一位医生", "医師の写真", "طبيب"):
        assert match(doctor, prompt).rule is not None, prompt
        assert match(doctor, prompt.replace("医", "护")).rule is None or "医" not in prompt


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("docter", "doctor"),
        ("enginer", "engineer"),
        ("phamacist", "pharmacist"),
        ("offcer", "officer"),
        ("nurce", "nurse"),
        ("banker", None),
        ("painted", None),
        ("trainee", None),
        ("sargent", None),
        ("nurse", None),
        ("chej", None),
        ("purse", None),
        ("minor", None),
        ("gardenia", None),
    ],
)
def test_only_long_unknown_words_are_misspelt(word: str, meant: str | None) -> None:
    assert vocabulary.typo(word) == meant


def test_a_mention_says_what_it_was_read_as() -> None:
    (mention,) = mentions(words("a docter"), frozenset(), people=False)
    assert (mention.words, mention.read) == (("doctor",), "doctor")
    (mention,) = mentions(words("a police-offcer"), frozenset(), people=False)
    assert (mention.first, mention.words, mention.read) == (1, ("police", "officer"), "police officer")
    assert mentions(words("Pete Docter"), frozenset(), people=False) == []


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("nur\u00adse\u00a0at work", ["nurse", "at", "work"]),
        ("photo_of_a_nurse", ["photo", "of", "a", "nurse"]),
        ("nur\u200bse", ["nurse"]),
        ("ｎｕｒｓｅ", ["nurse"]),
        ("cafe\u0301", ["café"]),
        ("(nurse:1.2) <lora:nurse_v2:0.8>", ["nurse"]),
        ("一位医生的照片", ["一位", "医生", "的照片"]),
        ("コックピットのパイロット", ["コックピット", "の", "パイロット"]),
        ("وبالطبيب", ["طبيب"]),
        ("d'infirmier d'eau", ["infirmier", "d'eau"]),
        ("o'brien's", ["o'brien"]),
    ],
)
def test_words(text: str, normal: list[str]) -> None:
    found = words(text)
    assert [word.normal for word in found] == normal
    assert all(text[word.start : word.end] == word.text for word in found)


def test_words_of_a_prompt_count_as_joined_over_any_blank() -> None:
    assert all(word.joined for word in words("fire\u00a0fighter_at-work")[1:])


def test_shipped_vectors_are_those_of_the_model() -> None:
    names = list(dict.fromkeys([*lists()["occupations"], *PEOPLE, *THINGS]))
    assert list(_shipped()) == names
    chosen = names[::9]
    np.testing.assert_allclose([_shipped()[name] for name in chosen], embed(chosen), atol=1e-3)


def test_only_words_that_could_be_workers_are_looked_up() -> None:
    assert best(words("a misty lake with tall plaster walls, Fincher, bigger"), [], []) is None
    found = best(words("a photo of a hairstyler"), [], [])
    assert found is not None
    assert (found[0], found[2:]) == ("hairdresser", (4, 5))


def test_the_lists_are_sound() -> None:
    assert {"kenyan", "nigerian", "thai", "irish"} <= {" ".join(words) for words in vocabulary.demonyms()}
    assert ("polish",) in vocabulary.capital_demonyms() - vocabulary.demonyms()
    assert {("nigeria",), ("west", "africa"), ("usa",)} <= vocabulary.countries()
    assert vocabulary.first_names()["maria"] == "woman"
    assert vocabulary.first_names()["ahmed"] == "man"
    assert {("frida", "kahlo"), ("ford", "mustang"), ("visual", "studio", "code")} <= vocabulary.artists_and_brands()
    assert "salad" in vocabulary.things()
    assert "fire" in vocabulary.nouns() - vocabulary.things()
    for entry in vocabulary.occupations().values():
        assert entry.relation in {"name", "also", "kind", "gendered"}
        assert entry.group in {"", "woman", "man"}
        assert entry.relation == "gendered" or not entry.group
