"""Every file that is written and read back, mutated at one place: it is read, or refused in one line that names it.

The mutations and their seeds are fixed (`mutations`). Nothing else may come out: no traceback, no error of a library.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from audit_examples import both
from mutations import VALUES, byte_mutations, json_mutations, table_mutations
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save

from fair_diffusion.allocation.ledger import Ledger, LedgerError
from fair_diffusion.audit.folder import load_images, load_study, save_study
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.compare import drawn as cell
from fair_diffusion.compare.folder import work_folder
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.files.format_number import NewerFormatError, file_metadata
from fair_diffusion.files.schema import DamagedFile
from fair_diffusion.models.edits import read as read_edit
from fair_diffusion.perception import judge as network
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.trained import CARD, TrainedPerceiver
from fair_diffusion.policy.target import uniform
from fair_diffusion.readers.run import read_run
from fair_diffusion.readers.target import read_target
from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.runs.work import suite_folder
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.cost import Cost

Act = Callable[[], object]


class Outcomes:
    """What came of the mutations of one file; `folder` is what errors must name, or something in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.read, self.refused, self.wrong = folder, 0, 0, list[str]()

    def note(self, name: str, act: Act) -> None:
        """Do what reads the file, and note what comes of it."""
        try:
            act()
        except (DamagedFile, NewerFormatError, LedgerError, ValueError) as error:
            own = type(error) is ValueError or type(error).__module__.startswith("fair_diffusion")
            if own and "\n" not in str(error) and self.folder.name in str(error):
                self.refused += 1
            else:
                self.wrong.append(f"{name}: {type(error).__name__}: {error}")
        except BaseException as error:
            self.wrong.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.read += 1

    def check(self, refused: int) -> None:
        """Check that nothing else came out, and that at least so many were refused."""
        assert not self.wrong, "\n".join([f"{len(self.wrong)} wrong:", *self.wrong[:20]])
        assert self.refused >= refused


def mutated_json(
    path: Path, act: Act, *, seed: int, most: int = 120, refused: int = 40, folder: Path | None = None
) -> None:
    """Mutate a file of JSON."""
    text, outcomes = path.read_text(), Outcomes(folder or path)
    for name, changed in json_mutations(text, seed, most):
        path.write_text(changed, encoding="latin-1" if name == "not UTF-8" else "utf-8")
        outcomes.note(name, act)
    path.write_text(text)
    act()
    outcomes.check(refused)


def mutated_bytes(
    path: Path, act: Act, *, seed: int, most: int = 60, refused: int = 10, folder: Path | None = None
) -> None:
    """Mutate a file of any kind."""
    data, outcomes = path.read_bytes(), Outcomes(folder or path)
    for name, changed in byte_mutations(data, seed, most):
        path.write_bytes(changed)
        outcomes.note(name, act)
    path.write_bytes(data)
    act()
    outcomes.check(refused)


def mutated_table(path: Path, act: Act, *, refused: int, folder: Path | None = None) -> None:
    """Mutate the columns of a Parquet table."""
    data, outcomes = path.read_bytes(), Outcomes(folder or path)
    for name in table_mutations(pq.read_table(path), path):
        outcomes.note(name, act)
    path.write_bytes(data)
    act()
    outcomes.check(refused)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    both().save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def study(run: Path, tmp_path: Path) -> Path:
    found = read_run(run, scratch=tmp_path)
    save_study(found.study, tmp_path / "study", found.images)
    return tmp_path / "study"


def test_study_json(study: Path) -> None:
    mutated_json(study / "study.json", lambda: load_study(study), seed=1, most=250, refused=120, folder=study)


@pytest.mark.parametrize("name", ["tallies", "images"])
def test_tables_of_a_study(study: Path, name: str) -> None:
    path = study / f"{name}.parquet"
    mutated_table(path, lambda: (load_study(study), load_images(study)), refused=60, folder=study)
    mutated_bytes(path, lambda: (load_study(study), load_images(study)), seed=2, folder=study)


def test_numbers_of_a_study_that_can_be_read(study: Path) -> None:
    """What a schema lets pass is calculated with, or refused in one line."""
    path = study / "study.json"
    text, outcomes = path.read_text(), Outcomes(study)
    for name, changed in json_mutations(text, 3, 80):
        path.write_text(changed, encoding="latin-1" if name == "not UTF-8" else "utf-8")
        try:
            found = load_study(study)
        except ValueError:
            continue
        outcomes.note(name, lambda: numbers(found))  # noqa: B023
    assert not [one for one in outcomes.wrong if ": ValueError: " not in one], outcomes.wrong
    assert outcomes.read > 5


