"""Which occupations and groups comply worst: every occupation steered to every gender in every skin tone.

Natural-first control by prompt switching, all images of a request to one gender and skin tone, which few would show by
themselves, and the usual repair budget (four images, for so few). First try: images of which the perceiver was sure
after one drawing, steered or not. In the end: after repairs. By the judge: both groups, as the judge reads the images
that were delivered. What a strength had achieved for one occupation and group is known to the next request, as in use.

    python -m benchmarks.last_misses [--images 10] [--occupations …]      → a page, benchmarks/last_misses.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bench import BATCH, STEPS, Bench
from benchmarks.rows import ROWS, planned
from fair_diffusion import Policy
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.request import Request
from fair_diffusion.statistics.intervals import wilson
from recipes.pocket.captions import article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import TONES, WORK

SWITCH, SEED = ROWS[5], 7_000_000
GENDERS = ("woman", "man")
CELLS = [(gender, tone) for gender in GENDERS for tone in TONES]
WORST = 10
"""Occupations × groups that the page lists."""


@dataclass(frozen=True)
class Try:
    """What became of one image: sure at the first try, sure in the end, right by the judge, and its cost over plain."""

    first: bool
    end: bool
    judged: bool
    cost: float


def policy(gender: str, tone: str) -> Policy:
    """All images of every occupation show one gender and skin tone."""
    return Policy.from_yaml(
        "version: 1\nrules:\n- name: one cell\n  every: occupation\n  joint:\n"
        f"  - {{gender: {gender}, skin_tone: {tone}, share: 100%}}\n"
    )


def tries(bench: Bench, concept: str) -> dict[tuple[str, str], list[Try]]:
    """The images of one occupation by group, from disk where they were drawn before."""
    files = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
    files += [WEIGHTS / f"{name}.safetensors" for name in ("perceiver", "judge", "early")]
    path = WORK / "last_misses" / f"{digest(*files, concept, bench.images, STEPS, SEED, LEVELS)}.json"
    if not path.exists():
        asked = [
            Request(
                prompt=f"a photo of {article(concept)}",
                n=bench.images,
                seed=SEED,
                steps=STEPS,
                batch_size=BATCH,
                policy=policy(*cell),
            )
            for cell in CELLS
        ]
        drawn = dict(bench.pipe.run([planned(bench.pipe, SWITCH, one) for one in asked]))
        bench.memo.forget()
        rows = [
            [
                asdict(
                    Try(
                        first=record.repairs == 0 and not record.missed,
                        end=not record.missed,
                        judged=(record.judged["gender"], record.judged["skin_tone"]) == cell,
                        cost=record.evaluations / record.plain_evaluations,
                    )
                )
                for record in drawn[k].records
            ]
            for k, cell in enumerate(CELLS)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(rows))
    return {cell: [Try(**row) for row in own] for cell, own in zip(CELLS, json.loads(path.read_text()), strict=True)}


def cells(images: Sequence[Try]) -> str:
    """The cells of a table: first try, in the end, by the judge with Wilson's interval, and the cost."""
    n = len(images)
    first, end, judged = (sum(getattr(one, name) for one in images) for name in ("first", "end", "judged"))
    low, high = wilson(judged, n)
    cost = sum(one.cost for one in images) / n
    return f"{first / n:.0%} | {end / n:.0%} | {judged / n:.0%} ({low:.0%} to {high:.0%} of {n}) | {cost:.2f}×"


def table(name: str, rows: Sequence[tuple[str, Sequence[Try]]]) -> list[str]:
    """A table of one row for each group of images."""
    return [
        f"| {name} | first try | in the end | by the judge (95 %) | evaluations |",
        "|---|---|---|---|---|",
        *(f"| {label} | {cells(images)} |" for label, images in rows),
    ]


def page(found: dict[str, dict[tuple[str, str], list[Try]]], images: int) -> str:
    """The page."""

    def over(concepts: Sequence[str], wanted: Sequence[tuple[str, str]]) -> list[Try]:
        return [one for concept in concepts for cell in wanted for one in found[concept][cell]]

    every = list(found)
    by_gender = [
        (f"{concept} → {gender}", over([concept], [(gender, tone) for tone in TONES]))
        for concept in every
        for gender in GENDERS
    ]
    by_gender.sort(key=lambda row: (sum(one.end for one in row[1]), sum(one.first for one in row[1])))
    single = [
        (f"{concept} → {gender}, {tone}", over([concept], [(gender, tone)]))
        for concept in every
        for gender, tone in CELLS
    ]
    single.sort(key=lambda row: (sum(one.end for one in row[1]), sum(one.first for one in row[1])))
    lost = sum(not all(one.end for one in own) for _, own in single)
    return "\n".join(
        [
            "# The last misses of the pocket model",
            "",
            f"Made by `python -m benchmarks.last_misses --images {images}`: {len(every)} occupations × {len(CELLS)} "
            f"groups × {images} images, {STEPS} steps. A request asks for one gender and one skin tone.",
            "",
            *table("group", [("all", over(every, CELLS)), *((" ".join(c), over(every, [c])) for c in CELLS)]),
            "",
            "## Occupation and gender, the worst first",
            "",
            *table("occupation → gender", by_gender),
            "",
            f"## Occupation, gender and skin tone: the {WORST} worst",
            "",
            f"{lost} of {len(single)} have an image that was given up.",
            "",
            *table("occupation → group", single[:WORST]),
            "",
        ]
    )


def main() -> None:
    """Draw, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10, help="per occupation and group")
    parser.add_argument("--occupations", nargs="+", help="default: all 20")
    arguments = parser.parse_args()
    bench = Bench(arguments.images)
    found = {}
    for concept in arguments.occupations or bench.concepts:
        found[concept] = tries(bench, concept)
        every = [one for own in found[concept].values() for one in own]
        print(f"| {concept} | {cells(every)} |", flush=True)
    with whole_file(Path(__file__).with_suffix(".md")) as part:
        part.write_text(page(found, arguments.images), encoding="utf-8")


if __name__ == "__main__":
    main()
