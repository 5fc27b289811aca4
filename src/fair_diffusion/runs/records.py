"""The records of runs, read as a stream from `records.parquet`, or from inside the PNGs where there is no table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from fair_diffusion.files.format_number import check_metadata
from fair_diffusion.files.guarded import InnerFile, Readable, opened
from fair_diffusion.files.picture_kinds import is_crowded
from fair_diffusion.files.pictures import ENDINGS
from fair_diffusion.files.schema import DamagedFile, arrow_errors, checked, parsed, read_json, wrong
from fair_diffusion.methods import NONE
from fair_diffusion.runs.format import (
    BY_ATTRIBUTE,
    FORMAT,
    NEEDED,
    PNG_KEY,
    RECORDS,
    RESULT,
    SHEET,
    USED,
    image_name,
    is_twin_name,
    title,
)
from fair_diffusion.runs.schema import RECORD, RECORDS_TABLE, RESULT_FILE
from fair_diffusion.runs.work import suite_folder

Record = Mapping[str, Any]
"""One image's record, with the fields of `fair_diffusion.result.Record` and two more: `file`, the image's path below
the audited folder, and `asked_seed`, the seed that was asked for. An image that was given a new seed shares its asked
seed with its plain twin."""


_MAPPING: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class Run:
    """The files that one request wrote.

    Attributes:
        folder: where the files are.
        name: the folder's name below the audited folder; "" for the audited folder itself.
        table: the table of records, if there is one.
        summary: the content of result.json, if there is one.
        damaged: a line for each image whose record in its PNG cannot be read, by its path below the audited folder;
            `records` fills it.
    """

    folder: Path
    name: str = ""
    table: Readable | None = None
    summary: Mapping[str, Any] | None = None
    damaged: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """The summary of the images, then that of their plain twins, as far as there are any.

        The twins of a plain run are the same images again, so they are left out."""
        summary = self.summary or {}
        twins = summary.get("plain") if title_of(summary) == "instructed" else None
        return [part for part in (summary, twins) if part]

    def records(self) -> Iterator[Record]:
        """Yield the record of every image of `parts`.

        Raises:
            ValueError: the table cannot be read; the message names it.
        """
        twins = ((self.summary or {}).get("plain") or {}).get("n", 0)  # the twins come first
        for place, record in enumerate(_table_records(self.table) if self.table else self._png_records()):
            if place < twins and len(self.parts) < 2:
                continue
            file = record.get("file") or image_name(record.get("index") or 0, twin=place < twins)
            yield {**record, "file": self._path(file), "asked_seed": self._asked_seed(record)}

    def _path(self, file: str) -> str:
        """The path of a file of the run below the audited folder."""
        return f"{self.name}/{file}" if self.name else file

    def _png_records(self) -> Iterator[dict[str, Any]]:
        """Yield the records inside the PNGs. One that is damaged is noted, and the others count."""
        for name in sorted(path.name for path in self.folder.iterdir() if path.suffix == ".png"):
            image = InnerFile(self.folder, name)
            try:
                record = png_record(image)
            except DamagedFile as error:
                self.damaged[self._path(name)] = str(error).replace(str(image), self._path(name))
                continue
            if record:
                yield {**record, "file": name}

    def _asked_seed(self, record: Mapping[str, Any]) -> int | None:
        """The seed that an image was asked for; None if the image has another seed and the summary does not tell."""
        if not record.get("reseeds"):
            return record.get("seed")
        summary = self.summary or {}
        whole = "seed" in summary and summary.get("n") == summary.get("requested")
        return summary["seed"] + record["index"] if whole and record.get("index") is not None else None


def runs_in(folder: Path) -> list[Run]:
    """The run that `folder` is, or the runs directly below it in order of their names.

    Raises:
        ValueError: a result.json is damaged, or a file has a newer format.
    """
    if _is_run(folder):
        return [run_at(folder)]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()]
    return [run_at(path, path.name) for path in inner if not path.name.startswith(".") and _is_run(path)]


def run_at(folder: Path, name: str = "") -> Run:
    """The run in `folder`, called `name`."""
    table, result = InnerFile(folder, RECORDS), InnerFile(folder, RESULT)
    return Run(folder, name, table if table.is_file() else None, _summary(result) if result.is_file() else None)


def is_twin(image: InnerFile) -> bool:
    """Whether an image is the plain twin of another one in the folder of a run."""
    return is_twin_name(image.name) and any(image.beside(name).is_file() for name in (RECORDS, RESULT))


def stopped_at(work: Path) -> float | None:
    """The half width (a share) at which the suite in a work folder stopped; None if its number of images was fixed.

    Raises:
        ValueError: the suite's settings are damaged or have a newer format.
    """
    until = (suite_folder(work).settings() or {}).get("until")
    try:
        return None if until is None else float(until)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{work} was drawn with until {until!r}; draw again in another work folder") from error


def title_of(record: Mapping[str, Any]) -> str:
    """The kind of an image or a whole run by its record or summary, as `format.title`."""
    return title(record.get("rule"), record.get("method", NONE))


def schema_of(table: Readable) -> pa.Schema:
    """The schema of a Parquet file.

    Raises:
        ValueError: the file cannot be read as Parquet.
    """
    try:
        with arrow_errors(table), opened(table) as file:
            return pq.read_schema(file)
    except DamagedFile as error:
        raise DamagedFile(f"{table} is no Parquet file that can be read: {error}") from error


def png_record(path: Readable) -> dict[str, Any] | None:
    """The record inside a PNG; None if there is none, or the PNG is damaged.

    Raises:
        NewerFormatError: the record has a newer format.
        DamagedFile: the record does not hold what it must.
    """
    try:
        with opened(path) as file:
            if is_crowded(file):
                return None
            with Image.open(file, formats=["PNG"]) as png:
                text = png.info.get(PNG_KEY)
    except Exception:  # decoders raise nearly everything for damaged files, from SyntaxError to struct.error
        return None
    if not isinstance(text, str):
        return None
    record = parsed(str(text), RECORD, FORMAT, path)
    return {**record, **{name: record.get(name) or {} for name in BY_ATTRIBUTE}}


def _has_record(image: Readable) -> bool:
    """Whether a PNG holds a record, a damaged one too: among other pictures it is a picture like any."""
    try:
        return png_record(image) is not None
    except DamagedFile:
        return True


def _is_run(folder: Path) -> bool:
    """Whether `folder` has a table of records, a summary and at least one image with a record, or only such images."""
    if InnerFile(folder, RECORDS).is_file():
        return True
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    images = [InnerFile(folder, name) for name in names if name != SHEET and not name.startswith(".")]
    recorded = (_has_record(image) for image in images)
    return any(recorded) if InnerFile(folder, RESULT).is_file() else bool(images) and all(recorded)


def _summary(path: Readable) -> Mapping[str, Any]:
    """The content of result.json."""
    try:
        return read_json(path, RESULT_FILE, FORMAT)
    except DamagedFile as error:
        said = str(error).replace(f"{path} ", "it ")
        raise DamagedFile(f"{path} is no result of `fair-diffusion generate` ({said})") from error


def _table_records(table: Readable) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of records."""
    schema = schema_of(table)
    check_metadata(schema.metadata, FORMAT, table)
    names = schema.names
    if not names:  # a run that was interrupted before its first image
        return
    if lacking := NEEDED - set(names):
        raise ValueError(f"{table} lacks the column {min(lacking)!r}; name a table of records of images")
    if twice := sorted(name for name in USED if names.count(name) > 1):
        raise DamagedFile(f"{table} is damaged: it has two columns {twice[0]!r}")
    with arrow_errors(table), opened(table) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=1024, columns=[name for name in USED if name in names]):
            rows = batch.to_pylist()
            for row in rows:
                row.update((name, _mapping(row.get(name), table)) for name in BY_ATTRIBUTE)
            known = checked(rows, RECORDS_TABLE, table)
            yield from map(dict, known)


def _mapping(value: Any, table: Readable) -> Any:
    """The mapping from attributes in one cell, which is JSON text or a struct."""
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return _parsed(value)
    except ValidationError as error:
        raise DamagedFile(f"{table} is damaged: a mapping from attributes: {wrong(error)}") from error


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    return _MAPPING.validate_json(text)
