"""`fair-diffusion trail`: who changed what of a service, and when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.service_place import DATA, Data, Where, opened
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.times import clock_time


def trail(
    subject: Annotated[
        str | None, typer.Option(help='only changes of this key, policy ("policy 2") or set', metavar="ID")
    ] = None,
    most: Annotated[int, typer.Option(help="how many, the newest first", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Print who changed what of a service, and when: its keys, limits, policies and labels, and data that left it."""
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys
        from fair_diffusion.service.trail import changes

        listed = changes(found, subject=subject, most=most)
        names = {key.id: f"{key.id} ({key.name})" for key in Keys(found).all()}
    if as_json:
        say_json([asdict(each) for each in listed])
        return
    shown = Columns("time", "by", "change", "subject", "details")
    for each in listed:
        details = ", ".join(f"{name}: {_plain(value)}" for name, value in each.details.items())
        who, what = (names.get(identity, identity) for identity in (each.by, each.subject))
        shown.row(clock_time(each.time), who, each.change, what, details)
    Terminal().lines_of(shown) if listed else say("no changes")


def _plain(value: object) -> str:
    """A detail in one line; those of an object one after the other."""
    if isinstance(value, dict):
        return " ".join(f"{name} {one}" for name, one in value.items()) or "none"
    return str(value)
