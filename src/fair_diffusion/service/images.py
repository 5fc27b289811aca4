"""Pictures by the hash of their content: files in a folder, or in a store of objects that fsspec knows.

A picture is written whole or not at all, and the same content is written once. Who may see it is in the database: one
row for each key that it was drawn for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Float, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.files.object_store import object_store
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.tables import images

MEDIA = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "text/html": ".html"}
"""What is stored, and how such files end: pictures, and reports about them."""


@dataclass(frozen=True)
class Picture:
    """A picture to be stored.

    Attributes:
        content: the file.
        media: its media type, of `MEDIA`.
        key: who may see it; "" is this machine.
        job: the job that drew it.
        kept: seconds for which it is kept; None: until it is deleted.
    """

    content: bytes
    _: KW_ONLY
    media: str = "image/png"
    key: str = ""
    job: str | None = None
    kept: float | None = None

    def __post_init__(self) -> None:
        if self.media not in MEDIA:
            raise ValueError(f"the media type is {self.media!r}; use one of {', '.join(MEDIA)}")


class Images:
    """The pictures of a service.

    Args:
        database: where it says whose they are.
        where: a folder, which is made, or a URL of fsspec such as "s3://bucket/images".

    Raises:
        ValueError: what the URL needs is not installed.
    """

    def __init__(self, database: Database, where: str | Path) -> None:
        self.database = database
        place = str(where).removeprefix("file://")
        self._files: _Folder | _Objects = _Objects(place) if "://" in place else _Folder(Path(place))

    def put(
        self,
        content: bytes,
        *,
        media: str = "image/png",
        key: str = "",
        job: str | None = None,
        kept: float | None = None,
    ) -> str:
        """Store one picture for a key, as `Picture` tells. Returns its hash, by which it is found."""
        return self.put_all([Picture(content, media=media, key=key, job=job, kept=kept)])[0]

    def put_all(self, pictures: Sequence[Picture]) -> list[str]:
        """Store pictures. Returns their hashes, by which they are found."""
        digests, note = self.written(pictures)
        if digests:
            with self.database.writing() as connection:
                note(connection)
        return digests

    def written(self, pictures: Sequence[Picture]) -> tuple[list[str], Callable[[Connection], None]]:
        """Write the files of pictures, which nobody may see before a transaction notes whose they are.

        Returns:
            Their hashes, and what notes it in a transaction.
        """
        digests = [hashlib.sha256(picture.content).hexdigest() for picture in pictures]
        files = {
            _name(digest, picture.media): picture.content for digest, picture in zip(digests, pictures, strict=True)
        }
        self._write(files)
        rows = {
            (digest, each.key): {
                **{"hash": digest, "key": each.key, "media": each.media, "size": len(each.content)},
                **{"job": each.job, "seconds": each.kept},
            }
            for digest, each in zip(digests, pictures, strict=True)
        }

        def note(connection: Connection) -> None:
            for digest in sorted(set(digests)):
                self.database.lock(connection, f"fair-diffusion: image {digest}")
            self._write(files)  # one may have expired in between
            if rows:
                connection.execute(_PUT[self.database.postgres], list(rows.values()))

        return digests, note

    def _write(self, files: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(max(1, len(files))) as pool:  # they wait for the disk together
            list(pool.map(self._files.write, files, files.values()))

    def get(self, digest: str, *, key: str | None = None) -> tuple[bytes, str]:
        """The file and its media type. `LookupError` if there is none, or if it is not of `key`, where one is given."""
        wanted = select(images.c.media).where(images.c.hash == digest).limit(1)
        if key is not None:
            wanted = wanted.where(images.c.key == key)
        with self.database.reading() as connection:
            media = connection.scalar(wanted)
        if media is None:
            raise LookupError(f"there is no image {digest}")
        return self.content(digest, media), media

    def content(self, digest: str, media: str) -> bytes:
        """The file of a picture that somebody may see by its job. `OSError` if it is not there any more."""
        return self._files.read(_name(digest, media))

    def delete(self, digest: str, *, key: str) -> None:
        """Delete a picture of a key; its file goes with the last key that has it."""
        with self.database.writing() as connection:
            self.database.lock(connection, f"fair-diffusion: image {digest}")
            ours = (images.c.hash == digest, images.c.key == key)
            gone = connection.execute(delete(images).where(*ours).returning(images.c.media)).first()
            if gone and not connection.execute(select(images.c.key).where(images.c.hash == digest)).first():
                self._files.remove(_name(digest, gone.media))

    def expire(self) -> int:
        """Delete the pictures whose time is over. Returns how many rows."""
        with self.database.reading() as connection:
            old = connection.execute(select(images.c.hash, images.c.key).where(images.c.expires < now())).all()
        for row in old:
            self.delete(row.hash, key=row.key)
        return len(old)


class _Folder:
    """Files below a folder of this machine, in 256 folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with whole_file(path) as part:
                part.write_bytes(content)

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class _Objects:
    """Objects below a URL. Stores of objects write one whole or not at all."""

    def __init__(self, url: str) -> None:
        self._system, self._root = object_store(url, "place for images")

    def write(self, name: str, content: bytes) -> None:
        path = f"{self._root}/{name}"
        if not self._system.exists(path):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, content)

    def read(self, name: str) -> bytes:
        found: bytes = self._system.cat_file(f"{self._root}/{name}")
        return found

    def remove(self, name: str) -> None:
        if self._system.exists(f"{self._root}/{name}"):
            self._system.rm_file(f"{self._root}/{name}")


def _name(digest: str, media: str) -> str:
    return f"{digest[:2]}/{digest}{MEDIA[media]}"


def _putting(dialect: Any) -> Any:
    """The statement that stores rows, or makes them last as long as the new ones."""
    row = dialect.insert(images).values(
        **{name: bindparam(name) for name in ("hash", "key", "media", "size", "job")},
        created=now(),
        expires=now() + bindparam("seconds", type_=Float()),
    )
    same = {"expires": row.excluded.expires, "job": row.excluded.job}
    return row.on_conflict_do_update(index_elements=["hash", "key"], set_=same)


_PUT = {False: _putting(sqlite), True: _putting(postgresql)}
"""By whether the database is PostgreSQL."""
