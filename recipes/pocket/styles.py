"""Teach the two readers of the pocket model an attribute of one's own: who drew the figure, which no caption names.

A linear head on the features of each reader, learnt from the drawings of the folds that taught the reader itself:
the perceiver's steers, the judge's scores. The skin of the drawings in three tones is a second attribute, which words
name. Definitions are in styles.yaml. The errors are those on drawings of the fold that nobody learnt from.

    python -m recipes.pocket.styles      → styles-perceiver.safetensors, styles-judge.safetensors beside the weights
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.reader import Reader, save_heads, with_heads
from fair_diffusion.perception.trained import UNKNOWN, TrainedPerceiver
from fair_diffusion.perception.trained import train as train_reader
from fair_diffusion.policy import Attributes
from recipes.pocket.data import WORK, Drawing, load
from recipes.pocket.readers import disturb

DEFINITIONS = Path(__file__).with_name("styles.yaml")
STYLES = {"noto": "noto", "twemoji": "twemoji", "fluent-emoji": "fluent", "fluent-emoji-flat": "flat"}
TONES = {"light": "fair", "medium-light": "fair", "medium": "tan", "medium-dark": "deep", "dark": "deep"}
VIEWS, STEPS, RATE, DECAY = 10, 400, 3e-3, 1e-3
READERS = {
    "perceiver": (pocket.load, range(1, 6), 20, 11, ("drawing_style", "complexion")),
    "judge": (judge.load, range(3, 10), 24, 12, ("complexion",)),
}
"""Each reader with its folds, the smallest size to which a picture is reduced, a seed, and its heads.

The judge learnt to look past who drew a figure: its features tell it of two in three only. So another network judges
the style, which `style_judge` trains.
"""


def classes(drawings: Sequence[Drawing], groups: dict[str, tuple[str, ...]]) -> dict[str, Tensor]:
    """The class of each drawing in each head; the last one is unknown."""

    def number(name: str, group: str | None) -> int:
        return groups[name].index(group) if group else len(groups[name])

    shown = {
        "drawing_style": [STYLES[d.font] if d.occupation else None for d in drawings],
        "complexion": [TONES.get(d.tone or "") if d.occupation else None for d in drawings],
    }
    return {name: torch.tensor([number(name, group) for group in shown[name]]) for name in groups}


@torch.no_grad()
def features(reader: Reader, pictures: Tensor, smallest: int, seed: int, views: int) -> Tensor:
    """Features (views · n, width) of disturbed pictures."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(views):
        x = disturb(pictures.float() / 127.5 - 1, generator, smallest)
        parts += [reader.features(part) for part in torch.split(x, 128)]
    return torch.cat(parts)


def train(name: str, out: Path) -> Path:
    """Train the heads of one reader and write them."""
    load_reader, folds, smallest, seed, names = READERS[name]
    reader = load_reader()
    defined = Attributes.named(DEFINITIONS)
    groups = {each: defined[each].group_names for each in names}
    pictures, drawings = load(WORK)
    wanted = classes(drawings, groups)
    seen = torch.tensor([i for i, d in enumerate(drawings) if d.fold in folds])
    x = features(reader, pictures[seen], smallest, seed, VIEWS)
    mean, spread = x.mean(dim=0), x.std(dim=0) + 1e-3
    heads = {}
    torch.manual_seed(seed)
    for each, row in wanted.items():
        y = row[seen].repeat(VIEWS)
        head = nn.Linear(x.shape[1], len(groups[each]) + 1)
        optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
        z = (x - mean) / spread
        for step in range(STEPS):
            at = torch.randint(len(z), (256,))
            loss = F.cross_entropy(head(z[at]), y[at], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 100 == 0:
                print(name, each, step, round(loss.item(), 3), flush=True)
        with torch.no_grad():  # the scale goes into the weights
            head.weight.div_(spread)
            head.bias.sub_(head.weight @ mean)
        heads[each] = head
    path = out / f"styles-{name}.safetensors"
    save_heads(heads, groups, path)
    return path


@torch.no_grad()
def accuracy(name: str, path: Path) -> dict[str, float]:
    """The share of held-out drawings of people that the heads read rightly, in four disturbed views each."""
    load_reader, _, smallest, seed, names = READERS[name]
    reader = with_heads(load_reader(), path)
    pictures, drawings = load(WORK)
    held = torch.tensor([i for i, d in enumerate(drawings) if d.fold == 0 and d.occupation])
    x = features(reader, pictures[held], smallest, seed + 100, 4)
    wanted = classes(drawings, {each: reader.groups[each] for each in names})
    return {
        each: float((reader.heads[each](x).argmax(dim=1) == row[held].repeat(4)).float().mean())
        for each, row in wanted.items()
    }


def style_judge(folder: Path) -> TrainedPerceiver:
    """The judge of drawing styles: a small ResNet of its own, from disturbed drawings of folds 3 to 9."""
    if folder.is_dir():
        return TrainedPerceiver.load(folder)
    pictures, drawings = load(WORK)
    seen = torch.tensor([i for i, d in enumerate(drawings) if d.fold in range(3, 10)])
    generator = torch.Generator().manual_seed(13)
    views = [disturb(pictures[seen].float() / 127.5 - 1, generator, 24) for _ in range(3)]
    groups = [STYLES[drawings[i].font] if drawings[i].occupation else UNKNOWN for i in seen.tolist()] * len(views)
    bytes_ = ((torch.cat(views) + 1) * 127.5).round().byte()
    names = Attributes.named(DEFINITIONS)["drawing_style"].group_names
    found = train_reader(bytes_, groups, attribute="drawing_style", names=names, epochs=6, seed=13)
    found.save(folder)
    return found


if __name__ == "__main__":
    for name in READERS:
        path = train(name, WEIGHTS)
        print(path.name, path.stat().st_size, accuracy(name, path))
