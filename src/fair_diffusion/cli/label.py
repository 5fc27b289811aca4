"""`fair-diffusion label`: people label the pictures of a folder or a run, in a browser on this machine."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Defining, grouped
from fair_diffusion.cli.serve import run
from fair_diffusion.cli.usage import defined, usage_errors
from fair_diffusion.policy import built_in

if TYPE_CHECKING:
    from fair_diffusion.service.server import Server

BESIDE = ".labels"
"""What the name of the folder of labels has more than that of the pictures."""
TABLE = "labels.csv"


@grouped
def label(
    target: Annotated[Path, typer.Argument(help="a folder of pictures, a run, or a folder of runs")],
    defining: Defining,
    attribute: Annotated[str, typer.Option(help="what you are asked")] = "gender",
    rater: Annotated[str, typer.Option(help="a pseudonym for you, as the table of labels names it")] = "me",
    port: Annotated[int, typer.Option(help="0: any that is free")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open a browser")] = True,
) -> None:
    """Label pictures in a browser, by single keys. It runs on this machine alone, until Ctrl-C.

    Labels stand in a folder beside the pictures, FOLDER.labels, and at the end also in its labels.csv, which
    `audit --human-labels` reads. Start it again to go on; other raters use another --rater."""
    with usage_errors():
        try:
            from fair_diffusion.service.label_folder import LabelFolder
        except ModuleNotFoundError as error:
            raise ValueError(f'labelling needs more: pip install "fair-diffusion[service]" ({error})') from None
        from fair_diffusion.readers.to_label import pictures_to_label

        asked = (defined(defining) or built_in()).attribute(attribute)
        pictures = pictures_to_label(target, asked)
        place = target.absolute().with_name(f"{target.absolute().name}{BESIDE}")
        folder = LabelFolder(place)
        told = folder.register(
            asked,
            [(each.file, each.concept, each.source, each.reading, each.confidence) for each in pictures],
            target.name,
        )
        for line in told.notes:
            say(line, err=True)
        key = folder.rater(rater)
    given = {"data": place, "port": port, "workers": 0, "images": str(folder.images_place), "host": "127.0.0.1"}

    def greet(address: str, _: str | None, server: Server) -> None:
        from fair_diffusion.studio.sessions import entry

        link = f"{address}/studio/{entry(server, key)}&to=label/{told.label_set.id}"
        say(f"label {told.label_set.pictures} pictures at {link}")
        say("the link signs in for ten minutes; end with Ctrl-C, and start again to go on")
        if browser:
            webbrowser.open(link)

    run(given, {}, greet)
    with usage_errors():
        count = folder.write_table(told.label_set, place / TABLE)
        say(f"{count} labels stand in {place / TABLE}")
