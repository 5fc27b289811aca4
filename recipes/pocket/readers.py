"""Train the two readers of the pocket model: the perceiver, which steers, and the judge, which scores.

They share neither architecture nor weights, and learn from drawings that differ in part: folds 1–5 teach the
perceiver, folds 3–9 the judge, which must know every figure to read well, and fold 0 tests both. Both learn from
generated pictures too, as what their captions ask for (`recipes.pocket.trajectories`), since they will read such ones:
the perceiver from every second file, the judge from the others. Both see blurred, noisy and shifted pictures; the
judge turned, patched and recoloured ones too.
"Unknown" is learnt from drawings without a person, from yellow figures (skin tone), and from pictures of which nothing
is left.

    python -m recipes.pocket.readers perceiver|judge      → work/pocket/perceiver.safetensors, judge.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.reader import Reader
from recipes.pocket.captions import GENDERS, Caption, Mix
from recipes.pocket.checkpoint import device
from recipes.pocket.data import OCCUPATIONS, TONES, WORK, Drawing, Figure, figure, load
from recipes.pocket.trajectories import generated
from recipes.pocket.vae import augment

HEADS = {"gender": GENDERS, "skin_tone": TONES, "occupation": tuple(OCCUPATIONS)}
IGNORE = -100
BATCH, RUINED, GENERATED = 64, 3, 20
RECOLOURED = {"perceiver": 0, "judge": 16}
READERS = {  # builder, folds, steps, highest rate, seed, blur: smallest size to which a picture is reduced
    "perceiver": (pocket.build, range(1, 6), 3000, 2e-3, 1, 20),
    "judge": (judge.build, range(3, 10), 4000, 2e-3, 2, 24),
}


def labels(drawings: list[Drawing]) -> dict[str, Tensor]:
    """The class of every drawing in each head; its last class is "unknown", `IGNORE` means: do not learn from it."""

    def number(groups: tuple[str, ...], group: str | None, person: bool, missing: int) -> int:
        if not person:
            return len(groups)
        return groups.index(group) if group in groups else missing

    rows = {
        "gender": [number(GENDERS, d.gender, d.occupation is not None, IGNORE) for d in drawings],
        "skin_tone": [number(TONES, d.tone, d.occupation is not None, len(TONES)) for d in drawings],
        "occupation": [number(HEADS["occupation"], d.occupation, d.occupation is not None, IGNORE) for d in drawings],
    }
    return {name: torch.tensor(row) for name, row in rows.items()}


def asked(captions: list[Caption], mix: Mix) -> dict[str, Tensor]:
    """The class in each head that every caption asks for; `IGNORE` where it leaves it open."""

    def number(groups: tuple[str, ...], group: str | None) -> int:
        return IGNORE if group is None else groups.index(group)

    drawn = [mix.concepts[c.concept]["drawing"] if c.concept else None for c in captions]
    return {
        "gender": torch.tensor([number(GENDERS, c.gender) for c in captions]),
        "skin_tone": torch.tensor([number(TONES, c.tone) for c in captions]),
        "occupation": torch.tensor([number(HEADS["occupation"], drawing) for drawing in drawn]),
    }


def disturb(x: Tensor, generator: torch.Generator, smallest: int) -> Tensor:
    """What generated pictures do to a drawing: reduced and enlarged again, noisy, a little brighter or paler."""
    n = len(x)
    x = augment(x, generator)
    parts = []
    for part in torch.chunk(x, 8):  # several sizes in one batch, else batch normalisation adapts to one
        size = int(torch.randint(smallest, 65, (1,), generator=generator))
        low = F.interpolate(part, (size, size), mode="bilinear", antialias=True)
        parts.append(F.interpolate(low, x.shape[-2:], mode="bilinear"))
    x = torch.cat(parts)
    x = x + 0.08 * torch.rand(n, 1, 1, 1, generator=generator) * torch.randn(x.shape, generator=generator)
    gain = 1 + 0.08 * (torch.rand(n, 1, 1, 1, generator=generator) - 0.5)
    shift = 0.06 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    return (x * gain + shift).clamp(-1, 1)


def vary(x: Tensor, generator: torch.Generator) -> Tensor:
    """The judge's own augmentation: turned up to 9°, scaled (0.85–1.15), shifted (±5 px), a patch painted over."""
    n, size = len(x), x.shape[-1]
    angle = (torch.rand(n, generator=generator) - 0.5) * 0.32
    scale = 0.85 + 0.3 * torch.rand(n, generator=generator)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos() / scale
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin() / scale, angle.sin() / scale
    theta[:, :, 2] = (torch.rand(n, 2, generator=generator) - 0.5) * 20 / size
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = 1 - F.grid_sample(1 - x, grid, align_corners=False)
    for image in x:
        side = int(torch.randint(0, 20, (), generator=generator))
        top, left = torch.randint(0, size - side, (2,), generator=generator).tolist()
        image[:, top : top + side, left : left + side] = torch.rand(3, 1, 1, generator=generator) * 2 - 1
    return x


