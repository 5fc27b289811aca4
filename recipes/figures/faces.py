"""docs/pictures/faces.jpg: some of the drawn faces, and what the networks for faces read in each.

python -m recipes.figures.faces
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from fair_diffusion.perception.faces import FacePerceiver
from recipes.faces import Face, draw, faces

SIDE, EDGE, ACROSS = 128, 18, 6
SHOWN = {"frontal": slice(0, 41, 8), "turned": slice(0, 2), "sunglasses": slice(0, 1), "mask": slice(0, 3)}
"""Which of the faces of each look are shown, whatever was read in them."""
OUT = Path("docs/pictures/faces.jpg")


def shown() -> list[Face]:
    """Twelve faces, by their looks."""
    every = [face for _, face in faces()]
    return [face for look, some in SHOWN.items() for face in [one for one in every if one.look == look][some]]


def figure(out: Path) -> None:
    """Write the picture."""
    pictures = [draw(face) for face in shown()]
    read = FacePerceiver.load().read(pictures)["gender"]
    sheet = Image.new("RGB", (ACROSS * SIDE, 2 * (SIDE + EDGE)), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (picture, reading) in enumerate(zip(pictures, read, strict=True)):
        x, y = k % ACROSS * SIDE, k // ACROSS * (SIDE + EDGE)
        sheet.paste(picture.resize((SIDE, SIDE)), (x, y))
        pen.text((x + 4, y + SIDE + 3), f"read: {reading.label or 'unknown'}", fill="black")
    sheet.save(out, quality=88)


if __name__ == "__main__":
    figure(OUT)
    print(f"wrote {OUT}")
