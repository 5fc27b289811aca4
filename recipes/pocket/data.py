"""Render the drawings that the pocket model and its readers learn from.

Four emoji fonts draw 20 occupations as a person, a man and a woman in five skin tones and plain yellow. Each drawing
is cropped to the person, rendered on white at 64×64 and labelled with what the picture *shows*: a gender is kept only
where the man and the woman of the same font differ by more than a few pixels.

    python -m recipes.pocket.data        → work/pocket/drawings.safetensors, drawings.json, credits.csv, drawings.png
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

WORK = Path("work/pocket")
SIZE = 64
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
OCCUPATIONS = [
    "artist",
    "astronaut",
    "construction-worker",
    "cook",
    "detective",
    "factory-worker",
    "farmer",
    "firefighter",
    "guard",
    "health-worker",
    "judge",
    "mechanic",
    "office-worker",
    "pilot",
    "police-officer",
    "scientist",
    "singer",
    "student",
    "teacher",
    "technologist",
]
# Figures without an occupation: they teach the identity words alone.
PLAIN = ("", "white-hair", "curly-hair")
# Mean absolute difference (0–255) over the picture below which two drawings look alike at 64×64, chosen by looking:
# a man and a woman are dropped as astronauts behind a visor, as hooded firefighters, and as Twemoji's detective.
VISIBLE = 7.5
# The same between a third figure and either of them.
THIRD = 6.0


@dataclass(frozen=True)
class Font:
    """One npm package of drawings: its licence, how it names skin tones, and the part of the canvas to keep."""

    package: str
    licence: str
    author: str
    tone_suffix: str
    crop: tuple[float, float, float]  # of workers: left, top, side; as shares of the canvas
    androgynous: bool  # whether its "person" differs from its "man" in more than the colour of the clothes


FONTS = (
    Font("noto", "Apache-2.0", "Google", "-skin-tone", (0.0, 0.0, 1.0), True),
    Font("twemoji", "CC-BY-4.0", "Twitter", "-skin-tone", (0.0, 0.0, 1.0), True),
    Font("fluent-emoji", "MIT", "Microsoft", "", (0.15, 0.02, 0.76), False),
    Font("fluent-emoji-flat", "MIT", "Microsoft", "", (0.15, 0.02, 0.76), False),
)


@dataclass(frozen=True)
class Drawing:
    """What one picture shows. `gender` or `tone` is None where a person could not tell."""

    icon: str
    font: str
    occupation: str | None  # None: not a person at all
    gender: str | None
    tone: str | None
    fold: int  # 0: held out from everything; 1–5: perceiver; 3–9: judge


Figure = tuple[str, str | None]
"""What one artist drew for one occupation, in any gender and skin tone."""


def figure(drawing: Drawing) -> Figure:
    """The figure of a drawing: both Fluent fonts draw the same ones."""
    return drawing.font.split("-")[0], drawing.occupation


def fetch(folder: Path) -> Path:
    """Install the four icon packages from npm below `folder` and return where they lie."""
    icons = folder / "node_modules" / "@iconify-json"
    if not all((icons / font.package / "icons.json").exists() for font in FONTS):
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"@iconify-json/{font.package}@1" for font in FONTS]
        subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", str(folder), *names], check=True)
    return icons


def fold_of(icon: str, font: str) -> int:
    """A stable fold 0–9 of a drawing. Both Fluent fonts share theirs, since they draw the same picture.

    A tenth is held out, each drawing by itself. Of the rest, the man, the woman and the person in one skin tone stay
    together: apart, a reader that saw some figure light only as a woman would call every light one a woman.
    """
    family = font.split("-")[0]

    def digest(name: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{family}/{name}".encode()).digest()[:1])

    if digest(icon) % 10 == 0:
        return 0
    return 1 + digest(icon.removeprefix("wo").removeprefix("man-").removeprefix("person-")) % 9


def render(body: str, width: float, height: float, crop: tuple[float, float, float]) -> np.ndarray:
    """Render an icon's SVG body to (64, 64, 3) uint8 on white, keeping the square `crop` of its canvas."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}">{body}</svg>'
    )
    canvas = round(2 * SIZE / crop[2])
    png = resvg_py.svg_to_bytes(svg_string=svg, width=canvas, height=canvas)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    page.alpha_composite(picture)
    left, top, side = (share * canvas for share in crop)
    box = (left, top, left + side, top + side)
    return np.asarray(page.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX, box=box))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures, 0–255."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def people(font: Font, icons: dict[str, Any], draw: Callable[[str], np.ndarray]) -> list[Drawing]:
    """Every person of one font, labelled; drawings of a gender that does not show lose that label or are dropped."""
    found = []
    for occupation in [*OCCUPATIONS, *PLAIN]:
        trios = [trio for tone in (None, *TONES) if (trio := named(font, icons, occupation, tone))]
        shows = visible(font, trios, draw)
        for tone, trio in zip((None, *TONES), trios, strict=False):
            for gender, name in trio.items():
                if gender == "androgynous" and gender not in shows:
                    continue
                label = occupation if occupation in OCCUPATIONS else "person"
                shown = gender if gender in shows else None
                found.append(Drawing(name, font.package, label, shown, tone, fold_of(name, font.package)))
    return found


