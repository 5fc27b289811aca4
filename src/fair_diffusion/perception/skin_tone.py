"""Skin tone on photographs: the individual typology angle of visible skin, on a published scale.

    ITA = atan2(L* − 50, b*) · 180/π                                    of skin pixels, in CIELAB under D65

(Chardon, Cretois and Hourseau 1991, International Journal of Cosmetic Science 13; for b* > 0 it is their arctangent of
the quotient.) A pixel may be skin by its Cb and Cr (Chai and Ngan 1999, IEEE Transactions on Circuits and Systems for
Video Technology 9(4)). Their lower bound of Cr, 133, is lowered to 130 for dark pixels, since the darkest tone would
not count as skin otherwise. Rules that ask for brightness, as rules on RGB do, miss dark skin and are not used. The
angle is the median over the skin pixels, so that eyes, lips and highlights weigh little.

Scales: "fitzpatrick", six classes cut at 55°, 41°, 28°, 10° and −30° (Chardon's cut points, which the literature reads
as the phototypes I to VI); "monk", the ten tones of the Monk Skin Tone scale (Monk 2019, CC BY 4.0). A picture gets the
tone with the nearest angle of its published colour.

Limits: light and white balance move the angle by tens of degrees. Wood, sand and hair can pass for skin. Drawings,
tinted and black-and-white pictures give meaningless tones. Several people are mixed into one. Skin tone is no
ethnicity. Exports `SkinTone`, `ita`, `lab` and `skin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.perception.perceiver import Reading

Array = NDArray[np.float64]

FITZPATRICK = ("I", "II", "III", "IV", "V", "VI")
CUTS = (55.0, 41.0, 28.0, 10.0, -30.0)
"""An angle above the first cut is type I, an angle between the first and the second is type II, and so on."""
MONK = ("#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96", "#a07e56", "#825c43", "#604134", "#3a312a", "#292420")
SCALES = ("monk", "fitzpatrick")
LEAST = 0.02
"""The least share of skin in a picture. Below it, the tone is unknown."""
DARK = 64
"""Luma, of 255, below which colours are weaker for want of light."""
SIDE = 256
_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


class SkinTone:
    """Reads `skin_tone` on one of `SCALES`; unknown if less than `LEAST` of the picture is skin.

    The confidence is the share of skin pixels with a class at most one step from the picture's class.
    """

    def __init__(self, scale: str = "monk") -> None:
        if scale not in SCALES:
            raise ValueError(f"unknown scale {scale!r} of skin tones; use {' or '.join(SCALES)}")
        self.scale = scale
        names = FITZPATRICK if scale == "fitzpatrick" else [f"{k:02d}" for k in range(1, len(MONK) + 1)]
        self.groups = {"skin_tone": tuple(f"{scale} {name}" for name in names)}

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture."""
        return {"skin_tone": [self._read(image) for image in images]}

    def _read(self, image: Image.Image) -> Reading:
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        pixels = np.asarray(small).reshape(-1, 3)
        seen = pixels[skin(pixels)]
        if len(seen) < LEAST * len(pixels):
            return Reading(None, 0.0)
        angles = ita(lab(seen))
        (shown,) = self.classes(np.median(angles, keepdims=True))
        near = np.abs(self.classes(angles) - shown) <= 1
        return Reading(self.groups["skin_tone"][int(shown)], float(near.mean()))

    def classes(self, angles: Array) -> NDArray[np.intp]:
        """The number of the class, from 0, of each angle in degrees, (n,)."""
        if self.scale == "fitzpatrick":
            return np.asarray(np.searchsorted(-np.array(CUTS), -angles, side="right"))
        return np.asarray(np.abs(angles[:, None] - monk_angles()).argmin(axis=1))


def monk_angles() -> Array:
    """The angle of each tone of the Monk scale, from its published colour."""
    return ita(lab(np.array([[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in MONK])))


def ita(colours: Array) -> Array:
    """Individual typology angle, in degrees, of CIELAB colours (n, 3)."""
    return np.degrees(np.arctan2(colours[:, 0] - 50, colours[:, 2]))


def lab(pixels: NDArray[Any]) -> Array:
    """CIELAB colours (n, 3) under D65 of sRGB pixels (n, 3) in 0…255 (IEC 61966-2-1, CIE 15)."""
    value = pixels / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    scaled = linear @ _XYZ.T / _WHITE
    f = np.where(scaled > (6 / 29) ** 3, np.cbrt(scaled), scaled * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def skin(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which sRGB pixels (n, 3) in 0…255 may be skin."""
    r, g, b = pixels.astype(np.float64).T
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    cb = 128 - 0.168736 * r - 0.331264 * g + 0.5 * b
    cr = 128 + 0.5 * r - 0.418688 * g - 0.081312 * b
    return np.asarray((cb >= 77) & (cb <= 127) & (cr >= np.where(luma < DARK, 130, 133)) & (cr <= 173))


def opened(argument: str) -> SkinTone:
    """The perceiver on the scale `argument`: one of `SCALES`, or empty for the Monk scale."""
    return SkinTone(scale=argument or "monk")
