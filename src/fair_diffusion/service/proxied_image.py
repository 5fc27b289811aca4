"""One image of a job whose images another server draws. Exports `ProxiedImage`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.policy import Assignment


@dataclass(kw_only=True)
class ProxiedImage:
    """One image of a job.

    Attributes:
        picture: the one that is kept so far.
        natural: the perceiver's probabilities (groups,) in the plain picture, by attribute.
        shares: the same in the picture that is kept.
        assigned: the groups that it is to show, by attribute.
        held: the groups of the plain picture that it keeps if it is drawn again.
        words: the groups that the prompt of the picture names, those of `held` apart; empty if it is the plain one.
        tries: how often it was drawn with words.
    """

    picture: Image.Image
    natural: dict[str, NDArray[np.float64]]
    shares: dict[str, NDArray[np.float64]]
    assigned: Assignment = field(default_factory=dict)
    held: Assignment = field(default_factory=dict)
    words: Assignment = field(default_factory=dict)
    tries: int = 0
