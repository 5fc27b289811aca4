"""Which occupation some words of a prompt mean, by the cosine of sentence embeddings.

Only an unknown word that could be a word for a worker is looked up ("tiktoker"), alone and with the words before it.
It counts only if it is nearer to words for people than to words for things: "court" and "hospital" are nearer to judge
and doctor than many words for people are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.words import Word

if TYPE_CHECKING:
    from fair_diffusion.policy.minilm import Array

# The threshold favours restraint: of 142 words for things none is taken for a person, of 76 for people 17 are found.
NEAR = 0.58
PEOPLE = ("person who works", "worker", "professional", "tradesman")
THINGS = (
    *("object", "place", "animal", "thing", "building", "workplace", "office", "shop"),
    *("equipment", "activity", "tool", "vehicle", "vessel"),
)
SHIPPED = "meanings.safetensors"
LIKE_A_WORKER = re.compile(r".*(?:er|or|ist|ician|arian|person|eur|ant|ent|eer|ee|smith)")
"""Endings of words for a worker. Those that state a gender ("-ess") are none: an unknown word with one stays silent."""
_SHORTEST, _LONGEST = 5, 2
_MOST = 2
"""The limit of phrases looked up in one prompt: each takes some fifteen milliseconds."""


def best(
    text: Sequence[Word], concepts: Sequence[str], taken: Collection[int], *, ahead: bool = True
) -> tuple[str, float, int, int] | None:
    """The known occupation, or one of `concepts`, that is nearest to some words of `text`, however near it is.

    Args:
        text: the words of a prompt.
        concepts: further concepts beside the known occupations.
        taken: the places of words with a known meaning, which are left out.
        ahead: whether the first call loads the model even if it is not needed, so that no later prompt waits for it.

    Returns:
        The concept, the cosine, and the place of the words: (concept, cosine, first, past last). None if no word could
        be one for a worker. The match counts from a cosine of `NEAR` on.
    """
    names = list(dict.fromkeys([*lists()["occupations"], *concepts]))
    if ahead:
        from fair_diffusion.policy import minilm

        minilm.load()
        for name in names:
            _meaning(name)
    places: dict[str, tuple[int, int]] = {}
    for last in range(len(text)):
        if last in taken or not _could_be_a_worker(text, last):
            continue
        for first in range(last, max(last - _LONGEST, -1), -1):
            if first in taken or (text[first].normal,) in lists()["frame"]:
                break
            places.setdefault(" ".join(w.text.lower() for w in text[first : last + 1]), (first, last + 1))
            if not text[first].joined:
                break
        if len(places) >= _MOST:
            break
    if not places:
        return None
    import numpy as np

    looked_up = list(places)[:_MOST]
    meant = np.stack([_meaning(phrase) for phrase in looked_up])
    scores = meant @ np.stack([_meaning(name) for name in names]).T
    people, things = (np.stack([_meaning(name) for name in group]) for group in (PEOPLE, THINGS))
    scores[(meant @ people.T).max(axis=1) <= (meant @ things.T).max(axis=1)] = -1
    row, column = divmod(int(scores.argmax()), len(names))
    return names[column], float(scores[row, column]), *places[looked_up[row]]


def nearest_occupation(phrase: str) -> tuple[str, float, float]:
    """The occupation that is nearest to `phrase`, the cosine, and how much nearer a thing is than a person."""
    names, meant = list(lists()["occupations"]), _meaning(phrase)
    scores = [float(meant @ _meaning(name)) for name in names]
    person, thing = (max(float(meant @ _meaning(name)) for name in group) for group in (PEOPLE, THINGS))
    return names[scores.index(max(scores))], max(scores), thing - person


def _could_be_a_worker(text: Sequence[Word], at: int) -> bool:
    """Whether an unknown word ends like a word for a worker, and is written like no name."""
    word = text[at]
    if len(word.normal) < _SHORTEST or not LIKE_A_WORKER.fullmatch(word.normal) or word.possessive:
        return False
    name = at > 0 and word.text[0].isupper() and text[at - 1].text[0].islower()
    return not name and word.normal not in vocabulary.ordinary()


@lru_cache(maxsize=4096)
def _meaning(phrase: str) -> Array:
    """The unit vector of `phrase`, (384,), float32."""
    from fair_diffusion.policy.minilm import embed

    shipped = _shipped().get(phrase)
    vector: Array = embed([phrase])[0] if shipped is None else shipped
    return vector


@cache
def _shipped() -> dict[str, Array]:
    """The shipped vectors of the known occupations and of `PEOPLE` and `THINGS`; none if another model made them."""
    from safetensors import safe_open

    from fair_diffusion.policy.minilm import SHA256

    data = resources.files("fair_diffusion.policy").joinpath("lists", SHIPPED)
    with resources.as_file(data) as path, safe_open(path, framework="numpy") as file:
        told = file.metadata() or {}
        vectors = file.get_tensor("lows") + file.get_tensor("steps") * file.get_tensor("vectors")
    if told.get("model") != SHA256:
        return {}
    return dict(zip(json.loads(told["phrases"]), vectors, strict=True))
