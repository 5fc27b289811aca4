"""Damage in the middle of datasets: named, counted, never fatal while anything can be read."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import ByColour, picture, put

from fair_diffusion.audit.study import Study
from fair_diffusion.files.pictures import MAX_BYTES
from fair_diffusion.readers import caption_table
from fair_diffusion.readers.archive import archive_items
from fair_diffusion.readers.caption_text import CAPTION_BYTES
from fair_diffusion.readers.dataset import read_dataset, shards_in


def nurses(study: Study) -> int:
    return next(t.n for t in study.tallies if (t.concept, t.attribute) == ("nurse", "gender"))


def archive(path: Path, *names: str, mode: str = "w", content: bytes = b"a nurse") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def groups(path: Path, *captions: list[str | None]) -> Path:
    """A table with one row group for each list of captions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, pa.schema([("caption", pa.string())])) as writer:
        for rows in captions:
            writer.write_table(pa.table({"caption": pa.array(rows, pa.string())}))
    return path


def spoil(path: Path, start: int, length: int) -> None:
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)


def test_shards_of_every_kind_are_found_and_others_are_not(tmp_path: Path) -> None:
    wanted = [archive(tmp_path / name, "a.txt") for name in ("0.tar", "b/1.tar", "2.TAR.GZ", "3.tgz", "4.tar.xz")]
    put(tmp_path, ".tmp.tar")
    put(tmp_path, "5.gz")
    assert shards_in(tmp_path) == sorted(wanted)
    for path in wanted:
        path.unlink()
    table = groups(tmp_path / "data" / "train-0.parquet", ["a nurse"])
    put(tmp_path, "study/study.json")
    groups(tmp_path / "study" / "tallies.parquet", ["a nurse"])
    assert shards_in(tmp_path) == [table]


def test_a_damaged_row_group_is_named_and_the_others_count(tmp_path: Path) -> None:
    path = groups(tmp_path / "d.parquet", ["a nurse"] * 3, ["a nurse", None], ["a nurse"])
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    spoil(path, chunk.dictionary_page_offset, chunk.total_compressed_size)
    study = read_dataset(path, scratch=tmp_path).study
    assert nurses(study) == 4
    (said,) = study.broken
    assert said.startswith("d.parquet, rows 3 to 4: not all can be read: ")


def test_damaged_tables_between_whole_ones_are_named(tmp_path: Path) -> None:
    for k in range(4):
        groups(tmp_path / "d" / f"{k}.parquet", ["a nurse"])
    cut = tmp_path / "d" / "1.parquet"
    cut.write_bytes(cut.read_bytes()[:-10])
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "d" / "2.parquet")
    study = read_dataset(tmp_path / "d", scratch=tmp_path).study
    assert nurses(study) == 2
    assert [broken[:11] for broken in study.broken] == ["1.parquet: ", "2.parquet: "]
    for k in (0, 3):
        (tmp_path / "d" / f"{k}.parquet").unlink()
    with pytest.raises(ValueError, match=r"nothing in .* can be read; 1\.parquet: "):
        read_dataset(tmp_path / "d", scratch=tmp_path)


def test_captions_that_are_null_or_lists_or_bytes(tmp_path: Path) -> None:
    for name, column in (
        ("lists", pa.array([["a nurse"], [None, "a nurse"], [], None, [None]], pa.list_(pa.string()))),
        ("bytes", pa.array([b"a nurse", None, b"a nurse \xff", b"", None], pa.binary())),
        ("dictionary", pa.array(["a nurse", None, "a nurse", "", None]).dictionary_encode()),
    ):
        pq.write_table(pa.table({"caption": column}), tmp_path / f"{name}.parquet")
        study = read_dataset(tmp_path / f"{name}.parquet", scratch=tmp_path).study
        assert nurses(study) == 2
        assert "examples without a caption: 3" in study.notes
    pq.write_table(pa.table({"caption": pa.nulls(3)}), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="none of 0 captions"):
        read_dataset(tmp_path / "none.parquet", scratch=tmp_path)


def test_a_header_damaged_in_the_middle_costs_its_own_example(tmp_path: Path) -> None:
    path = archive(tmp_path / "d.tar", *(f"{k}.txt" for k in range(5)))
    spoil(path, 2 * 2 * tarfile.BLOCKSIZE + 148, 8)  # the checksum of the third
    study = read_dataset(path, scratch=tmp_path).study
    assert nurses(study) == 4
    assert study.broken == ["d.tar: 2 blocks are no part of an archive; the others count"]


