"""Folders as people keep them: names that tell nothing, prompts in and beside pictures, other kinds, other files."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import ByColour, picture, put
from PIL import ExifTags, Image, PngImagePlugin

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.readers.folder import listed, read_concepts
from fair_diffusion.readers.names import UNNAMED, concept_of_file, concept_of_folder
from fair_diffusion.readers.own_prompts import own_prompt, written_prompt
from fair_diffusion.readers.target import kind_of_target, read_target
from fair_diffusion.rebalance import find_originals, read_prompts


def concepts(folder: Path) -> set[str]:
    return {one.concept for one in listed(folder).pictures}


@pytest.mark.parametrize(
    "name",
    "00000-1234567890.png|image (3).png|DSC_0012.JPG|IMG_20240131_120000.jpg|ComfyUI_00001_.png|42.png|2024-01-31.png"
    "|abcdefab-cdef-abcd-adef-abcdefabcdef.png|550e8400-e29b-fade-a716-446655440000_3.png|CIMG_0012.jpg|P_0003.jpg"
    "|550e8400-e29b-41d4-a716-446655440000.png|d41d8cd98f00b204e9800998ecf8427e.png|2024-01-31 12.00.00.png"
    "|Screenshot 2024-01-31 at 12.30.45.png|download (1).jpg|deadbeefcafe.webp|output_seed42.png|no-ending".split("|")[
        :-1
    ],
)
def test_a_name_that_tells_nothing(name: str) -> None:
    assert concept_of_file(name) == UNNAMED


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("nurse_0001_seed-99.png", "nurse"),
        ("00012-42-a photo of a nurse.png", "nurse"),
        ("dcd0f1a2-nurse.png", "nurse"),
        ("facade_painter.png", "facade painter"),
        ("看护_1.png", "看护"),
    ],
)
def test_a_name_with_a_concept_between_numbers(name: str, concept: str) -> None:
    assert concept_of_file(name) == concept


def test_a_folder_for_a_day_or_a_part_is_no_concept() -> None:
    assert {concept_of_folder(name) for name in ("2024-01-31", "train", "outputs", "007")} == {UNNAMED}
    assert concept_of_folder("software_engineer") == "software engineer"


def test_names_that_are_nearly_all_different_are_one_concept(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("Anna", "Bert", "Chris", "Dora", "Emil", "Fritz"):
        put(folder, f"{name}.png", picture("woman"))
    found = read_target(folder, scratch=tmp_path, reader=ByColour())
    assert {tally.concept for tally in found.study.tallies} == {UNNAMED}
    assert any("nearly all different" in note for note in found.study.notes)


def test_a_folder_for_each_person_is_no_concept(tmp_path: Path) -> None:
    for name in ("Anna_Ash", "Bert_Bay", "Chris_Cole", "Dora_Day", "Emil_Elm"):
        put(tmp_path / "faces" / name, f"{name}_0001.png", picture("woman"))
    assert concepts(tmp_path / "faces") == {UNNAMED}
    for name in ("nurse", "cook", "pilot", "judge", "farmer"):
        put(tmp_path / "jobs" / name, "0.png", picture("woman"))
    assert len(concepts(tmp_path / "jobs")) == 5


def test_known_occupations_stay_apart_and_a_table_says_otherwise(tmp_path: Path) -> None:
    names = ("nurse", "cook", "pilot", "judge", "farmer", "plumber")
    for name in names:
        put(tmp_path / "photos", f"{name}.png", picture("woman"))
    assert concepts(tmp_path / "photos") == set(names)
    table = put(tmp_path, "t.csv", "file_name;occupation\nnurse.png;a\ncook.png;b\n")
    assert {one.concept for one in listed(tmp_path / "photos", read_concepts(table)).pictures} == {"a", "b"}


def test_an_occupation_is_one_concept_in_every_spelling_and_with_every_number(tmp_path: Path) -> None:
    for k, name in enumerate(("nurse1", "nurse-3", "doctor_1", "Nurse 4", "nurses", "Class 1", "Class 2")):
        put(tmp_path / "out" / name, f"{k}.png", picture("woman"))
    study = read_target(tmp_path / "out", scratch=tmp_path, reader=ByColour()).study
    shown = {tally.concept: tally.n for tally in study.tallies if tally.attribute == "gender"}
    assert shown == {"Nurse": 4, "doctor": 1, "Class 1": 1, "Class 2": 1}
    assert any("numbers behind the names of occupations were left out: 4" in note for note in study.notes)
    assert any("concepts counted together: 'nurse' with 'Nurse'" in note for note in study.notes)


def test_numbers_are_one_concept_and_it_is_said(tmp_path: Path) -> None:
    for k in range(6):
        put(tmp_path / "out", f"{k:05d}-{k * 7919 + 1234567890}.png", picture("man"))
    found = read_target(tmp_path / "out", scratch=tmp_path, reader=ByColour()).study
    assert {(tally.concept, tally.n) for tally in found.tallies} == {(UNNAMED, 6)}
    assert any("the names of 6 pictures tell nothing" in note for note in found.notes)


def with_text(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_itxt(key.replace("_dash_", "-"), text)
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "negative": ["7", 0], "seed": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly, a cook", "clip": ["4", 1]}},
    "9": {"class_type": "String", "inputs": {"value": "a photo of a nurse"}},
}
LOOP = {"3": {"inputs": {"positive": ["3", 0]}}, "x": 1}
PROGRAMS = {
    "AUTOMATIC1111": with_text(
        parameters="a photo of a nurse\nNegative prompt: a cook\nSteps: 20, Sampler: Euler a, Seed: 42, Size: 512x512"
    ),
    "AUTOMATIC1111 without negative": with_text(parameters="a photo of a nurse\nSteps: 20, Sampler: Euler a"),
    "ComfyUI": with_text(prompt=json.dumps(GRAPH), workflow="{}"),
    "InvokeAI": with_text(invokeai_metadata=json.dumps({"positive_prompt": "a photo of a nurse", "seed": 1})),
    "InvokeAI 2": with_text(sd_dash_metadata=json.dumps({"image": {"prompt": [{"prompt": "a photo of a nurse"}]}})),
    "InvokeAI 1": with_text(Dream='"a photo of a nurse" -s 50 -S 42 -W 512'),
    "NovelAI": with_text(
        Software="NovelAI", Description="a photo of a nurse", Comment=json.dumps({"prompt": "a photo of a nurse"})
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_prompt_that_a_program_wrote_is_read(program: str, tmp_path: Path) -> None:
    assert written_prompt(put(tmp_path, "0.png", PROGRAMS[program])) == "a photo of a nurse"
    for k in range(6):
        put(tmp_path / "out", f"{k:05d}-42.png", PROGRAMS[program])
    assert concepts(tmp_path / "out") == {"nurse"}
    assert {image.prompt for image in find_originals(tmp_path / "out").images} == {"a photo of a nurse"}


def test_parameters_in_a_jpeg_are_read(tmp_path: Path) -> None:
    exif, file = Image.Exif(), BytesIO()
    said = b"UNICODE\0" + "a photo of a nurse\nSteps: 20, Seed: 1".encode("utf-16-be")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = said
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    assert written_prompt(put(tmp_path, "0.jpg", file.getvalue())) == "a photo of a nurse"


STRANGE = [
    with_text(Title="holiday"),
    with_text(prompt="{" * 100_000),
    with_text(prompt='{"a":' * 50_000),
    with_text(prompt=json.dumps(LOOP)),
    with_text(parameters='{"sui_image_params": 3}'),
    with_text(invokeai_metadata="[1]", sd_dash_metadata='{"image": 3}'),
    b"\x89PNG\r\n\x1a\nbroken",
    b"",
]


@pytest.mark.parametrize("which", range(8))
def test_texts_that_are_no_prompt_tell_nothing(which: int, tmp_path: Path) -> None:
    assert written_prompt(put(tmp_path, "0.png", STRANGE[which])) == ""


def test_captions_and_tables_beside_pictures_tell(tmp_path: Path) -> None:
    for k in range(3):
        put(tmp_path / "kohya", f"{k}.png", picture("woman"))
        put(tmp_path / "kohya", f"{k}.txt", "masterpiece, a firefighter in a street")
        put(tmp_path / "hub", f"{k}.png", picture("woman"))
    put(
        tmp_path / "hub", "metadata.jsonl", "".join(f'{{"file_name": "{k}.png", "text": "a cook"}}\n' for k in range(3))
    )
    assert own_prompt(InnerFile(tmp_path / "kohya", "0.png")).startswith("masterpiece")
    assert concepts(tmp_path / "kohya") == {"firefighter"}
    assert concepts(tmp_path / "hub") == {"cook"}
    assert {image.prompt for image in find_originals(tmp_path / "hub").images} == {"a cook"}
    (tmp_path / "hub" / "metadata.jsonl").write_text("{broken")
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line 1"):
        listed(tmp_path / "hub")
    table = put(tmp_path, "metadata.csv", "file_name,text\n0.png,a cook\n")
    assert read_prompts(table) == {"0.png": "a cook"}


def test_a_table_in_a_folder_below_tells_and_one_of_other_pictures_is_told(tmp_path: Path) -> None:
    for k in range(3):
        put(tmp_path / "hub" / "train", f"{k}.png", picture("woman"))
        put(tmp_path / "other", f"{k}.png", picture("woman"))
    put(tmp_path / "hub" / "train", "metadata.csv", "file_name,text\n0.png,a cook\n1.png,a cook\n2.png,a cook\n")
    put(tmp_path / "other", "metadata.csv", "file_name,text\nx.png,a cook\n")
    assert concepts(tmp_path / "hub") == {"cook"}
    assert any("no prompt in metadata.csv is used" in note for note in listed(tmp_path / "other").notes)


def saved(kind: str, side: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side), (220, 30, 30)).save(file, kind)
    return file.getvalue()


def test_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for k, (kind, name) in enumerate(
        [
            ("AVIF", "a.avif"),
            ("JPEG2000", "b.jp2"),
            ("JPEG", "c.jfif"),
            ("PNG", "d"),
            ("WEBP", "e.png"),
            ("PNG", "f.dat"),
        ]
    ):
        put(folder, f"nurse/{k}{name}", saved(kind, 16 + k))
    put(folder, "nurse/x.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"x" * 50)
    put(folder, "nurse/y.jxl", b"\xff\x0a" + b"x" * 50)
    put(folder, "nurse/z.png", b"no picture")
    put(folder, "nurse/notes.md", b"text")
    found = read_target(folder, scratch=tmp_path, reader=ByColour()).study
    assert {tally.n for tally in found.tallies} == {6}
    assert "files that are no pictures: 1, such as nurse/notes.md" in found.notes
    broken = {line.partition(": ")[0]: line for line in found.broken}
    assert set(broken) == {"nurse/x.heic", "nurse/y.jxl", "nurse/z.png"}
    assert "JPEG XL" in broken["nurse/y.jxl"]
    assert "kind" in broken["nurse/x.heic"] or "HEIF" in broken["nurse/x.heic"]


def test_a_stray_table_makes_no_dataset_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for k in range(3):
        put(folder, f"nurse/{k}.png", picture("woman"))
    pq.write_table(pa.table({"caption": ["a nurse"]}), folder / "index.parquet")
    assert kind_of_target(folder) == "folder"
    notes = read_target(folder, scratch=tmp_path, reader=ByColour()).study.notes
    assert any("tables or archives inside were left out: 1, such as index.parquet" in note for note in notes)
    for name in ("1.parquet", "2.parquet", "3.parquet"):
        pq.write_table(pa.table({"caption": ["a nurse"]}), folder / name)
    assert kind_of_target(folder) == "dataset"
    assert "pictures beside the dataset were left out: 3" in read_target(folder, scratch=tmp_path).study.notes
    pq.write_table(pa.table({"number": [1]}), folder / "4.parquet")
    assert kind_of_target(folder) == "folder"


def test_pipes_in_a_folder_of_pictures_are_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path / "photos", "nurse/0.png", picture("woman"))
    for name in ("nurse/1.png", "nurse/2", "nurse/0.txt", "metadata.csv"):
        os.mkfifo(tmp_path / "photos" / name)
    found = listed(tmp_path / "photos")
    assert [one.name for one in found.pictures] == ["nurse/0.png"]
    assert found.broken == ["nurse/1.png: no regular file"]
