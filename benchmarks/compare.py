"""The standing table: every way to meet a target on the pocket model, from the same seeds.

20 occupations × 100 images, 15 steps. Targets: half women; skin tone uniform over five groups. The two losses that
assign nothing cost up to 31 times a plain run, so they have a table of their own, over the first five occupations. The
kernel distance is to the drawings that the model was trained on, where they were rendered (`python -m
recipes.pocket.data`), else to the plain images. Ways that learn come with the files that their recipes left in
work/pocket; a way that cannot run is a row that says why. What is drawn is kept in work/pocket/compare, so that a run
goes on where it stopped, and more ways may be asked for later.

    python -m benchmarks.compare [--images 100] [--prompts 20] [--dear-prompts 5] [--methods NAME[=FILE],…]

writes benchmarks/compare.md with its figures, and shows the table in docs/methods.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.control import renders
from fair_diffusion import FairPipeline, Policy
from fair_diffusion.audit.sources.suite import Suite, read_occupations
from fair_diffusion.cli.progress import counting
from fair_diffusion.compare import (
    WAYS,
    Comparison,
    Drawing,
    Line,
    Reference,
    compare,
    lines,
    read_ways,
    write,
)
from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY
from fair_diffusion.compare.markdown import markdown
from fair_diffusion.compare.memory import KINDS
from fair_diffusion.compare.page import kid_to, made, svg
from fair_diffusion.compare.plot import figures
from fair_diffusion.pocket import OCCUPATIONS
from recipes.pocket.data import WORK

INSTRUCTIONS = ("every occupation: half women", "every occupation: skin tone uniform")
STEPS, BATCH = 15, 25
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
DEAR, BESIDE = ("latents-mean", "latents-confident"), ("switch", "latents")
"""The dearest ways, and what stands beside them in their table."""
PAGE = Path(__file__).with_suffix(".md")
METHODS_PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
BEGIN, END = "<!-- benchmarks/compare.py writes from here -->", "<!-- to here -->"


def drawings() -> Reference | None:
    """The judge's features of the drawings of women and men that the UNet was trained on; None if there are none."""
    return Reference("the training drawings", renders()) if (WORK / "drawings.json").is_file() else None


def methods(work: Path) -> list[str]:
    """Every way for all prompts: those that learnt come with their files, as far as they are there."""
    learnt = [f"{name}={path}" for name, file in LEARNT.items() if (path := work / f"{file}.safetensors").is_file()]
    return [*(name for name in WAYS if name not in DEAR), *learnt]


def text(found: Comparison, table: Sequence[Line], shown: str, reference: Reference | None) -> str:
    """benchmarks/compare.md: the tables, the figures, and what the columns mean."""
    settings = found.settings
    drawn = figures(table, kid_to(reference))
    parts = [
        f"# Ways to meet a target on the pocket model: {settings['n']} images per prompt, {settings['steps']} steps, "
        f"guidance {settings['guidance']:g}",
        "",
        f"Made by `python -m benchmarks.compare`. KID is to {kid_to(reference)}; memory is "
        f"{KINDS.get(found.device, KINDS['cpu'])}.",
        "",
        shown,
        *(f"![{one.plot.up} against {one.plot.across}]({plot_name(one.attribute, one.name)})" for one in drawn),
        "",
        "| way | made by |",
        "|---|---|",
        *(f"| {way.name} | {made(way)} |" for way in (*found.ways, *read_ways(DEAR))),
        "",
        *(f"- **{column.head}**: {column.meaning}." for column in (*DEVIATION, *QUALITY, *COST)),
    ]
    return "\n".join(parts) + "\n"


def tables(table: Sequence[Line], over: int, dear: Sequence[Line], few: int, level: int) -> str:
    """Both tables, each with the occupations that it is over: the first `over`, and the first `few`."""
    whole = len(read_occupations(str(OCCUPATIONS)))
    parts = [f"Over the first {over} of {whole} occupations.", "", markdown(table, level=level)]
    if dear:
        heading = f"{'#' * level} The dearest ways"
        parts += [heading, "", f"Over the first {few} of {whole} occupations.", "", markdown(dear, level=level + 1)]
    return "\n".join(parts)


def plot_name(attribute: str, name: str) -> str:
    """The file of one figure, beside compare.md."""
    return f"compare-{attribute.replace(' × ', '-')}-{name}.svg"


def shown_in(page: str, table: str) -> str:
    """`page` with `table` between its two marks. `ValueError` if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{METHODS_PAGE.name} lacks the lines {BEGIN!r} and {END!r}; put them where the table belongs")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def run(
    methods: Sequence[str], images: int, prompts: int, dear_prompts: int, folder: Path
) -> tuple[list[Line], list[Line]]:
    """Draw what is missing, and write page, tables and figures. Returns the lines of both tables."""
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.backbone.pipeline.unet.to(memory_format=torch.channels_last)  # an eighth faster on a CPU
    suite = Suite(model="pocket", prompt="a photo of a {}")
    asked = [suite.prompt_for(name) for name in read_occupations(str(OCCUPATIONS))][:prompts]
    drawing = Drawing(n=images, steps=STEPS, batch_size=BATCH)
    policies = {said: Policy.from_sentence(said) for said in INSTRUCTIONS}

    def drawn(names: Sequence[str], prompts: Sequence[str]) -> Comparison:
        with counting("drawing") as progress:
            return compare(pipe, read_ways(names), prompts, policies, folder, drawing=drawing, progress=progress)

    found, few, reference = drawn(methods, asked), asked[:dear_prompts], drawings()
    table = lines(found, reference)
    dear = lines(drawn([*BESIDE, *DEAR], few), reference) if few else []
    write(found, table, reference)
    both = (table, len(asked), dear, len(few))
    PAGE.write_text(text(found, table, tables(*both, level=2), reference), encoding="utf-8")
    for one in figures(table, kid_to(reference)):
        (PAGE.parent / plot_name(one.attribute, one.name)).write_text(svg(one), encoding="utf-8")
    page = METHODS_PAGE.read_text(encoding="utf-8")
    METHODS_PAGE.write_text(shown_in(page, tables(*both, level=3)), encoding="utf-8")
    return table, dear


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="per occupation and way")
    parser.add_argument("--prompts", type=int, default=20, help="the first so many occupations")
    parser.add_argument("--dear-prompts", type=int, default=5, help="the same for the dearest ways; 0 leaves them out")
    parser.add_argument("--methods", nargs="+", default=methods(WORK), help="names, or NAME=FILE for what was learnt")
    parser.add_argument("--folder", type=Path, default=WORK / "compare", help="keeps what is drawn")
    given = parser.parse_args()
    for part in run(given.methods, given.images, given.prompts, given.dear_prompts, given.folder):
        print(markdown(part))
    print(f"see {PAGE} and {given.folder / 'compare.html'}")
