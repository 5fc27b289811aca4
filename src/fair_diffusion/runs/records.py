"""The records of runs, streamed: from `records.parquet`, or from inside the PNGs where a folder has only these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fair_diffusion.files.pictures import ENDINGS
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.result import PNG_KEY, SHEET

SETTINGS = "suite.json"
"""What a folder of runs was drawn with, if a suite drew it."""
RECORDS, RESULT = "records.parquet", "result.json"
NEEDED = frozenset(["prompt", "model", "method", "judged"])
USED = (
    *("index", "file", "prompt", "seed", "reseeds", "model", "method", "rule", "steps", "guidance"),
    *("judged", "perceived", "confidence", "evaluations", "plain_evaluations"),
)

Record = Mapping[str, Any]
"""One image's record, as `fair_diffusion.result.Record` holds it, with `file`, its path below the audited folder, and
`asked_seed`, the seed that it was asked for: a new seed, given later, does not part it from its plain twin."""


@dataclass(frozen=True)
class Run:
    """What one request left: where its files lie, its name below the audited folder, its table and its summary."""

    folder: Path
    name: str = ""
    table: Path | None = None
    summary: Mapping[str, Any] | None = None

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """The summaries of its images and of their plain twins, as far as there are any.

        Twins of a plain run are the run itself and are left out."""
        summary = self.summary or {}
        twins = summary.get("plain") if title(summary) == "instructed" else None
        return [part for part in (summary, twins) if part]

    def records(self) -> Iterator[Record]:
        """The record of every image of `parts`. `ValueError` naming the file if they cannot be read.

        The table holds the plain twins first."""
        twins = ((self.summary or {}).get("plain") or {}).get("n", 0)
        for place, record in enumerate(_table_records(self.table) if self.table else _png_records(self.folder)):
            if place < twins and len(self.parts) < 2:
                continue
            file = record.get("file") or f"{'plain' if place < twins else 'image'}-{record.get('index') or 0:05d}.png"
            name = f"{self.name}/{file}" if self.name else file
            yield {**record, "file": name, "asked_seed": self._asked_seed(record)}

    def _asked_seed(self, record: Mapping[str, Any]) -> int | None:
        """The seed that an image was asked for; None if it was given another and nothing tells the first."""
        if not record.get("reseeds"):
            return record.get("seed")
        summary = self.summary or {}
        whole = "seed" in summary and summary.get("n") == summary.get("requested")
        return summary["seed"] + record["index"] if whole and record.get("index") is not None else None


def runs_in(folder: Path) -> list[Run]:
    """The runs that `folder` is or holds, in order of their names."""
    if _is_run(folder):
        return [_run(folder, "")]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [_run(path, path.name) for path in inner if _is_run(path)]


def is_twin(picture: Path) -> bool:
    """Whether a picture is the plain twin of an image, in the folder of a run."""
    run = any((picture.parent / name).is_file() for name in (RECORDS, RESULT))
    return run and re.fullmatch(r"plain-\d+\.png", picture.name) is not None


def stopped_at(work: Path) -> float | None:
    """The half width in share at which the parts of a work folder stopped; None if their number was set beforehand."""
    file = work / SETTINGS
    if not file.is_file():
        return None
    try:
        until = json.loads(file.read_text(encoding="utf-8")).get("until")
        return None if until is None else float(until)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged; draw the suite anew in another work folder") from error


def title(record: Mapping[str, Any]) -> str:
    """What an image, or a whole run, is: "instructed" if a rule steered it, else "plain"."""
    return "instructed" if record.get("rule") and record["method"] != "none" else "plain"


def columns_of(table: Path) -> list[str]:
    """The names of the columns of a Parquet file. `ValueError` if it is none."""
    try:
        return list(pq.read_schema(table).names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{table} is no Parquet file that can be read: {error}") from error


def _is_run(folder: Path) -> bool:
    """Whether `folder` has a table of records, or a summary with images that hold theirs, or only such images."""
    if (folder / RECORDS).is_file():
        return True
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    images = [path for path in files if path.name != SHEET and not path.name.startswith(".")]
    recorded = (png_record(path) is not None for path in images)
    return any(recorded) if (folder / RESULT).is_file() else bool(images) and all(recorded)


def _run(folder: Path, name: str) -> Run:
    table, result = folder / RECORDS, folder / RESULT
    return Run(folder, name, table if table.is_file() else None, _summary(result) if result.is_file() else None)


def _summary(path: Path) -> Mapping[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        for part in (summary, summary.get("plain") or summary):
            for name in ("prompt", "model", "method"):
                part[name] + ""
            for row in part["audit"]:
                row["attribute"], row["group"], row["target"]
            part.get("n", 0) + part.get("requested", 0) + part.get("seed", 0)
            sum(part.get("images", {}).values(), part.get("cost", {}).get("seconds", 0.0))
            "".join([*part.get("notes", ()), *part.get("made_with", {}).keys()])
            "".join(text for pair in part.get("occupations", {}).items() for text in pair)
            [Confusion(**one) for one in part.get("confusions", ())]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no result of `fair-diffusion generate` ({type(error).__name__}: {error})"
        raise ValueError(message) from error
    return dict(summary)


def _table_records(table: Path) -> Iterator[dict[str, Any]]:
    names = columns_of(table)
    if not names:  # a run that was interrupted before its first image
        return
    if lacking := NEEDED - set(names):
        raise ValueError(f"{table} lacks the column {min(lacking)!r}; these are no records of images")
    try:
        with pq.ParquetFile(table) as file:
            for batch in file.iter_batches(batch_size=8192, columns=[name for name in USED if name in names]):
                for row in batch.to_pylist():
                    yield row | {name: _mapping(row.get(name)) for name in ("judged", "perceived", "confidence")}
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{table} cannot be read: {error}") from error


def _png_records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.png")):
        if record := png_record(path):
            yield {**record, "file": path.name}


def png_record(path: Path) -> dict[str, Any] | None:
    """The record inside a PNG; None if there is none."""
    broken = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
    with suppress(*broken), Image.open(path, formats=["PNG"]) as png:
        record = json.loads(png.info.get(PNG_KEY, "null"))
        if isinstance(record, dict) and record.keys() >= NEEDED and isinstance(record["judged"], dict):
            return {"confidence": {}, "perceived": {}, **record}
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    """A column's value by attribute, whether it is kept as JSON or as a struct."""
    return _parsed(value) if isinstance(value, str) else value or {}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Mapping[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text!r} in the records is no mapping from attributes")
    return found
