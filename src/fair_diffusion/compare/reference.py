"""Images that a kernel distance is to: their features as the judge sees them. Exports `Reference`, `read_reference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.audit.encoder import image_files
from fair_diffusion.audit.sources.findings import Progress, silent
from fair_diffusion.perception.probabilities import features
from fair_diffusion.pictures import BrokenPicture, open_picture

FEWEST = 4
"""Images of each side that a kernel distance takes at least."""
_CHUNK = 64


@dataclass(frozen=True)
class Reference:
    """`name` says what they are; `vectors` are their features (images, d); `broken` files could not be read."""

    name: str
    vectors: NDArray[np.float32]
    broken: Sequence[str] = ()


def read_reference(judge: Any, folder: Path, progress: Progress = silent) -> Reference:
    """The images of a folder. `ValueError` if it is none, holds fewer than `FEWEST`, or the judge has no features."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there; name a folder of images for the kernel distance")
    files, broken = image_files(folder), []
    parts: list[NDArray[np.float32]] = []
    for first in range(0, len(files), _CHUNK):
        images = []
        for file in files[first : first + _CHUNK]:
            try:
                images.append(open_picture(file, file.name))
            except BrokenPicture as error:
                broken.append(f"{file.name}: {error}")
        if images:
            found = features(judge, images)
            if found is None:
                raise ValueError("the judge is no network with features, so no kernel distance can be measured")
            parts.append(found)
        progress(first + len(images), len(files))
    if sum(map(len, parts)) < FEWEST:
        raise ValueError(f"{folder} holds fewer than {FEWEST} images that can be read; a kernel distance needs more")
    return Reference(str(folder), np.concatenate(parts), broken)
