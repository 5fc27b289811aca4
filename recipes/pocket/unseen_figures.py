"""How the judge's kind of reader reads figures that it never saw: a figure is what one artist drew for one occupation.

The judge that is shipped knows every figure in some skin tone or gender. So its training is repeated, shorter, without
a quarter of the figures, which are then read; four times, so that every figure is read once. Generated pictures take
no part, since they may show the unseen figures.

    python -m recipes.pocket.unseen_figures [--steps 1500]      → work/pocket/unseen-figures.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from recipes.pocket.data import WORK, Figure, figure, load
from recipes.pocket.readers import HEADS, held_out, train

PARTS = 4
FILE = "unseen-figures.json"
ASKED = {"gender": ("woman", "man"), "skin_tone": HEADS["skin_tone"]}


def parts(work: Path) -> list[list[Figure]]:
    """The figures of people, in `PARTS` parts: neighbours by name, which are of one artist, go to different ones."""
    figures = sorted({figure(d) for d in load(work)[1] if d.occupation and d.occupation != "person"})
    return [figures[k::PARTS] for k in range(PARTS)]


def measure(work: Path, steps: int) -> dict[str, list[int]]:
    """By attribute, how many views of unseen figures were read rightly, and of how many."""
    found = {head: [0, 0] for head in ASKED}
    for k, unseen in enumerate(parts(work)):
        read = held_out(train("judge", work, steps, without=unseen), work, unseen)
        for head, groups in ASKED.items():
            truth, said = read[head]
            shown = torch.isin(truth, torch.tensor([HEADS[head].index(group) for group in groups]))
            found[head][0] += int((said == truth)[shown].sum())
            found[head][1] += int(shown.sum())
        print(f"part {k + 1} of {PARTS}", found, flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    steps = parser.parse_args().steps
    (WORK / FILE).write_text(json.dumps({"steps": steps, "read": measure(WORK, steps)}))
