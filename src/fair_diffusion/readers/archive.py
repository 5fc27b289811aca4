"""Read a WebDataset archive in one pass, without extracting it. Neighbouring files of one name are one example.

A tar may be compressed by gzip, bzip2 or xz; its first bytes tell. Links are not followed, and large files are not
loaded. Damaged parts are noted, and everything that can be read before and behind them counts.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from fair_diffusion.files.guarded import Readable, opened, why
from fair_diffusion.files.pictures import ENDINGS, MAX_BYTES
from fair_diffusion.files.text import printable
from fair_diffusion.readers.caption_text import CAPTION_BYTES, Item, caption_column, caption_text

_PACKED: Mapping[bytes, Callable[[BinaryIO], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


def is_archive(start: bytes) -> bool:
    """Whether a file that starts so, in its first 512 bytes, is an archive, perhaps a packed one."""
    return start[257:262] == b"ustar" or start[:2] in _PACKED


def archive_items(shard: Readable, with_pictures: bool, broken: list[str]) -> Iterator[Item]:
    """Yield the examples of an archive.

    Args:
        shard: the archive.
        with_pictures: whether the bytes of pictures are wanted; without it, they are only noticed.
        broken: gets a line for each part that cannot be read, with its name and the reason.
    """
    name, files = "", dict[str, bytes]()
    try:
        with (
            opened(shard) as file,
            _unpacked(file) as packed,
            _Archive.open(fileobj=packed, mode="r|", ignore_zeros=True) as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members.clear()  # tarfile would keep them all
                stem, ending = _split(member.name)
                if stem != name:
                    yield from _example(name, files)
                    name, files = stem, {}
                picture = f".{ending}" in ENDINGS
                if not member.isfile() or not (picture or ending in ("txt", "caption", "json")):
                    continue
                if picture and not with_pictures:
                    files["picture"] = b""  # only that it is there
                elif member.size > (MAX_BYTES if picture else CAPTION_BYTES):
                    broken.append(printable(f"{shard.name}/{member.name}: {member.size:,} bytes, too many"))
                elif inner := archive.extractfile(member):
                    files["picture" if picture else ending] = inner.read()
            if archive.damaged:
                broken.append(
                    f"{printable(shard.name)}: {archive.damaged} blocks are no part of an archive; the others count"
                )
            elif _ends_early(file):
                broken.append(f"{printable(shard.name)}: it ends early; what came before counts")
    except _DAMAGE as error:
        broken.append(printable(f"{shard.name}: {type(error).__name__}: {why(error)}; what came before counts"))
    yield from _example(name, files)


class _Header(tarfile.TarInfo):
    """The header of a member. Blocks that are no header are counted, and the archive goes on to the next block."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(archive)
        except tarfile.InvalidHeaderError:  # type: ignore[attr-defined]
            archive.damaged += 1  # type: ignore[attr-defined]
            raise


class _Archive(tarfile.TarFile):
    """An archive that counts its damaged blocks."""

    tarinfo = _Header
    damaged = 0
    members: list[tarfile.TarInfo]


def _packing(file: BinaryIO) -> Callable[[BinaryIO], Any] | None:
    """What unpacks an archive; None if it is not packed. Afterwards the file is at its start."""
    file.seek(0)
    start = file.read(2)
    file.seek(0)
    return _PACKED.get(start)


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The archive, decompressed."""
    unpack = _packing(file)
    return unpack(file) if unpack else file


def _ends_early(file: BinaryIO) -> bool:
    """Whether an uncompressed archive lacks the block of zeros at its end; `tarfile` does not tell."""
    if _packing(file):
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(-min(tarfile.BLOCKSIZE, size), os.SEEK_END)
    return any(file.read()) or size % tarfile.BLOCKSIZE != 0


def _example(name: str, files: Mapping[str, bytes]) -> Iterator[Item]:
    """Yield the example that the files of one name make, if there are any; its caption may be empty."""
    if files:
        yield name, _caption(files), files.get("picture")


def _split(name: str) -> tuple[str, str]:
    """The name of an archive's member up to the first dot, and what follows the dot, in lower case."""
    path = PurePosixPath(name)
    stem, _, ending = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, ending.lower()


def _caption(files: Mapping[str, bytes]) -> str:
    """The caption of an example: from a text file, else from a JSON file; "" if there is none."""
    for ending in ("txt", "caption"):
        if ending in files:
            return caption_text(files[ending])
    try:
        record = json.loads(files["json"]) if "json" in files else None
    except (ValueError, RecursionError):
        return ""
    if not isinstance(record, dict) or (column := caption_column(record)) is None:
        return ""
    return caption_text(record[column])