def test_result_json(run: Path, tmp_path: Path) -> None:
    act = lambda: read_target(run, scratch=tmp_path)  # noqa: E731
    mutated_json(run / "result.json", act, seed=4, most=200, refused=60, folder=run)


def test_records(run: Path, tmp_path: Path) -> None:
    act = lambda: read_target(run, scratch=tmp_path)  # noqa: E731
    mutated_table(run / "records.parquet", act, refused=300, folder=run)
    mutated_bytes(run / "records.parquet", act, seed=5, most=100, folder=run)


def test_records_in_pictures(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("image-00000.png", "image-00001.png"):
        (run / name).rename(folder / name)
    path = folder / "image-00000.png"

    def act() -> None:
        if broken := read_target(folder, scratch=tmp_path).study.broken:  # the other picture counts
            raise ValueError(f"{folder}: {broken[0]}")

    with Image.open(path) as image:
        image.load()
    outcomes = Outcomes(folder)
    for name, changed in json_mutations(image.info[PNG_KEY], 6, 150):
        info = PngInfo()
        info.add_itxt(PNG_KEY, changed)
        image.save(path, pnginfo=info)
        outcomes.note(name, act)
    outcomes.check(refused=60)
    image.save(path, pnginfo=info)
    mutated = Outcomes(folder)
    for name, data in byte_mutations((folder / "image-00001.png").read_bytes(), 7, 100):
        path.write_bytes(data)
        mutated.note(name, act)
    mutated.check(refused=0)


@pytest.mark.parametrize(("kind", "file"), [(suite_folder, "suite.json"), (work_folder, "settings.json")])
def test_settings_of_work_folders(kind: Callable[[Path], Any], file: str, tmp_path: Path) -> None:
    work = kind(tmp_path / "work")
    settings = {"model": "pocket", "steps": 4, "until": None, "loaded": {"judge": "judge"}}
    work.claim(settings)
    mutated_json(work.path / file, lambda: work.check(settings), seed=8, most=60, refused=40, folder=work.path)


def test_a_cell_of_a_comparison(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"seed": 1, "steered": True, "repairs": 0, "reseeds": 0, "missed": None, "evaluations": 4}
    facts |= {"plain_evaluations": 4, "pixels": 0.5, "features": None}
    facts |= {"judged.gender": "woman", "perceived.gender": None, "assigned.gender": "woman"}
    rows = [{"index": k, **facts} for k in range(3)]
    drawn = cell.Drawn(
        images=cell.image_rows(rows), vectors=torch.ones(3, 4).numpy(), pictures=[], seconds=1.0, memory=5, notes=["a"]
    )
    path = tmp_path / "cell.parquet"
    cell.save(drawn, path)
    mutated_table(path, lambda: cell.load(path, pictures=True), refused=150)
    mutated_bytes(path, lambda: cell.load(path, pictures=True), seed=9)


def test_strengths(tmp_path: Path) -> None:
    known = Strengths({("pocket", "semantic", "nurse", "gender", "woman"): [[4, 1], [2, 2]]})
    path = tmp_path / "strengths.json"
    known.save(path)
    mutated_json(path, lambda: Strengths.load(path).level(next(iter(known.counts))), seed=10, most=60, refused=30)


@pytest.fixture(scope="module")
def perceiver() -> TrainedPerceiver:
    reader = network.build({"gender": ["woman", "man"]}).eval()
    reader.side = 16
    counts = [[5, 1, 0], [0, 6, 0]]
    return TrainedPerceiver(
        reader, Confusion(attribute="gender", groups=["woman", "man"], counts=counts, measured_on="x"), 0
    )


def test_a_perceiver(perceiver: TrainedPerceiver, tmp_path: Path) -> None:
    perceiver.save(tmp_path / "trained")
    folder = tmp_path / "trained"
    mutated_json(folder / CARD, lambda: TrainedPerceiver.load(folder), seed=11, most=60, refused=30, folder=folder)
    path = folder / "perceiver.safetensors"
    data, outcomes = path.read_bytes(), Outcomes(folder)
    for name, changed in byte_mutations(data[:2000], 12, 25):  # the header
        path.write_bytes(changed + data[2000:])
        outcomes.note(name, lambda: TrainedPerceiver.load(folder))
    outcomes.check(refused=8)


def tensors(path: Path, act: Act, seed: int) -> None:
    """Mutate a safetensors file, and give it what its metadata and tensors may not be."""
    mutated_bytes(path, act, seed=seed, refused=8)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    outcomes = Outcomes(path)
    for key in header.get("__metadata__", {}):
        for value in ("", "x", "nan", "-1", "[]", "{}", "9" * 400, "[" * 3000, '{"gender": 1}'):
            changed = json.dumps(header | {"__metadata__": header["__metadata__"] | {key: value}}).encode()
            path.write_bytes(len(changed).to_bytes(8, "little") + changed + data[8 + size :])
            outcomes.note(f"{key} {value[:20]}", act)
    for kind in (torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.int8, torch.bool):
        path.write_bytes(save({name: torch.ones(2, 2, 2).to(kind) for name in header if name != "__metadata__"}))
        outcomes.note(str(kind), act)
    path.write_bytes(save({"x": torch.tensor([float("nan")])}, file_metadata(1)))
    outcomes.note("nan", act)
    outcomes.check(refused=3)


def test_edits(tmp_path: Path) -> None:
    path = tmp_path / "edit.safetensors"
    path.write_bytes(save({"conv_in.weight": torch.ones(4, 4)}, file_metadata(1)))
    tensors(path, lambda: read_edit(path), 13)


def test_directions(tmp_path: Path) -> None:
    path = tmp_path / "directions.safetensors"
    Directions({("gender", "woman"): torch.ones(4, 2, 2), ("gender", "man"): torch.ones(4, 2, 2)}, Cost()).save(path)
    tensors(path, lambda: Directions.load(path), 14)


def test_heads(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    weights, biases = {"gender": torch.ones(2, 3, 8)}, {"gender": torch.ones(2, 3)}
    BottleneckHeads(torch.tensor([1.0, 2.0]), {"gender": ["woman", "man"]}, weights, biases).save(path, Cost())
    tensors(path, lambda: BottleneckHeads.load(path), 15)


def test_a_ledger(tmp_path: Path) -> None:
    file, target = tmp_path / "ledger.sqlite", uniform("gender")
    ledger = Ledger(file)
    turn = ledger.reserve(rule="nurse", target=target, n=2, model="pocket")
    assert turn

    def act() -> None:
        again = Ledger(file, create=False)
        again.rows()
        again.release(again.reserve(rule="nurse", target=target, n=1, model="pocket"))

    outcomes = Outcomes(file)
    columns = {
        "cells": ("name", "share", "asked", "perceived", "judged", "counted"),
        "turns": ("quotas", "expires", "lease"),
        "streams": ("rule", "model", "attributes", "lot"),
    }
    whole = {table: f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in columns}
    with closing(sqlite3.connect(file)) as connection:
        for statement in whole.values():
            connection.execute(statement)
        connection.commit()
        for table, names in columns.items():
            for name in names:
                for value in (
                    "",
                    "x",
                    "1/0",
                    "[]",
                    '{"woman": "x"}',
                    "[" * 3000,
                    b"\xff",
                    -1,
                    0,
                    1.5,
                    2**62,
                    float("inf"),
                ):
                    connection.execute(f"UPDATE {table} SET {name} = ?", (value,))
                    connection.commit()
                    outcomes.note(f"{table}.{name} {value!r:.20}", act)
                    connection.execute("DELETE FROM streams WHERE id > 1")  # begun by `act` if this one has other words
                    kept = f"SELECT {name} FROM kept_{table} AS kept WHERE kept.rowid = {table}.rowid"
                    connection.execute(f"UPDATE {table} SET {name} = ({kept})")
                    connection.commit()
    outcomes.check(refused=40)


def test_paths_that_are_odd(run: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a[b]*?{c}"
    odd.mkdir()
    run.rename(odd / "run [1]")
    assert read_target(odd, scratch=tmp_path).study.tallies
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    outcomes = Outcomes(loop)
    outcomes.note("a link to itself", lambda: read_target(loop, scratch=tmp_path))
    outcomes.note("a study", lambda: load_study(loop))
    outcomes.note("strengths", lambda: Strengths.load(loop))
    outcomes.check(refused=2)
    for name in ("result.json", "records.parquet"):
        (odd / "run [1]" / name).unlink()
        (odd / "run [1]" / name).symlink_to(name)
    assert read_target(odd, scratch=tmp_path).study.tallies
    assert len(VALUES) > 10
