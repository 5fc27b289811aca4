"""Draw faces that a detector of faces accepts: stand-ins for photographs, of nobody.

A face is layers of light and colour on 256×256 pixels, soft at their edges. Hair, brows, lips and jaw follow the
common stereotypes of a woman and a man, because the networks for faces were trained on pictures in which these tell
them apart: a drawing is of nobody, and "drawn as" says what the recipe meant. Some faces are turned, and some wear
sunglasses or a mask.

    python -m recipes.faces out/faces        → out/faces/engineer/, nurse/ with 30 PNG each, and out/faces.csv
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = 256
WOMEN = {"engineer": 9, "nurse": 24}
"""How many of the `EACH` faces of a concept are drawn as women."""
EACH = 30
LOOKS = ("frontal", "turned", "sunglasses", "mask")
SHARES = (0.7, 0.1, 0.1, 0.1)
"""How often each of the looks is drawn."""
SKINS = ((238, 196, 170), (222, 170, 140), (198, 140, 104), (141, 93, 64), (96, 62, 45))
HAIRS = ((40, 28, 22), (90, 60, 35), (150, 110, 60), (25, 22, 25), (130, 130, 130))
Array = np.ndarray


@dataclass(frozen=True)
class Face:
    """What is drawn: a seed for all that varies, the group that it is drawn as, and one of `LOOKS`."""

    seed: int
    group: str
    look: str


def faces() -> Iterator[tuple[str, Face]]:
    """Each face with its concept; the same ones every time."""
    chance = np.random.default_rng(0)
    for concept, women in WOMEN.items():
        for k in range(EACH):
            look = LOOKS[chance.choice(len(LOOKS), p=SHARES)]
            yield (
                f"{concept}/{concept}-{k:02}.png",
                Face(int(chance.integers(2**31)), "woman" if k < women else "man", look),
            )


class Canvas:
    """A picture whose layers are masks over the unit square: x to the right, y downwards."""

    def __init__(self, colour: Array) -> None:
        self.y, self.x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
        self.pixels = np.ones((SIZE, SIZE, 3)) * colour

    def oval(self, x: float, y: float, width: float, height: float, *, sharp: float = 25, power: float = 2) -> Array:
        """The mask of an ellipse, or of a rounder rectangle with a higher power."""
        away = np.abs((self.x - x) / width) ** power + np.abs((self.y - y) / height) ** power
        return np.asarray(1 / (1 + np.exp(np.clip((away - 1) * sharp, -50, 50))))

    def spot(self, x: float, y: float, width: float, height: float) -> Array:
        """The mask of a soft spot."""
        return np.asarray(np.exp(-(((self.x - x) / width) ** 2) - ((self.y - y) / height) ** 2))

    def line(self, x: float, y: float, width: float, height: float, bend: float) -> Array:
        """The mask of a line that bends down at both ends."""
        away = (self.y - y - bend * (self.x - x) ** 2) / height
        return np.asarray(np.exp(-(away**2)) * (np.abs(self.x - x) < width))

    def cover(self, mask: Array, colour: Array) -> None:
        """Lay a colour over the picture."""
        self.pixels = self.pixels * (1 - mask[..., None]) + mask[..., None] * colour

    def light(self, mask: Array, by: float) -> None:
        """Make the picture lighter, or darker."""
        self.pixels *= 1 + by * mask[..., None]


def draw(face: Face) -> Image.Image:
    """The picture of a face."""
    chance = np.random.default_rng(face.seed)
    woman = face.group == "woman"
    skin, hair = (np.array(kinds[chance.integers(len(kinds))]) / 255 for kinds in (SKINS, HAIRS))
    canvas = Canvas(chance.uniform(0.4, 0.85, 3))
    width = 0.245 + 0.015 * (not woman) + chance.normal(0, 0.008)
    height = 0.335 + chance.normal(0, 0.008)
    _head(canvas, skin, hair, width, height, woman)
    _features(canvas, skin, hair, woman)
    _hairline(canvas, hair, width, height, chance)
    if face.look == "sunglasses":
        for side in (-1, 1):
            canvas.cover(canvas.oval(0.5 + side * 0.105, 0.455, 0.09, 0.055, power=3), np.array([0.05, 0.05, 0.06]))
        canvas.cover(canvas.line(0.5, 0.435, 0.23, 0.008, 0), np.array([0.05, 0.05, 0.06]))
    if face.look == "mask":
        canvas.cover(canvas.oval(0.5, 0.7, 0.2, 0.14, power=3), np.array([0.75, 0.85, 0.92]))
    canvas.pixels += chance.normal(0, 0.012, canvas.pixels.shape)
    picture = Image.fromarray((np.clip(canvas.pixels, 0, 1) * 255).astype(np.uint8))
    if face.look == "turned":
        degrees = float(chance.choice([-1, 1]) * chance.uniform(30, 45))
        picture = picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=picture.getpixel((2, 2)))
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _head(canvas: Canvas, skin: Array, hair: Array, width: float, height: float, woman: bool) -> None:
    """Hair behind the face, neck, shoulders, and the shaded oval of the face."""
    if woman:
        canvas.cover(canvas.oval(0.5, 0.58, width * 1.3, height * 1.3, power=2.6), hair)
    else:
        canvas.cover(canvas.oval(0.5, 0.42, width * 1.1, height * 0.95), hair)
        for side in (-1, 1):
            canvas.cover(canvas.oval(0.5 + side * width, 0.53, 0.028, 0.055), skin * 0.8)
    canvas.cover(canvas.oval(0.5, 0.94, 0.1 if woman else 0.14, 0.25), skin * 0.75)
    canvas.cover(canvas.oval(0.5, 1.08, 0.4 if woman else 0.47, 0.2), hair[::-1] * 0.5 + 0.3)
    power = 2.1 if woman else 2.5
    away = np.abs((canvas.x - 0.5) / width) ** power + np.abs((canvas.y - 0.52) / height) ** power
    shade = 0.62 + 0.42 * np.sqrt(np.clip(1.15 - away, 0, 1)) + 0.12 * (0.5 - canvas.x) + 0.1 * (0.52 - canvas.y)
    canvas.cover(canvas.oval(0.5, 0.52, width, height, sharp=40, power=power), skin * shade[..., None])
    if not woman:  # a beard's shadow
        canvas.light(canvas.spot(0.5, 0.75, 0.2, 0.1) * canvas.oval(0.5, 0.52, width, height), -0.25)


def _features(canvas: Canvas, skin: Array, hair: Array, woman: bool) -> None:
    """Eyes, brows, nose and mouth."""
    for side in (-1, 1):
        x = 0.5 + side * 0.105
        canvas.light(canvas.spot(x, 0.445, 0.065, 0.038), -0.35)
        canvas.cover(canvas.oval(x, 0.45, 0.042, 0.02 if woman else 0.016, sharp=10), np.array([0.93, 0.92, 0.9]))
        canvas.cover(canvas.oval(x, 0.45, 0.017, 0.018, sharp=12), hair * 0.5)
        canvas.light(canvas.line(x, 0.433, 0.047, 0.007 if woman else 0.004, 4), -0.8)
        brow = canvas.line(x, 0.392 if woman else 0.405, 0.058, 0.007 if woman else 0.014, 7 if woman else 3)
        canvas.cover((0.7 if woman else 0.9) * brow, hair * 0.7)
        canvas.light(canvas.spot(x, 0.485, 0.05, 0.012), -0.18)
        canvas.light(canvas.spot(0.5 + side * 0.11, 0.58, 0.05, 0.05), 0.1)
        canvas.light(canvas.spot(0.5 + side * 0.035, 0.51, 0.014, 0.06), -0.25)
        canvas.cover(0.8 * canvas.spot(0.5 + side * 0.022, 0.605, 0.011, 0.006), skin * 0.3)
    canvas.light(canvas.spot(0.5, 0.52, 0.018, 0.08), 0.22)
    canvas.light(canvas.spot(0.5, 0.585, 0.025, 0.02), 0.15)
    canvas.light(canvas.spot(0.5, 0.618, 0.05, 0.01), -0.35)
    lip = skin * (np.array([1.0, 0.5, 0.52]) if woman else np.array([0.9, 0.68, 0.66]))
    full = 1.3 if woman else 0.8
    canvas.cover(0.85 * canvas.oval(0.5, 0.677, 0.072, 0.013 * full, sharp=6), lip * 0.9)
    canvas.cover(0.85 * canvas.oval(0.5, 0.698, 0.064, 0.017 * full, sharp=6), lip * 1.05)
    canvas.light(canvas.line(0.5, 0.687, 0.075, 0.004, -0.6), -0.7)
    canvas.light(canvas.spot(0.5, 0.73, 0.05, 0.012), -0.25)


def _hairline(canvas: Canvas, hair: Array, width: float, height: float, chance: np.random.Generator) -> None:
    """Hair on the upper part of the head, down to a bent line on the forehead."""
    parting = 0.5 + chance.normal(0, 0.05)
    line = 0.27 + 0.9 * (canvas.x - parting) ** 2 * (1 if chance.random() < 0.5 else 2.5)
    above = 1 / (1 + np.exp(np.clip((canvas.y - line) * 120, -50, 50)))
    strands = 1 + 0.12 * np.sin(canvas.x * 160 + chance.uniform(0, 6))
    canvas.cover(above * canvas.oval(0.5, 0.46, width * 1.1, height * 1.06), hair * strands[..., None])


def write(folder: Path) -> None:
    """Draw all faces into a new folder, and beside it a table of what each was drawn as."""
    folder.mkdir(parents=True)
    with folder.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "attribute", "group"))
        for name, face in faces():
            (folder / name).parent.mkdir(exist_ok=True)
            draw(face).save(folder / name)
            table.writerow((name, "gender", face.group))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(f"wrote {sys.argv[1]}")
