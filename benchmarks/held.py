"""What else moves: natural-first control with the held attributes held and not, beside plain and the published coin.

The same seeds for every row. TV is the total variation from the target by the judge, unknown counted against the row.
Changed: the steered images whose held attribute the judge reads otherwise than in the plain image of the same seed; its
own errors count, and images from a new seed have no such twin. To both: those in which the perceiver reads a change,
too, so that no error of one reader alone counts. Moved: the total variation between the held attribute's shares and
those of the plain images, unknown as a share of its own. Fidelity: occupation right; KID: judge's features against the
training renders. Seconds are processor time of 12 images of a firefighter over that of plain.
Nothing is held where a target asks for both attributes.

    python -m benchmarks.held [--images 100] [--occupations …] [--targets …] [--ways …]

It writes a section of benchmarks/held.md for each target, and leaves those of other targets and ways as they are.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import BATCH, STEPS, TARGETS, Bench, Measured, deviations, policy, renders
from benchmarks.rows import PLAIN, ROWS, Row
from fair_diffusion.audit.side_effects import SideEffect, side_effect
from fair_diffusion.backbones import StableDiffusion
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.statistics.kid import kid
from fair_diffusion.statistics.metrics import noise_floor, total_variation
from recipes.pocket.data import TONES

HELD = "skin_tone"
TIMED = 12
"""Images of the timed request."""
WAYS = {"switch": (ROWS[5],), "semantic": (ROWS[4],), "published": ()}
"""The ways that `hold` acts in, each drawn with it off and on, and the published coin, which holds nothing."""
COLUMNS = (
    "row",
    "images",
    "TV judge, mean",
    "worst",
    "evaluations",
    "seconds",
    "steered",
    "missed",
    "changed skin tone, of steered images",
    "to both readers",
    "skin tones moved, mean",
    "worst",
    "occupation right",
    "KID",
)


def rows(ways: Sequence[str]) -> tuple[Row, ...]:
    """The rows of the page: plain, the published coin, and each way with `hold` off and on."""
    published = (ROWS[2],) if "published" in ways else ()
    held = (
        replace(row, name=f"{row.name}, hold {'on' if on else 'off'}", hold=on)
        for way in ways
        for row in WAYS[way]
        for on in (False, True)
    )
    return (PLAIN, *published, *held)


def moved(found: Sequence[Measured], plain: Sequence[Measured]) -> tuple[SideEffect, int, list[float]]:
    """What became of the held attribute over all occupations.

    Args:
        found: the images of one row, by occupation.
        plain: the plain images of the same occupations.

    Returns:
        The change image by image, how many steered images changed to both readers, and the total variation from the
        plain shares in each occupation.
    """
    before: list[str | None] = []
    after: list[str | None] = []
    steered: list[bool] = []
    both: list[bool] = []
    distances = []
    for own, twins in zip(found, plain, strict=True):
        tones = [labels[HELD] for labels in own.facts["judged"]]
        natural = dict(zip(twins.facts["seeds"], read(twins), strict=True))
        for seed, now, by in zip(own.facts["seeds"], read(own), own.facts["steered_images"], strict=True):
            if seed in natural:
                before.append(natural[seed][0])
                after.append(now[0])
                steered.append(by)
                both.append(by and all(a != b for a, b in zip(natural[seed], now, strict=True)))
        plain_tones = [judged for judged, _ in read(twins)]
        distances.append(total_variation(shares(tones), shares(plain_tones)))
    return side_effect(HELD, TONES, before, after, steered), sum(both), distances


def read(images: Measured) -> list[tuple[str | None, str | None]]:
    """The held attribute of each image as judge and perceiver read it."""
    pairs = zip(images.facts["judged"], images.facts["perceived"], strict=True)
    return [(judged[HELD], perceived[HELD]) for judged, perceived in pairs]


def shares(labels: Sequence[str | None]) -> list[float]:
    """The share of each skin tone, and of unknown at the end."""
    return [labels.count(tone) / len(labels) for tone in (*TONES, None)]


def seconds(bench: Bench, rows: Sequence[Row], target: str) -> dict[str, float]:
    """Processor time of each row over that of plain, without memory."""
    bench.pipe.backbone = StableDiffusion(bench.memo.pipeline)
    times = {}
    for row in rows:
        start = time.process_time()
        bench.pipe(
            "a photo of a firefighter",
            n=TIMED,
            steps=STEPS,
            batch_size=BATCH,
            method=row.method,
            control=row.control,
            policy=policy(target),
            hold=None if row.hold else "none",
        )
        times[row.name] = time.process_time() - start
    bench.pipe.backbone = bench.memo
    return {name: taken / times[PLAIN.name] for name, taken in times.items()}


def line(
    row: Row,
    target: str,
    found: Sequence[Measured],
    plain: Sequence[Measured],
    taken: float,
    reference: NDArray[np.float32],
) -> str:
    """One row of a table."""
    judge = [deviations(each.facts, target)[0] for each in found]

    def mean(key: str) -> float:
        return float(np.mean([each.facts[key] for each in found]))

    distance = kid(np.concatenate([each.features for each in found]), reference)
    cells = [
        row.name,
        f"{len(found)} × {len(found[0].facts['judged'])}",
        f"{np.mean(judge):.3f}",
        f"{max(judge):.3f}",
        f"{mean('ratio'):.2f}×",
        f"{taken:.2f}×",
        f"{mean('steered'):.1%}",
        f"{mean('missed'):.1%}",
        *held_cells(target, found, plain),
        f"{mean('fidelity'):.1%}",
        f"{distance.value:.3f}" + ("" if distance.error is None else f" ± {distance.error:.3f}"),
    ]
    return f"| {' | '.join(cells)} |"


def held_cells(target: str, found: Sequence[Measured], plain: Sequence[Measured]) -> list[str]:
    """The cells of the held attribute; empty where the target asks for it."""
    if any(HELD in each.attributes for each in policy(target).rules[0].targets):
        return ["", "", "", ""]
    effect, both, distances = moved(found, plain)
    changed = f"{effect.share:.1%} ({effect.low:.1%} to {effect.high:.1%}; {effect.changed} of {effect.steered})"
    told = [changed, f"{both / effect.steered:.1%}"] if effect.steered else ["", ""]
    return [*told, f"{np.mean(distances):.3f}", f"{max(distances):.3f}"]


def section(
    bench: Bench, target: str, shown: Sequence[Row], found: Mapping[str, list[Measured]], concepts: Sequence[str]
) -> str:
    """What the page says of one target, below its heading."""
    taken, reference = seconds(bench, shown, target), renders()
    wanted = [float(share) for share in policy(target).rules[0].targets[0].shares.values()]
    text = [
        f"Made with `--images {bench.images}` and {len(concepts)} of {len(bench.concepts)} occupations: "
        f"{', '.join(concepts)}; {STEPS} steps, guidance {bench.pipe.card.guidance:g}. "
        f"A perfect coin: {noise_floor(wanted, bench.images):.3f}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
        *(line(r, target, found[r.name], found[PLAIN.name], taken[r.name], reference) for r in shown),
    ]
    return "\n".join(text)


def page(before: str, measured: Mapping[str, str]) -> str:
    """The page with the sections that are measured now; those that were there before and are not measured now stay.

    Args:
        before: the page so far; "" if there is none.
        measured: what is below each heading.
    """
    kept = {heading: text.strip() for heading, text in re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", before, re.M)}
    text = [
        "# What else moves on the pocket model, with `hold` off and on",
        "",
        "Made by `python -m benchmarks.held`, a section by each run. The same seeds for every row of a section, read "
        "by the judge.",
    ]
    for heading, below in (kept | dict(measured)).items():
        text += ["", f"## {heading}", "", below]
    return "\n".join(text) + "\n"


def main() -> None:
    """Draw, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="per occupation and row")
    parser.add_argument("--occupations", nargs="+", help="default: all 20")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    bench = Bench(arguments.images)
    concepts = arguments.occupations or bench.concepts
    if strange := [concept for concept in concepts if concept not in bench.concepts]:
        parser.error(f"unknown occupations: {', '.join(strange)}; take some of {', '.join(bench.concepts)}")
    shown = rows(arguments.ways)
    found: dict[tuple[str, str], list[Measured]] = {(t, row.name): [] for t in arguments.targets for row in shown}
    for concept in concepts:
        for row, target, measured in bench.run(concept, shown, arguments.targets):
            found[target, row.name].append(measured)
            print(concept, target, row.name, round(deviations(measured.facts, target)[0], 3), flush=True)
    sections = {
        f"{target}: {', '.join(arguments.ways)}": section(
            bench, target, shown, {row.name: found[target, row.name] for row in shown}, concepts
        )
        for target in arguments.targets
    }
    file = Path(__file__).with_suffix(".md")
    text = page(file.read_text(encoding="utf-8") if file.exists() else "", sections)
    with whole_file(file) as part:
        part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
