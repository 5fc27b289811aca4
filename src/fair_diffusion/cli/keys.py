"""`fair-diffusion keys add|list|limit|revoke|export|erase`: the keys of a service, and what it has of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import confirmed, say, say_json
from fair_diffusion.cli.service_place import DATA, Data, Place, Where, opened, pictures
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.times import clock_time

if TYPE_CHECKING:
    from fair_diffusion.service.database import Database
    from fair_diffusion.service.key_data import Had
    from fair_diffusion.service.keys import Key
    from fair_diffusion.service.limits import Limits

Id = Annotated[str, typer.Argument(help="the id of the key, as `keys list` prints it", metavar="KEY")]
PerMinute = Annotated[int | None, typer.Option(help="most images in 60 seconds", min=1)]
Queued = Annotated[int | None, typer.Option(help="most requests that wait", min=1)]
Pixels = Annotated[int | None, typer.Option(help="most pixels of an image", min=1)]
Steps = Annotated[int | None, typer.Option(help="most denoising steps", min=1)]
Images = Annotated[int | None, typer.Option("--n", "-n", help="most images of a request", min=1)]
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
    images_per_minute: PerMinute = None,
    queued: Queued = None,
    pixels: Pixels = None,
    steps: Steps = None,
    n: Images = None,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Make a key and print it, this once: it is stored nowhere. Another one of the same name stays valid."""
    with opened(data, database, create=True) as found:
        from fair_diffusion.service.keys import Keys
        from fair_diffusion.service.limits import Limits

        limits = Limits(images_per_minute=images_per_minute, queued=queued, pixels=pixels, steps=steps, n=n)
        others = [each for each in Keys(found).all() if each.name == name and each.revoked is None]
        secret, key = Keys(found).add(name, role=role, limits=limits)
    say(secret)
    say(f"{key.id}, {key.role} {key.name!r}: keep the key, it is not shown again", err=True)
    for each in others:
        made = f"{each.id}, {each.role} {name!r}, made {clock_time(each.created)}"
        say(f"{made}, stays valid, too; `fair-diffusion keys revoke {each.id}` ends it", err=True)


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Print every key: its id, name, role and limits. Its secret is stored nowhere."""
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys

        listed = Keys(found).all()
    if as_json:
        say_json([asdict(key) for key in listed])
        return
    shown = Columns("key", "name", "role", "limits", "made", "revoked", whole=True)
    for key in listed:
        shown.row(key.id, key.name, key.role, _shown(key.limits), clock_time(key.created), clock_time(key.revoked))
    Terminal().print(shown) if listed else say("no keys yet; `fair-diffusion keys add NAME` makes one")


@keys.command()
def limit(
    key: Id,
    images_per_minute: PerMinute = None,
    queued: Queued = None,
    pixels: Pixels = None,
    steps: Steps = None,
    n: Images = None,
    lift: Annotated[
        list[str] | None, typer.Option(help="a limit that ends, such as images-per-minute; may be repeated")
    ] = None,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Change what a key may ask for, from its next request on. Limits that are not named stay."""
    new = {"images_per_minute": images_per_minute, "queued": queued, "pixels": pixels, "steps": steps, "n": n}
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys
        from fair_diffusion.service.limits import changed

        before = _named(found, key)
        now = Keys(found).limit(key, changed(before.limits, new, lift or ()))
    say(f"{now.id}, {now.role} {now.name!r}: limits {_shown(now.limits)}; they were {_shown(before.limits)}")


@keys.command()
def revoke(
    key: Id,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """End a key: from now on it opens nothing."""
    with opened(data, database) as found:
        from fair_diffusion.service.keys import Keys

        revoked = Keys(found).revoke(key)
    say(f"revoked {revoked.id}, {revoked.role} {revoked.name!r}")


@keys.command()
def export(
    key: Id,
    out: Annotated[Path, typer.Option(help="the archive (ZIP); a file that is there is replaced", metavar="FILE")],
    data: Data = DATA,
    database: Where = None,
    images: Place = None,
) -> None:
    """Write everything that the service has of a key: its jobs, images and labels."""
    with opened(data, database) as found:
        from fair_diffusion.files.whole_file import whole_file
        from fair_diffusion.service.key_data import KeyData

        whose, ours = _named(found, key), KeyData(found, pictures(found, data, images))
        with whole_file(out) as part, part.open("wb") as file:
            had = ours.export(whose, file)
    say(f"wrote {out}: {_told(had)}")


@keys.command()
def erase(
    key: Id,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    data: Data = DATA,
    database: Where = None,
    images: Place = None,
) -> None:
    """Delete everything that the service has of a key: its jobs with prompts, images and labels. The key stays."""
    with opened(data, database) as found:
        from fair_diffusion.service.key_data import KeyData

        whose, ours = _named(found, key), KeyData(found, pictures(found, data, images))
        if not yes and not confirmed(f"Delete all data of {whose.id}, {whose.role} {whose.name!r}?"):
            raise typer.Abort
        had = ours.erase(whose)
    say(f"deleted {_told(had)}; the key, the trail of changes and the counts of streams stay")


def _shown(limits: Limits) -> str:
    return ", ".join(f"{name} {value}" for name, value in limits.stored().items()) or "none"


def _named(database: Database, key: str) -> Key:
    from fair_diffusion.service.keys import Keys

    for each in Keys(database).all():
        if each.id == key:
            return each
    raise ValueError(f"there is no key {key!r}; `fair-diffusion keys list` shows those that there are")


def _told(had: Had) -> str:
    return f"{had.jobs} jobs, {had.images} images and {had.labels} labels"
