"""A dataset with captions, in Parquet files or WebDataset archives: what its captions say, and what its pictures show.

Captions are counted for every occupation that they depict; a picture is read, if somebody is there to read it, where
its caption depicts exactly one.
"""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.sources.captions import CaptionCounts
from fair_diffusion.audit.sources.findings import Findings, Progress, only, silent
from fair_diffusion.audit.sources.perceive import Picture, drawn, perceive, samples_of
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.pictures import ENDINGS, MAX_BYTES
from fair_diffusion.printable import printable

CAPTIONS = ("caption", "text", "prompt", "captions", "texts", "alt_text", "description")
PICTURES = ("image", "jpg", "jpeg", "png", "webp", "picture", "img", "bytes")
SHARDS = (".tar", ".parquet")

Item = tuple[str, str, bytes | None]
"""Name, caption and picture of one example."""


def shards_in(target: Path) -> list[Path]:
    """The archives or tables of a dataset: `target` itself, or those in its folder, archives before tables."""
    if target.is_file():
        return [target]
    for ending in SHARDS:
        if found := sorted(path for depth in ("*", "*/*") for path in target.glob(depth + ending) if path.is_file()):
            return found
    return []


def caption_column(columns: Iterable[str]) -> str | None:
    """The column that holds captions, by its name."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in CAPTIONS if name in lower), None)


def read_dataset(
    target: Path,
    perceiver: Perceiver | None = None,
    *,
    perceiver_name: str | None = None,
    scratch: Path,
    attributes: list[str] | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit the dataset in `target`, a file or a folder of shards. `ValueError` if no caption depicts an occupation."""
    name = printable(target.resolve().name)
    stream = _Stream(shards_in(target), f"{name}, pictures", perceiver is not None, progress)
    if perceiver is None:
        for _ in stream.pictures():
            pass
        found = None
    else:
        found = perceive(stream.pictures(), perceiver)
    tallies = stream.counts.tallies(f"{name}, captions")
    if not tallies:
        raise ValueError(f"none of {stream.done} captions in {target} depicts an occupation that is known")
    sources = [Source(name=f"{name}, captions", kind="data", facts={"captions": str(stream.done)})]
    notes = [
        "captions: a group counts where a caption states it; captions that state none, or two, are unknown",
        *(f"{what}: {count}" for what, count in stream.skipped.items()),
    ]
    study = Study(title=f"Audit of {name}", sources=sources, tallies=tallies, broken=stream.broken, notes=notes)
    findings = only(Findings(study), [a for a in attributes if JOINT not in a] if attributes else None)
    if found is None or not len(found.rows):
        return findings
    samples = samples_of(found, scratch)
    study = replace(
        findings.study,
        sources=[*sources, Source(name=stream.source, kind="data", facts={"perceiver": perceiver_name or ""})],
        tallies=[*findings.study.tallies, *found.rows.tallies(attributes)],
        samples=samples,
        drawn=drawn(samples, len(found.rows)),
        broken=[*stream.broken, *found.broken],
    )
    return Findings(study, found.rows.table())


