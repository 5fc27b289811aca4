"""The parts of a suite: which of them are still to be drawn, whoever draws them.

A part is the images of one concept that are drawn and saved together, in a folder of their own below the work folder.
Without `until`, all parts may be drawn at once. With it, the parts of a concept follow each other, and the concept ends
as soon as all its intervals are narrow enough; the intervals hold under such stopping (`stopping.enough`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.files.new_folder import check_empty
from fair_diffusion.files.schema import EXACT, Count, DamagedFile, read_json
from fair_diffusion.runs.format import FORMAT, RESULT
from fair_diffusion.runs.label_counts import LabelCounts, label_counts
from fair_diffusion.runs.records import run_at
from fair_diffusion.runs.work import slug
from fair_diffusion.statistics.stopping import enough

PART = 50
"""Images of one part. An interrupt loses the parts that share a batch, and the precision is checked after each part."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part that is to be drawn.

    Attributes:
        name: of its folder below the work folder.
        concept: the occupation.
        place: its place among all occupations.
        first: the number of its first image among those of the concept.
        n: how many images.
    """

    name: str
    concept: str
    place: int
    first: int
    n: int


@dataclass(eq=False)
class _Concept:
    """One concept of a suite.

    Attributes:
        name: the occupation.
        place: its place among all occupations.
        done: images that lie in the work folder or are being drawn.
        counts: labels that were counted, by attribute.
        settled: whether all intervals are narrow enough.
    """

    name: str
    place: int
    done: int = 0
    counts: dict[str, Counter[str | None]] = field(default_factory=dict)
    settled: bool = False


class Parts:
    """The parts that a work folder lacks, and when a concept needs no more of them.

        while parts.waiting:
            for part in parts.missing():
                ...                     # draw it, in any order
                parts.arrived(part)     # may let further parts wait

    Args:
        concepts: the occupations.
        work: the work folder.
        images: how many images each concept gets; with `until`, the most it gets.
        until: a concept ends once every interval is at most ± this wide, as a share.
        attributes: the attributes whose intervals count; all if None.
    """

    def __init__(
        self,
        concepts: Sequence[str],
        work: Path,
        *,
        images: int,
        until: float | None = None,
        attributes: list[str] | None = None,
    ) -> None:
        self._work, self._images, self._until, self._attributes = work, images, until, attributes
        self._concepts = [_Concept(name, place) for place, name in enumerate(concepts)]
        self._waiting = deque(self._concepts)
        self.there = 0
        """Images that lie in the work folder, of the concepts that were looked at."""

    @property
    def waiting(self) -> bool:
        """Whether `missing` may have parts that were not given out."""
        return bool(self._waiting)

    @property
    def whole(self) -> int:
        """All images that there will be, as far as it is known: a concept that is settled gets no more."""
        return sum(each.done if each.settled else self._images for each in self._concepts)

    @property
    def uncertain(self) -> list[str]:
        """The concepts whose intervals stayed too wide; empty without `until`."""
        return [each.name for each in self._concepts if self._until is not None and not each.settled]

    def missing(self) -> Iterator[Part]:
        """The parts that can be drawn now and that the work folder lacks, each given out once.

        Raises:
            ValueError: a part is damaged, or in its place lies something else.
        """
        while self._waiting:
            concept = self._waiting.popleft()
            if (name := self._next(concept)) is None:
                continue
            size = min(PART, self._images - concept.done)
            part = Part(name=name, concept=concept.name, place=concept.place, first=concept.done, n=size)
            concept.done += size
            if self._until is None:
                self._waiting.appendleft(concept)
            yield part

    def arrived(self, part: Part) -> None:
        """Note that a part lies in the work folder."""
        self.there += part.n
        if self._until is not None:
            concept = self._concepts[part.place]
            self._count(concept, part.name)
            self._waiting.append(concept)

    def _next(self, concept: _Concept) -> str | None:
        """The name of the next part that is not there, after those that are; None if the concept has all."""
        while concept.done < self._images and not concept.settled:
            name = f"{concept_slug(concept.name)}-{concept.done:05d}"
            part = self._work / name
            if not (part / RESULT).is_file():
                check_empty(part)  # what somebody else has put there is not removed
                return name
            self._count(concept, name)
            size = _size(part)
            concept.done += size
            self.there += size
        return None

    def _count(self, concept: _Concept, name: str) -> None:
        """Count what a part shows, if precision decides."""
        if self._until is None:
            return
        _add(concept.counts, label_counts(run_at(self._work / name), self._attributes))
        concept.settled = all(_precise(shown, self._until) for shown in concept.counts.values())


def check_parts(work: Path, concepts: Sequence[str], images: int) -> None:
    """Refuse a work folder with more concepts or images than are asked for, because an audit reads all of them.

    Raises:
        ValueError: the folder holds too much, or one of its parts is damaged.
    """
    slugs = {concept_slug(concept): concept for concept in concepts}
    for part in sorted(path.parent for path in work.glob(f"[!.]*/{RESULT}")):  # hidden: what a killed process left
        slug, _, first = part.name.rpartition("-")
        if slug not in slugs:
            raise ValueError(f"{part} is of an occupation that is not asked for; ask for it too or name another --work")
        most = int(first) + _size(part) if first.isdecimal() else 0
        if most > images:
            raise ValueError(
                f"{work} holds {most} images of {slugs[slug]!r}, and {images} are asked for; "
                f"ask for {most} or more, or name another --work"
            )


def concept_slug(concept: str) -> str:
    """A readable file name for a concept; the hash makes it different for every concept."""
    return f"{slug(concept)}-{hashlib.sha256(concept.encode()).hexdigest()[:6]}"


class _Drawn(TypedDict):
    """Of the result.json of a part, how many images it has."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    n: Count


_DRAWN: TypeAdapter[_Drawn] = TypeAdapter(_Drawn)


def _size(part: Path) -> int:
    """The number of images of a finished part."""
    try:
        return read_json(part / RESULT, _DRAWN, FORMAT)["n"]
    except DamagedFile as error:
        raise DamagedFile(f"{part} is damaged; remove it, and it is drawn anew ({error})") from error


def _add(counts: dict[str, Counter[str | None]], more: LabelCounts) -> None:
    """Add the counts of one part to those of its concept. Groups that count zero are kept."""
    for attribute, shown in more.items():
        counts.setdefault(attribute, Counter()).update(shown)


def _precise(shown: Mapping[str | None, int], until: float) -> bool:
    """Whether the intervals of all groups of one attribute are narrow enough."""
    return enough([count for group, count in shown.items() if group], sum(shown.values()), until)
