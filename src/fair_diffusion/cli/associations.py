"""`fair-diffusion associations`: does an encoder hold one set nearer to one attribute than to another?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import usage_errors
from fair_diffusion.files import guarded
from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.files.text import public

if TYPE_CHECKING:
    from fair_diffusion.statistics.association import Association

_SET = "a folder of images, a text file with one word per line, or words with commas between"

MOST = 10_000
"""The most words or images of a set."""


class Members(NamedTuple):
    """One set of a test: words, or the files of images."""

    names: list[str]
    files: list[InnerFile]


def associations(
    x: Annotated[str, typer.Option("--x", help=f"first targets: {_SET}")],
    y: Annotated[str, typer.Option("--y", help="second targets, as many as the first")],
    a: Annotated[str, typer.Option("--a", help="first attribute")],
    b: Annotated[str, typer.Option("--b", help="second attribute")],
    encoder: Annotated[
        str, typer.Option(help="minilm (words only), or folder or hub id of a CLIP-like one")
    ] = "minilm",
    seed: Annotated[int, typer.Option(min=0, help="draws partitions where there are too many to try all")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Test how an encoder associates targets X and Y with attributes A and B (WEAT for words, iEAT for images).

    The effect is above 0 if X goes with A and Y with B. p is one-sided, as published: swap A and B for the other."""
    with usage_errors():
        from fair_diffusion.perception.encoder import embed_images, embed_words
        from fair_diffusion.statistics.association import association

        sets = {name: members(name, text) for name, text in (("X", x), ("Y", y), ("A", a), ("B", b))}
        check(sets)
        embedded = {
            name: embed_images(encoder, found.files) if found.files else embed_words(encoder, found.names)
            for name, found in sets.items()
        }
        found = association(embedded["X"], embedded["Y"], embedded["A"], embedded["B"], seed=seed)
    if as_json:
        names = {name: part.names for name, part in sets.items()}
        say_json({"encoder": public(encoder), "seed": seed, "sets": names, **asdict(found)})
    else:
        show(found, sets, encoder)


def members(name: str, text: str) -> Members:
    """The members of one set. `ValueError` if there are fewer than two, or two are the same word.

    In a file, what follows a "#" at the start of a line is a comment."""
    from fair_diffusion.policy.spelling import plain
    from fair_diffusion.readers.kid_reference import pictures_of

    if not text.strip():
        raise ValueError(f"{name} is empty: give {_SET}")
    path = existing(text)
    files: list[InnerFile] = []
    if path and path.is_dir():
        files = pictures_of(path)[0]
        names = [file.path for file in files]
        kind = f"images in {text}"
    elif path:
        try:
            lines = guarded.text(path).splitlines()
        except guarded.RefusedFile as error:
            raise ValueError(f"{text} is {error}: give text in UTF-8, with one word per line") from error
        names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        kind = f"words in {text}"
    elif "," in text:
        names, kind = [word.strip() for word in text.split(",") if word.strip()], "words"
    else:
        raise ValueError(f"{name} is {text!r}, which is no folder, no file and has no comma: give {_SET}")
    if len(names) < 2:
        raise ValueError(f"{name} has {len(names)} {kind}: the test needs at least 2")
    if len(names) > MOST:
        raise ValueError(f"{name} has {len(names):,} {kind}, more than {MOST:,}: give fewer")
    first: dict[str, str] = {}
    for word in names:
        same = first.setdefault(word if files else plain(word), word)
        if same is not word:
            also = "" if same == word else f", once as {word!r}"
            raise ValueError(f"{name} names {same!r} twice{also}: give each once")
    return Members(names, files)


def existing(text: str) -> Path | None:
    """The folder or file of that name, if there is one: a list of words is often too long to be a name."""
    try:
        return Path(text) if Path(text).exists() else None
    except (OSError, ValueError):
        return None


def check(sets: dict[str, Members]) -> None:
    """`ValueError` for sets that cannot be tested, before an encoder is loaded."""
    from fair_diffusion.policy.spelling import plain

    first, second = sets["X"].names, sets["Y"].names
    if len(first) != len(second):
        raise ValueError(f"X has {len(first)} members and Y {len(second)}: the test needs as many in both")
    for one, other in (("X", "Y"), ("A", "B")):
        there = {plain(word) for word in sets[other].names}
        both = [word for word in sets[one].names if plain(word) in there]
        if both and not sets[one].files:
            raise ValueError(f"{both[0]!r} is in {one} and in {other}: a word belongs to one of them")


def show(found: Association, sets: dict[str, Members], encoder: str) -> None:
    """Print the test and every target by its association, those nearest to A first."""
    sides = (("X", found.associations_x), ("Y", found.associations_y))
    rows = [(s, which, name) for which, values in sides for s, name in zip(values, sets[which].names, strict=True)]
    table = Columns("target", "set", "nearer to A than to B by")
    for s, which, name in sorted(rows, reverse=True):
        table.row(name, which, f"{s:+.4f}")
    Terminal().print(table)
    of = "all" if found.exact else "randomly drawn"
    say(
        f"{public(encoder)}: effect size d = {found.effect:+.2f} standard deviations, one-sided p = {found.p:.2g} "
        f"over {found.partitions:,} partitions ({of})"
    )
