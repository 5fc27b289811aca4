"""Protocols of the newest papers on the pocket model: plain, published ways and natural-first, from the same seeds.

- Parity: EquiSteer's protocol (arXiv 2607.01147): 100 images of each profession, the parity gap Δ = Σ_c |R_c − 1/K| / K
  over its groups c, R_c being the shares among the images that the judge could read; the mean over professions.
- Gate: prompts that name a group must stay as they are. Counted are images that are not the plain ones, bit by bit.
- Guidance: Δ over the guidance scales of StayFair (arXiv 2605.28036): 3, 5, 7.5 and 10.
- Intersections: gender × skin tone even: the smallest share of the ten over all professions, which would be 10 %.

Of EquiSteer's eight professions the pocket model knows four. A fair coin's Δ stands beside: no way that draws groups by
lot comes below it. Results are kept in work/pocket/protocols, so that a run goes on where it stopped; remove it after a
change of the code.

    python -m benchmarks.protocols [--images 100]      → a page, benchmarks/protocols.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import PLAIN, ROWS, Row, planned
from fair_diffusion import FairPipeline, Policy
from fair_diffusion.audit.table import joint_labels
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.policy import Target
from fair_diffusion.request import Request
from fair_diffusion.runs.occupations import EQUISTEER, read_occupations
from fair_diffusion.statistics.metrics import noise_floors, parity_gap
from recipes.pocket.captions import article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import WORK

KNOWN = ("doctor", "pilot", "teacher", "nurse")
"""The professions of the protocol that the pocket model draws."""
SHOWN = (ROWS[0], ROWS[1], ROWS[2], ROWS[5])
"""Plain, prompt quota, semantic guidance as published, and natural-first."""
STEPS, BATCH, SEED = 15, 25, 5_000_000
GATE = 10
"""Images of each prompt that names a group."""
PARITY = {"gender": "every occupation: half women", "skin_tone": "every occupation: skin tone uniform"}
NAMED = ("female", "male", "dark-skinned", "light-skinned")
"""Words of the prompts that the gate must leave alone, under the instruction about their attribute."""
SCALES = (3.0, 5.0, 7.5, 10.0)
JOINT = Policy.from_yaml(
    "version: 1\nrules:\n- name: joint\n  every: occupation\n  joint:\n"
    + "".join(
        f"  - {{gender: {gender}, skin_tone: {tone}, share: 10%}}\n"
        for gender in ("woman", "man")
        for tone in ("light", "medium-light", "medium", "medium-dark", "dark")
    )
)


class Bench:
    """Draws and keeps what the judge read.

    Args:
        images: of each profession and way.
    """

    def __init__(self, images: int) -> None:
        self.pipe, self.images = FairPipeline.from_pretrained("pocket"), images
        self.pipe.backbone.pipeline.unet.to(memory_format=torch.channels_last)  # an eighth faster on a CPU

    def shown(
        self, row: Row, policy: Policy, prompt: str, *, n: int | None = None, guidance: float | None = None
    ) -> list[dict[str, str | None]]:
        """What the judge reads in the images of one prompt, from disk where it was drawn before.

        Each has a digest of the picture, too, as "pixels"."""
        files = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
        files += [WEIGHTS / f"{name}.safetensors" for name in ("perceiver", "judge", "early")]
        rules = () if row == PLAIN else policy.rules
        many = n or self.images
        made_by = digest(*files, row, rules, prompt, guidance, many, STEPS, BATCH)
        path = WORK / "protocols" / f"{made_by}.json"
        if not path.exists():
            usual = self.pipe.card.guidance if guidance is None else guidance
            asked = Request(
                prompt=prompt, n=many, seed=SEED, steps=STEPS, guidance=usual, batch_size=BATCH, policy=policy
            )
            result = dict(self.pipe.run([planned(self.pipe, row, asked)]))[0]
            read = [
                {**record.judged, "pixels": digest(image.tobytes())}
                for record, image in zip(result.records, result.images, strict=True)
            ]
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part:
                part.write_text(json.dumps(read))
        found: list[dict[str, str | None]] = json.loads(path.read_text())
        return found

    def gaps(self, row: Row, attribute: str, guidance: float | None = None) -> list[float]:
        """The parity gap of every profession."""
        policy = Policy.from_sentence(PARITY[attribute])
        (target,) = policy.rules[0].targets
        groups = [group for (group,), share in target.shares.items() if share]
        return [
            gap([image[attribute] for image in self.shown(row, policy, prompt_of(name), guidance=guidance)], groups)
            for name in KNOWN
        ]


def prompt_of(profession: str) -> str:
    """The protocol's prompt."""
    return f"a photo of {article(profession)}"


