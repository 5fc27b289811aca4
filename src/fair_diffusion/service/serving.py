"""A server as processes: the API in this one, workers in their own, started again if they die."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from shlex import quote
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from typing import TYPE_CHECKING

import uvicorn

from fair_diffusion.files.signature import Signature
from fair_diffusion.service.api import application
from fair_diffusion.service.database import Database
from fair_diffusion.service.database_name import shown_url
from fair_diffusion.service.keys import OPERATOR, Keys
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.server import TICK, Server
from fair_diffusion.service.settings import Settings
from fair_diffusion.service.takeover import take_over_once

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOG = logging.getLogger("fair_diffusion.serve")
USAGE = 2
"""The exit code of a worker that cannot work at all."""
DATABASE = "FAIR_DIFFUSION_DATABASE"
"""The environment variable by which workers get the URL, which may hold a password."""
SLOWEST = 30.0
"""Seconds between two starts of a worker that dies at once, at most."""
YIELD = 5
"""How much nicer a worker is than the API, as in `nice`: about a third of its share of a processor that both want."""


def check_address(settings: Settings) -> None:
    """`ValueError` if the address cannot be listened on: it is in use, or not of this machine."""
    with socket(AF_INET6 if ":" in settings.host else AF_INET) as tried:
        tried.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            tried.bind((settings.host, settings.port))
        except OSError as error:
            raise ValueError(
                f"cannot listen on port {settings.port} of {settings.host} ({error.strerror}); name another with "
                "--port, 0 for any that is free, or with --host"
            ) from None


def prepared(settings: Settings, *, private: bool = True) -> tuple[Server, str | None]:
    """Open what a server needs; make a first key if there is none and only this machine can reach the server.

    Args:
        settings: of the server.
        private: only the person who starts the server reads what it prints, so it may print a key.

    Returns:
        The server, and the secret of the key that was made.

    Raises:
        ValueError: there is no key, and others could reach the server or read a new one; or policy or ledger cannot be
            read; or the certificate cannot sign.
    """
    if settings.c2pa:
        Signature.of(*settings.c2pa)
    private = private and settings.loopback
    if not private and _unmade(settings):
        raise _without_key(settings)
    if settings.database is None:  # the database is in this folder
        settings.data.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    keys, secret = Keys(database), None
    keyless = not any(key.revoked is None for key in keys.all())
    if keyless and not private:
        database.close()
        raise _without_key(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    if settings.ledger is not None:
        take_over_once(database, settings.ledger)
    if settings.policy is not None:
        _activate(Policies(database), settings.policy)
    server = Server(settings, database)
    if keyless:  # last: a key that is made before something fails is shown to nobody
        secret, _ = keys.add("first key", role=OPERATOR)
    return server, secret


def _unmade(settings: Settings) -> bool:
    """Whether the database is a file that is not there yet: it has no key, and need not be made to know that."""
    file = settings.database_url.removeprefix("sqlite:///")
    return "://" not in file and not Path(file).exists()


def _without_key(settings: Settings) -> ValueError:
    """Why a server without a key does not serve, and the command that makes one here."""
    where = ""
    if settings.database is not None:  # a password is not shown, so the address is left to those who know it
        whole = shown_url(settings.database) == settings.database
        where = f" --database {quote(settings.database) if whole else 'URL'}"
    elif settings.data != Settings.model_fields["data"].default:
        where = f" --data {quote(str(settings.data))}"
    why, other = f"{settings.host} can be reached from elsewhere", ", or serve on 127.0.0.1"
    if settings.loopback:
        why, other = "a new one would stand in the journal, which others read", ""
    command = f"fair-diffusion keys add NAME --role operator{where}"
    return ValueError(f"there is no key yet, and {why}; make one with `{command}`{other}")


def _activate(policies: Policies, file: Path) -> None:
    """Make the policy of a file the active one, unless it is."""
    from fair_diffusion.files import guarded
    from fair_diffusion.policy.errors import PolicyError
    from fair_diffusion.policy.file import LARGEST, read_policy

    read_policy(file)  # its errors name the file
    try:
        version = policies.add(guarded.text(file, LARGEST))
    except PolicyError:
        raise ValueError(
            f"{file} includes other files, and a server keeps its policy as one text; write what they define below its "
            "own attributes"
        ) from None
    active = policies.active()
    if active is None or active.version != version.version:
        policies.activate(version.version, why=f"the server was started with --policy {file.name}")


class Workers:
    """Worker processes on this machine, as a context manager; its end stops them.

    Args:
        settings: of the server.
        loading: options of the command line that say which model is loaded.
        useless: called when the first worker of a place cannot work at all, such as for a model that is not there.

    Attributes:
        failed: whether there was such a worker.
    """

    def __init__(self, settings: Settings, loading: Sequence[str], useless: Callable[[], None]) -> None:
        self._settings, self._loading, self._useless = settings, loading, useless
        self.failed = False
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(place,), name=f"worker {place}")
            for place in range(settings.workers)
        ]

    def __enter__(self) -> Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Tell the workers to end: each finishes what it has, if the grace time allows."""
        self._ended.set()
        for process in list(self._processes.values()):
            process.terminate()

    def _keep(self, place: int) -> None:
        """Start a worker, and again whenever it dies, each time a little later.

        The first one may end it all: what it says is about how the command was written, and would be said for ever.
        """
        wait, first = 0.5, True
        while not self._ended.is_set():
            began = time.monotonic()
            process = subprocess.Popen(self._command(), env={**os.environ, DATABASE: self._settings.database_url})
            _give_way(process.pid)
            self._processes[place] = process
            if self._ended.is_set():
                process.terminate()
            code = self._wait(process)
            if first and code == USAGE and not self._ended.is_set():
                self.failed = True
                self._useless()
                return
            first = False
            if not self._ended.is_set():
                wait = 0.5 if time.monotonic() - began > SLOWEST else min(SLOWEST, 2 * wait)
                LOG.error("worker %s ended with %s; it starts again in %.0f s", process.pid, code, wait)
                self._ended.wait(wait)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a process; one that does not end in time when it is to is killed."""
        late: float | None = None
        while process.poll() is None:
            time.sleep(0.05)
            if self._ended.is_set():
                late = late or time.monotonic() + self._settings.grace + 5
                if time.monotonic() > late:
                    process.kill()
        return process.returncode

    def _command(self) -> list[str]:
        own = self._settings
        settings = {"batch": own.batch, "linger": own.linger, "grace": own.grace, "retention": own.retention}
        options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        options += ["--data", str(own.data), "--images", own.images_place, "--parent", str(os.getpid())]
        options += ["--keep-prompts"] if own.keep_prompts else []
        options += ["--c2pa", *map(str, own.c2pa)] if own.c2pa else []
        if own.upstream is not None:
            options += ["--upstream", own.upstream, "--upstream-timeout", str(own.upstream_timeout)]
            options += ["--upstream-model", own.upstream_model] if own.upstream_model else []
        return [sys.executable, "-m", "fair_diffusion.cli", "worker", *options, *self._loading]


def _give_way(process: int) -> None:
    """Let a worker go after the API on the same processor: an answer takes milliseconds, a picture seconds."""
    if hasattr(os, "setpriority"):
        with suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, process, os.getpriority(os.PRIO_PROCESS, 0) + YIELD)


class Uvicorn(uvicorn.Server):
    """Uvicorn, that says when it takes requests, on which port, and when it takes no more.

    Args:
        server: the parts of the server.
        started: called when it takes requests.
        ending: called when it takes no more.
        app: what answers; the API alone if None.
    """

    def __init__(
        self,
        server: Server,
        started: Callable[[], None],
        ending: Callable[[], None] | None = None,
        *,
        app: ASGIApp | None = None,
    ) -> None:
        settings = server.settings
        config = uvicorn.Config(
            app or application(server),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            root_path=settings.prefix,
            access_log=False,  # it would log what clients put into addresses
            lifespan="on",
            timeout_graceful_shutdown=ceil(settings.grace + 2 * TICK),  # who waits for jobs is answered before
        )
        super().__init__(config)
        self._server, self._begun, self._ending = server, started, ending

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets=sockets)
        gc.freeze()  # what is loaded stays: to look through all of it for garbage holds answers up for 100 ms
        if self.started:
            self._begun()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more requests, wait for the answers that are due, and end."""
        self._server.end()
        if self._ending is not None:
            self._ending()  # both have the same grace time, not one after the other
        await super().shutdown(sockets=sockets)

    def end(self) -> None:
        """End as after a signal; from any thread, also before it takes requests."""
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.servers[0].sockets[0].getsockname()[1])
