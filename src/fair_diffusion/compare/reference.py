"""The reference of the kernel distance: the judge's features of images. Exports `Reference` and `read_reference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.probabilities import Embedding
from fair_diffusion.readers.kid_reference import FEWEST, MOST, pictures_of, read_features


@dataclass(frozen=True)
class Reference:
    """The reference of a kernel distance.

    Attributes:
        name: its name on the page.
        vectors: the judge's features of its images, (images, d).
        notes: remarks on images that were left out.
    """

    name: str
    vectors: NDArray[np.float32]
    notes: Sequence[str] = ()


def read_reference(judge: Any, folder: Path, progress: Progress = silent) -> Reference:
    """Read the images below a folder, without the plain twins of a run.

    Args:
        judge: the judge.
        folder: the folder.
        progress: called as images are read.

    Raises:
        ValueError: it is no folder, it holds fewer than `FEWEST` images, or the judge has no features.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there; name a folder of images for the kernel distance")
    if not isinstance(judge, Embedding):
        raise ValueError("the judge is no network with features, so no kernel distance can be measured")
    pictures, twins = pictures_of(folder)
    vectors, broken = read_features(pictures, judge, progress)
    if len(vectors) < FEWEST:
        raise ValueError(f"{folder} holds fewer than {FEWEST} images that can be read; a kernel distance needs more")
    notes = [f"{twins} plain twins of a run are left out"] if twins else []
    if len(pictures) > MOST:
        notes.append(f"{MOST:,} of its {len(pictures):,} images are taken, drawn at random")
    if broken:
        notes.append(f"{len(broken)} could not be read: {'; '.join(broken[:5])}{'; …' if len(broken) > 5 else ''}")
    return Reference(printable(folder.resolve().name), vectors, notes)
