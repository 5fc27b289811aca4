"""`fair-diffusion serve`: an API behind the OpenAI images contract, with its workers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import LoadingModels, grouped
from fair_diffusion.cli.service_log import service_log
from fair_diffusion.cli.serving_ray import serve_on_ray
from fair_diffusion.cli.signing import C2pa
from fair_diffusion.cli.upstream import UpstreamModel, UpstreamUrl, check_readers
from fair_diffusion.cli.usage import usage_errors

if TYPE_CHECKING:
    from fair_diffusion.service.server import Server
    from fair_diffusion.service.settings import Settings


@grouped
def serve(
    loading: LoadingModels,
    policy: Annotated[Path | None, typer.Option(help="the policy file (YAML) that holds from now on")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="the file of a ledger that the service goes on with; it is taken over once")
    ] = None,
    host: Annotated[str | None, typer.Option(help="127.0.0.1 if not given: this machine alone")] = None,
    port: Annotated[int | None, typer.Option(help="8000 if not given; 0: any that is free")] = None,
    data: Annotated[
        Path | None, typer.Option(help="database and images; fair-diffusion-data if not given", metavar="DIR")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="postgresql+psycopg://USER:PASSWORD@HOST/NAME, or a file", metavar="URL")
    ] = None,
    images: Annotated[str | None, typer.Option(help="folder or URL of fsspec for images")] = None,
    workers: Annotated[int | None, typer.Option(help="processes that draw; 1 if not given; 0: the API alone")] = None,
    batch: Annotated[int | None, typer.Option(help="images in one batch at most; 8 if not given")] = None,
    linger: Annotated[
        float | None, typer.Option(help="milliseconds that a batch waits for more requests; 20 if not given")
    ] = None,
    grace: Annotated[float | None, typer.Option(help="seconds to finish in at the end; 20 if not given")] = None,
    retention: Annotated[
        float | None, typer.Option(help="days for which jobs and images are kept; 1 if not given")
    ] = None,
    keep_prompts: Annotated[
        bool | None, typer.Option("--keep-prompts", help="keep the prompts of requests that are done")
    ] = None,
    c2pa: C2pa = None,
    upstream: UpstreamUrl = None,
    upstream_model: UpstreamModel = None,
    upstream_timeout: Annotated[
        float | None, typer.Option(help="seconds for one image of that server; 120 if not given")
    ] = None,
    ray: Annotated[
        bool,
        typer.Option("--ray", help="let Ray Serve run API and workers, as many as what waits needs, up to --workers"),
    ] = False,
    gpus: Annotated[float | None, typer.Option(help="with --ray: GPUs of one worker; 1 if there are any")] = None,
) -> None:
    """Serve images with measured proportions over HTTP, until SIGTERM or Ctrl-C.

    Options may also stand in the environment (FAIR_DIFFUSION_PORT) and in service.yaml in the data folder."""
    service_log()
    given: dict[str, Any] = {
        **{"policy": policy, "host": host, "port": port, "data": data, "database": database, "images": images},
        **{"workers": workers, "batch": batch, "linger": linger, "grace": grace, "retention": retention},
        **{"keep_prompts": keep_prompts, "upstream": upstream, "upstream_model": upstream_model},
        **{"upstream_timeout": upstream_timeout, "c2pa": c2pa, "ledger": ledger},
    }
    on_ray = partial(serve_on_ray, gpus=gpus) if ray else None

    def greet(address: str, secret: str | None, server: Server) -> None:
        say(f"settings: {json.dumps(server.settings.shown())}", err=True)
        _greet(address, secret)

    run(given, loading, greet, instead=on_ray)


def run(
    given: dict[str, Any],
    loading: LoadingModels,
    greet: Callable[[str, str | None, Server], None],
    *,
    instead: Callable[[Settings, LoadingModels, Callable[[str], None]], None] | None = None,
) -> None:
    """Serve until the end: the API, the studio, and the workers.

    Args:
        given: the settings that are given.
        loading: which models are drawn with.
        greet: is told the address, the secret of the first key if it was made, and the server, when it takes requests.
        instead: serves until the end in place of this process, given settings, models, and who is told the address.
    """
    with usage_errors():
        try:
            from fair_diffusion.service.api import application
            from fair_diffusion.service.serving import Uvicorn, Workers, check_address, prepared
            from fair_diffusion.service.settings import Settings
            from fair_diffusion.studio import mount
        except ModuleNotFoundError as error:
            raise ValueError(f'serving needs more: pip install "fair-diffusion[service]" ({error})') from None
        settings = Settings.read(**given)
        if settings.upstream is not None:
            check_readers(loading)
        check_address(settings)  # before a first key is made: it is shown once, when the server serves
        server, secret = prepared(settings, private=not _in_journal())
        if instead is not None:
            try:
                instead(settings, loading, lambda address: greet(address, secret, server))
            finally:
                server.close()
            return
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: None)  # uvicorn takes them, ends, and sends them on
        drawing = Workers(settings, _options(loading), lambda: uvicorn.end())
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        uvicorn = Uvicorn(
            server,
            lambda: greet(f"http://{host}:{uvicorn.port}", secret, server),
            drawing.stop,
            app=mount(application(server), server),
        )
        try:
            with drawing:
                uvicorn.run()
        finally:
            server.close()
        if drawing.failed:
            raise ValueError("a worker cannot work, and said why; mend that, and start again")


def _greet(address: str, secret: str | None) -> None:
    """Say where the server is, and how to ask it for an image."""
    say(f"serving on {address}; the studio is {address}/studio, and {address}/docs describes the API")
    if secret:
        say(f"key: {secret}")
        say("this key was made because there was none; it is not shown again. The server listens on this machine alone")
    shown = secret or "$FAIR_DIFFUSION_KEY"
    body = json.dumps({"prompt": "a photo of a firefighter", "response_format": "url"})
    say(
        f'curl {address}/v1/images/generations -H "Authorization: Bearer {shown}" '
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _in_journal() -> bool:
    """Whether standard output goes into the journal of systemd, which names the file that it is."""
    out = os.fstat(1)
    return os.environ.get("JOURNAL_STREAM") == f"{out.st_dev}:{out.st_ino}"


def _options(loading: LoadingModels) -> list[str]:
    """The options of a model as they are written on the command line."""
    words: list[str] = []
    for name, value in loading.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, list | tuple):
            words += [word for one in value for word in (option, str(one))]
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words
