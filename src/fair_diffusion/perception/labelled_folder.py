"""A folder of labelled pictures, one sub-folder per group, read into one tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.perception.trained import UNKNOWN
from fair_diffusion.pictures import ENDINGS, BrokenPicture, open_picture
from fair_diffusion.policy import ATTRIBUTES
from fair_diffusion.printable import printable


class Labelled(NamedTuple):
    """Pictures (n, 3, side, side) in bytes with the group of each, the groups in order, and what was left out."""

    images: Tensor
    groups: list[str]
    names: list[str]
    broken: list[str]


def read_labelled(
    folder: Path,
    *,
    attribute: str,
    side: int,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Labelled:
    """The pictures in the sub-folders of `folder`, reduced to `side` pixels. `ValueError` if there are none.

    Groups come in the order of the attribute, if it is a known one; else by their names."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one with a sub-folder of pictures for each group")
    files = [
        (path, inner.name)
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and not inner.is_symlink() and not inner.name.startswith(".")
        for path in sorted(inner.iterdir())
        if path.suffix.lower() in ENDINGS and path.is_file() and not path.is_symlink()
    ]
    pixels, groups, broken = [], [], []
    for done, (path, group) in enumerate(files, start=1):
        try:
            small = open_picture(path).resize((side, side), Image.Resampling.BOX)
        except BrokenPicture as error:
            broken.append(printable(f"{path.relative_to(folder)}: {error}"))
        else:
            pixels.append(np.asarray(small))
            groups.append(group)
        progress(done, len(files))
    if not pixels:
        raise ValueError(f"no pictures that can be read in the sub-folders of {folder}; make one for each group")
    found = sorted({group for group in groups if group != UNKNOWN})
    known = ATTRIBUTES[attribute].group_names if attribute in ATTRIBUTES else ()
    names = [name for name in known if name in found] + [name for name in found if name not in known]
    return Labelled(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), groups, names, broken)
