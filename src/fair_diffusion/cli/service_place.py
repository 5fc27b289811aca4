"""The options --data, --database and --images: where a service has its things. They need no server that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.usage import usage_errors

if TYPE_CHECKING:
    from fair_diffusion.service.database import Database
    from fair_diffusion.service.images import Images

DATA = Path("fair-diffusion-data")
"""The data folder, if none is named."""
FILE = "service.sqlite"
"""The database in it, if no other one is named."""
Data = Annotated[
    Path, typer.Option("--data", help="the service's data folder", metavar="DIR", envvar="FAIR_DIFFUSION_DATA")
]
Where = Annotated[
    str | None,
    typer.Option(
        "--database",
        help=f"postgresql+psycopg://USER:PASSWORD@HOST/NAME, or a file; otherwise {FILE} in the data folder",
        metavar="URL",
        envvar="FAIR_DIFFUSION_DATABASE",
    ),
]
Place = Annotated[
    str | None,
    typer.Option(
        "--images",
        help="folder or URL of fsspec for images; otherwise one in the data folder",
        envvar="FAIR_DIFFUSION_IMAGES",
    ),
]


@contextmanager
def opened(data: Path, database: str | None, *, create: bool = False, keep_open: int = 8) -> Iterator[Database]:
    """The database that the options name; `create` makes it if it is not there. Wrong usage exits with its message."""
    with usage_errors():
        from fair_diffusion.service.database import Database

        if database is None and create:
            data.mkdir(parents=True, exist_ok=True)
        found = Database(database or data / FILE, create=create, keep_open=keep_open)
        try:
            yield found
        finally:
            found.close()


def of_server(database: str | None) -> bool:
    """Whether the database is a database server's, in which a service has its tables, and no file."""
    return database is not None and database.startswith("postgres")


def pictures(database: Database, data: Path, images: str | None) -> Images:
    """The images of a service, where the options say."""
    from fair_diffusion.service.images import Images

    return Images(database, images or str(data / "images"))
