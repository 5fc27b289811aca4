"""Datasets built here: Parquet in two shapes, WebDataset archives, damaged ones."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import ByColour, picture

from fair_diffusion.audit.study import Study
from fair_diffusion.readers.dataset import read_dataset, shards_in

CAPTIONS = ["a female nurse", "nurse", "a male nurse and a cook", "sunset", "a nurse"]
PICTURES = ["woman", "woman", "man", "man", None]


def archive(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def members() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for k, (caption, group) in enumerate(zip(CAPTIONS, PICTURES, strict=True)):
        found[f"part/ü{k}.png"] = picture(group)
        found[f"part/ü{k}.txt" if k % 2 else f"part/ü{k}.json"] = (
            caption.encode() if k % 2 else json.dumps({"caption": caption}).encode()
        )
    return found


def table(path: Path, images: list[Any] | None = None) -> Path:
    columns: dict[str, Any] = {"TEXT": CAPTIONS} | ({"image": images} if images else {})
    pq.write_table(pa.table(columns), path)
    return path


def found(study: Study) -> dict[tuple[str, str], tuple[dict[str, int], int]]:
    return {
        (tally.source.rpartition(", ")[2], tally.concept): (
            {group: count for group, count in tally.counts.items() if count},
            tally.unknown,
        )
        for tally in study.tallies
        if tally.attribute == "gender"
    }


SAID = {("captions", "nurse"): ({"woman": 1, "man": 1}, 2), ("captions", "cook"): ({}, 1)}
SHOWN = {("pictures", "nurse"): ({"woman": 2}, 1)}


def test_parquet_captions(tmp_path: Path) -> None:
    findings = read_dataset(table(tmp_path / "d.parquet"), scratch=tmp_path)
    assert found(findings.study) == SAID
    assert findings.images is None


@pytest.mark.parametrize("struct", [False, True])
def test_parquet_pictures(struct: bool, tmp_path: Path) -> None:
    images: list[Any] = [picture(group) for group in PICTURES]
    if struct:
        images = [{"bytes": image, "path": None} for image in images]
    path = table(tmp_path / "d.parquet", images)
    findings = read_dataset(path, ByColour(), perceiver_name="colour", scratch=tmp_path)
    assert found(findings.study) == SAID | SHOWN
    assert all(sample.image.is_file() for sample in findings.study.samples)
    assert findings.images is not None
    assert findings.images["file"].to_pylist() == ["d.parquet/row 0", "d.parquet/row 1", "d.parquet/row 4"]


@pytest.mark.parametrize(("name", "mode"), [("d.tar", "w"), ("d.tar.gz", "w:gz")])
def test_archives(name: str, mode: str, tmp_path: Path) -> None:
    path = archive(tmp_path / name, members(), mode)
    assert found(read_dataset(path, scratch=tmp_path).study) == SAID
    findings = read_dataset(path, ByColour(), perceiver_name="colour", scratch=tmp_path)
    assert found(findings.study) == SAID | SHOWN


def test_an_archive_extracts_nothing_and_follows_no_trick(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "d.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../../evil.txt", "/abs/evil.txt", "a\n\x1b[1m.txt"):
            info = tarfile.TarInfo(name)
            info.size = 7
            tar.addfile(info, io.BytesIO(b"a nurse"))
        link = tarfile.TarInfo("x.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert found(read_dataset(path, scratch=tmp_path).study) == {("captions", "nurse"): ({}, 3)}
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["d.tar", "inner"]


def test_a_truncated_archive_is_named_and_its_beginning_counts(tmp_path: Path) -> None:
    whole = archive(tmp_path / "w.tar", members()).read_bytes()
    (tmp_path / "d").mkdir()
    with tarfile.open(tmp_path / "w.tar") as tar:
        cut = tar.getmembers()[2].offset_data - 100
    (tmp_path / "d" / "0.tar").write_bytes(whole[:cut])
    archive(tmp_path / "d" / "1.tar", {"a.txt": b"a nurse"})
    findings = read_dataset(tmp_path / "d", ByColour(), perceiver_name="colour", scratch=tmp_path)
    assert findings.study.broken[0].startswith("0.tar: ")
    assert found(findings.study)["captions", "nurse"] == ({"woman": 1}, 1)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "d.tar", members() | {"part/ü0.png": b"no picture"})
    study = read_dataset(path, ByColour(), perceiver_name="colour", scratch=tmp_path).study
    assert study.broken[0].startswith("d.tar/part/ü0: ")
    assert found(study)["pictures", "nurse"] == ({"woman": 1}, 1)


def test_archives_come_before_tables_of_the_same_folder(tmp_path: Path) -> None:
    table(tmp_path / "0.parquet")
    (tmp_path / "deep").mkdir()
    path = archive(tmp_path / "deep" / "0.tar", {})
    assert shards_in(tmp_path) == [path]


def test_no_captions_and_no_occupations(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"caption": ["sunset", "dusk", None]}), path)
    with pytest.raises(ValueError, match="none of 2 captions"):
        read_dataset(path, scratch=tmp_path)
    pq.write_table(pa.table({"url": ["x"]}), path)
    with pytest.raises(ValueError, match="no column of captions"):
        read_dataset(path, scratch=tmp_path)


def test_what_is_skipped_is_counted(tmp_path: Path) -> None:
    rows = {
        "caption": ["a nurse", "a nurse", "", "sunset", "a nurse and a cook"],
        "image": [{"bytes": image, "path": "x.png"} for image in (picture("man"), None, None, None, picture("man"))],
    }
    pq.write_table(pa.table(rows), tmp_path / "d.parquet")
    notes = read_dataset(tmp_path / "d.parquet", ByColour(), perceiver_name="colour", scratch=tmp_path).study.notes
    assert set(notes[1:]) == {
        "examples whose picture is not in the dataset, or only its path: 1",
        "examples without a caption: 1",
        "captions that depict no occupation that is known: 1",
        "pictures not read, as their caption depicts several occupations: 1",
    }
    tar = archive(tmp_path / "d.tar", {"1.png": picture("man"), "2.png": picture("man"), "2.txt": b"a nurse"})
    assert read_dataset(tar, scratch=tmp_path).study.notes[1:] == ["examples without a caption: 1"]


def test_a_wrong_line_of_a_csv_is_named_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("caption\na female nurse\na nurse, smiling\na male nurse\n")
    study = read_dataset(path, scratch=tmp_path).study
    assert found(study) == {("captions", "nurse"): ({"woman": 1}, 0)}
    (said,) = study.broken
    assert said.startswith("captions.csv: line 3: 2 values")
    assert said.endswith("what came before counts")
