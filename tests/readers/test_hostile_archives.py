"""Small archives that would take long or fill the memory: what comes before, and behind, counts."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from fair_diffusion.readers import archive
from fair_diffusion.readers.archive import archive_items

END = bytes(1024)


def head(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    return head(name, len(data), kind) + data + bytes(-len(data) % 512)


GOOD, LATER = member("a.txt", b"a female nurse"), member("z.txt", b"a cook")


def read(tmp_path: Path, data: bytes, name: str = "x.tar") -> tuple[list[str], list[str]]:
    (tmp_path / name).write_bytes(data)
    broken: list[str] = []
    return [caption for _, caption, _ in archive_items(tmp_path / name, True, broken)], broken


@pytest.mark.parametrize("size", [10**18, 2**62, 10**11])
@pytest.mark.parametrize("name", ["b.txt", "b.png", "b.bin"])
def test_a_size_that_no_file_has(size: int, name: str, tmp_path: Path) -> None:
    captions, broken = read(tmp_path, GOOD + head(name, size) + LATER + END)
    assert captions[0] == "a female nurse"
    assert broken


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_or_note_without_end(kind: bytes, tmp_path: Path) -> None:
    packed = gzip.compress(GOOD + head("x", 2**30, kind) + bytes(2**20) + LATER + END)
    captions, broken = read(tmp_path, packed, "x.tar.gz")
    assert captions == ["a female nurse", "a cook"]
    assert broken == ["x.tar.gz: 1 blocks are no part of an archive; the others count"]


def test_a_size_in_notes(tmp_path: Path) -> None:
    notes = member("p", b"31 size=1000000000000000000000\n", tarfile.XHDTYPE)
    captions, broken = read(tmp_path, GOOD + notes + LATER + END)
    assert captions == ["a female nurse"]
    assert "bytes" in broken[0]


def test_much_out_of_few_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED", 2**20)
    captions, broken = read(tmp_path, gzip.compress(GOOD + bytes(2**24)), "x.tar.gz")
    assert captions == ["a female nurse"]
    assert "bytes when unpacked" in broken[0]
    monkeypatch.setattr(archive, "BLOCKS", 1_000)
    captions, broken = read(tmp_path, GOOD + b"a" * 2**20 + LATER)
    assert captions == ["a female nurse"]
    assert "more than 1,000 of its blocks and members hold nothing" in broken[0]
    captions, broken = read(tmp_path, GOOD + b"".join(member(f"{k}.txt", b"") for k in range(1_001)) + LATER + END)
    assert captions == ["a female nurse", *[""] * 1_000]
    assert "more than 1,000 of its blocks and members hold nothing" in broken[0]
