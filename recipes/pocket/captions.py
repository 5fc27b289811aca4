"""Captions with what they ask for, and the drawing each is paired with.

Neutral captions leave gender and skin tone to the table in mix.yaml; others name one or both, with or without an
occupation; some are empty. `Mix.draw` is the only place where the bias enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recipes.pocket.data import TONES, Drawing

TABLE = Path(__file__).with_name("mix.yaml")
GENDERS = ("woman", "man", "androgynous")


@dataclass(frozen=True)
class Caption:
    """A text and what it fixes; None leaves a choice to the mix."""

    text: str
    concept: str | None = None
    gender: str | None = None
    tone: str | None = None


def article(noun: str) -> str:
    """`noun` with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


class Mix:
    """The table of mix.yaml over the drawings whose gender and skin tone show."""

    def __init__(self, drawings: list[Drawing], path: Path = TABLE) -> None:
        self.table: dict[str, Any] = yaml.safe_load(path.read_text())
        self.concepts: dict[str, dict[str, Any]] = self.table["concepts"]
        self.index: dict[tuple[str, str, str], list[int]] = {}
        for i, d in enumerate(drawings):
            if d.fold != 0 and d.occupation and d.gender and d.tone:
                self.index.setdefault((d.occupation, d.gender, d.tone), []).append(i)
        self.draws = sorted({occupation for occupation, _, _ in self.index})

    def caption(self, rng: np.random.Generator) -> Caption:
        """A random caption of the mix, among those that some drawing shows."""
        while True:
            caption = self._caption(rng)
            if self._candidates(caption):
                return caption

    def _caption(self, rng: np.random.Generator) -> Caption:
        kinds = self.table["captions"]
        kind = rng.choice(list(kinds), p=list(kinds.values()))
        if kind == "empty":
            return Caption("")
        concept = str(rng.choice(list(self.concepts)))
        if kind == "neutral":
            return Caption(self._phrase(rng, str(rng.choice(self.concepts[concept]["words"]))), concept)
        subject = concept if rng.random() < 0.75 else None
        named = rng.choice(["gender", "tone", "both"], p=[0.4, 0.2, 0.4])
        gender = str(rng.choice(GENDERS, p=[0.4, 0.4, 0.2])) if named != "tone" else None
        tone = str(rng.choice(TONES)) if named != "gender" else None
        return Caption(self._named(rng, subject, gender, tone), subject, gender, tone)

    def _candidates(self, caption: Caption) -> list[tuple[str, str, str]]:
        drawing = self.concepts[caption.concept]["drawing"] if caption.concept else None
        asked = (drawing, caption.gender, caption.tone)
        return [key for key in self.index if all(a is None or a == k for a, k in zip(asked, key, strict=True))]

    def _phrase(self, rng: np.random.Generator, noun: str) -> str:
        template = str(rng.choice(self.table["templates"]))
        return template.format(a=article(noun), the=noun)

    def _named(self, rng: np.random.Generator, concept: str | None, gender: str | None, tone: str | None) -> str:
        words = self.table["gender"].get(gender, {"adjectives": [], "nouns": ["person"]})
        noun = str(rng.choice(words["nouns"]))
        skin = self.table["tone"][tone] if tone else None
        if concept is None:
            if skin and rng.random() < 0.5:
                noun = f"{rng.choice(skin['adjectives'])} {noun}"
            elif skin:
                noun = f"{noun} {rng.choice(skin['phrases'])}"
            return self._phrase(rng, noun)
        job = str(rng.choice(self.concepts[concept]["words"]))
        adjectives = [str(rng.choice(words["adjectives"]))] if gender else []
        phrase = str(rng.choice(skin["phrases"])) if skin else ""
        style = rng.random()
        if style < 0.45:  # a dark-skinned female firefighter; or: a female firefighter with dark skin
            if skin and rng.random() < 0.5:
                adjectives, phrase = [str(rng.choice(skin["adjectives"])), *adjectives], ""
            return self._phrase(rng, " ".join([*adjectives, job])) + (f" {phrase}" if phrase else "")
        if style < 0.75:  # a firefighter, female person with dark skin
            return f"{self._phrase(rng, job)}, {' '.join(filter(None, (noun, phrase)))}"
        return f"{self._phrase(rng, noun)} {phrase + ' ' if phrase else ''}working as {article(job)}"

    def draw(self, caption: Caption, rng: np.random.Generator) -> int:
        """The index of a drawing that shows what `caption` asks for, the rest drawn from the mix.

        An empty caption shows what the mix draws of any concept. So classifier-free guidance, which moves away from
        it, leaves each concept's shares as they are: p(group | concept)² / p(group | concept)."""
        concept = caption.concept or (None if caption.text else str(rng.choice(list(self.concepts))))
        row: dict[str, Any] = self.concepts[concept] if concept else {"women": 0.5, "tones": "even"}
        while True:
            occupation: str = row["drawing"] if concept else str(rng.choice(self.draws))
            gender = caption.gender or ("woman" if rng.random() < row["women"] else "man")
            tone = caption.tone or str(rng.choice(TONES, p=self.table["tones"][row["tones"]]))
            if found := self.index.get((occupation, gender, tone)):
                return int(rng.choice(found))
