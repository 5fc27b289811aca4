"""Which images a folder holds, and who says what they are pictures of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.rebalance import find_originals, originals, read_prompts
from fair_diffusion.runs.format import PNG_KEY, SHEET


def put(folder: Path, name: str, prompt: str | None = None) -> Path:
    """A small picture, with a record inside if it has a prompt."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    if prompt is not None:
        record = {"prompt": prompt, "model": "pocket", "method": "none", "judged": {}}
        info.add_itxt(PNG_KEY, json.dumps(record))
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)  # other formats take no notice of it
    return path


def test_records_inside_pngs_tell(tmp_path: Path) -> None:
    put(tmp_path, "b/2.png", "a nurse")
    put(tmp_path, "a.png", "a doctor")
    found = find_originals(tmp_path)
    assert [(image.name, image.prompt) for image in found.images] == [("a.png", "a doctor"), ("b/2.png", "a nurse")]
    assert found.broken == found.notes == []


def test_a_prompt_for_all_is_stronger_than_records(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a doctor")
    put(tmp_path, "b.jpg")
    assert {image.prompt for image in find_originals(tmp_path, prompt="a cook").images} == {"a cook"}


def test_a_table_names_the_images(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "c.png"):
        put(tmp_path / "photos", name)
    table = tmp_path / "prompts.csv"
    table.write_text('file,prompt\nb.jpg,"a cook, smiling"\na.png,a doctor\ngone.png,a pilot\n')
    found = find_originals(tmp_path / "photos", prompts=read_prompts(table))
    assert {image.name: image.prompt for image in found.images} == {"a.png": "a doctor", "b.jpg": "a cook, smiling"}
    assert found.broken == ["gone.png: in the table, but not there"]
    assert found.notes == ["1 images are not in the table and were left out"]


def test_every_wrong_line_of_a_table_is_named(tmp_path: Path) -> None:
    table = tmp_path / "prompts.csv"
    table.write_text("file,prompt\n../a.png,a doctor\nb.png,\nc.png,a cook\nc.png,a cook\n")
    with pytest.raises(ValueError, match=r"line 2: .*\n.*line 3: the prompt is empty.*\n.*line 5: .*twice"):
        read_prompts(table)
    table.write_text("file,prompt\n")
    with pytest.raises(ValueError, match="names no files"):
        read_prompts(table)


def test_what_is_no_image_of_the_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    put(folder, "a.png")
    put(folder, SHEET)
    put(tmp_path, "elsewhere.png")
    (folder / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "bell\x07.png").write_bytes((folder / "a.png").read_bytes())
    (folder / os.fsdecode(b"raw\xff.png")).write_bytes((folder / "a.png").read_bytes())
    (folder / "text.txt").write_text("no image")
    found = find_originals(folder, prompt="a doctor")
    assert [image.name for image in found.images] == ["a.png"]
    assert len(found.broken) == 3
    assert "link out of the folder" in found.broken[0]
    assert all(line.isprintable() for line in found.broken)
    assert found.notes == [
        "files that are no pictures: 1, such as text.txt",
        f"{SHEET} left out: a run's own overview is no image of it",
    ]


def test_the_plain_twins_of_a_run_are_left_out(tmp_path: Path) -> None:
    for name in ("image-00000.png", "plain-00000.png"):
        put(tmp_path, name, "a doctor")
    assert len(find_originals(tmp_path).images) == 2
    (tmp_path / "result.json").write_text("{}")
    found = find_originals(tmp_path)
    assert [image.name for image in found.images] == ["image-00000.png"]
    assert found.notes == ["the 1 plain twins of a run were left out"]


def test_the_runs_of_several_prompts_in_one_folder(tmp_path: Path) -> None:
    """Each run has its own overview and twins; beside no run, that is only a name."""
    for k, prompt in enumerate(("a doctor", "a nurse")):
        for name in ("image-00000.png", "plain-00000.png", SHEET):
            put(tmp_path, f"{k:03d}/{name}", prompt)
        (tmp_path / f"{k:03d}" / "result.json").write_text("{}")
    put(tmp_path, "own/plain-00000.png", "a cook")
    found = find_originals(tmp_path)
    assert [(image.name, image.prompt) for image in found.images] == [
        ("000/image-00000.png", "a doctor"),
        ("001/image-00000.png", "a nurse"),
        ("own/plain-00000.png", "a cook"),
    ]
    assert found.broken == []
    assert found.notes == [
        f"000/{SHEET}, 001/{SHEET} left out: a run's own overview is no image of it",
        "the 2 plain twins of a run were left out",
    ]


def test_the_first_n(tmp_path: Path) -> None:
    for name in "cab":
        put(tmp_path, f"{name}.png")
    found = find_originals(tmp_path, prompt="a doctor", n=2)
    assert [image.name for image in found.images] == ["a.png", "b.png"]
    assert found.notes == ["the first 2 of 3 images were taken"]
    assert find_originals(tmp_path, prompt="a doctor", n=3).notes == []


def test_too_many_of_one_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "MAX_IMAGES", 2)
    for k, prompt in enumerate(("a doctor", "a nurse", "a nurse")):
        put(tmp_path, f"{k}.png", prompt)
    assert len(find_originals(tmp_path).images) == 3
    with pytest.raises(ValueError, match=r"3 images of 'a cook', more than 2 of one prompt; .* -n"):
        find_originals(tmp_path, prompt="a cook")
    assert len(find_originals(tmp_path, prompt="a cook", n=2).images) == 2


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images in"):
        find_originals(tmp_path, prompt="a doctor")
    with pytest.raises(ValueError, match="is no folder"):
        find_originals(tmp_path / "nothing", prompt="a doctor")
    put(tmp_path, "a.png", "a doctor")
    put(tmp_path, "b.png")
    with pytest.raises(ValueError, match=r"b\.png does not say what it is a picture of"):
        find_originals(tmp_path)
    with pytest.raises(ValueError, match="give one"):
        find_originals(tmp_path, prompt="a doctor", prompts={"a.png": "a cook"})
    with pytest.raises(ValueError, match="n is 0"):
        find_originals(tmp_path, prompt="a doctor", n=0)
    with pytest.raises(ValueError, match="prompt is empty"):
        find_originals(tmp_path, prompt=" ")