@dataclass
class _Stream:
    """One pass over the shards: captions are counted as pictures go by."""

    shards: list[Path]
    source: str
    with_pictures: bool
    progress: Progress

    def __post_init__(self) -> None:
        self.counts, self.done = CaptionCounts(), 0
        self.broken: list[str] = []
        self.skipped: Counter[str] = Counter()

    def pictures(self) -> Iterator[Picture]:
        """The pictures whose caption depicts exactly one occupation."""
        for shard in self.shards:
            table = shard.suffix.lower() == ".parquet"
            items = _table_items(shard, self.with_pictures) if table else self._archive_items(shard)
            for name, caption, picture in items:
                if not caption.strip():
                    self.skipped["examples without a caption"] += 1
                    continue
                concepts = self.counts.add(caption)
                self.done += 1
                if not concepts:
                    self.skipped["captions that depict no occupation that is known"] += 1
                elif self.with_pictures and len(concepts) > 1:
                    self.skipped["pictures not read, as their caption depicts several occupations"] += 1
                elif self.with_pictures and picture is None:
                    self.skipped["examples whose picture is not in the dataset, or only its path"] += 1
                if self.done % 1024 == 0:
                    self.progress(self.done, None)
                if self.with_pictures and picture is not None and len(concepts) == 1:
                    yield Picture(f"{shard.name}/{name}", self.source, concepts[0], picture)

    def _archive_items(self, shard: Path) -> Iterator[Item]:
        """The examples of a WebDataset archive: neighbours with one name up to its first dot. Nothing is extracted.

        An archive that ends early or is damaged is named, and what came before counts."""
        name, files = "", dict[str, bytes]()
        try:
            with tarfile.open(shard, "r|*") as archive:
                for member in archive:
                    stem, ending = _split(member.name)
                    if stem != name:
                        yield from _example(name, files)
                        name, files = stem, {}
                    if f".{ending}" in ENDINGS:
                        kept = "picture"
                    else:
                        kept = ending if ending in ("txt", "caption", "json") else ""
                    if not kept or not member.isfile():
                        continue
                    if kept == "picture" and not self.with_pictures:
                        files[kept] = b""  # only that it is there
                    elif member.size > MAX_BYTES:
                        self.broken.append(printable(f"{shard.name}/{member.name}: {member.size:,} bytes"))
                    elif file := archive.extractfile(member):
                        files[kept] = file.read()
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
            self.broken.append(printable(f"{shard.name}: {type(error).__name__}: {error}"))
        else:
            if _ends_early(shard):
                self.broken.append(printable(f"{shard.name}: it ends early; what came before counts"))
        yield from _example(name, files)


def _example(name: str, files: Mapping[str, bytes]) -> Iterator[Item]:
    """What the files of one name make: an example, its caption empty if there is none."""
    if files:
        yield name, _caption(files) or "", files.get("picture")


def _ends_early(archive: Path) -> bool:
    """Whether an archive that is not compressed lacks its end, a block of zeros: tarfile does not say."""
    if archive.suffix.lower() != ".tar":
        return False
    with archive.open("rb") as file:
        file.seek(-min(tarfile.BLOCKSIZE, archive.stat().st_size), os.SEEK_END)
        return any(file.read()) or archive.stat().st_size % tarfile.BLOCKSIZE != 0


def _split(name: str) -> tuple[str, str]:
    """An archive member's name up to its first dot, and what follows the dot, in small letters."""
    path = PurePosixPath(name)
    stem, _, ending = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, ending.lower()


def _caption(files: Mapping[str, bytes]) -> str | None:
    for ending in ("txt", "caption"):
        if ending in files:
            return files[ending].decode("utf-8", "replace")
    try:
        record = json.loads(files["json"]) if "json" in files else None
    except ValueError:
        return None
    if not isinstance(record, dict) or (column := caption_column(record)) is None:
        return None
    return _text(record[column])


def _text(value: Any) -> str:
    """A caption, whichever way a dataset keeps it: the first of several, and nothing for what is no text."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""


def _table_items(shard: Path, with_pictures: bool) -> Iterator[Item]:
    try:
        with pq.ParquetFile(shard) as file:
            names = file.schema_arrow.names
            column = caption_column(names)
            if column is None:
                raise ValueError(f"{shard} has no column of captions; name one {' or '.join(CAPTIONS[:3])}")
            lower = {name.lower(): name for name in names}
            picture = next((lower[name] for name in PICTURES if name in lower), None) if with_pictures else None
            row = 0
            for batch in file.iter_batches(
                batch_size=64 if picture else 8192, columns=[column, *([picture] if picture else [])]
            ):
                for item in batch.to_pylist():
                    yield f"row {row}", _text(item[column]), _bytes(item[picture]) if picture else None
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{shard} cannot be read: {error}") from error


def _bytes(value: Any) -> bytes | None:
    """A picture's bytes, plain or in the struct that the datasets library keeps."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None
