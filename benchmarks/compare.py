"""The standing table: every way to meet a target on the pocket model, from the same seeds.

20 occupations × 100 images, 10 steps. Targets: half women; skin tone uniform over five groups. The kernel distance is
to the drawings that the model was trained on, where they were rendered (`python -m recipes.pocket.data`), else to the
plain images. Ways that learn come with the files that their recipes left in work/pocket. The two losses that assign
nothing are too dear for it: benchmarks/latents.py measures them.

It takes hours. One way is drawn after the other, target by target, and its lines go into benchmarks/compare.parquet as
soon as all prompts are there, so the table grows from run to run, also on another machine with the same versions and
drawings. Images are kept in work/pocket/compare, where a run goes on. What the table has is not drawn again unless it
is named, or its file is another.

    python -m benchmarks.compare [--methods NAME[=FILE] …]

writes benchmarks/compare.parquet, benchmarks/compare.md with its figures, and shows the table in
docs/explanation/comparison.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import torch

from benchmarks.bench import renders
from benchmarks.standing import Standing
from fair_diffusion import FairPipeline, Policy
from fair_diffusion.cli.progress import counting
from fair_diffusion.compare import PLAIN, WAYS, Drawing, Reference, compare, outcomes, read_ways, settings
from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY
from fair_diffusion.compare.markdown import markdown
from fair_diffusion.compare.memory import MEMORY
from fair_diffusion.compare.page import kid_to, svg
from fair_diffusion.compare.plot import Figure, figures
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.pocket import OCCUPATIONS
from fair_diffusion.runs.occupations import read_occupations
from fair_diffusion.runs.suite import Suite
from recipes.pocket.data import WORK

INSTRUCTIONS = ("every occupation: half women", "every occupation: skin tone uniform")
IMAGES, STEPS, BATCH = 100, 10, 25
DEAR = ("latents-mean", "latents-confident")
"""Ways that are left out."""
LEARNT = {
    "bottleneck": "directions",
    "distribution-heads": "bottleneck-heads",
    "concept-editing-gender": "concept-editing-gender",
    "concept-editing-skin-tone": "concept-editing-skin_tone",
    "alignment-gender": "alignment-gender",
    "alignment-skin-tone": "alignment-skin_tone",
    "filtering": "filtering",
    "retraining": "retraining",
}
"""Ways with what they learnt, and the recipes' names for it."""
ORDER = (*(name for name in WAYS if name not in DEAR), *LEARNT)
"""Of the table's rows."""
TABLE = Path(__file__).with_suffix(".parquet")
PAGE = Path(__file__).with_suffix(".md")
SHOWN_ON = Path(__file__).parents[1] / "docs" / "explanation" / "comparison.md"
BEGIN, END = "<!-- benchmarks/compare.py writes from here -->", "<!-- to here -->"


def drawings() -> Reference | None:
    """The judge's features of the drawings of women and men that the UNet was trained on; None if there are none."""
    return Reference("the training drawings", renders()) if (WORK / "drawings.json").is_file() else None


def methods(work: Path) -> list[str]:
    """Every way: those that learnt come with their files, as far as they are there."""
    learnt = [f"{name}={path}" for name, file in LEARNT.items() if (path := work / f"{file}.safetensors").is_file()]
    return [*(name for name in ORDER if name in WAYS), *learnt]


