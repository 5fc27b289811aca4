"""Audit a dataset with captions, in Parquet files or WebDataset archives: what captions state and what pictures show.

A caption counts for every occupation that it depicts. With a perceiver, a picture is read if its caption depicts
exactly one occupation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.files.guarded import InnerFile, Readable, opened
from fair_diffusion.files.image_files import is_study
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.policy import Attributes
from fair_diffusion.readers.archive import archive_items, is_archive
from fair_diffusion.readers.caption_table import table_items, text_items
from fair_diffusion.readers.caption_text import Item
from fair_diffusion.readers.captions import CaptionCounts
from fair_diffusion.readers.findings import Findings, only
from fair_diffusion.readers.perceive import Picture, drawn, name_of, perceive, samples_of

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TABLES = (".parquet",)


def shards_in(target: Path) -> list[Path]:
    """The shards of a dataset: `target` itself if it is a file, else the archives in the folder, else its tables.

    Hidden files and folders and the tables of studies are no shards."""
    if target.is_file():
        return [target]
    files = sorted(path for depth in ("[!.]*", "[!.]*/[!.]*") for path in target.glob(depth) if path.is_file())
    for endings in (ARCHIVES, TABLES):
        shards = [path for path in files if path.name.lower().endswith(endings)]
        if shards := [path for path in shards if not is_study(path.parent)]:
            return shards
    return []


def read_dataset(
    target: Path,
    perceiver: Perceiver | None = None,
    *,
    perceiver_name: str | None = None,
    scratch: Path,
    attributes: list[str] | None = None,
    defined: Attributes | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit a dataset. Damaged parts are named in the study, and the rest counts.

    Args:
        target: a file, or a folder of shards.
        perceiver: reads the pictures; without it only captions are counted.
        perceiver_name: its name in the study. Default: its own name.
        scratch: an empty folder for the pictures of samples.
        attributes: what to count. Default: every attribute that is read; captions tell no joint attributes.
        defined: the attributes that captions state; the built-in ones if None.
        progress: called with the number of captions so far.

    Raises:
        ValueError: no caption can be read, or none depicts a known occupation.
    """
    name = printable(target.resolve().name)
    inner = [InnerFile(target, path.relative_to(target).as_posix()) for path in shards_in(target) if path != target]
    stream = _Stream(inner or [target], f"{name}, pictures", perceiver is not None, progress, defined)
    if perceiver is None:
        for _ in stream.pictures():
            pass
        read, by = None, ""
    else:
        by = perceiver_name or name_of(perceiver)
        read = perceive(stream.pictures(), perceiver, by=by)
    tallies = stream.counts.tallies(f"{name}, captions")
    if not stream.done and stream.broken:
        raise ValueError(f"nothing in {target} can be read; {stream.broken[0]}")
    if not tallies:
        raise ValueError(f"none of {stream.done} captions in {target} depicts an occupation that is known")
    sources = [Source(name=f"{name}, captions", kind="data", facts={"captions": str(stream.done)})]
    notes = [
        "captions: a group counts where a caption states it; captions that state none, or two, are unknown",
        *(f"{what}: {count}" for what, count in stream.skipped.items()),
    ]
    study = Study(title=f"Audit of {name}", sources=sources, tallies=tallies, broken=stream.broken, notes=notes)
    findings = only(Findings(study), [a for a in attributes if JOINT not in a] if attributes else None)
    if read is None or not len(read.rows):
        return findings
    samples = samples_of(read, scratch)
    study = replace(
        findings.study,
        sources=[*sources, Source(name=stream.source, kind="data", facts={"perceiver": by})],
        tallies=[*findings.study.tallies, *read.rows.tallies(attributes)],
        samples=samples,
        drawn=drawn(samples, len(read.rows)),
        broken=[*stream.broken, *read.broken],
        notes=[*notes, *read.notes],
    )
    return Findings(study, read.rows.table())


def _items_of(shard: Readable) -> Callable[[Readable, bool, list[str]], Iterator[Item]]:
    """What reads a shard: its first bytes tell, and its ending where they do not."""
    start = b""
    with suppress(OSError, ValueError), opened(shard) as file:
        start = file.read(512)
    name = shard.name.lower()
    if start.startswith(b"PAR1") or name.endswith(TABLES):
        return table_items
    return archive_items if name.endswith(ARCHIVES) or is_archive(start) else text_items


@dataclass
class _Stream:
    """One pass over the shards, which counts captions while it yields pictures.

    Attributes:
        shards: the files to read, in order.
        source: the source's name of the pictures.
        with_pictures: whether pictures are wanted.
        progress: called with the number of captions so far.
        defined: the attributes that captions state; the built-in ones if None.
    """

    shards: Sequence[Readable]
    source: str
    with_pictures: bool
    progress: Progress
    defined: Attributes | None = None

    def __post_init__(self) -> None:
        self.counts, self.done = CaptionCounts(self.defined), 0
        self.broken: list[str] = []
        self.skipped: Counter[str] = Counter()

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures whose caption depicts exactly one occupation; count all captions."""
        for shard in self.shards:
            for name, caption, picture in _items_of(shard)(shard, self.with_pictures, self.broken):
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
