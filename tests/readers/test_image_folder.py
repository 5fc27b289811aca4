"""Folders of images: names, sub-folders, tables, links, tricks."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import ByColour, picture, put

from fair_diffusion.readers.folder import listed, read_concepts, read_folder


def counts(folder: Path, scratch: Path, table: Path | None = None) -> dict[tuple[str, str], tuple[dict[str, int], int]]:
    concepts = read_concepts(table) if table else None
    found = read_folder(folder, ByColour(), perceiver_name="colour", concepts=concepts, scratch=scratch)
    return {(tally.source, tally.concept): (dict(tally.counts), tally.unknown) for tally in found.study.tallies}


def test_concepts_come_from_names_and_folders(tmp_path: Path) -> None:
    root = tmp_path / "here"
    put(root, "head_cook-1.png", picture("woman"))
    put(root, "head_cook-2.JPG", picture("man", "JPEG"))
    put(root, "nurse/1.webp", picture("woman", "WEBP"))
    put(root, "plain/nurse/1.png", picture(None))
    put(root, "plain/nurse/notes.txt", "no picture")
    put(root, ".hidden/nurse/1.png", picture("man"))
    assert counts(root, tmp_path) == {
        ("here", "head cook"): ({"woman": 1, "man": 1}, 0),
        ("here", "nurse"): ({"woman": 1, "man": 0}, 0),
        ("plain", "nurse"): ({"woman": 0, "man": 0}, 1),
    }


def test_a_table_says_what_files_show_and_only_those_count(tmp_path: Path) -> None:
    root = tmp_path / "here"
    for name, group in (("a.png", "woman"), ("b/c.png", "man"), ("left.png", "man"), ('ü," 医.png', "woman")):
        put(root, name, picture(group))
    table = put(
        tmp_path,
        "t.csv",
        'file,concept,source\na.png,nurse,x\n./b/c.png,"nurse, head",\n"ü,"" 医.png",nurse,x\ngone.png,nurse,x\n',
    )
    assert counts(root, tmp_path, table) == {
        ("x", "nurse"): ({"woman": 2, "man": 0}, 0),
        ("here", "nurse, head"): ({"woman": 0, "man": 1}, 0),
    }
    found = listed(root, read_concepts(table))
    assert found.broken == ["gone.png: in the table, but not there"]
    assert found.notes == ["1 images are not in the table and were left out"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/etc/x.png,nurse", "line 2: '/etc/x.png' is no path below"),
        ("../x.png,nurse", "line 2: '../x.png' is no path below"),
        ("x.png,", "'x.png' has no concept"),
        ("x.png,a\nx.png,b", "line 3: 'x.png' stands there twice"),
        ("", "names no files"),
    ],
)
def test_wrong_tables_are_refused(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        read_concepts(put(tmp_path, "t.csv", f"file,concept\n{line}\n"))


def test_links_out_of_the_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path, "outside/1.png", picture("man"))
    root = tmp_path / "here"
    inside = put(root, "nurse/1.png", picture("woman"))
    (root / "nurse" / "2.png").symlink_to(outside)
    (root / "nurse" / "3.png").symlink_to(inside)
    (root / "nurse" / "4.png").symlink_to(root / "gone.png")
    (root / "more").symlink_to(outside.parent, target_is_directory=True)
    found = listed(root)
    assert [item.name for item in found.pictures] == ["nurse/1.png", "nurse/3.png"]
    assert found.broken == ["nurse/2.png: a link out of the folder, not followed", "nurse/4.png: no regular file"]


def test_truncated_and_strange_names_are_told_safely(tmp_path: Path) -> None:
    root = tmp_path / "here"
    put(root, "nurse/1.png", picture("woman"))
    put(root, "nurse/bad\x1b[31m\n.png", picture("man")[:60])
    (root / "nurse" / b"\xff.png".decode("utf-8", "surrogateescape")).write_bytes(picture("man"))
    found = read_folder(root, ByColour(), perceiver_name="colour", scratch=tmp_path)
    assert len(found.study.broken) == 1
    assert found.study.broken[0].startswith("nurse/bad\\x1b[31m\\n.png: ")
    assert found.images is not None
    assert found.images["file"].to_pylist() == ["nurse/1.png", "nurse/\\xff.png"]


def test_no_images_and_no_readable_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images in"):
        read_folder(tmp_path, ByColour(), perceiver_name="colour", scratch=tmp_path)
    put(tmp_path, "nurse-1.png", b"")
    with pytest.raises(ValueError, match=r"none of 1 images .* can be read"):
        read_folder(tmp_path, ByColour(), perceiver_name="colour", scratch=tmp_path)