def text(standing: Standing) -> str:
    """benchmarks/compare.md: the table, the figures, and what the columns mean."""
    said, table = standing.settings, standing.table(ORDER)
    made = {line.way: standing.made[line.instruction][line.way]["words"] for line in table}
    parts = [
        f"# Ways to meet a target on the pocket model: {said['n']} images per prompt, {said['steps']} steps, "
        f"guidance {said['guidance']:g}",
        "",
        f"Made by `python -m benchmarks.compare`. KID is to {said['reference']}; memory is "
        f"{MEMORY.get(said['device'], MEMORY['cpu'])}. Times and memory may be those of several machines; "
        "the times over plain are each of one, where the plain images were drawn in another hour. Left out, since "
        f"they are too dear: {' and '.join(DEAR)}, which [latents.md](latents.md) measures.",
        "",
        shown(standing, level=2),
        *(f"![{one.plot.up} against {one.plot.across}]({name})" for name, one in drawn(standing).items()),
        "",
        "| way | made by |",
        "|---|---|",
        *(f"| {way} | {words} |" for way, words in made.items()),
        "",
        *(f"- **{column.head}**: {column.meaning}." for column in (*DEVIATION, *QUALITY, *COST)),
    ]
    return "\n".join(parts) + "\n"


def shown(standing: Standing, level: int) -> str:
    """The table in Markdown, and what it lacks. level: of the headings."""
    parts = [f"Over {len(standing.settings['prompts'])} occupations.", ""]
    for instruction in INSTRUCTIONS:
        if missing := [way for way in ORDER if way not in standing.lines.get(instruction, {})]:
            parts += [f"Not measured yet under “{instruction}”: {', '.join(missing)}.", ""]
    return "\n".join([*parts, markdown(standing.table(ORDER), level=level)])


def drawn(standing: Standing) -> dict[str, Figure]:
    """The figures, by the names of their files beside compare.md."""
    found = figures(standing.table(ORDER), standing.settings["reference"])
    return {f"compare-{one.attribute.replace(' × ', '-')}-{one.name}.svg": one for one in found}


def shown_in(page: str, table: str) -> str:
    """`page` with `table` between its two marks. `ValueError` if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{SHOWN_ON.name} lacks the lines {BEGIN!r} and {END!r}; put them where the table belongs")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def publish(standing: Standing) -> None:
    """Write the table, its page and figures, and show it in the documentation."""
    page = shown_in(SHOWN_ON.read_text(encoding="utf-8"), shown(standing, level=3))
    standing.save(TABLE)
    figured = {PAGE.parent / name: svg(one) for name, one in drawn(standing).items()}
    for path, written in {PAGE: text(standing), SHOWN_ON: page, **figured}.items():
        with whole_file(path) as part:
            part.write_text(written, encoding="utf-8")


def run(words: Sequence[str] | None, folder: Path) -> Standing:
    """Draw the ways that `words` name, or what the table lacks, and publish after each. Returns the table."""
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.backbone.pipeline.unet.to(memory_format=torch.channels_last)  # an eighth faster on a CPU
    suite = Suite(model="pocket", prompt="a photo of a {}")
    prompts = [suite.prompt_for(name) for name in read_occupations(str(OCCUPATIONS))]
    drawing = Drawing(n=IMAGES, steps=STEPS, batch_size=BATCH)
    reference = drawings()
    asked = {"instructions": INSTRUCTIONS, "prompts": prompts, "reference": kid_to(reference)}
    standing = Standing.read(TABLE, settings(pipe, drawing) | asked)
    every = [PLAIN, *(way for way in read_ways(words or methods(WORK)) if way != PLAIN)]
    for way, said in product(every, INSTRUCTIONS):
        if standing.holds(way, said) and not (words and way != PLAIN):
            continue
        policies = {said: Policy.from_sentence(said)}
        with counting(f"{way.name}, {said}") as progress:
            found = compare(pipe, [way], prompts, policies, folder, drawing=drawing, progress=progress)
        standing.add(way, said, outcomes(found, reference))
        publish(standing)
    publish(standing)
    return standing


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--methods", nargs="+", help="names, or NAME=FILE for what was learnt; else all that the table lacks"
    )
    parser.add_argument("--folder", type=Path, default=WORK / "compare", help="keeps what is drawn")
    given = parser.parse_args()
    print(markdown(run(given.methods, given.folder).table(ORDER)))
    print(f"see {PAGE}")
