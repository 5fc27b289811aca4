"""Pictures of a request: taken from its form, checked before they are decoded, and stored until their job is done."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from fair_diffusion.files.picture_kinds import START, kind_of_picture
from fair_diffusion.files.pictures import BrokenPicture, open_picture, upright_size
from fair_diffusion.service.images import Images
from fair_diffusion.service.picture_file import MEDIA
from fair_diffusion.service.problems import wrong

KINDS = ("PNG", "JPEG", "WEBP")
"""What the contract takes."""
LEAST = 24 * 3600.0
"""Seconds for which uploads are kept at least, if their job does not end: it may have to wait."""


@dataclass(frozen=True)
class Upload:
    """A picture that was sent and can be read.

    Attributes:
        file: its content.
        hash: of its content, SHA-256.
        media: its media type.
        width, height: in pixels, upright.
    """

    file: BinaryIO
    hash: str
    media: str
    width: int
    height: int

    @classmethod
    def of(cls, file: BinaryIO, name: str, *, pixels: int) -> Upload:
        """The picture in a file.

        Args:
            file: from its start.
            name: the field that it came in.
            pixels: how many it may have.

        Raises:
            Problem: 400 that names the field if it is no picture of `KINDS`, is broken or too large.
        """
        kind = kind_of_picture(file.read(START))
        if kind not in KINDS:
            raise wrong(name, "give pictures as PNG, JPEG or WebP", "invalid_image")
        file.seek(0)
        content = file.read()
        try:
            open_picture(content, pixels=pixels)
        except BrokenPicture as error:
            raise wrong(name, f"a picture cannot be used: {error}", "invalid_image") from None
        width, height = upright_size(content)
        return cls(file, hashlib.sha256(content).hexdigest(), MEDIA[kind.lower()], width, height)


def store(images: Images, uploads: Sequence[Upload], *, key: str, kept: float) -> str:
    """Store pictures for one job. The same pictures for another job are other ones, so that each job deletes its own.

    Args:
        images: where.
        uploads: the pictures.
        key: whose they are.
        kept: seconds for which they are kept, if the job does not delete them.

    Returns:
        The name of the upload, for the job.
    """
    name = secrets.token_hex(8)
    for upload in uploads:
        upload.file.seek(0)
        images.put(upload.file.read(), media=upload.media, key=owner(key, name), kept=max(kept, LEAST))
        upload.file.close()
    return name


def forget(images: Images, hashes: Sequence[str], *, key: str, upload: str) -> None:
    """Delete the pictures of an upload."""
    for digest in dict.fromkeys(hashes):
        images.delete(digest, key=owner(key, upload))


def owner(key: str, upload: str) -> str:
    """Under which key the pictures of an upload are stored. It is no API key, so no route gives them out to clients."""
    return f"{key}/{upload}"
