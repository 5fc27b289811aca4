"""Images that a kernel distance is to: their features as the judge sees them. Exports `Reference`, `read_reference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.audit.sources.findings import Progress, silent
from fair_diffusion.audit.sources.yardstick import pictures_of, read_features
from fair_diffusion.perception.probabilities import Embedding

FEWEST = 4
"""Images of each side that a kernel distance takes at least."""


@dataclass(frozen=True)
class Reference:
    """`name` says what they are; `vectors` are their features (images, d); `broken` files could not be read."""

    name: str
    vectors: NDArray[np.float32]
    broken: Sequence[str] = ()


def read_reference(judge: Any, folder: Path, progress: Progress = silent) -> Reference:
    """The images below a folder, plain twins of a run left out.

    `ValueError` if it is no folder, holds fewer than `FEWEST`, or the judge has no features."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there; name a folder of images for the kernel distance")
    if not isinstance(judge, Embedding):
        raise ValueError("the judge is no network with features, so no kernel distance can be measured")
    vectors, broken = read_features(pictures_of(folder)[0], judge, progress)
    if len(vectors) < FEWEST:
        raise ValueError(f"{folder} holds fewer than {FEWEST} images that can be read; a kernel distance needs more")
    return Reference(str(folder), vectors, broken)
