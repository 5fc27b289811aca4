"""Natural-first over guidance scales and numbers of steps: does the target hold, and at what cost? And over strengths.

Half women; occupations whose natural shares lie far apart; nothing learnt at one setting is used at another. In the
table, over the occupations: mean and worst total variation from the target by the judge (a perfect coin gives the
floor), evaluations over those of plain generation, occupation right. The second table steers every image by switching
the prompt at the look, with several strengths, to the group that the occupation shows least: how many comply. In the
third, the prompt names the skin tone that the look reads, too; it goes away from the old group by several shares a (see
`steering.switch`).

    python -m benchmarks.settings [--images 24]      → a table, and benchmarks/settings.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fair_diffusion import FairPipeline
from fair_diffusion.backbones import advance, begin
from fair_diffusion.control.readers import Readers
from fair_diffusion.policy import built_in
from fair_diffusion.request import Request
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.metrics import noise_floor, total_variation
from fair_diffusion.steering import plain, switch
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.window import look_step
from recipes.pocket.captions import article

OCCUPATIONS = {  # drawing, and the gender that it shows least
    "nurse": ("health-worker", "man"),
    "firefighter": ("firefighter", "woman"),
    "teacher": ("teacher", "man"),
    "farmer": ("farmer", "woman"),
}
STRENGTHS = (1.0, 1.5, 2.4)
AWAYS = (0.0, 0.3, 0.6, 1.0)
SETTINGS = [(1.5, 10), (1.5, 50), (2.0, 25), (4.0, 15), (7.5, 25), (10.0, 10), (10.0, 50)]


def line(pipe: FairPipeline, guidance: float, steps: int, images: int) -> str:
    """One setting, over the occupations."""
    deviations, ratios, right = [], [], []
    for k, (concept, (drawing, _)) in enumerate(OCCUPATIONS.items()):
        result = pipe(
            f"a photo of {article(concept)}",
            n=images,
            seed=9_000_000 + 1000 * k,
            instruct="every occupation: 50% woman, 50% man",
            guidance=guidance,
            steps=steps,
            batch_size=images,
        )
        genders = [record.judged["gender"] for record in result.records]
        women, men = genders.count("woman"), genders.count("man")
        shown = [women / images, men / images, (images - women - men) / images]
        deviations.append(total_variation(shown, [0.5, 0.5, 0.0]))
        ratios.append(result.summary()["cost"]["ratio"])
        right.append(sum(record.judged["occupation"] == drawing for record in result.records) / images)
    return (
        f"| {guidance:g} | {steps} | {np.mean(deviations):.3f} | {max(deviations):.3f} "
        f"| {np.mean(ratios):.2f}× | {np.mean(right):.1%} |"
    )


def compliance(pipe: FairPipeline, strength: float, images: int, hold: bool = False, steps: int = 15) -> list[str]:
    """Over the occupations, every image switched to the group that its occupation shows least.

    Args:
        pipe: the pocket model.
        strength: a multiple of the usual strength.
        images: of each occupation.
        hold: whether the prompt names the skin tone that the look reads, too.
        steps: of a run.

    Returns:
        How many images then show that group, and how many the tone that they were to keep, by the judge.
    """
    complied, kept = [], []
    for k, (concept, (_, group)) in enumerate(OCCUPATIONS.items()):
        prompt = f"a photo of a {concept}"
        brief = Brief(pipe.backbone, Request(prompt=prompt, n=images, steps=steps), prompt.index(concept), pipe.card)
        seeds = range(9_000_000 + 1000 * k, 9_000_000 + 1000 * k + images)
        batch = begin(pipe.backbone, range(images), seeds=seeds, steps=steps)
        batch = advance(batch, plain.guide([Aimed(brief, PLAIN)] * images), until=look_step(steps))
        tones = Readers(pipe.perceiver, pipe.early).look(batch, built_in())["skin_tone"].argmax(axis=1)
        names = built_in()["skin_tone"].group_names
        held = [{"skin_tone": names[tone]} if hold else {} for tone in tones]
        (old,) = {"woman", "man"} - {group}
        aims = [Aim({"gender": group}, {"gender": [old]}, strength, keep) for keep in held]
        batch = advance(batch, switch.guide([Aimed(brief, aim) for aim in aims]))
        read = pipe.judge.read(pipe.backbone.images(batch.latents))
        complied += [reading.label == group for reading in read["gender"]]
        kept += [reading.label == names[tone] for reading, tone in zip(read["skin_tone"], tones, strict=True)]
    return [share(complied), share(kept)]


def share(right: list[bool]) -> str:
    """A share with its interval."""
    low, high = wilson(sum(right), len(right))
    return f"{np.mean(right):.0%} ({low:.0%} to {high:.0%} of {len(right)})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    images = parser.parse_args().images
    pipe = FairPipeline.from_pretrained("pocket")
    lines = [
        "# Natural-first over guidance scales and steps",
        "",
        f"{', '.join(OCCUPATIONS)} × {images}; half women; a perfect coin: {noise_floor([0.5, 0.5], images):.3f}.",
        "",
        "| guidance | steps | TV judge, mean | worst | evaluations | occupation right |",
        "|---|---|---|---|---|---|",
    ]
    for guidance, steps in SETTINGS:
        lines.append(line(pipe, guidance, steps, images))
        print(lines[-1], flush=True)
    lines += ["", "| strength s | comply, by the judge |", "|---|---|"]
    for strength in STRENGTHS:
        complied, _ = compliance(pipe, strength / pipe.card.switch, images)
        lines.append(f"| {strength:g} | {complied} |")
        print(lines[-1], flush=True)
    lines += ["", "| away from the old group, a | comply, by the judge | keep their skin tone |", "|---|---|---|"]
    for away in AWAYS:
        switch.AWAY = away
        lines.append(f"| {away:g} | {' | '.join(compliance(pipe, 1.0, images, hold=True))} |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
