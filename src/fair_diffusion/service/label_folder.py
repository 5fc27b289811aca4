"""Labels of pictures that lie in a folder of this machine: a database beside it, in which every picture is known by its
content.

The same pictures give the same set again, so labelling goes on where it ended, whatever the files are called now.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select

from fair_diffusion.files.guarded import InnerFile, RefusedFile, content
from fair_diffusion.files.picture_kinds import START, kind_of_picture
from fair_diffusion.files.pictures import MAX_BYTES, BrokenPicture, open_picture
from fair_diffusion.files.text import printable
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.policy import Attribute
from fair_diffusion.policy.defined_as import defined_as
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images, Picture
from fair_diffusion.service.keys import OPERATOR, Key, Keys
from fair_diffusion.service.label_sets import LabelSet, LabelSets, NewPicture, newest_sets
from fair_diffusion.service.label_table import write_sets
from fair_diffusion.service.tables import label_holds, label_pictures

DATABASE, IMAGES = "service.sqlite", ".images"
"""The hidden folder is passed over by an audit of the folder above, which would count its pictures again."""
SHOWN = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Kinds of pictures that browsers show; others are stored as PNG."""
TOGETHER = 64
"""Pictures that are stored at once."""

Listed = tuple[InnerFile, str, str, str | None, float | None]
"""A picture with its concept, source, reading and confidence."""


@dataclass(frozen=True)
class Registered:
    """What came of registering pictures.

    Attributes:
        label_set: the set, new or that of the last time.
        notes: what was left out.
    """

    label_set: LabelSet
    notes: list[str]


class LabelFolder:
    """The folder of labels beside pictures.

    Args:
        place: the folder, which is made.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._place, self.images_place = place, place / IMAGES

    def register(self, attribute: Attribute, pictures: Sequence[Listed], name: str) -> Registered:
        """Store pictures by their content and make a set of them, or find the set of the same pictures.

        Args:
            attribute: what raters are asked.
            pictures: of the set.
            name: of the folder.

        Raises:
            ValueError: none of them can be opened.
        """
        notes: list[str] = []
        with self._opened() as database:
            images = Images(database, self.images_place)
            new = [each for part in _parts(pictures) for each in _stored(images, part, notes)]
            if not new:
                raise ValueError(f"none of the pictures can be opened; {notes[0] if notes else 'there is none'}")
            if twice := len(new) - len({each.image for each in new}):
                notes.append(f"{twice} files hold the same picture as another one; each picture is asked once")
            sets = LabelSets(database, images)
            return Registered(
                self._same(database, sets, attribute, new) or self._made(sets, attribute, new, name), notes
            )

    def _made(self, sets: LabelSets, attribute: Attribute, new: Sequence[NewPicture], name: str) -> LabelSet:
        return sets.add(f"{printable(name)[:100]}: {attribute.label}", attribute, new)

    def _same(
        self, database: Database, sets: LabelSets, attribute: Attribute, new: Sequence[NewPicture]
    ) -> LabelSet | None:
        """The set of the same pictures, definition and guideline, if there is one."""
        from fair_diffusion.policy.guideline import guideline_of

        wanted, version = {each.image for each in new}, guideline_of(attribute).version
        for each in sets.all():
            if (each.attribute, each.guideline) != (attribute.name, version):
                continue
            if each.definition not in (None, defined_as(attribute)):
                continue
            ours = select(label_pictures.c.image).where(label_pictures.c.label_set == each.id)
            with database.reading() as connection:
                same = set(connection.scalars(ours)) == wanted
            if same:
                with database.writing() as connection:  # what an earlier start gave out, nobody looks at any more
                    connection.execute(delete(label_holds).where(label_holds.c.label_set == each.id))
                return each
        return None

    def rater(self, name: str) -> Key:
        """The key of a rater, by the pseudonym. `ValueError` if it is none."""
        with self._opened() as database:
            keys = Keys(database)
            known = [key for key in keys.all() if key.name == name and key.revoked is None]
            return known[0] if known else keys.add(name, role=OPERATOR)[1]

    def write_table(self, label_set: LabelSet, path: Path) -> int:
        """Write the labels to a table, whole or not at all. Returns how many there are.

        Those of other attributes stand in it, too, from the newest set of each."""
        with self._opened() as database:
            names = {key.id: key.name for key in Keys(database).all()}
            newest = {each.attribute: each for each in reversed(newest_sets(database))}
            sets = newest | {label_set.attribute: label_set}
            with whole_file(path) as part:
                return write_sets(database, [*sets.values()], part, names=names)

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        with closing(Database(self._place / DATABASE)) as database:
            yield database


def _parts(pictures: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    return (pictures[k : k + TOGETHER] for k in range(0, len(pictures), TOGETHER))


def _stored(images: Images, part: Sequence[Listed], notes: list[str]) -> Iterator[NewPicture]:
    """Store some pictures. Those that cannot be opened are noted, and the others count."""
    read: list[tuple[Listed, Picture]] = []
    for listed in part:
        try:
            read.append((listed, _picture(listed[0])))
        except (OSError, RefusedFile, BrokenPicture) as error:
            notes.append(f"{printable(listed[0].path)} was left out: {printable(str(error))}")
    hashes = images.put_all([picture for _, picture in read])
    for ((file, concept, source, reading, confidence), _), digest in zip(read, hashes, strict=True):
        told = {"concept": concept, "source": source}
        yield NewPicture(image=digest, file=file.path, reading=reading, confidence=confidence, **told)


def _picture(file: InnerFile) -> Picture:
    """The file as it is, if browsers show its kind; else as PNG. It is opened, so that no rater meets a broken one."""
    data = content(file, MAX_BYTES)
    opened = open_picture(data, file.path)
    media = SHOWN.get(kind_of_picture(data[:START]) or "")
    if media is not None:
        return Picture(data, media=media)
    out = io.BytesIO()
    opened.save(out, "PNG")
    return Picture(out.getvalue())
