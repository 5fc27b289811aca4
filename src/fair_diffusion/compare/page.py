"""compare.html: the table, the figures and some pictures in one file, in the style of the audit's report.

Exports `page` and `svg`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from io import BytesIO
from typing import Any

from PIL import Image

from fair_diffusion.audit.table import JOINT
from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY, cells, coin, number
from fair_diffusion.compare.comparison import Comparison
from fair_diffusion.compare.drawn import SHOWN, Drawn, load
from fair_diffusion.compare.memory import MEMORY
from fair_diffusion.compare.outcome import Outcome
from fair_diffusion.compare.plot import Figure, figures
from fair_diffusion.compare.reference import Reference
from fair_diffusion.compare.way import Way
from fair_diffusion.files.pictures import jpeg_uri
from fair_diffusion.policy import Attribute
from fair_diffusion.report.headline import spoken, units
from fair_diffusion.report.page import environment, rendered
from fair_diffusion.statistics.bootstrap import FEWEST_PAIRS

SIDE = 96
PROMPTS = 3
"""How many prompts have pictures on the page; they are drawn at random."""


def page(comparison: Comparison, lines: Sequence[Outcome], reference: Reference | None = None) -> str:
    """The comparison as an HTML page. The same cells give the same bytes."""
    context = {
        "comparison": comparison,
        "tables": _tables(lines),
        "headlines": [headline(own) for own in _split(lines)],
        "figures": figures(lines, kid_to(reference)),
        "sheets": _sheets(comparison),
        "shown": SHOWN,
        "deviation": DEVIATION,
        "quality": QUALITY,
        "cost": COST,
        "ways": [(way, made(way)) for way in comparison.ways],
        "definitions": _definitions(comparison),
        "notes": _notes(lines),
        "kid_to": kid_to(reference),
        "left_out": reference.notes if reference else (),
        "memory": MEMORY.get(comparison.device, MEMORY["cpu"]),
        "version": version("fair-diffusion"),
    }
    return rendered(_templates(), "compare.html.j2", ("report.css", "plot.css", "compare.css"), context)


def svg(figure: Figure) -> str:
    """One figure as an SVG file."""
    templates = _templates()
    style = templates.get_template("plot.css").render()
    return str(templates.get_template("figure.svg.j2").module.figure(figure, style)).strip() + "\n"


def _templates() -> Any:
    return environment("fair_diffusion.compare")


def kid_to(reference: Reference | None) -> str:
    """The reference of the kernel distance, in words."""
    return reference.name if reference else "the plain images"


def headline(lines: Sequence[Outcome]) -> str:
    """The lines of one instruction and attribute in a few sentences."""
    plain, name = lines[0].judge, f"“{lines[0].instruction}”, {spoken(lines[0].attribute)}"
    measured = [(line.judge, line) for line in lines[1:] if line.judge]
    if plain is None:
        return f"{name}: nothing was measured."
    words = [f"{name}: over {units(plain.concepts, 'prompt')}, plain images deviate {number(plain.tv_mean)}."]
    if measured:
        best, line = min(measured, key=lambda pair: pair[0].tv_mean)
        interval = "" if best.tv_low is None else f" ({number(best.tv_low)} to {number(best.tv_high)})"
        ratio = f", at {line.facts.ratio:.2f}× the evaluations" if line.facts else ""
        words.append(f"Nearest to the target is {best.source}: {number(best.tv_mean)}{interval}{ratio}.")
        words += _told_apart(plain.concepts, [line for _, line in measured if line.way != best.source])
    words.append(f"A perfect coin with as many images would deviate {number(plain.noise_floor)}.")
    return " ".join(words)


def _told_apart(prompts: int, others: Sequence[Outcome]) -> list[str]:
    """Which other ways cannot be told from the nearest one by their differences over the same prompts."""
    if not others:
        return []
    if prompts < FEWEST_PAIRS:
        return [f"Ways are told apart over {FEWEST_PAIRS} prompts or more."]
    close = [line.way for line in others if line.from_nearest_low is None or line.from_nearest_low <= 0]
    return [f"Over these prompts it cannot be told from {', '.join(close)}."] if close else []


def made(way: Way) -> str:
    """The method, control and options of a way, in words."""
    if not way.instructed and "file" in way.options:
        return f"edited weights ({way.options['file'].name})"
    if not way.instructed:
        return "the model as it is"
    control = "natural-first" if way.control == "natural-first" else "all images"
    groups = "groups by a fair coin" if way.coin else "groups by quota" if way.assigns else "no group assigned"
    options = "".join(
        f", {key} {getattr(value, 'name', value)}" for key, value in way.options.items() if key != "control"
    )
    return f"method {way.request.row.name}, {control}, {groups}{options}"


def _definitions(comparison: Comparison) -> list[Attribute]:
    """What the instructions define otherwise than it is built in, each definition once."""
    defined = {ask.instruction: ask.policy.attributes for ask in comparison.asks}.values()
    return list({each[name].digest: each[name] for each in defined for name in each.own}.values())


def _notes(lines: Sequence[Outcome]) -> dict[str, list[str]]:
    """The remarks of the pipeline by way, for all instructions, each once."""
    by_way: dict[str, dict[str, None]] = {line.way: {} for line in lines}
    for line in lines:
        by_way[line.way] |= dict.fromkeys(line.facts.notes if line.facts else ())
    return {way: list(notes) for way, notes in by_way.items()}


def _split(lines: Sequence[Outcome]) -> list[list[Outcome]]:
    """The lines by instruction and attribute, in order."""
    parts: dict[tuple[str, str], list[Outcome]] = {}
    for line in lines:
        parts.setdefault((line.instruction, line.attribute), []).append(line)
    return list(parts.values())


def _tables(lines: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "instruction": own[0].instruction,
            "attribute": spoken(own[0].attribute),
            "rows": [
                {"line": line, "deviation": cells(line, DEVIATION)}
                | {"quality": cells(line, QUALITY), "cost": cells(line, COST)}
                if line.judge
                else {"line": line}
                for line in own
            ],
            "coin": coin(own[0], DEVIATION),
        }
        for own in _split(lines)
    ]


def _sheets(comparison: Comparison) -> list[dict[str, Any]]:
    """The first images of every way, for some prompts that are drawn at random."""
    prompts = list(dict.fromkeys(ask.prompt for ask in comparison.asks))
    places = sorted(random.Random(0).sample(range(len(prompts)), min(PROMPTS, len(prompts))))
    chosen = {prompts[place] for place in places}
    sheets = []
    for ask in comparison.asks:
        if ask.prompt not in chosen:
            continue
        names = [name for target in ask.matched.targets for name in target.attributes]
        ways = [way for way in comparison.ways if (ask.instruction, way.name) not in comparison.failures]
        rows = [(way.name, _strip(load(comparison.path(way, ask), pictures=True), names)) for way in ways]
        sheets.append({"instruction": ask.instruction, "prompt": ask.prompt, "rows": rows})
    return sheets


def _strip(cell: Drawn, attributes: Sequence[str]) -> list[Mapping[str, str]]:
    """The first pictures of one cell, each with the groups that the judge reads."""
    labels = cell.labels("judged")
    return [
        {
            "uri": jpeg_uri(Image.open(BytesIO(png), formats=["PNG"]), SIDE),
            "read": JOINT.join(labels[name][k] or "unknown" for name in attributes),
        }
        for k, png in enumerate(cell.pictures[:SHOWN])
    ]