def recolour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Colours mixed by a random 3×3 matrix, so that gender is not read from the colour of hair or dress."""
    mixing = torch.eye(3) + 0.4 * torch.randn(len(x), 3, 3, generator=generator)
    return torch.einsum("nij,njhw->nihw", mixing, x).clamp(-1, 1)


def ruin(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures of which nothing can be read: reduced to 4×4, or noise."""
    low = F.interpolate(F.interpolate(x, (3, 3), mode="area"), x.shape[-2:], mode="bilinear")
    noise = torch.randn(x.shape, generator=generator).clamp(-1, 1)
    return torch.where(torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5, low, noise)


def train(name: str, work: Path, steps: int | None = None, without: Collection[Figure] = ()) -> Reader:
    """Train one reader on its folds.

    steps: shortens a trial. without: figures that it shall not see; then it learns from no generated pictures, since
    those may show them."""
    build, folds, usual, rate, seed, smallest = READERS[name]
    steps = steps or usual
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    where = device()
    pictures, drawings = load(work)
    pictures, classes = pictures.float() / 127.5 - 1, labels(drawings)
    seen = torch.tensor([i for i, d in enumerate(drawings) if d.fold in folds and figure(d) not in without])
    mix = Mix(drawings)
    made, captions = generated(mix, work / "trajectories", odd=name == "judge")
    wanted = asked(captions, mix)
    reader = build(HEADS).to(where)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    # A batch: ruined pictures, generated ones, drawings, and at its end drawings in other colours.
    ruined, last = slice(0, RUINED), slice(BATCH - RECOLOURED[name], BATCH)
    ours = slice(RUINED, RUINED if without else RUINED + GENERATED)
    for step in range(steps):
        rows = seen[torch.randint(len(seen), (BATCH,), generator=generator)]
        chosen = torch.randint(len(made), (ours.stop - ours.start,), generator=generator)
        x = pictures[rows]
        x[ours] = made[chosen].float() / 127.5 - 1
        if name == "judge":
            x = vary(x, generator)
        x[last] = recolour(x[last], generator)
        x = disturb(x, generator, smallest)
        x[ruined] = ruin(x[ruined], generator)
        logits = reader(x.to(where))
        loss = torch.zeros((), device=where)
        for head, groups in HEADS.items():
            target = classes[head][rows].clone()
            target[ruined] = len(groups)
            target[ours] = wanted[head][chosen]
            if head == "skin_tone":
                target[last] = IGNORE
            loss = loss + F.cross_entropy(logits[head], target.to(where), ignore_index=IGNORE, label_smoothing=0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0:
            print(f"{name} step {step} loss {loss.item():.3f}", flush=True)
    return reader.eval().cpu()


@torch.no_grad()
def held_out(reader: Reader, work: Path, figures: Collection[Figure] = ()) -> dict[str, tuple[Tensor, Tensor]]:
    """What held-out, disturbed drawings (eight views each) show, and what is read in them, by head.

    figures: those whose drawings are held out; the drawings of fold 0 if none are given."""
    pictures, drawings = load(work)
    held = torch.tensor(
        [i for i, d in enumerate(drawings) if d.occupation and (figure(d) in figures if figures else d.fold == 0)]
    )
    classes = labels(drawings)
    generator = torch.Generator().manual_seed(7)
    views = [reader(disturb(pictures[held].float() / 127.5 - 1, generator, 24)) for _ in range(8)]
    return {
        head: (classes[head][held].repeat(len(views)), torch.cat([view[head] for view in views]).argmax(dim=1))
        for head in HEADS
    }


def accuracy(reader: Reader, work: Path) -> dict[str, dict[str, tuple[float, int]]]:
    """Share of held-out drawings read rightly, and their number, by head and group."""
    result: dict[str, dict[str, tuple[float, int]]] = {}
    for head, (truth, read) in held_out(reader, work).items():
        groups, right = HEADS[head], read == truth
        result[head] = {
            group: (right[truth == k].float().mean().item(), int((truth == k).sum()))
            for k, group in enumerate((*groups, "unknown"))
            if (truth == k).any()
        }
        known = (truth >= 0) & (truth < len(groups))
        result[head]["all"] = (right[known].float().mean().item(), int(known.sum()))
    return result


def confusions(reader: Reader, work: Path) -> dict[str, Confusion]:
    """How a reader errs on held-out drawings, by head."""
    found = {}
    for head, (truth, read) in held_out(reader, work).items():
        groups = HEADS[head]
        counts = [[int(((truth == i) & (read == j)).sum()) for j in range(len(groups) + 1)] for i in range(len(groups))]
        found[head] = Confusion(attribute=head, groups=groups, counts=counts, measured_on="held-out drawings")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    trained = train(arguments.reader, WORK, arguments.steps)
    trained.save(WORK / f"{arguments.reader}.safetensors")
    for head, row in accuracy(trained, WORK).items():
        print(head, {group: f"{share:.3f} of {count}" for group, (share, count) in row.items()})