def test_archives_laid_end_to_end_are_whole(tmp_path: Path) -> None:
    one, two = (archive(tmp_path / name, f"{name}.txt").read_bytes() for name in "ab")
    study = read_dataset(put(tmp_path, "d.tar", one + two), scratch=tmp_path).study
    assert (nurses(study), study.broken) == (2, [])


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("damage", ["cut", "middle"])
def test_a_damaged_packed_archive_is_named_between_whole_ones(damage: str, mode: str, tmp_path: Path) -> None:
    ending = mode.replace("w:", ".tar.")
    names = [f"{k}.txt" for k in range(200)]
    for k in range(3):
        archive(tmp_path / "d" / f"{k}{ending}", *names, mode=mode)
    path = tmp_path / "d" / f"1{ending}"
    size = path.stat().st_size
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: size - size // 3])
    else:
        spoil(path, size // 2, 40)
    study = read_dataset(tmp_path / "d", scratch=tmp_path).study
    assert 400 <= nurses(study) < 600
    assert study.broken[0].startswith(f"1{ending}: ")


def test_an_archive_cut_in_a_picture_that_nobody_reads_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "d.tar", "a.txt")
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("b.png")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(bytes(100_000)))
    path.write_bytes(path.read_bytes()[:50_000])
    study = read_dataset(path, scratch=tmp_path).study
    assert nurses(study) == 1
    assert study.broken[0].startswith("d.tar: ReadError: unexpected end of data")


def test_bombs_and_links_are_not_taken_in(tmp_path: Path) -> None:
    put(tmp_path, "secret.txt", "a male nurse")
    path = tmp_path / "d.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, size in (("a.png", MAX_BYTES + 1), ("b.txt", CAPTION_BYTES + 1)):
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
        for name, kind in (("c.txt", tarfile.SYMTYPE), ("d.txt", tarfile.LNKTYPE), ("e.txt", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.txt")
            tar.addfile(info)
        deep = b'{"caption":' + b"[" * 100_000
        for name, content in (("f.json", deep), ("g.txt", b"a nurse"), ("g.png", picture("man"))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    study = read_dataset(path, ByColour(), perceiver_name="colour", scratch=tmp_path).study
    assert {(t.source, t.counts["man"], t.n) for t in study.tallies if t.attribute == "gender"} == {
        ("d.tar.gz, captions", 0, 1),
        ("d.tar.gz, pictures", 1, 1),
    }
    assert [broken.split(": ")[0] for broken in study.broken] == ["d.tar.gz/a.png", "d.tar.gz/b.txt"]


def test_an_archive_of_many_members_keeps_none_of_them(tmp_path: Path) -> None:
    path = archive(tmp_path / "d.tar", *(f"{k}.txt" for k in range(4_000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in archive_items(path, False, [])) == 4_000
        assert tracemalloc.get_traced_memory()[1] < 2**20  # tarfile's own list of them would be five times this
    finally:
        tracemalloc.stop()


def test_json_captions_of_every_shape(tmp_path: Path) -> None:
    records = [{"caption": "a nurse"}, {"Text": ["a nurse"]}, {"caption": None}, {"caption": 7}, [], {"url": "x"}]
    path = tmp_path / "d.tar"
    with tarfile.open(path, "w") as tar:
        for k, record in enumerate(records):
            content = json.dumps(record).encode()
            info = tarfile.TarInfo(f"{k}.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    study = read_dataset(path, scratch=tmp_path).study
    assert nurses(study) == 2
    assert "examples without a caption: 4" in study.notes


@pytest.mark.parametrize("kept", ["plain", "listed", "struct", "dictionary"])
def test_cells_of_a_table_that_are_too_large_are_named_and_the_others_count(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = picture("woman")
    monkeypatch.setattr(caption_table, "MAX_BYTES", 10 * len(red))
    captions: list[object] = ["a nurse", "a nurse", "a nurse " + "x" * CAPTION_BYTES, "a nurse"]
    images: list[object] = [red, red * 11, red, red]
    if kept == "listed":
        captions = [[caption] for caption in captions]
    if kept == "struct":
        images = [{"bytes": image, "path": "a.png"} for image in images]
    table = pa.table({"caption": captions, "image": images})
    if kept == "dictionary":
        table = table.set_column(0, "caption", table["caption"].dictionary_encode())
    pq.write_table(table, tmp_path / "d.parquet")
    broken: list[str] = []
    found = list(caption_table.table_items(tmp_path / "d.parquet", True, broken))
    assert [(name, caption, image == red) for name, caption, image in found] == [
        ("row 0", "a nurse", True),
        ("row 1", "a nurse", False),
        ("row 2", "", True),
        ("row 3", "a nurse", True),
    ]
    assert found[1][2] is None
    assert [one.split(":")[0] for one in broken] == ["d.parquet/row 1", "d.parquet/row 2"]
    assert all(one.endswith(" bytes, too many") for one in broken)
