"""The concept of each picture of a folder: by the folder that it lies in, its own prompt, or its name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.files.text import printable
from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.names import (
    UNNAMED,
    concept_of_caption,
    concept_of_file,
    concept_of_folder,
    without_number,
)
from fair_diffusion.readers.own_prompts import CAPTION_ENDINGS, own_prompt, prompts_beside
from fair_diffusion.readers.spellings import Spellings

FEW = 5
"""So many names tell nothing if they are nearly all different; fewer may be what they say."""
DIFFERENT = 0.8
"""Names are nearly all different if there are so many concepts per picture."""


class Named:
    """The concepts of the pictures of one folder, as they are asked for.

    Attributes:
        used: the files that tell prompts.
    """

    def __init__(self, folder: Path) -> None:
        self.spellings = Spellings()
        self.numbered: dict[str, str] = {}
        self.table, self.used = prompts_beside(folder)
        self.tables = sorted(self.used)
        self.prompted: dict[str, str] = {}
        self.called: dict[str, str] = {}
        self.foldered: dict[str, str] = {}

    def about(self, file: InnerFile) -> tuple[str, str]:
        """Concept and source of a picture; "" for the source that is the folder itself."""
        *folders, name = PurePosixPath(file.path).parts
        telling = [folder for folder in folders if concept_of_folder(folder) != UNNAMED]
        source = telling[-2] if len(telling) > 1 else ""
        self.used.update(PurePosixPath(file.path).with_suffix(ending).as_posix() for ending in CAPTION_ENDINGS)
        if telling:
            self.foldered[file.path] = self._one(concept_of_folder(telling[-1]))
            return self.foldered[file.path], source
        if text := self.table.get(file.path) or own_prompt(file):
            self.prompted[file.path] = concept_of_caption(text)
            return self.prompted[file.path], source
        self.called[file.path] = self._one(concept_of_file(name))
        return self.called[file.path], source

    def _one(self, concept: str) -> str:
        """The first spelling of a concept. Capitals, plurals, hyphens and an occupation's number do not matter."""
        plain = without_number(concept)
        if plain != concept:
            self.numbered[concept] = plain
        return self.spellings.one(plain)

    @property
    def nameless(self) -> set[str]:
        """The pictures whose names, prompts or folders are nearly all different, as with a folder for each person."""
        told_by = (self.prompted, self.called, self.foldered)
        return {file for told in told_by if _differ(told) for file in told}

    def notes(self) -> list[str]:
        """What was read of the concepts."""
        notes = []
        if self.table and not self.table.keys() & self.prompted.keys():
            notes.append(
                f"no prompt in {printable(self.tables[0])} is used: it names {printable(next(iter(self.table)))[:60]}; "
                "pictures in folders of their own are called after these"
            )
        if self.prompted:
            notes.append(f"the prompts of {len(self.prompted):,} pictures, in them or beside them, tell their concepts")
        unnamed = {file for file, concept in self.called.items() if concept == UNNAMED} | self.nameless
        if unnamed:
            notes.append(
                f"the names of {len(unnamed):,} pictures tell nothing, or are nearly all different, so they are one "
                f"concept ({UNNAMED}); sub-folders or a table file,concept would tell more"
            )
        notes += self.spellings.notes("concepts")
        if self.numbered:
            first = next(iter(self.numbered))
            notes.append(
                f"numbers behind the names of occupations were left out: {len(self.numbered)}, such as {first!r} as "
                f"{self.numbered[first]!r}; a table file,concept would keep them apart"
            )
        return notes


def _differ(told: dict[str, str]) -> bool:
    concepts = set(told.values()) - {UNNAMED}
    many = len(told) >= FEW and len(concepts) >= DIFFERENT * len(told)
    return many and sum(phrase(concept) in known() for concept in concepts) * 2 < len(concepts)
