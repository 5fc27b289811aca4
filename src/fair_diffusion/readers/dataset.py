"""A dataset with captions, in Parquet files or WebDataset archives: what its captions say, and what its pictures show.

Captions are counted for every occupation that they depict; a picture is read, if somebody is there to read it, where
its caption depicts exactly one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.files.image_files import is_study
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.readers.archive import archive_items
from fair_diffusion.readers.caption_table import table_items
from fair_diffusion.readers.captions import CaptionCounts
from fair_diffusion.readers.findings import Findings, only
from fair_diffusion.readers.perceive import Picture, drawn, perceive, samples_of

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TABLES = (".parquet",)


def shards_in(target: Path) -> list[Path]:
    """The archives or tables of a dataset: `target` itself, or those in its folder, archives before tables.

    Hidden files and the tables of studies are none."""
    if target.is_file():
        return [target]
    files = sorted(path for depth in ("*", "*/*") for path in target.glob(depth) if path.is_file())
    for endings in (ARCHIVES, TABLES):
        found = [path for path in files if path.name.lower().endswith(endings) and not path.name.startswith(".")]
        if found := [path for path in found if not is_study(path.parent)]:
            return found
    return []


def read_dataset(
    target: Path,
    perceiver: Perceiver | None = None,
    *,
    perceiver_name: str | None = None,
    scratch: Path,
    attributes: list[str] | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit the dataset in `target`, a file or a folder of shards; what is damaged is named, and the rest counts.

    `ValueError` if no caption can be read, or none depicts an occupation."""
    name = printable(target.resolve().name)
    stream = _Stream(shards_in(target), f"{name}, pictures", perceiver is not None, progress)
    if perceiver is None:
        for _ in stream.pictures():
            pass
        found = None
    else:
        found = perceive(stream.pictures(), perceiver)
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
        notes=[*notes, *found.notes],
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
            items = table_items if shard.name.lower().endswith(TABLES) else archive_items
            for name, caption, picture in items(shard, self.with_pictures, self.broken):
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
