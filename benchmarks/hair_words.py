"""Whether the pocket model reacts to words for hair, which no caption of its training names.

The drawings have people with white and with curly hair. A linear head on the judge's features learns to tell their hair
from that of all others, on folds 3 to 9, and is tested on fold 0. Then images are drawn from the same seeds without a
word for hair and with one. Shown: the share that the head reads as the hair of the word, the mean change of its
probability with a 95 % interval over images, and the mean change of a pixel in percent of its range, beside that of a
word that captions do name.

    python -m benchmarks.hair_words [--images 40]      → benchmarks/hair_words.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fair_diffusion import FairPipeline
from fair_diffusion.perception import judge
from recipes.pocket.data import FONTS, TONES, WORK, fetch, fold_of, load, render
from recipes.pocket.styles import features

GROUPS = ("white", "curly", "other")
WORDS = {"": None, "white-haired": "white", "curly-haired": "curly", "female": None}
OCCUPATIONS = ("artist", "judge", "teacher", "farmer", "scientist")
VIEWS, STEPS, RATE, SEED = 6, 400, 3e-3, 7000
PERSON = ("person", "man", "woman")


def drawings() -> tuple[Tensor, list[str], list[int]]:
    """Pictures (n, 3, 64, 64) in bytes of people, the hair of each, and its fold."""
    pictures, rows = load(WORK)
    others = [i for i, row in enumerate(rows) if row.occupation and not row.icon.count("-hair")]
    parts, hair, folds = [pictures[others]], ["other"] * len(others), [rows[i].fold for i in others]
    for font in FONTS:
        pack = json.loads((fetch(WORK / "npm") / font.package / "icons.json").read_text())
        for kind in GROUPS[:2]:
            for name in _icons(kind):
                if name in pack["icons"]:
                    icon = pack["icons"][name]
                    width, height = (icon.get(side, pack.get(side, 16)) for side in ("width", "height"))
                    picture = render(icon["body"], width, height, (0.0, 0.0, 1.0))
                    parts.append(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])
                    hair.append(kind)
                    folds.append(fold_of(name, font.package))
    return torch.cat(parts), hair, folds


def _icons(kind: str) -> list[str]:
    """The names of the drawings of one kind of hair, in the forms of all packages."""
    plain = [f"{person}-{kind}-hair" for person in PERSON]
    toned = [f"{name}-{tone}" for name in plain for tone in TONES]
    return plain + toned + [f"{person}-{tone}-skin-tone-{kind}-hair" for person in PERSON for tone in TONES]


def head_of(pictures: Tensor, hair: Sequence[str], folds: Sequence[int]) -> tuple[nn.Linear, float]:
    """A linear head on the judge's features, and the mean over groups of its accuracy on fold 0."""
    reader, wanted = judge.load(), torch.tensor([GROUPS.index(each) for each in hair])
    seen = torch.tensor([i for i, fold in enumerate(folds) if fold in range(3, 10)])
    held = torch.tensor([i for i, fold in enumerate(folds) if fold == 0])
    x, y = features(reader, pictures[seen], 24, 21, VIEWS), wanted[seen].repeat(VIEWS)
    torch.manual_seed(21)
    head = nn.Linear(x.shape[1], len(GROUPS))
    weight = 1 / torch.bincount(y, minlength=len(GROUPS)).float()
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=1e-3)
    for _ in range(STEPS):
        at = torch.multinomial(weight[y], 256)
        loss = F.cross_entropy(head(x[at]), y[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = head(features(reader, pictures[held], 24, 121, 4)).argmax(dim=1) == wanted[held].repeat(4)
    parts = [float(right[wanted[held].repeat(4) == k].float().mean()) for k in range(len(GROUPS))]
    return head, float(np.mean(parts))


def drawn(pipe: FairPipeline, word: str, images: int) -> list[Image.Image]:
    """Images of all occupations with one word, the same seeds whatever the word."""
    found: list[Image.Image] = []
    for k, occupation in enumerate(OCCUPATIONS):
        words = " ".join(filter(None, (word, occupation)))
        article = "an" if words[0] in "aeiou" else "a"
        n = images // len(OCCUPATIONS)
        found += pipe(f"a photo of {article} {words}", n=n, seed=SEED + 100 * k, method="none", steps=15).images
    return found


@torch.no_grad()
def read(head: nn.Linear, images: Sequence[Image.Image]) -> Tensor:
    """Probabilities (n, groups)."""
    chances: Tensor = head(judge.load().embed(images)).softmax(dim=1)
    return chances


def rows_of(images: int) -> tuple[float, list[list[str]]]:
    """The accuracy of the head, and one row for each word."""
    head, right = head_of(*drawings())
    pipe = FairPipeline.from_pretrained("pocket")
    pictures = {word: drawn(pipe, word, images) for word in WORDS}
    chances = {word: read(head, each).numpy() for word, each in pictures.items()}
    rows = []
    for word, group in list(WORDS.items())[1:]:
        apart = [
            np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() / 255
            for a, b in zip(pictures[word], pictures[""], strict=True)
        ]
        row = [word, f"{100 * float(np.mean(apart)):.1f} %"]
        if group is not None:
            k = GROUPS.index(group)
            change = chances[word][:, k] - chances[""][:, k]
            half = 1.96 * change.std(ddof=1) / len(change) ** 0.5
            shares = [f"{100 * float((chances[each].argmax(axis=1) == k).mean()):.0f} %" for each in ("", word)]
            row += [*shares, f"{change.mean():+.3f} ± {half:.3f}"]
        rows.append(row)
    return right, rows


def write(right: float, rows: Sequence[Sequence[str]], images: int, path: Path) -> None:
    """Write the table."""
    lines = [
        "# Words for hair on the pocket model",
        "",
        f"Made by `python -m benchmarks.hair_words --images {images}`; its docstring says what is measured. {images} "
        f"images with each word. The head reads {100 * right:.0f} % of the held-out drawings rightly, the mean over "
        "groups.",
        "",
        "| word | mean change of a pixel | read so without the word | with it | change of probability |",
        "|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join([*row, *["–"] * (5 - len(row))]) + " |" for row in rows]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40, help="with each word")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    write(*rows_of(arguments.images), arguments.images, arguments.out)
    print(arguments.out.read_text())