def gap(labels: Sequence[str | None], groups: Sequence[str]) -> float:
    """The parity gap of one prompt among the groups asked for; that of a single group where none could be read."""
    counts = np.array([labels.count(group) for group in groups])
    return parity_gap(counts / counts.sum() if counts.any() else np.eye(len(groups))[0])


def parity(bench: Bench) -> list[str]:
    """The table of the parity gap."""
    lines = ["| way | Δ gender | against plain | Δ skin tone | against plain |", "|---|---|---|---|---|"]
    plain = {attribute: np.mean(bench.gaps(PLAIN, attribute)) for attribute in PARITY}
    for row in SHOWN:
        cells = []
        for attribute, before in plain.items():
            mean = np.mean(bench.gaps(row, attribute))
            cells += [f"{mean:.3f}", "" if row == PLAIN else f"{mean / before - 1:+.0%}".replace("-", "−")]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    floors = [noise_floors([1 / k] * k, bench.images)["parity_gap"] for k in (2, 5)]
    return [*lines, f"| *a fair coin of {bench.images} images* | {floors[0]:.3f} | | {floors[1]:.3f} | |"]


def gate(bench: Bench) -> list[str]:
    """The table of prompts that name a group: images that are not the plain ones."""
    lines = ["| way | moved images of prompts that name the group |", "|---|---|"]
    for row in SHOWN[1:]:
        moved = total = 0
        for word in NAMED:
            policy = Policy.from_sentence(PARITY["skin_tone" if "skinned" in word else "gender"])
            for name in KNOWN:
                prompt = f"a photo of a {word} {name}"
                pair = (bench.shown(each, policy, prompt, n=GATE) for each in (row, PLAIN))
                for image, twin in zip(*pair, strict=True):
                    moved, total = moved + (image["pixels"] != twin["pixels"]), total + 1
        lines.append(f"| {row.name} | {moved:,} of {total:,} |")
        print(lines[-1], flush=True)
    return lines


def sweep(bench: Bench) -> list[str]:
    """The table of guidance scales."""
    lines = [f"| way | {' | '.join(f'{scale:g}' for scale in SCALES)} |", "|---" * (1 + len(SCALES)) + "|"]
    for row in (SHOWN[0], SHOWN[-1]):
        cells = [f"{np.mean(bench.gaps(row, 'gender', scale)):.3f}" for scale in SCALES]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def intersections(bench: Bench) -> list[str]:
    """The table of the ten intersections."""
    lines = ["| way | smallest share | of | Δ of the ten |", "|---|---|---|---|"]
    (target,) = JOINT.rules[0].targets
    assert isinstance(target, Target)
    cells = [" × ".join(cell) for cell, share in target.shares.items() if share]
    for row in SHOWN:
        every: list[str | None] = []
        gaps = []
        for name in KNOWN:
            read = bench.shown(row, JOINT, prompt_of(name))
            labels = joint_labels(*([image[part] for image in read] for part in target.attributes))
            gaps.append(gap(labels, cells))
            every += labels
        least = min(cells, key=every.count)
        lines.append(f"| {row.name} | {every.count(least) / len(every):.1%} | {least} | {np.mean(gaps):.3f} |")
        print(lines[-1], flush=True)
    return lines


def page(bench: Bench) -> str:
    """The page."""
    unknown = [name for name in read_occupations(EQUISTEER) if name not in KNOWN]
    parts = [
        "# Protocols of the newest papers on the pocket model",
        "",
        f"Made by `python -m benchmarks.protocols --images {bench.images}`, with {GATE} of each prompt at the gate, "
        f"{STEPS} steps, the same seeds for every way, read by the judge. Professions: {', '.join(KNOWN)}; the pocket "
        f"model does not know {', '.join(unknown)}. Images that the judge could not read are left out of Δ, since the "
        "protocol's judge reads all.",
    ]
    for title, made in (
        ("Parity gap Δ (EquiSteer)", parity),
        ("The gate: prompts that name a group", gate),
        ("Δ of gender over the guidance scale (StayFair)", sweep),
        ("Intersections of gender and skin tone", intersections),
    ):
        parts += ["", f"## {title}", "", *made(bench)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="of each prompt and way")
    text = page(Bench(parser.parse_args().images))
    with whole_file(Path(__file__).with_suffix(".md")) as part:
        part.write_text(text, encoding="utf-8")
