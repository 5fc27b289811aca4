"""The kernel inception distance (KID) of images to a folder of reference pictures, over a perceiver's features.

    KID(source, reference)      the lower, the nearer the images of a source are to the reference

KID compares whole sets: a source that shows other groups or concepts than the reference is far from it too. So the
reference should show the same concepts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.files.image_files import image_files
from fair_diffusion.files.picture_batches import picture_batches
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.opening import names_where
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.probabilities import Embedding
from fair_diffusion.readers.findings import Findings
from fair_diffusion.runs.format import SHEET
from fair_diffusion.runs.records import is_twin
from fair_diffusion.statistics.kid import FEWEST_FOR_ERROR, kid

MOST = 2_000
"""Pictures of a source, and of the reference, that are compared at most. They are drawn at random."""
FEWEST = 10
"""Pictures that a comparison needs."""

Features = NDArray[np.float32]
"""Features of n pictures, (n, d)."""


@dataclass(frozen=True)
class KidReference:
    """The reference that images are compared with.

    Attributes:
        name: the name of the quality in a report.
        features: the features of the reference.
        reader: the perceiver that makes the features.
        notes: remarks on pictures of the reference that are left out.
    """

    name: str
    features: Features
    reader: Embedding
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: Path, reader: Perceiver, *, by: str, progress: Progress = silent) -> KidReference:
        """Read the pictures below a folder; plain twins of a run are left out.

        Args:
            reference: the folder.
            reader: makes the features.
            by: the reader's name.
            progress: called as pictures are read.

        Raises:
            ValueError: the reader has no features, or the folder has too few pictures.
        """
        if not isinstance(reader, Embedding):
            raise ValueError(
                f"the perceiver {by!r} has no features to compare pictures by; use {names_where(features=True)}"
            )
        if not reference.is_dir():
            raise ValueError(f"{reference} is no folder; name one with at least {FEWEST} pictures to compare with")
        own, twins = pictures_of(reference)
        features, broken = read_features(own, reader, progress)
        if len(features) < FEWEST:
            raise ValueError(f"{reference} has {len(features)} pictures that can be read; give at least {FEWEST}")
        notes = []
        if broken:
            notes.append(f"{len(broken)} pictures of the reference cannot be read, such as {broken[0]}")
        if twins:
            notes.append(f"{twins} plain twins in the reference were left out")
        name = f"KID to {printable(reference.resolve().name)} (features of {by}; lower is nearer)"
        return cls(name, features, reader, tuple(map(printable, notes)))

    def measured(self, findings: Findings, target: Path, *, progress: Progress = silent) -> Findings:
        """Add this quality of each source to the findings.

        Args:
            findings: what was audited.
            target: the audited folder or file, below which the images lie.
            progress: called as images are read.

        Raises:
            ValueError: no image that was counted lies below the target.
        """
        folder = target if target.is_dir() else target.parent
        files: dict[str, list[InnerFile]] = {}
        if findings.images is not None:
            names, sources = (findings.images[column].to_pylist() for column in ("file", "source"))
            for name, source in zip(names, sources, strict=True):
                files.setdefault(source, []).append(InnerFile(folder, name))
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
            distance = kid(own, self.features)
            quality[source] = {self.name: distance.value}
            error = (
                f"{FEWEST_FOR_ERROR} of each are needed to tell its standard error"
                if distance.error is None
                else f"its standard error is {distance.error:.2g}"
            )
            notes.append(
                f"{source}: {self.name} is {distance.value:.4g}, from {len(own):,} images against "
                f"{len(self.features):,}; {error}"
            )
        measured = [replace(one, quality={**one.quality, **quality.get(one.name, {})}) for one in study.sources]
        return replace(findings, study=replace(study, sources=measured, notes=[*study.notes, *notes]))


def pictures_of(folder: Path) -> tuple[list[InnerFile], int]:
    """The pictures below a folder, without plain twins of a run, and how many twins were left out."""
    every = [file for file in image_files(folder) if file.name != SHEET]
    own = [file for file in every if not is_twin(file)]
    return own, len(every) - len(own)


def read_features(
    files: Sequence[InnerFile], reader: Embedding, progress: Progress = silent
) -> tuple[Features, list[str]]:
    """The features of up to `MOST` pictures, drawn at random, and the names of pictures that cannot be read."""
    chosen = sorted(random.Random(0).sample(list(files), min(MOST, len(files))), key=lambda file: file.path)
    rows, broken = [], []
    for batch in picture_batches(chosen, lambda file: file):
        broken += [f"{file.name} ({error})" for file, error in batch.broken]
        if batch.opened:
            rows.append(reader.embed([picture for _, picture in batch.opened]).float().cpu().numpy())
        progress(batch.done, len(chosen))
    return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32), broken
