"""Format numbers: every kind of file that is read back has one, and a newer one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from audit_examples import both
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fair_diffusion.audit.folder import load_images, load_study, save_study
from fair_diffusion.audit.study import Confusion, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.compare import drawn
from fair_diffusion.compare.folder import work_folder
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.files.format_number import KEY, NewerFormatError, check_format, check_metadata, numbered
from fair_diffusion.models import edits
from fair_diffusion.perception import judge
from fair_diffusion.perception.trained import TrainedPerceiver
from fair_diffusion.readers.target import read_target
from fair_diffusion.request import Request
from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.runs.records import png_record, stopped_at
from fair_diffusion.runs.suite import Suite, check_work, draw_suite
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.learn.alignment import Aligned
from fair_diffusion.steering.learn.concept_editing import Edited

Change = Callable[[Path, int | None], None]
"""Writes another format number into a file, or takes the number out (None). It fails if the file has no number."""


def change_json(path: Path, number: int | None) -> None:
    content = json.loads(path.read_text())
    assert content.pop("format") in (1, 99)
    path.write_text(json.dumps(content if number is None else {"format": number, **content}))


def change_parquet(path: Path, number: int | None) -> None:
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    assert metadata.pop(KEY.encode()) in (b"1", b"99")
    table = table.replace_schema_metadata(metadata)
    pq.write_table(table if number is None else numbered(table, number), path)


def change_png(path: Path, number: int | None) -> None:
    with Image.open(path) as image:
        record = json.loads(image.info[PNG_KEY])
        assert record.pop("format") in (1, 99)
        info = PngInfo()
        info.add_itxt(PNG_KEY, json.dumps(record if number is None else {"format": number, **record}))
        image.save(path, pnginfo=info)


def change_safetensors(path: Path, number: int | None) -> None:
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    assert metadata.pop(KEY) in ("1", "99")
    save_file(load_file(path), path, metadata if number is None else metadata | {KEY: str(number)})


def write_run(path: Path) -> None:
    both().save(path.parent)


def write_png_run(path: Path) -> None:
    both().save(path.parent)
    (path.parent / "records.parquet").unlink()


def read_run(path: Path) -> object:
    return read_target(path.parent, scratch=path.parent).study


SUITE = Suite(model="fake", prompt="a photo of a {}")


class Pipe:
    def each(self, requests: Iterable[Request], *, on_step: Any) -> Iterator[tuple[int, Any]]:
        return enumerate(both(request.prompt) for request in requests)


def write_suite(path: Path) -> None:
    draw_suite(Pipe(), SUITE, ["cook"], path.parent, images=4)


def check_suite(path: Path) -> object:
    check_work(path.parent, SUITE, ["cook"], images=4)
    return None


def write_study(path: Path) -> None:
    tally = Tally(source="data", concept="nurse", attribute="gender", counts={"woman": 3, "man": 2}, unknown=1)
    images = pa.table({"file": ["a.png"], "concept": ["nurse"], "gender": ["woman"], "gender_confidence": [0.5]})
    save_study(Study(title="t", sources=[Source(name="data")], tallies=[tally]), path.parent, images)


def read_table(path: Path) -> object:
    return read_target(path, scratch=path.parent).study


def read_images(path: Path) -> object:
    images = load_images(path.parent)
    assert images is not None
    return images.to_pylist()


def write_strengths(path: Path) -> None:
    strengths = Strengths()
    strengths.learn(("pocket", "woman"), 1, complied=True)
    strengths.save(path)


def write_cell(path: Path) -> None:
    rows = drawn.image_rows([{"index": 0, "judged.gender": "woman"}])
    drawn.save(drawn.Drawn(images=rows, vectors=None, pictures=[b"png"], seconds=1.0, memory=2, notes=[]), path)


def read_cell(path: Path) -> object:
    return drawn.load(path).images.to_pylist()


def write_settings(path: Path) -> None:
    work_folder(path.parent).claim({"n": 4})


def write_perceiver(path: Path) -> None:
    reader = judge.build({"gender": ["woman", "man"]})
    errors = Confusion(attribute="gender", groups=["woman", "man"], counts=[[1, 0, 0], [0, 1, 0]], measured_on="two")
    TrainedPerceiver(reader, errors, seed=0).save(path.parent)


def read_tensors(path: Path) -> object:
    return {name: tensor.tolist() for name, tensor in edits.read(path).items()}


def write_heads(path: Path) -> None:
    weights = {"gender": torch.ones(1, 3, 2)}
    heads = BottleneckHeads(torch.ones(1), {"gender": ["woman", "man"]}, weights, {"gender": torch.zeros(1, 3)})
    heads.save(path, Cost())


@dataclass(frozen=True)
class Kind:
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]
    change: Change

    @property
    def own_file(self) -> bool:
        """Whether the kind is one file, for which the folder must be there."""
        return self.file.endswith((".safetensors", "strengths.json"))


KINDS = {
    "summary of a run": Kind("result.json", write_run, read_run, change_json),
    "records of a run": Kind("records.parquet", write_run, read_run, change_parquet),
    "records alone": Kind("records.parquet", write_run, read_table, change_parquet),
    "record in a PNG": Kind("image-00000.png", write_png_run, png_record, change_png),
    "folder of PNGs": Kind("image-00000.png", write_png_run, read_run, change_png),
    "settings of a suite": Kind("suite.json", write_suite, check_suite, change_json),
    "precision of a suite": Kind("suite.json", write_suite, lambda path: stopped_at(path.parent), change_json),
    "study": Kind("study.json", write_study, lambda path: load_study(path.parent), change_json),
    "tallies of a study": Kind("tallies.parquet", write_study, lambda path: load_study(path.parent), change_parquet),
    "tallies alone": Kind("tallies.parquet", write_study, read_table, change_parquet),
    "images of a study": Kind("images.parquet", write_study, read_images, change_parquet),
    "images alone": Kind("images.parquet", write_study, read_table, change_parquet),
    "strengths": Kind("strengths.json", write_strengths, Strengths.load, change_json),
    "cell": Kind("cell.parquet", write_cell, read_cell, change_parquet),
    "settings of a comparison": Kind("settings.json", write_settings, write_settings, change_json),
    "perceiver": Kind(
        "perceiver.json", write_perceiver, lambda path: TrainedPerceiver.load(path.parent).confusion, change_json
    ),
    "directions": Kind(
        "directions.safetensors",
        lambda path: Directions({("gender", "woman"): torch.ones(1, 2, 2)}, Cost()).save(path),
        lambda path: Directions.load(path).vectors["gender", "woman"].tolist(),
        change_safetensors,
    ),
    "heads": Kind(
        "heads.safetensors", write_heads, lambda path: BottleneckHeads.load(path).times.tolist(), change_safetensors
    ),
    "edit": Kind(
        "edit.safetensors",
        lambda path: Edited({"a": torch.ones(2)}, Cost(), np.ones((1, 2))).save(path),
        read_tensors,
        change_safetensors,
    ),
    "LoRA": Kind(
        "lora.safetensors",
        lambda path: Aligned({"a": torch.ones(2)}, Cost()).save(path),
        read_tensors,
        change_safetensors,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_has_a_number_and_a_newer_one_is_refused(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = tmp_path / "made" / kind.file
    if kind.own_file:
        path.parent.mkdir()
    kind.write(path)
    content = kind.read(path)
    kind.change(path, 99)
    with pytest.raises(NewerFormatError) as error:
        kind.read(path)
    assert str(error.value) == (
        f"{path} was written by a newer version of fair-diffusion (format 99; this version reads up to 1); "
        "update fair-diffusion"
    )
    kind.change(path, None)  # a file from before there were numbers
    assert kind.read(path) == content


def test_numbers_are_whole_and_from_one_on() -> None:
    for number in (None, 1, 2):
        check_format(number, 2, "a.json")
    for wrong in (0, -1, 1.0, True, "1", "pt"):
        with pytest.raises(ValueError, match=r"a\.json has the format .*write the file again") as error:
            check_format(wrong, 2, "a.json")
        assert not isinstance(error.value, NewerFormatError)


def test_the_metadata_of_other_programs_say_nothing() -> None:
    check_metadata(None, 1, "a")
    check_metadata({"format": "pt"}, 1, "a")
    check_metadata({b"pandas": b"\xff"}, 1, "a")
    with pytest.raises(ValueError, match="has the format 'two'"):
        check_metadata({KEY: "two"}, 1, "a")


def test_a_number_changes_no_rows_and_no_other_metadata() -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"mine": "kept"})
    changed = numbered(table, 7)
    assert changed.equals(table)
    assert changed.schema.metadata == {b"mine": b"kept", KEY.encode(): b"7"}
