"""With which probability an image came to be among those that people label, where a control chose by what was read.

Natural-first control makes an image again until the perceiver reads its group. So the finished images show the
perceiver right more often than it is: a woman who was read as a man was made again. Images that were left alone were
chosen at the look only, by the group that was read there, and all looks are on record. Of N images with the same
reading at the look, k were left alone; each of them stands for N / k images (Horvitz and Thompson 1952, JASA 47), as if
it had been shown with the probability k / N. Steered images tell nothing: those that were read otherwise are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def kept_chances(natural: Sequence[str | None], steered: Sequence[bool]) -> list[float]:
    """The probability with which each image was left alone, by what was read at the look; 0 for a steered one.

    Args:
        natural: what the look read in each image of one prompt.
        steered: whether it was steered.
    """
    looks = Counter(natural)
    left = Counter(group for group, moved in zip(natural, steered, strict=True) if not moved)
    return [0.0 if moved else left[group] / looks[group] for group, moved in zip(natural, steered, strict=True)]
