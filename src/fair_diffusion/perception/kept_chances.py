"""With which probability an image came to be among those that people label, where a control chose by what was read.

Natural-first control makes an image again until the perceiver reads its group. So the finished images show the
perceiver right more often than it is: a woman who was read as a man was made again. Images that were left alone were
chosen at the look only, by the group that was read there, and all looks are on record. Of N images with the same
reading at the look, k were left alone; each of them stands for N / k images (Horvitz and Thompson 1952, JASA 47), as if
it had been shown with the probability k / N. Steered images tell nothing: those that were read otherwise are gone. If
none was left alone of the images that read as some group, nobody knows what people see in those, and the images that
read otherwise show misreadings of that group alone. Then no image of the prompt tells anything.

Which of the N are left alone is no lot, though: control keeps the surest ones, and makes some again that read otherwise
at the end. So the perceiver errs more often than these images show. Those drawn without an instruction have no such
bias.

With a calibration, nothing is told by images that were drawn with an instruction: `natural` is what people would see
there, so that what is often misread is natural to no group, and steered. Half of all errors stayed hidden in a known
world (`tests/perception/test_kept_chances.py`), whether one weighs by that or by the perceiver's word at the look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def kept_chances(natural: Sequence[str | None], steered: Sequence[bool]) -> list[float]:
    """The probability with which each image was left alone, by what was read at the look.

    It is 0 for a steered image, and for all if those that read as some group were all steered.

    Args:
        natural: what the look read in each image of one prompt.
        steered: whether it was steered.
    """
    looks = Counter(natural)
    left = Counter(group for group, moved in zip(natural, steered, strict=True) if not moved)
    if any(group is not None and not left[group] for group in looks):
        return [0.0] * len(natural)
    return [0.0 if moved else left[group] / looks[group] for group, moved in zip(natural, steered, strict=True)]


def silence(silent: int, of: int) -> str:
    """What to say of labels that tell nothing of the perceiver: so many of all."""
    return (
        f"{silent} of {of} labels tell nothing of the perceiver, because their images, or all that read alike, were "
        "steered until they read as asked, or were drawn with a calibration and an instruction; control left the "
        "surest images alone, so it errs more often than the others show; labels of images drawn without an "
        "instruction all count"
    )
