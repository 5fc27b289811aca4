"""The recipe of the vocabulary, on a WordNet of five words."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.vocabulary.english import nouns
from recipes.vocabulary.languages import _entry, _forms
from recipes.vocabulary.wordnet import PERSON, WordNet

NOUNS = """\
  1 a line of the licence
00000001 18 n 01 person 0 000 | a human being
00000002 18 n 02 worker 0 Working_Man 0 001 @ 00000001 n 0000 | a person who works
00000003 18 n 01 smith 0 001 @ 00000002 n 0000 | one who works metal
00000004 18 n 01 Weyland 0 001 @i 00000003 n 0000 | a smith of legend
00000005 06 n 01 jar 0 000 | a vessel with a wide mouth
"""
SENSES = """\
person n 1 0 1 3 00000001
smith n 1 1 @ 1 0 00000003
weyland n 1 1 @i 1 0 00000004
worker n 1 1 @ 1 1 00000002
working_man n 1 1 @ 1 0 00000002
jar n 1 0 1 1 00000005
"""


@pytest.fixture
def wordnet(tmp_path: Path) -> WordNet:
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(NOUNS if part == "noun" else "")
        (tmp_path / f"index.{part}").write_text(SENSES if part == "noun" else "")
    (tmp_path / "cntlist.rev").write_text("person%1:18:00:: 1 7\njar%1:06:00:: 1 4\njar%2:35:00:: 1 1\n")
    return WordNet(tmp_path)


def test_wordnet_is_read(wordnet: WordNet) -> None:
    worker = wordnet.synsets("n")[2]
    assert worker.lemmas == ("worker", "Working Man")
    assert (worker.file, worker.above, worker.instance) == (PERSON, (1,), False)
    assert wordnet.synsets("n")[4].instance
    assert wordnet.below("worker") == {2, 3, 4}
    assert wordnet.senses["n"]["working man"] == (2,)
    assert (wordnet.uses["jar", "n"], wordnet.uses["jar", "v"]) == (4, 1)
    assert wordnet.common == {"person", "worker", "smith", "jar"}
    assert nouns(wordnet) == (["jar"], ["person"])


@pytest.mark.parametrize(
    ("job", "language", "forms"),
    [
        ("Polizist*in", "de", [("Polizist", "?"), ("Polizisten", "?"), ("Polizistin", "woman")]),
        ("Arzt / Ärztin", "de", [("Arzt", "?"), ("Ärztin", "woman")]),
        ("Hochbau", "de", []),
        ("Dentiste", "fr", [("Dentiste", "")]),
        ("Coiffeuse", "fr", [("Coiffeuse", "woman")]),
        ("Cantante", "es", [("Cantante", "")]),
        ("Escritor", "es", [("Escritor", "?"), ("Escritores", "?")]),
        ("Giardiniere", "it", [("Giardiniere", "?"), ("Giardinieri", "?")]),
        ("计算机软件", "zh", []),
        ("网络工程师", "zh", [("网络工程师", "")]),
    ],
)
def test_jobs_of_other_languages(job: str, language: str, forms: list[tuple[str, str]]) -> None:
    entry = _entry(job, language)
    assert (list(_forms(entry, language)) if entry else []) == forms
