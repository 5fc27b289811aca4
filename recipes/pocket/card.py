"""Measure the packed pocket model and write its model card.

The judge reads; the mix says what should come out. Neutral prompts give the occupation and the natural share of women,
prompts that name gender and skin tone give how well words are followed, held-out drawings give the readers' accuracy.
The early reader is asked mid-way, on held-out trajectories, what perceiver and judge will say of the finished pictures.

    python -m recipes.pocket.card      → src/fair_diffusion/models/pocket/weights/README.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from diffusers import AutoencoderKL
from PIL import Image

from fair_diffusion import FairPipeline
from fair_diffusion.backbones import denoise
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception import early, judge, pocket
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.metrics import total_variation
from recipes.pocket.captions import GENDERS, Mix, article
from recipes.pocket.data import TONES, WORK, load
from recipes.pocket.early import HEADS as EARLY
from recipes.pocket.early import curve
from recipes.pocket.readers import accuracy, confusions
from recipes.pocket.trajectories import CHUNK, USUAL_STEPS, held_out
from recipes.pocket.vae import psnr

Row = dict[str, Any]


def neutral(pipe: FairPipeline, mix: Mix) -> Iterator[Row]:
    """For each concept's held-out pictures: how many show it, women and skin tones beside the mix, both readers."""
    for concept, drawn in held_out(mix, WORK / "trajectories").items():
        row, images = mix.concepts[concept], len(drawn)
        judged, perceived = (
            {name: [r.label for r in found] for name, found in reader.read(drawn).items()}
            for reader in (pipe.judge, pipe.perceiver)
        )
        genders, tones = judged["gender"], judged["skin_tone"]
        shares = [tones.count(tone) / images for tone in TONES] + [tones.count(None) / images]

        agree = {name: sum(a == b for a, b in zip(judged[name], perceived[name], strict=True)) for name in perceived}

        yield {
            "concept": concept,
            "occupation": judged["occupation"].count(row["drawing"]),
            "women": genders.count("woman"),
            "unknown": genders.count(None),
            "mix": row["women"],
            "tones": total_variation(shares, [*mix.table["tones"][row["tones"]], 0.0]),
            "agree": agree,
            "n": images,
        }


def named(pipe: FairPipeline, mix: Mix) -> Iterator[Row]:
    """Prompts that name gender and skin tone, for each concept: what the judge reads in one image of each."""
    asked = [(c, g, t) for c in mix.concepts for g in GENDERS for t in TONES]
    asked = [(c, g, t) for c, g, t in asked if (mix.concepts[c]["drawing"], g, t) in mix.index]
    words = mix.table
    prompts = [
        f"a photo of {article(words['gender'][g]['adjectives'][0])} {c} {words['tone'][t]['phrases'][0]}"
        for c, g, t in asked
    ]
    drawn: list[Image.Image] = []
    for batch in denoise(
        pipe.backbone,
        prompts_cond=pipe.backbone.encode(prompts),
        empty_cond=pipe.backbone.encode([""]),
        seeds=list(range(len(asked))),
        steps=USUAL_STEPS,
        guidance=pipe.card.guidance,
        batch_size=CHUNK,
    ):
        drawn += pipe.backbone.images(batch.latents)
    read = pipe.judge.read(drawn)
    for (concept, gender, tone), g, t in zip(asked, read["gender"], read["skin_tone"], strict=True):
        yield {"concept": concept, "gender": gender, "tone": tone, "gender_read": g.label, "tone_read": t.label}


def share(count: int, n: int) -> str:
    """A share with its 95 % interval for people."""
    low, high = wilson(count, n)
    return f"{count / n:.1%} ({low:.1%} to {high:.1%}; {count} of {n})"


def readers_and_vae() -> tuple[float, dict[str, Any]]:
    """PSNR of the VAE in dB, and the accuracy of both readers on drawings that no part was trained on."""
    renders, drawings = load(WORK)
    held = torch.tensor([i for i, d in enumerate(drawings) if d.fold == 0 and d.occupation])
    vae: Any = AutoencoderKL.from_pretrained(WEIGHTS / "vae", torch_dtype=torch.float32)
    readers = {"judge": accuracy(judge.load(), WORK), "perceiver": accuracy(pocket.load(), WORK)}
    return psnr(vae, renders[held].float() / 127.5 - 1), readers


