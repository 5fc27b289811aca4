"""How the pocket model's readers err on generated pictures, as far as prompts and a third reader can tell.

Nobody has labelled generated pictures, so no error is known for sure. Prompts that name gender and skin tone say what
was asked for, and a third reader that neither steers nor judges (`recipes.pocket.people`) is a witness. Both err too:
the model does not draw all that it is asked for. So the error of a reader is bounded, not guessed:

- At least: images on which both the prompt and the witness say another group than the reader does, the same one.
- At most: images on which the prompt or the witness says another group than the reader does.

The bounds hold if what prompt, witness and reader agree on is right, and what prompt and witness agree on, too. The
ends in brackets are those of Wilson's 95 % intervals. All three readers learnt from drawings of the same artists. The
perceiver also learnt from generated pictures by what their prompts asked for, so it agrees with prompts more easily.

    python -m recipes.pocket.data && python -m recipes.pocket.people      (once)
    python -m benchmarks.generated_readings [--images 2]      → a table, and benchmarks/generated_readings.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fair_diffusion import FairPipeline
from fair_diffusion.backbones.loop import denoise
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.statistics.intervals import wilson
from recipes.pocket.captions import Mix, article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import TONES, WORK, load
from recipes.pocket.people import people

STEPS, BATCH, SEED = 25, 40, 9_000_000
GENDERS = ("woman", "man")
READERS = ("perceiver", "judge")
Labels = Mapping[str, Sequence[str | None]]
"""By attribute, the group of each image; None is unknown."""


@dataclass(frozen=True)
class Seen:
    """One image and attribute: the group that the prompt names, and the one that each reader says."""

    concept: str
    attribute: str
    asked: str
    said: Mapping[str, str | None]
    witness: str | None


def asked_of(mix: Mix, images: int) -> list[tuple[str, str, str]]:
    """Occupation, gender and skin tone of each image, as far as the model saw drawings of them."""
    every = [(c, g, t) for c in mix.concepts if c != "doctor" for g in GENDERS for t in TONES]
    return [one for one in every if (mix.concepts[one[0]]["drawing"], *one[1:]) in mix.index for _ in range(images)]


def draw(pipe: FairPipeline, mix: Mix, asked: Sequence[tuple[str, str, str]]) -> list[Image.Image]:
    """An image of each, from a seed of its own, without steering."""
    words, found = mix.table, list[Image.Image]()
    prompts = [
        f"a photo of {article(words['gender'][g]['adjectives'][0])} {c} {words['tone'][t]['phrases'][0]}"
        for c, g, t in asked
    ]
    for batch in denoise(
        pipe.backbone,
        prompts_cond=pipe.backbone.encode(prompts),
        empty_cond=pipe.backbone.encode([""]),
        seeds=list(range(SEED, SEED + len(asked))),
        steps=STEPS,
        guidance=pipe.card.guidance,
        batch_size=BATCH,
    ):
        found += pipe.backbone.images(batch.latents)
    return found


def seen(pipe: FairPipeline, mix: Mix, images: int) -> list[Seen]:
    """What was asked for and read, from disk where it was drawn before."""
    files = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
    files += [*(WEIGHTS / f"{name}.safetensors" for name in READERS), WORK / "people.safetensors"]
    path = WORK / "generated_readings" / f"{digest(*files, images, STEPS, SEED)}.json"
    if not path.exists():
        asked = asked_of(mix, images)
        drawn = draw(pipe, mix, asked)
        read = {
            "perceiver": _read(pipe.perceiver, drawn),
            "judge": _read(pipe.judge, drawn),
            "witness": _witness(drawn),
        }
        rows = [
            (concept, attribute, group, {who: read[who][attribute][i] for who in read})
            for i, (concept, gender, tone) in enumerate(asked)
            for attribute, group in (("gender", gender), ("skin_tone", tone))
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(rows))
    return [Seen(c, a, g, said, said.pop("witness")) for c, a, g, said in json.loads(path.read_text())]


def bounds(rows: Sequence[Seen], reader: str) -> tuple[int, int]:
    """On how many images the reader errs at least, and at most."""
    least = sum(row.asked == row.witness != row.said[reader] for row in rows)
    most = sum(not row.asked == row.witness == row.said[reader] for row in rows)
    return least, most


def page(rows: Sequence[Seen], images: int) -> str:
    """The table and what it means."""
    lines = [
        "# What the readers read in generated pictures",
        "",
        f"Made by `python -m benchmarks.generated_readings --images {images}`; its docstring says what the bounds rest",
        f"on. {images} images of each occupation, gender and skin tone that the model knows, {STEPS} steps. Nobody has",
        "labelled a generated picture yet.",
        "",
        "| attribute | reader | images | says what was asked | witness says what was asked | errs at least | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for attribute in ("gender", "skin_tone"):
        ours = [row for row in rows if row.attribute == attribute]
        obeyed = _share(sum(row.witness == row.asked for row in ours), len(ours))
        for reader in READERS:
            right = _share(sum(row.said[reader] == row.asked for row in ours), len(ours))
            least, most = (_share(count, len(ours)) for count in bounds(ours, reader))
            lines.append(f"| {attribute} | {reader} | {len(ours)} | {right} | {obeyed} | {least} | {most} |")
    lines += ["", "Where the judge errs at least, or may err most: the ten worst occupations.", ""]
    lines += ["| attribute | occupation | images | errs at least | at most |", "|---|---|---|---|---|"]
    cells = sorted({(row.attribute, row.concept) for row in rows})
    found = {cell: [row for row in rows if (row.attribute, row.concept) == cell] for cell in cells}
    for cell in sorted(cells, key=lambda cell: bounds(found[cell], "judge"), reverse=True)[:10]:
        errs = bounds(found[cell], "judge")
        lines.append(f"| {cell[0]} | {cell[1]} | {len(found[cell])} | {errs[0]} | {errs[1]} |")
    return "\n".join(lines) + "\n"


def _share(count: int, n: int) -> str:
    low, high = wilson(count, n)
    return f"{count / n:.1%} ({low:.1%} to {high:.1%})"


def _read(reader: Perceiver, drawn: Sequence[Image.Image]) -> Labels:
    return {name: [one.label for one in found] for name, found in reader.read(drawn).items()}


def _witness(drawn: Sequence[Image.Image]) -> Labels:
    """What the third reader says: its likeliest group, None if that is "unknown"."""
    reader = people()
    groups = {name: (*reader.groups[name], None) for name in ("gender", "skin_tone")}
    table = reader.every_probability(drawn)
    return {name: [groups[name][k] for k in table[name].argmax(dim=1).tolist()] for name in groups}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2, help="of each occupation, gender and skin tone")
    images = parser.parse_args().images
    pipe = FairPipeline.from_pretrained("pocket")
    text = page(seen(pipe, Mix(load(WORK)[1]), images), images)
    print(text)
    with whole_file(Path(__file__).with_suffix(".md")) as part:
        part.write_text(text)


if __name__ == "__main__":
    main()
