"""`fair-diffusion serve --ray`: the same service, run by Ray Serve."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.options import LoadingModels

if TYPE_CHECKING:
    from fair_diffusion.service.database import Database
    from fair_diffusion.service.settings import Settings
    from fair_diffusion.service.worker import Worker


def build_api(settings: dict[str, Any]) -> Any:
    """The API with the studio, of settings as plain data; a replica of Serve calls it."""
    from fair_diffusion.service.api import application
    from fair_diffusion.service.database import Database
    from fair_diffusion.service.server import Server
    from fair_diffusion.service.settings import Settings
    from fair_diffusion.studio import mount

    own = Settings.read(**settings)
    server = Server(own, Database(own.database_url, create=False))
    return mount(application(server), server)


def build_worker(settings: dict[str, Any], loading: LoadingModels) -> tuple[Worker, Database]:
    """A worker with its database, of settings as plain data; a replica of Serve calls it."""
    from fair_diffusion.cli.serving_models import models_of
    from fair_diffusion.files.signature import Signature
    from fair_diffusion.service.database import Database
    from fair_diffusion.service.images import Images
    from fair_diffusion.service.settings import Settings
    from fair_diffusion.service.worker import Worker, WorkerSettings

    own = Settings.read(**settings)
    database = Database(own.database_url, create=False)
    how = WorkerSettings(
        batch=own.batch,
        linger=own.linger / 1000,
        grace=own.grace,
        kept=own.kept,
        keep_prompts=own.keep_prompts,
        signature=Signature.of(*own.c2pa) if own.c2pa else None,
    )
    models = models_of(loading, batch=own.batch)
    return Worker(database, Images(database, own.images_place), models, how), database


def serve_on_ray(
    settings: Settings, loading: LoadingModels, greet: Callable[[str], None], *, gpus: float | None
) -> None:
    """Serve on Ray until SIGTERM or Ctrl-C.

    Args:
        settings: of the service, which is prepared.
        loading: which models are drawn with.
        greet: is told the address when requests are taken.
        gpus: of one worker; None: 1 where there are any.

    Raises:
        ValueError: Ray is not installed, or the settings do not fit it.
    """
    from fair_diffusion.scale.ray_serve import start, stop

    if settings.upstream is not None:
        raise ValueError("--upstream draws elsewhere, which needs no Ray; leave out --ray")
    if settings.port == 0:
        raise ValueError("--port 0 lets a free port be found, which Ray Serve does not tell; name a port")
    data = settings.data.absolute()
    told = settings.model_dump(exclude={"policy", "ledger"})  # those two were read when it was prepared
    told["data"], told["images"] = data, settings.images or str(data / "images")
    told["database"] = settings.database or str(data / "service.sqlite")
    ended = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    start(
        partial(build_api, told),
        partial(build_worker, told, loading),
        host=settings.host,
        port=settings.port,
        most=max(1, settings.workers),
        grace=settings.grace,
        gpus=gpus,
    )
    try:
        greet(f"http://{settings.host}:{settings.port}")
        while not ended.wait(1.0):
            continue
    finally:
        stop()
