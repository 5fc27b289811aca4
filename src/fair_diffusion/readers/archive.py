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
from typing import Any, BinaryIO, cast

from fair_diffusion.files.guarded import Readable, opened, why
from fair_diffusion.files.pictures import ENDINGS, MAX_BYTES
from fair_diffusion.files.text import printable
from fair_diffusion.readers.caption_text import CAPTION_BYTES, Item, caption_column, caption_text

HEADER, MEMBER = 2**20, 2**40
"""The most bytes of a name or of notes in a header, and of a member that is passed over."""
UNPACKED, RATIO = 256 * 2**20, 100
"""The most bytes of an archive when it is unpacked, and so many times more than it has when packed."""
BLOCKS = 100_000
"""The most blocks, damaged or of zeros, and members without content that are passed over."""
_NOTES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
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
            _Archive.open(
                fileobj=cast(BinaryIO, _Bounded(packed, _most(file))), mode="r|", ignore_zeros=True
            ) as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members.clear()  # tarfile would keep them all
                archive.pass_over(not member.size)
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
    """The header of a member. Blocks that are no header are counted, and the archive goes on to the next block.

    A header that says more than can be is none: `tarfile` would read a name of any length, and pass over any size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> _Header:
        """The header in one block."""
        found = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        noted = found.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *_NOTES)
        if not 0 <= found.size <= (HEADER if noted else MEMBER) or found.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.InvalidHeaderError(f"a size of {found.size:,} bytes")  # type: ignore[attr-defined]
        return found

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Header:
        """The next header of an archive."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            archive.damaged += isinstance(error, tarfile.InvalidHeaderError)  # type: ignore[attr-defined]
            archive.pass_over(True)  # type: ignore[attr-defined]
            raise

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Read notes on the next member, which may say another size."""
        found = super()._proc_pax(archive)  # type: ignore[misc]
        if not 0 <= found.size <= MEMBER:
            raise tarfile.ReadError(f"a size of {found.size:,} bytes")
        return found  # type: ignore[no-any-return]


class _Archive(tarfile.TarFile):
    """An archive that counts its damaged blocks, and those that it passes over."""

    tarinfo = _Header
    damaged = passed = 0
    members: list[tarfile.TarInfo]

    def pass_over(self, empty: bool) -> None:
        """Count what holds nothing; few bytes of a packed archive can stand for very many of them.

        Raises:
            tarfile.ReadError: they are too many.
        """
        self.passed += empty
        if self.passed > BLOCKS:
            raise tarfile.ReadError(f"more than {BLOCKS:,} of its blocks and members hold nothing")


class _Bounded:
    """A file of which only so many bytes are read: few bytes of a packed archive can stand for very many."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.left, self.most, self.empty = file, most, most, 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        data = self.file.read(size)
        self.left -= len(data)
        self.empty += not data
        if self.left < 0:
            raise tarfile.ReadError(f"more than {self.most:,} bytes when unpacked")
        if self.empty > 100:  # a size leads far behind the end
            raise tarfile.ReadError("it ends early")
        return data


def _most(file: BinaryIO) -> int:
    """The most bytes that an archive may have when it is unpacked. Afterwards the file is at its start."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return UNPACKED + RATIO * size


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