def named(font: Font, icons: dict[str, Any], occupation: str, tone: str | None) -> dict[str, str]:
    """The icon of each gender, or nothing where a font lacks the man or the woman."""
    trio = {}
    for gender, prefix in (("androgynous", "person"), ("man", "man"), ("woman", "woman")):
        neutral = prefix == "person" and occupation in OCCUPATIONS
        name = occupation if neutral else "-".join(filter(None, (prefix, occupation)))
        name += f"-{tone}{font.tone_suffix}" if tone else ""
        if name in icons:
            trio[gender] = name
    return trio if {"man", "woman"} <= trio.keys() else {}


def visible(font: Font, trios: list[dict[str, str]], draw: Callable[[str], np.ndarray]) -> set[str]:
    """The genders that a person can tell apart in one font's drawings of one occupation, over all skin tones."""

    def apart(a: str, b: str) -> float:
        return float(np.mean([difference(draw(t[a]), draw(t[b])) for t in trios if a in t and b in t] or [0.0]))

    if apart("man", "woman") < VISIBLE:
        return set()
    third = font.androgynous and min(apart("androgynous", "man"), apart("androgynous", "woman")) >= THIRD
    return {"man", "woman", "androgynous"} if third else {"man", "woman"}


def others(font: Font, icons: dict[str, Any]) -> list[Drawing]:
    """Drawings without any person (animals, food, things): the readers learn "unknown" from them."""
    words = (
        "cat dog cow apple banana car bus house tree rocket pizza guitar fish bear lion bread clock hammer "
        "flower book key leaf ball ship cup horse monkey owl carrot grapes tractor airplane laptop microphone "
        "palette top-hat stethoscope fire-engine police-car wrench graduation-cap balance-scale"
    ).split()
    things = [icon for icon in icons if icon in words or any(icon.startswith(f"{w}-") for w in words)]
    return [
        Drawing(icon, font.package, None, None, None, fold_of(icon, font.package))
        for icon in sorted(things)
        if not any(part in TONES or part in ("man", "woman", "person", "face") for part in icon.split("-"))
    ]


def build(work: Path) -> tuple[np.ndarray, list[Drawing]]:
    """Render everything. Returns pictures (n, 64, 64, 3) uint8 and one Drawing each."""
    source = fetch(work / "npm")
    pictures, drawings = [], []
    for font in FONTS:
        pack = json.loads((source / font.package / "icons.json").read_text())

        def drawn(name: str, pack: dict[str, Any] = pack, font: Font = font) -> np.ndarray:
            icon = pack["icons"][name]
            width, height = (icon.get(side, pack.get(side, 16)) for side in ("width", "height"))
            works = any(occupation in name for occupation in OCCUPATIONS)
            return render(icon["body"], width, height, font.crop if works else (0.0, 0.0, 1.0))

        draw = cache(drawn)
        rows = people(font, pack["icons"], draw) + others(font, pack["icons"])
        drawings += rows
        pictures += [draw(row.icon) for row in rows]
    return np.stack(pictures), drawings


def load(work: Path = WORK) -> tuple[torch.Tensor, list[Drawing]]:
    """The pictures as (n, 3, 64, 64) uint8 and their labels, as `main` wrote them."""
    rows = json.loads((work / "drawings.json").read_text())
    return load_file(work / "drawings.safetensors")["pictures"], [Drawing(**row) for row in rows]


def main() -> None:
    """Build, save, and draw a sheet to look at."""
    pictures, drawings = build(WORK)
    save_file(
        {"pictures": torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()},
        WORK / "drawings.safetensors",
    )
    (WORK / "drawings.json").write_text(json.dumps([asdict(d) for d in drawings]))
    with (WORK / "credits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["package", "author", "licence", "drawings"])
        for font in FONTS:
            count = sum(d.font == font.package for d in drawings)
            writer.writerow([f"@iconify-json/{font.package}", font.author, font.licence, count])
    shown = [i for i, d in enumerate(drawings) if d.tone == "medium" and d.occupation]
    columns = 24
    sheet = Image.new("RGB", (columns * SIZE, -(-len(shown) // columns) * SIZE), "white")
    for k, i in enumerate(shown):
        sheet.paste(Image.fromarray(pictures[i]), (k % columns * SIZE, k // columns * SIZE))
    sheet.save(WORK / "drawings.png")
    persons = [d for d in drawings if d.occupation]
    print(
        f"{len(drawings)} drawings, {len(persons)} people;",
        {gender: sum(d.gender == gender for d in persons) for gender in ("woman", "man", "androgynous", None)},
    )
    hidden = sorted({(d.font, d.occupation) for d in persons if d.gender is None}, key=str)
    print("gender does not show in:", hidden)


if __name__ == "__main__":
    main()
