"""`fair-diffusion compare`: several ways to meet a target, the same model, prompts and seeds, on one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Defining, Holding, Loading, Sampling, Scaling, grouped
from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.scaling import Scale, instruction_words, loading_words
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import INTERRUPTED, defined, loaded, usage_errors, warned
from fair_diffusion.files import guarded
from fair_diffusion.files.progress import Progress
from fair_diffusion.methods import METHODS
from fair_diffusion.policy import Attributes, Policy

if TYPE_CHECKING:
    from fair_diffusion.compare import Comparison, Outcome
    from fair_diffusion.compare.columns import Column

USUAL = "plain,prompt,semantic-coin,semantic-quota,semantic,switch"
PROMPT = "a photo of the face of a {}"
_WAYS = ", ".join(
    ["plain"]
    + [name for row in METHODS.values() for name in row.ways]
    + [f"{name}=FILE" for row in METHODS.values() for name in row.learnt_ways]
)


@grouped
def compare(
    out: Annotated[Path, typer.Option(help="a folder; one that the same settings left is gone on with")],
    defining: Defining,
    sampling: Sampling,
    holding: Holding,
    loading: Loading,
    scaling: Scaling,
    methods: Annotated[
        list[str] | None,
        typer.Option(help=f"with commas between: {_WAYS}, or NAME=FILE for edited weights; {USUAL} if not given"),
    ] = None,
    prompts: Annotated[list[str] | None, typer.Option(help="a prompt, or a file with one per line; repeatable")] = None,
    suite: Annotated[str | None, typer.Option(help="occupations, equisteer, pocket, or a file of occupations")] = None,
    prompt: Annotated[str, typer.Option(help="with --suite: the prompt, {} for the occupation")] = PROMPT,
    n: Annotated[int, typer.Option("-n", "--images", min=1, help="images per prompt and method")] = 50,
    instruct: Annotated[
        list[str] | None, typer.Option(help='such as "every occupation: half women"; repeatable, each is a table')
    ] = None,
    policy: Annotated[list[Path] | None, typer.Option(help="a policy file (YAML); repeatable")] = None,
    seed: Annotated[int, typer.Option(help="prompt k is drawn from seed + 1,000,000 k on")] = 0,
    reference: Annotated[
        Path | None, typer.Option(help="a folder of images for the kernel distance; the plain images if not given")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="also every column of the page, in several tables")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per line of the table")] = False,
) -> None:
    """Draw every prompt with every method from the same seeds, and say how near each comes, and what it costs.

    Leaves compare.html, table.parquet and images.parquet. A method that this model cannot run is a row that says why.
    Exit code 2 for wrong usage; 130 if interrupted: what is finished is kept, and the same command goes on."""
    with usage_errors():
        from fair_diffusion.compare import Drawing, outcomes, read_reference, read_ways, write
        from fair_diffusion.compare import compare as run
        from fair_diffusion.perception.opening import open_perceiver
        from fair_diffusion.request import Request

        ways = read_ways(methods or [USUAL])
        asked = instructions(instruct or [], policy or [], defined(defining))
        texts = read_prompts(prompts or [], suite, prompt)
        if reference is not None and not reference.is_dir():
            raise ValueError(f"{reference} is not there; name a folder of images for the kernel distance")
        Request(prompt="-", n=n, seed=seed, **sampling, **holding)
        scale = Scale.of(scaling, loading)
        pipe = None if scale else loaded(loading)
        images = None
        if reference is not None:  # what it lacks is said before hours of drawing
            with counting("reading the reference") as progress:
                images = read_reference(
                    pipe.judge if pipe else open_perceiver(loading.get("judge") or "judge"), reference, progress
                )
        try:
            with counting("drawing") as progress:
                if pipe is None:
                    words = instruction_words(instruct or [], policy or [], defining)
                    told = {"prompts": texts, "instructions": words, "folder": out, "seed": seed}
                    told |= {"ways": methods or [USUAL], "drawing": {"n": n, **sampling, **holding}}
                    found = _by_workers(cast(Scale, scale), told, loading, progress)
                else:
                    drawing = Drawing(n=n, **pipe.with_usual(sampling), **holding)
                    found = run(pipe, ways, texts, asked, out, drawing=drawing, seed=seed, progress=progress)
        except KeyboardInterrupt:
            say(f"interrupted; the same command goes on from what lies in {out}", err=True)
            raise typer.Exit(INTERRUPTED) from None
        from fair_diffusion.audit.numbers import finite

        table = outcomes(found, images)
        page = write(found, table, images)
    if as_json:
        for line in table:
            say_json(finite(line.plain()))
    else:
        show(table, verbose=verbose)
        say(f"see {page}")


def _by_workers(scale: Scale, told: dict[str, Any], loading: Loading, progress: Progress) -> Comparison:
    """The comparison that workers draw: this process loads no model."""
    from fair_diffusion.scale.comparisons import ComparisonCampaign

    campaign = ComparisonCampaign(**told, loading=loading_words(loading), store=scale.store)
    scale.draw(campaign, progress)
    return campaign.found


def instructions(sentences: Sequence[str], files: Sequence[Path], own: Attributes | None) -> dict[str, Policy]:
    """The policies by the names that tables give them: the sentence, or the file's name.

    Args:
        sentences: instructions.
        files: policy files.
        own: the definitions that sentences may use; the built-in ones if None.

    Raises:
        ValueError: there is no instruction or one is there twice, or definitions have no sentence to use them.
    """
    if own and files and not sentences:
        raise ValueError("--define is for --instruct, and only --policy is given; define the attributes in the policy")
    named = [(sentence, warned(Policy.from_sentence(sentence, own))) for sentence in sentences]
    named += [(file.name, warned(Policy.from_file(file))) for file in files]
    if not named:
        raise ValueError('say what to aim for: --instruct "every occupation: half women", or --policy FILE')
    names = [name for name, _ in named]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice; give each instruction once")
    return dict(named)


def read_prompts(given: Sequence[str], suite: str | None, frame: str) -> list[str]:
    """The prompts themselves, the lines of those that are files, and those of the suite."""
    texts: list[str] = []
    for text in given:
        path = _existing(text)
        if path is None:
            texts.append(text)
            continue
        try:
            rows = guarded.text(path).splitlines()
        except guarded.RefusedFile as error:
            raise ValueError(f"{text} is {error}; give text in UTF-8, with one prompt per line") from error
        texts += [row.strip() for row in rows if row.strip() and not row.startswith("#")]
    if suite is not None:
        from fair_diffusion.runs.occupations import read_occupations
        from fair_diffusion.runs.suite import Suite

        plan = Suite(model="", prompt=frame)
        texts += [plan.prompt_for(name) for name in read_occupations(suite)]
    if not texts:
        raise ValueError("there is no prompt; give --prompts, or --suite")
    return texts


def _existing(text: str) -> Path | None:
    """The file of that name, if there is one: a prompt is often too long to be a name."""
    try:
        return Path(text) if Path(text).exists() and not Path(text).is_dir() else None
    except (OSError, ValueError):
        return None


def show(table: Sequence[Outcome], *, verbose: bool) -> None:
    """Print how near and at what cost, for every instruction and attribute, and why what has no numbers has none.

    Args:
        table: the lines.
        verbose: whether every column is printed, in as many tables as it takes; else one table that fits.
    """
    from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY, SHORT, coin
    from fair_diffusion.compare.page import headline

    terminal = Terminal()
    for instruction in dict.fromkeys(line.instruction for line in table):
        asked = [line for line in table if line.instruction == instruction]
        attributes = list(dict.fromkeys(line.attribute for line in asked))
        for attribute in attributes:
            own = [line for line in asked if line.attribute == attribute]
            terminal.write(headline(own), bold=True, wrap=False)
            columns = DEVIATION if verbose else SHORT
            _print(terminal, own, columns, coin(own[0], columns))
        own = [line for line in asked if line.attribute == attributes[0]]
        if verbose:
            _print(terminal, own, QUALITY)
            _print(terminal, own, COST)
        for line in own:
            if line.failed is not None:
                say(f"{line.way} is not measured: {line.failed}")


def _print(terminal: Terminal, lines: Sequence[Outcome], columns: Sequence[Column], last: Sequence[str] = ()) -> None:
    """Print the lines that were measured, and `last` as that of a perfect coin, in tables that fit."""
    from fair_diffusion.compare.columns import cells

    rows = [[line.way, *cells(line, columns)] for line in lines if line.judge]
    rows += [["a perfect coin", *last]] if last else []
    heads = ["way", *(column.head for column in columns)]
    widths = [
        max(*(len(word) for word in head.split()), *(len(row[k]) for row in rows)) for k, head in enumerate(heads)
    ]
    first = 1
    while first < len(heads):
        stop, room = first + 1, terminal.width - widths[0] - widths[first] - 5
        while stop < len(heads) and room >= widths[stop] + 3:
            room -= widths[stop] + 3
            stop += 1
        shown = Columns()
        for k in (0, *range(first, stop)):
            shown.add_column(heads[k], justify="right" if k else "left", width=widths[k])
        for row in rows:
            if any(row[first:stop]):
                shown.row(row[0], *row[first:stop])
        terminal.print(shown)
        first = stop
