"""What a service has of one key: all of it as an archive, or deleted.

These are its jobs with prompts, events and results, its images, pictures that it sent, and labels: those that it gave
as a rater, and those of its images. The key itself and the trail of changes stay; so do the counts of streams, which
say nothing of a person: they are numbers of images by group.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import IO, Any

from sqlalchemy import ColumnElement, Row, delete, exists, or_, select

from fair_diffusion.service.database import Database
from fair_diffusion.service.images import MEDIA, Images
from fair_diffusion.service.job import QUEUED, RUNNING
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.keys import Key
from fair_diffusion.service.tables import consents, events, images, jobs, label_holds, label_pictures, labels
from fair_diffusion.service.trail import COMMAND_LINE, changes, note
from fair_diffusion.service.uploads import owner

ERASED = "data erased"
"""What the trail says of a key whose data were deleted."""


@dataclass(frozen=True)
class Had:
    """How much a key has, or had."""

    jobs: int
    images: int
    labels: int


class RunningError(ValueError):
    """Something of the key is still drawn, so that it would come back."""


class RecentError(ValueError):
    """What the key asked for in the last minute counts for its limit of images per minute.

    Attributes:
        seconds: after which none of it counts.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the images of the last minute count for this key's limit; try again in {ceil(seconds)} seconds, or ask "
            "an operator"
        )
        self.seconds = seconds


class KeyData:
    """The data of keys.

    Args:
        database: of the service.
        images: its pictures.
    """

    def __init__(self, database: Database, images: Images) -> None:
        self._database, self._images = database, images

    def export(self, key: Key, out: IO[bytes], *, by: str = COMMAND_LINE) -> Had:
        """Write everything of a key as a ZIP: `key.json`, `jobs.json`, `labels.json`, and `images/` by hash.

        Args:
            key: whose data.
            out: where the archive goes.
            by: the id of the key that asks, for the trail.
        """
        with self._database.reading() as connection:
            asked = connection.execute(select(jobs).where(jobs.c.key == key.id).order_by(jobs.c.created)).all()
            told = connection.execute(select(events).join(jobs).where(jobs.c.key == key.id).order_by(events.c.number))
            happened: dict[str, list[dict[str, Any]]] = {}
            for event in told:
                happened.setdefault(event.job, []).append(_plain(event, but=("job",)))
            pictures = connection.execute(select(images).where(_of(key)).order_by(images.c.created)).all()
            given = connection.execute(select(labels).where(_labels(key)).order_by(labels.c.id)).all()
        with zipfile.ZipFile(out, "w") as archive:
            _write(archive, "key.json", {**asdict(key), "limits": key.limits.stored()})
            _write(archive, "jobs.json", [{**_plain(job), "events": happened.get(job.id, [])} for job in asked])
            _write(archive, "labels.json", [_plain(label) for label in given])
            _write(archive, "images.json", [_plain(picture) for picture in pictures])
            for digest, media in dict.fromkeys((picture.hash, picture.media) for picture in pictures):
                try:
                    content, _ = self._images.get(digest)
                except (LookupError, OSError):  # its time ran out meanwhile
                    continue
                archive.writestr(f"images/{digest}{MEDIA[media]}", content)
        had = Had(len(asked), len(pictures), len(given))
        with self._database.writing() as connection:
            note(connection, by=by, change="data exported", subject=key.id, details=asdict(had))
        return had

    def erase(self, key: Key, *, by: str = COMMAND_LINE) -> Had:
        """Delete everything of a key. Jobs that wait are cancelled, and what they hold of streams is given back.

        Args:
            key: whose data.
            by: the id of the key that asks, for the trail.

        Raises:
            RecentError: the key itself asks, and would have none of its limit used up then. Nothing changed.
            RunningError: jobs of the key are drawn just now. They are cancelled, and nothing was deleted yet.
        """
        if by == key.id and key.limits.images_per_minute is not None:
            asked, seconds = Jobs(self._database).last_minute(key.id)
            if asked:
                raise RecentError(seconds)
        with self._database.reading() as connection:
            live = connection.scalars(
                select(jobs.c.id).where(jobs.c.key == key.id, jobs.c.state.in_([QUEUED, RUNNING]))
            ).all()
        running = [job for job in live if not Jobs(self._database).cancel(job).over]
        if running:
            raise RunningError(
                f"{len(running)} jobs of this key are drawn just now; they are cancelled, so try again in some seconds"
            )
        with self._database.reading() as connection:
            pictures = connection.execute(select(images.c.hash, images.c.key).where(_of(key))).all()
        with self._database.writing() as connection:
            gone = connection.execute(delete(labels).where(_labels(key))).rowcount
            for table, rater in ((label_holds, label_holds.c.rater), (consents, consents.c.rater)):
                connection.execute(delete(table).where(rater == key.id))
        for picture in pictures:
            self._images.delete(picture.hash, key=picture.key)
        with self._database.writing() as connection:  # last, so that what is cut short is begun again
            of_key = (label_pictures.c.image == label_holds.c.image, label_pictures.c.owner == key.id)
            held = exists().where(label_pictures.c.label_set == label_holds.c.label_set, *of_key)
            connection.execute(delete(label_holds).where(held))  # no rater waits for a picture that is gone
            connection.execute(delete(label_pictures).where(label_pictures.c.owner == key.id))
            ended = connection.execute(delete(jobs).where(jobs.c.key == key.id, jobs.c.state != RUNNING)).rowcount
            had = Had(ended, len(pictures), gone)
            note(connection, by=by, change=ERASED, subject=key.id, details=asdict(had))
        return had


def erased_since(database: Database, key: str, time: float) -> bool:
    """Whether the data of the key with this id were deleted at `time`, in seconds since 1970, or later."""
    return any(each.change == ERASED and each.time >= time for each in changes(database, subject=key))


def _of(key: Key) -> ColumnElement[bool]:
    """The images of a key, the pictures that it sent, and its images in sets that are labelled."""
    drawn_for = (label_pictures.c.image == images.c.hash, label_pictures.c.owner == key.id)
    in_set = exists().where(label_pictures.c.label_set == images.c.key, *drawn_for)
    return or_(images.c.key == key.id, images.c.key.startswith(owner(key.id, ""), autoescape=True), in_set)


def _labels(key: Key) -> ColumnElement[bool]:
    """The labels that a key gave, and those of images that no other key has."""
    others = select(images.c.hash).where(~_of(key))
    alone = select(images.c.hash).where(_of(key), images.c.hash.not_in(others))
    return or_(labels.c.rater == key.id, labels.c.image.in_(alone))


def _plain(row: Row[Any], *, but: Sequence[str] = ()) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in but}


def _write(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    archive.writestr(name, json.dumps(content, indent=2, ensure_ascii=False), zipfile.ZIP_DEFLATED)
