"""`fair-diffusion keys add|list|revoke`: the keys of a service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.service_place import DATA, Data, Where, opened
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.times import clock_time

keys = typer.Typer(no_args_is_help=True, help="Who may use a service.")


@keys.callback()
def verbs() -> None:
    """Who may use a service."""


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="what people call it", metavar="NAME")],
    role: Annotated[
        str, typer.Option(help="client asks for images; operator also instructs and sets the policy; rater labels")
    ] = "client",
    images_per_minute: Annotated[int | None, typer.Option(help="most images in 60 seconds", min=1)] = None,
    queued: Annotated[int | None, typer.Option(help="most requests that wait", min=1)] = None,
    pixels: Annotated[int | None, typer.Option(help="most pixels of an image", min=1)] = None,
    steps: Annotated[int | None, typer.Option(help="most denoising steps", min=1)] = None,
    n: Annotated[int | None, typer.Option("--n", "-n", help="most images of a request", min=1)] = None,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Make a key and print it, this once: it is stored nowhere."""
    with opened(data, database, create=True) as found:
        from fair_diffusion.service.keys import Keys
        from fair_diffusion.service.limits import Limits

        limits = Limits(images_per_minute=images_per_minute, queued=queued, pixels=pixels, steps=steps, n=n)
        secret, key = Keys(found).add(name, role=role, limits=limits)
    say(secret)
    say(f"{key.id}, {key.role} {key.name!r}: keep the key, it is not shown again", err=True)


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Print every key, without what opens."""
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys

        listed = Keys(found).all()
    if as_json:
        say_json([asdict(key) for key in listed])
        return
    shown = Columns("key", "name", "role", "limits", "made", "revoked")
    for key in listed:
        limits = ", ".join(f"{name} {value}" for name, value in key.limits.stored().items()) or "none"
        shown.row(key.id, key.name, key.role, limits, clock_time(key.created), clock_time(key.revoked))
    Terminal().print(shown) if listed else say("no keys yet; `fair-diffusion keys add NAME` makes one")


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="the id of the key, as `keys list` prints it", metavar="KEY")],
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Make a key open nothing any more."""
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys

        revoked = Keys(found).revoke(key)
    say(f"revoked {revoked.id}, {revoked.role} {revoked.name!r}")
