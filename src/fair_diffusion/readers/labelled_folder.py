"""A folder of labelled pictures, one sub-folder per group with folders inside as you like, read into one tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.files.image_files import image_files
from fair_diffusion.files.pictures import BrokenPicture, open_picture
from fair_diffusion.files.text import printable
from fair_diffusion.policy.attributes import Attributes, ordered_groups
from fair_diffusion.policy.spelling import UNKNOWN, named


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
    defined: Attributes | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Labelled:
    """The pictures in the sub-folders of `folder`, however deep, reduced to `side` pixels; links are not followed.

    Groups are spelt as the attribute does ("Women" is the group woman, "not sure" is unknown) and come in its order, if
    it is one of the defined ones (the built-in ones if None); else by their names.
    `ValueError` if there are no pictures, or a sub-folder has none."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one with a sub-folder of pictures for each group")
    pixels, groups, broken = [], [], []
    files = list(image_files(folder))
    for done, file in enumerate(files, start=1):
        group, _, inner = file.path.partition("/")
        try:
            if not inner:
                raise BrokenPicture("in no sub-folder, and so of no group")
            if (folder / file.path).is_symlink():  # it would count for two groups, or be learnt and tested at once
                raise BrokenPicture("a link")
            small = open_picture(file).resize((side, side), Image.Resampling.BOX)
        except BrokenPicture as error:
            broken.append(printable(f"{file.path}: {error}"))
        else:
            pixels.append(np.asarray(small))
            groups.append(group)
        progress(done, len(files))
    if not pixels:
        raise ValueError(f"no pictures that can be read in the sub-folders of {folder}; make one for each group")
    inner_folders = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if empty := [name for name in inner_folders if name not in groups]:
        raise ValueError(f"{folder / empty[0]} has no pictures that can be read; put some there, or take it out")
    spelt = named(((attribute, group) for group in sorted(set(groups))), defined)
    for (_, group), wrong in spelt.wrong.items():
        raise ValueError(f"{folder / group}: {wrong}")
    groups = [spelt.names[attribute, group][1] for group in groups]
    names = ordered_groups(attribute, sorted(set(groups) - {UNKNOWN}), defined)
    return Labelled(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), groups, names, broken)
