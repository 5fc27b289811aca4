"""A folder of pictures that others are measured by: kernel distance (`quality.kid`) over the features of a perceiver.

    KID(source, reference)      the lower, the nearer are the pictures of a source to those of the reference

It compares whole sets, so a source that shows other groups or concepts than the reference is far from it too: measure
by pictures of the same concepts. Exports `KidReference`, and `pictures_of` and `read_features` that it is made with.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.files.image_files import image_files
from fair_diffusion.files.pictures import BrokenPicture, open_picture
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.probabilities import Embedding
from fair_diffusion.readers.findings import Findings
from fair_diffusion.runs.format import SHEET
from fair_diffusion.runs.records import is_twin
from fair_diffusion.statistics.kid import kid

MOST = 2_000
"""Pictures of a source, and of the reference, that are compared: drawn at random, to bound time and memory."""
FEWEST = 10
BATCH = 32

Features = NDArray[np.float32]


@dataclass(frozen=True)
class KidReference:
    """What pictures are compared with: the reference's features (n, d), who makes such features, its name, and notes on
    what the reference leaves out."""

    name: str
    features: Features
    reader: Embedding
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: Path, reader: Perceiver, *, by: str, progress: Progress = silent) -> KidReference:
        """The pictures below the folder `reference` as `reader`, called `by`, sees them; no plain twins of a run.

        `ValueError` if it has no features, or the folder too few pictures."""
        if not isinstance(reader, Embedding):
            raise ValueError(
                f"the perceiver {by!r} has no features to compare pictures by; use pocket, judge, clip:MODEL or "
                "trained:FOLDER"
            )
        if not reference.is_dir():
            raise ValueError(f"{reference} is no folder; name one with at least {FEWEST} pictures to compare with")
        own, twins = pictures_of(reference)
        found, broken = read_features(own, reader, progress)
        if len(found) < FEWEST:
            raise ValueError(f"{reference} has {len(found)} pictures that can be read; give at least {FEWEST}")
        notes = []
        if broken:
            notes.append(f"{len(broken)} pictures of the reference cannot be read, such as {broken[0]}")
        if twins:
            notes.append(f"{twins} plain twins in the reference were left out")
        name = f"KID to {printable(reference.resolve().name)} (features of {by}; lower is nearer)"
        return cls(name, found, reader, tuple(map(printable, notes)))

    def measured(self, findings: Findings, target: Path, *, progress: Progress = silent) -> Findings:
        """The findings with this quality of each source. `ValueError` if no image lies below the audited `target`."""
        folder = target if target.is_dir() else target.parent
        files: dict[str, list[Path]] = {}
        if findings.images is not None:
            names, sources = (findings.images[column].to_pylist() for column in ("file", "source"))
            for name, source in zip(names, sources, strict=True):
                files.setdefault(source, []).append(folder / name)
        there = {source: [path for path in paths if path.is_file()] for source, paths in files.items()}
        if not any(there.values()):
            raise ValueError(
                f"no image that was counted lies below {folder}; compare the pictures of a run or a folder"
            )
        study = findings.study
        quality: dict[str, dict[str, float]] = {}
        notes = [*self.notes]
        for source, paths in there.items():
            own, broken = read_features(paths, self.reader, progress)
            if broken:
                notes.append(printable(f"{source}: {len(broken)} images cannot be compared, such as {broken[0]}"))
            if len(own) < FEWEST:
                notes.append(f"{source}: {len(own)} images are too few for {self.name}; {FEWEST} are needed")
                continue
            found = kid(own, self.features)
            quality[source] = {self.name: found.mean}
            notes.append(
                f"{source}: {self.name} is {found.mean:.4g}, from {len(own):,} images against {len(self.features):,}; "
                f"over 100 random halves its standard deviation is {found.std:.2g}"
            )
        measured = [replace(one, quality={**one.quality, **quality.get(one.name, {})}) for one in study.sources]
        return replace(findings, study=replace(study, sources=measured, notes=[*study.notes, *notes]))


def pictures_of(folder: Path) -> tuple[list[Path], int]:
    """The pictures below a folder that others are measured by, and how many plain twins of a run were left out."""
    every = [path for _, path in image_files(folder) if path.name != SHEET]
    own = [path for path in every if not is_twin(path)]
    return own, len(every) - len(own)


def read_features(paths: Sequence[Path], reader: Embedding, progress: Progress = silent) -> tuple[Features, list[str]]:
    """The features of up to `MOST` of the pictures, drawn at random, and the names of those that cannot be read."""
    chosen = sorted(random.Random(0).sample(list(paths), min(MOST, len(paths))))
    rows, broken = [], []
    for first in range(0, len(chosen), BATCH):
        pictures = []
        for path in chosen[first : first + BATCH]:
            try:
                pictures.append(open_picture(path))
            except BrokenPicture as error:
                broken.append(f"{path.name} ({error})")
        if pictures:
            rows.append(reader.embed(pictures).float().cpu().numpy())
        progress(min(first + BATCH, len(chosen)), len(chosen))
    return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32), broken
