"""Read pictures with a perceiver, in batches: never all are in memory, and a broken picture stops nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.audit.study import Sample
from fair_diffusion.files.guarded import Readable
from fair_diffusion.files.picture_batches import picture_batches
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import OCCUPATION, Perceiver, Reading, occupations, people
from fair_diffusion.readers.fidelity import Fidelity
from fair_diffusion.readers.image_rows import ImageRows

SAMPLES = 24
"""Pictures of each source that a report shows."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a target, not yet opened.

    Attributes:
        name: its name within the target.
        source: the source that it belongs to.
        concept: what it is about.
        data: its file, or the bytes of the file.
        seed: the seed that made it, if that is known.
        phrasing: the words that asked for it, if they are known.
        steered: whether it was steered, if that is known.
    """

    name: str
    source: str
    concept: str
    data: Readable | bytes
    seed: int | None = None
    phrasing: str | None = None
    steered: bool | None = None


@dataclass
class Perceived:
    """The pictures that were read.

    Attributes:
        rows: one row per person that counts; most pictures have one.
        fidelity: how many pictures show the occupation that was asked for, if the perceiver reads occupations.
        pictures: how many pictures could be opened.
        samples: a random sample of the rows, as the number of the row and its picture.
        broken: a line for each picture that could not be opened.
    """

    rows: ImageRows
    fidelity: Fidelity
    pictures: int = 0
    samples: list[tuple[int, Picture]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """A note if some pictures count several times."""
        if len(self.rows) == self.pictures:
            return []
        return [
            f"{len(self.rows)} people in {self.pictures} pictures, each counted: those in one picture are not "
            "independent, so intervals are narrower than they should be"
        ]


def name_of(perceiver: Perceiver) -> str:
    """The name of a perceiver that was given without one: what it calls itself, else the name of its class."""
    return str(getattr(perceiver, "name", None) or type(perceiver).__name__)


def perceive(
    pictures: Iterable[Picture],
    perceiver: Perceiver,
    *,
    total: int | None = None,
    by: str = "the perceiver",
    progress: Progress = silent,
    seed: int = 0,
) -> Perceived:
    """Read pictures, and draw `SAMPLES` of each source at random, each row with the same probability.

    The sample is a reservoir, which needs one pass and no count (Vitter 1985, ACM Transactions on Mathematical Software
    11(1)).

    Args:
        pictures: what to read; it may be a stream.
        perceiver: reads the pictures.
        total: the number of pictures, for `progress`; None if it is not known.
        by: the perceiver's name in the study.
        progress: called after each batch.
        seed: of the sample.
    """
    attributes = [name for name in perceiver.groups if name != OCCUPATION]
    fidelity = Fidelity(occupations(perceiver), by=by)
    read = Perceived(ImageRows({name: perceiver.groups[name] for name in attributes}), fidelity)
    reservoirs: dict[str, list[tuple[int, Picture]]] = {}
    seen: dict[str, int] = {}
    draw = random.Random(seed)
    for batch in picture_batches(pictures, lambda picture: picture.data, lambda picture: picture.name):
        read.broken += [printable(f"{picture.name}: {error}") for picture, error in batch.broken]
        read.pictures += len(batch.opened)
        shown = people(perceiver, [image for _, image in batch.opened])
        for picture, name, person in _seen([picture for picture, _ in batch.opened], shown):
            read.rows.add(
                name,
                picture.source,
                picture.concept,
                {name: person[name].label for name in attributes},
                {name: person[name].confidence for name in attributes},
                picture.seed,
                picture.phrasing,
                picture.steered,
            )
            if OCCUPATION in person:
                fidelity.add(picture.source, picture.concept, person[OCCUPATION].label)
            seen[picture.source] = seen.get(picture.source, 0) + 1
            reservoir = reservoirs.setdefault(picture.source, [])
            place = draw.randrange(seen[picture.source])
            if len(reservoir) < SAMPLES:
                reservoir.append((len(read.rows) - 1, picture))
            elif place < SAMPLES:
                reservoir[place] = (len(read.rows) - 1, picture)
        progress(batch.done, total)
    read.samples = [sample for reservoir in reservoirs.values() for sample in reservoir]
    return read


def _seen(
    pictures: Iterable[Picture], people: Iterable[Sequence[Mapping[str, Reading]]]
) -> Iterator[tuple[Picture, str, Mapping[str, Reading]]]:
    """Yield each person that counts with the picture and a name: the second person of a picture has a number in it."""
    for picture, shown in zip(pictures, people, strict=True):
        for number, person in enumerate(shown, start=1):
            yield picture, printable(picture.name) + (f", person {number}" if number > 1 else ""), person


def samples_of(read: Perceived, scratch: Path) -> list[Sample]:
    """The samples as a study holds them. Pictures that came as bytes are written to `scratch` first."""
    samples = []
    for number, (row, picture) in enumerate(read.samples):
        image = picture.data
        if isinstance(image, bytes):
            path = scratch / f"sample-{number:03d}.png"
            open_picture(image, picture.name).save(path)
            image = path
        samples.append(read.rows.sample(row, image))
    return samples


def drawn(samples: Sequence[Sample], total: int) -> str:
    """How the samples were drawn, in words."""
    return f"{len(samples)} of {total} images, drawn at random, up to {SAMPLES} of each source" if samples else ""
