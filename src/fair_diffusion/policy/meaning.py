"""Which occupation some words of a prompt mean, by the cosine of sentence embeddings.

Words count only if they are nearer to words for people than to words for things. "Court" and "hospital" are nearer to
judge and doctor than many words for people are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.words import Word

# The threshold favours restraint: of 142 words for things none is taken for a person, of 76 for people 17 are found.
NEAR = 0.58
PEOPLE = ("person who works", "worker", "professional", "tradesman")
THINGS = (
    *("object", "place", "animal", "thing", "building", "workplace", "office", "shop"),
    *("equipment", "activity", "tool", "vehicle", "vessel"),
)
_LONGEST = 3
_MOST = 120
"""The limit of phrases looked up in one prompt: about its first forty words, in a second."""


def nearest(
    text: Sequence[Word], concepts: Sequence[str], taken: Collection[int]
) -> tuple[str, float, int, int] | None:
    """The known occupation, or one of `concepts`, that some words of `text` mean; None if none is near enough.

    Args:
        text: the words of a prompt; only the first `_MOST` phrases are looked up.
        concepts: further concepts beside the known occupations.
        taken: the places of words with a known meaning, which are left out.

    Returns:
        The concept, the cosine, and the place of the words: (concept, cosine, first, past last).
    """
    from fair_diffusion.policy.minilm import embed

    frame = lists()["frame"]
    spans = [
        (first, stop)
        for first in range(len(text))
        for stop in range(first + 1, min(first + _LONGEST, len(text)) + 1)
        if not any(i in taken or (text[i].normal,) in frame for i in range(first, stop))
        and all(word.joined for word in text[first + 1 : stop])
    ]
    texts = [" ".join(word.text.lower() for word in text[first:stop]) for first, stop in spans]
    place = {phrase: spans[i] for i, phrase in reversed(list(enumerate(texts)))}
    looked_up = list(dict.fromkeys(texts))[:_MOST]
    if not looked_up:
        return None
    names = list(dict.fromkeys([*lists()["occupations"], *concepts]))
    meant = embed(looked_up)
    scores = meant @ embed(names).T
    human = (meant @ embed(PEOPLE).T).max(axis=1) > (meant @ embed(THINGS).T).max(axis=1)
    scores[~human] = -1
    row, column = divmod(int(scores.argmax()), len(names))
    score = float(scores[row, column])
    return (names[column], score, *place[looked_up[row]]) if score >= NEAR else None