def write(rows: list[Row], pairs: list[Row], guidance: float) -> str:
    """The model card."""
    decibel, readers = readers_and_vae()
    n = sum(row["n"] for row in rows)
    near = sum(abs(row["women"] / row["n"] - row["mix"]) <= 0.10 for row in rows)

    def right(key: str, group: str | None = None) -> str:
        chosen = [p for p in pairs if group is None or p[key] == group]
        return share(sum(p[key] == p[f"{key}_read"] for p in chosen), len(chosen))

    def reader(name: str) -> list[str]:
        heads = readers[name]
        lines = [("woman or man", "gender", ("woman", "man")), ("androgynous", "gender", ("androgynous",))]
        lines += [("skin tone", "skin_tone", ("all",)), ("occupation", "occupation", ("all",))]
        shown = []
        for label, head, groups in lines:
            count = sum(heads[head][g][1] for g in groups)
            hits = round(sum(heads[head][g][0] * heads[head][g][1] for g in groups))
            shown.append(f"| {name}: {label} | {share(hits, count)} |")
        return shown

    def agree(name: str) -> str:
        return share(sum(row["agree"][name] for row in rows), n)

    lines = [
        *HEAD.splitlines(),
        "",
        f"## Measured: {USUAL_STEPS} steps, guidance {guidance:g}, read by the judge",
        "",
        "| | |",
        "|---|---|",
        f"| VAE on held-out drawings | {decibel:.1f} dB |",
        *reader("judge"),
        *reader("perceiver"),
        f"| neutral prompts: occupation right | {share(sum(row['occupation'] for row in rows), n)} |",
        f"| neutral prompts: gender unknown to the judge | {share(sum(row['unknown'] for row in rows), n)} |",
        f"| neutral prompts: women within 0.10 of the mix | {near} of {len(rows)} occupations |",
        f"| prompts naming gender and skin tone: gender right | {right('gender')} |",
        *(f"| … {group} | {right('gender', group)} |" for group in GENDERS),
        f"| … skin tone right | {right('tone')} |",
        f"| neutral prompts: perceiver and judge agree on gender | {agree('gender')} |",
        f"| … on skin tone | {agree('skin_tone')} |",
        "",
        "Readers are measured on held-out drawings in eight disturbed views each, so views of one drawing are not",
        "independent and those intervals are too narrow.",
        "",
        "## The early reader, on neutral prompts that it never saw",
        "",
        "How often it foresees what perceiver and judge see in the finished picture, by the share of the run that",
        "is done; and the expected calibration error of its probabilities.",
        "",
        "| done | gender: perceiver | judge | calibration error | skin tone: perceiver | judge | calibration error |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['share']:.0%} "
            + " ".join(f"| {row[name]:.1%} | {row[f'{name} judge']:.1%} | {row[f'{name} error']:.3f}" for name in EARLY)
            + " |"
            for row in curve(early.load(), WORK / "trajectories")
        ),
        "",
        "## Natural outcome of each occupation",
        "",
        "| prompt | women in the mix | women drawn | occupation right | skin tones, total variation from the mix |",
        "|---|---|---|---|---|",
        *(
            f"| a photo of {article(row['concept'])} | {row['mix']:.0%} | {row['women'] / row['n']:.0%} "
            f"| {row['occupation'] / row['n']:.0%} | {row['tones']:.2f} |"
            for row in rows
        ),
        "",
    ]
    return "\n".join(lines)


HEAD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# The pocket model

A text-to-image latent diffusion model of drawn people at 64×64: 20 occupations, three gender presentations, five skin
tones. It is small enough to train and run on two CPU cores, and **biased on purpose**: neutral prompts follow the
shares in `recipes/pocket/mix.yaml`, most of them those that Stable Diffusion 1.5 draws (arXiv 2302.10893). It exists to
try, test and compare ways of steering proportions; it says nothing about people.

- UNet 9.2 M weights (v-prediction, cross-attention at 8×8), VAE 1.6 M, text encoder all-MiniLM-L6-v2 (its own package).
- Drawings: Noto, Twemoji and Fluent emoji (`credits.csv`, NOTICE). A tenth of the people is held out everywhere, each
  drawing by itself: **the same figure in another skin tone or gender is in training**. So these figures say how well
  unseen combinations of known figures are read, not figures by an unknown artist.
- Perceiver (for steering) and judge (for counting) differ in architecture, augmentation and most of their drawings
  (three folds of nine are common to both); the perceiver learnt from generated pictures too. The early reader (for
  steering) foresees from clean latents predicted mid-way what the perceiver will see.
- The groups are perceived from drawings: hair, clothes, colour. `androgynous` exists only where an artist drew it.
- Skin tones of one figure differ by colour alone; yellow figures count as unknown and do not train the UNet."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    pipe = FairPipeline.from_pretrained("pocket")
    mix = Mix(load(WORK)[1])
    rows = []
    for row in neutral(pipe, mix):
        print(json.dumps(row), flush=True)
        rows.append(row)
    for name, reader in (("judge", judge.load()), ("perceiver", pocket.load())):
        errs = [asdict(confusion) for confusion in confusions(reader, WORK).values()]
        (WEIGHTS / f"{name}-confusions.json").write_text(json.dumps(errs) + "\n")
    (WEIGHTS / "README.md").write_text(write(rows, list(named(pipe, mix)), pipe.card.guidance))
