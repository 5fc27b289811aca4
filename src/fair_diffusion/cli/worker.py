"""`fair-diffusion worker`: draws the jobs of a service, on any machine that reaches its database and images."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Protocol

import typer

from fair_diffusion.cli.options import LoadingModels, grouped
from fair_diffusion.cli.service_log import service_log
from fair_diffusion.cli.service_place import DATA, Data, Place, Where, of_server, opened, pictures
from fair_diffusion.cli.serving_models import models_of
from fair_diffusion.cli.signing import C2pa, signature
from fair_diffusion.cli.suite_order import TELLING
from fair_diffusion.cli.upstream import UpstreamModel, UpstreamUrl, opened_upstream, readers_of
from fair_diffusion.cli.usage import usage_errors


@grouped
def worker(
    loading: LoadingModels,
    data: Data = DATA,
    database: Where = None,
    images: Place = None,
    batch: Annotated[int, typer.Option(help="images in one batch at most", min=1)] = 8,
    linger: Annotated[float, typer.Option(help="milliseconds that a batch waits for more requests", min=0)] = 20.0,
    grace: Annotated[float, typer.Option(help="seconds to finish in after SIGTERM", min=0)] = 20.0,
    retention: Annotated[float, typer.Option(help="days for which images are kept", min=0)] = 1.0,
    keep_prompts: Annotated[bool, typer.Option("--keep-prompts", help="keep prompts of jobs that are done")] = False,
    c2pa: C2pa = None,
    upstream: UpstreamUrl = None,
    upstream_model: UpstreamModel = None,
    upstream_timeout: Annotated[float, typer.Option(help="seconds for one image of that server", min=0.1)] = 120.0,
    cells: Annotated[
        bool, typer.Option("--cells", help="draw suites and comparisons instead, with the models that they name")
    ] = False,
    idle: Annotated[
        float | None, typer.Option(help="with --cells: end after so many seconds without anything to draw", min=0)
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Draw the requests of a service until SIGTERM: then finish what fits into --grace, and give the rest back."""
    service_log()
    if cells:
        with opened(data, database, create=True, keep_open=1) as found, usage_errors():
            from fair_diffusion.scale.cell_worker import CellSettings, CellWorker

            placing = {name: value for name, value in loading.items() if name not in ("model", "memory", *TELLING)}
            _run(CellWorker(found, CellSettings(placing=placing, idle=idle, grace=grace)), parent)
        return
    with usage_errors():
        if idle is not None:
            raise ValueError("--idle is for a worker of suites and comparisons; give --cells too, or leave it out")
        signed = signature(c2pa)
    with opened(data, database, create=of_server(database)) as found, usage_errors():  # serve makes files
        from fair_diffusion.service.proxy_worker import ProxyWorker
        from fair_diffusion.service.worker import Worker, WorkerSettings

        settings = WorkerSettings(
            batch=batch,
            linger=linger / 1000,
            grace=grace,
            kept=retention * 24 * 3600,
            keep_prompts=keep_prompts,
            signature=signed,
        )
        place = pictures(found, data, images)
        with ExitStack() as stack:
            ours: Worker | ProxyWorker
            if upstream is None:
                ours = Worker(found, place, models_of(loading, batch=batch), settings)
            else:
                server = opened_upstream(upstream, upstream_model, upstream_timeout, at_once=batch)
                model, perceiver, judge = readers_of(loading, upstream_model)
                ours = ProxyWorker(found, place, stack.enter_context(server), model, perceiver, judge, settings)
            _run(ours, parent)


class _Works(Protocol):
    def run(self) -> None: ...

    def stop(self) -> None: ...


def _run(worker: _Works, parent: int | None) -> None:
    """Let a worker work until a signal, or until `parent` is gone."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: worker.stop())
    if parent is not None:
        threading.Thread(target=_orphan, args=(parent, worker.stop), daemon=True).start()
    worker.run()


def _orphan(parent: int, stop: Callable[[], None]) -> None:
    """Stop when the server that started this worker is gone, however it ended."""
    while os.getppid() == parent:
        time.sleep(1.0)
    stop()
