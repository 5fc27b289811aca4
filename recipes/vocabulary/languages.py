"""Occupations in other languages: `translations.yaml`, and the lists of jobs of faker and mimesis.

In a language with grammatical gender a word may mean a man alone or anybody: "Arzt", "médico". Such a word is
"gendered" without a group: it is unsure what it states. Its feminine form states a woman. A word of one form
("dentiste") states nothing; `vocabulary.occupations` adds the articles that state something ("une dentiste").
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import mimesis
import yaml

from fair_diffusion.policy.words import Phrase, phrase

FAKER = {
    "de": ("de_DE", "de_AT"),
    "fr": ("fr_FR", "fr_CH", "fr_DZ"),
    "es": ("es",),
    "it": (),
    "pt": ("pt_PT", "pt_BR"),
    "zh": ("zh_CN", "zh_TW"),
    "ja": ("ja_JP",),
    "ar": ("ar_AA", "ar_DZ"),
}
LONGEST = 2
"""The most words of a job that is taken from the lists: longer ones are titles of a census."""
MASCULINE = {
    "de": re.compile(r".*(?:er|ist|eur|ör|oge|or|ent|ant|wirt|mann|beauftragte)$"),
    "fr": re.compile(r".*(?:eur|ier|ien|on|er|ant|ent|é|ois|ard|ateur|if|el|al|in|ef|ert)$"),
    "es": re.compile(r".*(?:o|os|or|ores|ón|án|ín|és|ero)$"),
    "it": re.compile(r".*(?:o|i|ore|iere|ieri|ori)$"),
    "pt": re.compile(r".*(?:o|os|or|ores|ão|ês)$"),
    "ar": re.compile(r".*[^ةت]$"),
}
"""Words that may mean a man alone."""
FEMININE = {
    "de": re.compile(r".*in(?:nen)?$"),
    "fr": re.compile(r".*(?:euse|ière|ienne|onne|trice|ée|ante|ente|oise|ive|elle|ale|ine)$"),
    "es": re.compile(r".*(?:ora|era|ona|ina|esa|ada|iva|triz)$"),
    "it": re.compile(r".*(?:trice|trici|iera|aia|essa|ata|ina|logna)$"),
    "pt": re.compile(r".*(?:ora|eira|ona|ina|esa|ada|iva|triz)$"),
    "ar": re.compile(r".*(?:ة|ات)$"),
}
NEUTER = frozenset(["médecin", "hebamme", "écrivain", "mannequin"])
"""Words that end like these and yet fit all."""
PERSON = {
    "zh": re.compile(
        r"[\u4e00-\u9fff]{1,6}"
        r"(?:师|師|士|员|員|工人|学者|學者|学家|學家|作家|画家|畫家|手|警|医生|醫生|司机|司機|教练|教練|律师|律師|技工|工匠|农|農)$"
    ),
    "ja": re.compile(
        r"[\u3040-\u30ff\u4e00-\u9fffー]{1,9}"
        r"(?:師|士|員|家|者|医|官|手|マン|デザイナー|エンジニア|ライター|プログラマー|アナリスト|"
        r"アナウンサー|コーチ|トレーナー|カメラマン|ディレクター|プロデューサー|シェフ|パイロット|モデラー|ナース|セラピスト|ドライバー|職人|教授|選手)$"
    ),
}


class Word(NamedTuple):
    """One phrase of another language.

    Attributes:
        words: the phrase.
        name: the English occupation, or the phrase itself if that is unknown.
        translated: whether `name` is English.
        group: the gender that the phrase states: "woman", "man", "" if none, "?" if it is unsure.
        language: such as "de".
    """

    words: Phrase
    name: str
    translated: bool
    group: str
    language: str


def words() -> Iterator[Word]:
    """Every phrase of every language; the first one of equal phrases counts."""
    for name, by_language in _translations().items():
        for language, text in by_language.items():
            for entry in text.split():
                for spelt, group in _forms(entry.replace("_", " "), language):
                    yield Word(phrase(spelt), name, True, group, language)
    for language in FAKER:
        for text in _listed(language):
            for spelt, group in _forms(text, language):
                if words := phrase(spelt):
                    yield Word(words, spelt.lower(), False, group, language)


def _translations() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_name("translations.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, str]] = yaml.safe_load(text)
    return data


def _forms(entry: str, language: str) -> Iterator[tuple[str, str]]:
    """Each form of an entry, with the group that it states."""
    masculine, slash, feminine = entry.partition("/")
    if slash:
        yield from _plurals(masculine.strip(), "?", language)
        yield from _plurals(feminine.strip(), "woman", language)
        return
    word, _, group = entry.partition("=")
    yield from _plurals(word, group or _group(word, language), language)


def _group(text: str, language: str) -> str:
    """The group that a job of a list states by its ending: the last word's in German, the first one's elsewhere."""
    word = text.lower().split()[-1 if language == "de" else 0]
    if language not in MASCULINE or word in NEUTER:
        return ""
    if FEMININE[language].fullmatch(word):
        return "woman"
    return "?" if MASCULINE[language].fullmatch(word) else ""


def _plurals(word: str, group: str, language: str) -> Iterator[tuple[str, str]]:
    """The word and its regular plural, where `words.singular` does not find that."""
    if not word.strip("-"):
        return
    yield word, group
    if " " in word:
        return
    if language == "de" and word.endswith(("ist", "ent", "ant")):
        yield f"{word}en", group
    elif language == "de" and word.endswith(("eur", "är")):
        yield f"{word}e", group
    elif language in {"es", "pt"} and word.endswith(("r", "n", "l", "z")):
        yield f"{word}es", group
    elif language == "it" and (word.endswith(("ista", "iata")) or (group == "?" and word[-1] in "oe")):
        yield f"{word[:-1]}i", group


def _listed(language: str) -> Iterable[str]:
    """The jobs of the lists that name one kind of worker, as "masculine/feminine" where both are given."""
    folder = Path(mimesis.__file__).parent / "datasets" / language / "person.json"
    jobs = list(json.loads(folder.read_text(encoding="utf-8"))["occupation"])
    for name in FAKER[language]:
        jobs += importlib.import_module(f"faker.providers.job.{name}").Provider.jobs
    return sorted({entry for job in jobs if (entry := _entry(job, language))})


def _entry(job: str, language: str) -> str | None:
    text = re.sub(r"\s*\(.*?\)", "", job).strip()
    if language == "de":
        if pair := re.fullmatch(r"([^\W\d]+) / ([^\W\d]+)", text):
            return f"{pair[1]}/{pair[2]}"
        if star := re.fullmatch(r"([^\W\d]{4,24})\*in", text):
            return f"{star[1]}/{star[1]}in"
        return text if re.fullmatch(r"[^\W\d]{5,}", text) and _group(text, "de") else None
    if language in PERSON:
        return text if PERSON[language].fullmatch(text) else None
    plain = re.fullmatch(r"[^\W\d]{3,}(?:[ '’-][^\W\d]{2,})*", text) and not re.search(r"[A-Z]{2}", text)
    return text if plain and len(text.split()) <= LONGEST else None
