"""`fair-diffusion studio`: the studio on this machine, with its server, a model and a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import LoadingModels, grouped
from fair_diffusion.cli.serve import run
from fair_diffusion.cli.service_log import service_log

if TYPE_CHECKING:
    from fair_diffusion.service.server import Server

YEAR = 365.0
"""Days for which images are kept, if nothing else is said: they are of whoever started the studio."""


@grouped
def studio(
    loading: LoadingModels,
    data: Annotated[
        Path | None, typer.Option(help="database and images; fair-diffusion-data if not given", metavar="DIR")
    ] = None,
    port: Annotated[int | None, typer.Option(help="8000 if not given; 0: any that is free")] = None,
    policy: Annotated[Path | None, typer.Option(help="the policy file (YAML) that holds from now on")] = None,
    retention: Annotated[float, typer.Option(help="days for which drawings are kept")] = YEAR,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open a browser")] = True,
) -> None:
    """Open the studio in a browser: instruct, draw, look, correct. It runs on this machine alone, until Ctrl-C.

    It is a server as `serve` starts it, on the same data folder; prompts are kept as long as the drawings."""
    service_log()

    def greet(address: str, _: str | None, server: Server) -> None:
        from fair_diffusion.service.keys import OPERATOR
        from fair_diffusion.studio.sessions import entry

        valid = [key for key in server.keys.all() if key.revoked is None and key.role == OPERATOR]
        key = valid[0] if valid else server.keys.add("studio", role=OPERATOR)[1]
        link = f"{address}/studio/{entry(server, key)}"
        say(f"the studio is {link}")
        say("the link signs in for ten minutes; start the studio again for a new one")
        if browser:
            webbrowser.open(link)

    given = {"data": data, "port": port, "policy": policy, "retention": retention, "keep_prompts": True}
    run({**given, "host": "127.0.0.1"}, loading, greet)
