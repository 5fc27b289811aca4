"""docs/pictures/latents.png: which fairness loss lets images collapse to the middle between two groups.

The pocket model draws the same seeds plain and after descent on each loss; the perceiver, which led, reads p(woman) in
the finished pictures, and the judge, which never steers, names their groups. What was drawn is kept in
work/figures/latents, so that only the first run takes long, about 8 minutes of processor time; after a change of
descent, delete it.

    python -m recipes.figures.latents
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from fair_diffusion.perception import judge, pocket
from fair_diffusion.pipeline import FairPipeline

CONCEPT = "firefighter"
PROMPT, INSTRUCTION = f"a photo of a {CONCEPT}", f"{CONCEPT}: half women, half men"
IMAGES, STEPS, SEED = 16, 15, 0
SIDE, ACROSS = 64, 4
"""Of one picture, in pixels; pictures in a row."""
KEPT, OUT = Path("work/figures/latents"), Path("docs/pictures/latents.png")
TITLES = {
    "plain": "plain",
    "assigned": "assigned by quota",
    "mean": "mean KL alone",
    "confident": "mean KL + confidence",
}
COLOURS = {"woman": "#E69F00", "man": "#0072B2", "androgynous": "#009E73", None: "#8C8C8C"}


def run(folder: Path) -> None:
    """Draw and read what is not there yet: numbers of each row as JSON, its pictures as one strip."""
    pipe = FairPipeline.from_pretrained("pocket")
    folder.mkdir(parents=True, exist_ok=True)
    for name in TITLES:
        path = folder / f"{name}.json"
        if path.exists():
            continue
        start = time.process_time()
        pictures, cost = made(pipe, name)
        row = {
            "woman": pocket.load().every_probability(pictures)["gender"][:, 0].tolist(),
            "judged": [reading.label for reading in judge.load().read(pictures)["gender"]],
            "right": sum(reading.label == CONCEPT for reading in judge.load().read(pictures)["occupation"]),
            "cost": cost,
            "seconds": time.process_time() - start,
        }
        strip = Image.new("RGB", (SIDE * IMAGES, SIDE))
        for k, picture in enumerate(pictures):
            strip.paste(picture, (SIDE * k, 0))
        strip.save(path.with_suffix(".png"))
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        print(name, {key: value for key, value in row.items() if key != "woman"}, flush=True)


def made(pipe: FairPipeline, name: str) -> tuple[Sequence[Image.Image], float]:
    """The images of one row, and their evaluations as a multiple of plain ones."""
    way: dict[str, Any] = (
        {"method": "none"} if name == "plain" else {"method": "latents", "loss": name, "instruct": INSTRUCTION}
    )
    result = pipe(PROMPT, n=IMAGES, seed=SEED, steps=STEPS, **way)
    ratios = [record.evaluations / record.plain_evaluations for record in result.records]
    return result.images, sum(ratios) / IMAGES


def draw(folder: Path, out: Path) -> None:
    """Draw the figure of what `run` kept."""
    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    figure, axes = pyplot.subplots(
        2, len(TITLES), figsize=(11, 5.4), layout="constrained", height_ratios=(2, 3), squeeze=False
    )
    for column, (name, title) in enumerate(TITLES.items()):
        row = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        histogram, sheet = axes[:, column]
        histogram.axvspan(0.2, 0.8, color="#8C8C8C", alpha=0.15, lw=0)
        histogram.hist(row["woman"], bins=np.linspace(0, 1, 11), color="#0072B2", edgecolor="white")
        histogram.set(title=title, xlim=(0, 1), ylim=(0, IMAGES), xlabel="p(woman), perceiver")
        histogram.spines[["top", "right"]].set_visible(False)
        judged = [sum(label == group for label in row["judged"]) for group in COLOURS]
        words = ", ".join(f"{n} {g or 'unknown'}" for n, g in zip(judged, COLOURS, strict=True) if n)
        strip = np.asarray(Image.open(folder / f"{name}.png"))
        sheet.imshow(np.concatenate(np.split(strip, IMAGES // ACROSS, axis=1)))
        sheet.set_title(f"judge: {words}\n{row['cost']:.1f}× the evaluations", fontsize=9)
        for k, label in enumerate(row["judged"]):
            x, y = SIDE * (k % ACROSS), SIDE * (k // ACROSS)
            sheet.add_patch(Rectangle((x + 1, y + 1), SIDE - 3, SIDE - 3, fill=False, ec=COLOURS[label], lw=2))
            sheet.text(x + 4, y + 16, (label or "?")[0], fontsize=8, weight="bold", color=COLOURS[label])
        sheet.axis("off")
    axes[0, 0].set_ylabel(f"of {IMAGES} images")
    figure.savefig(out, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


if __name__ == "__main__":
    run(KEPT)
    draw(KEPT, OUT)
    print(f"wrote {OUT}")
