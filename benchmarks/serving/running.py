"""A service that runs as its users start it: `fair-diffusion serve`, in processes of its own, on a free port."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from fair_diffusion.service.database import Database
from fair_diffusion.service.keys import OPERATOR, Keys

T = TypeVar("T")
HALF = "version: 1\nrules:\n  - every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
PROMPTS = [f"a photo of a {name}" for name in ("firefighter", "nurse", "teacher", "farmer", "cook", "singer")]
READY = 300.0
"""Seconds in which a service has to be ready."""


class Running:
    """A service that runs.

    Attributes:
        process: of the API.
        address: where it is.
        secret: of an operator's key.
        database: opened here, too.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, secret: str, database: Database) -> None:
        self.process, self.address, self.secret, self.database = process, address, secret, database

    def client(self) -> httpx2.Client:
        """A client with the key."""
        headers = {"authorization": f"Bearer {self.secret}"}
        return httpx2.Client(base_url=self.address, headers=headers, timeout=600)

    def stop(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send a signal and wait for the end, which is forced after some seconds. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def serving(
    url: str,
    data: Path,
    *,
    workers: int,
    threads: int = 1,
    policy: str | None = HALF,
    options: Sequence[str] = (),
    **settings: Any,
) -> Iterator[Running]:
    """Run a service, until the block ends.

    Args:
        url: of its database.
        data: its folder.
        workers: processes that draw.
        threads: of the processor, for each of them.
        policy: the policy that holds; None: none.
        options: further ones of the command line.
        settings: of `service.settings`, as they stand in the environment.
    """
    database = Database(url)
    secret, _ = Keys(database).add("benchmark", role=OPERATOR)
    words = ["serve", "--data", str(data), "--port", "0", "--workers", str(workers), *options]
    if policy is not None:
        (data / "policy.yaml").write_text(policy)
        words += ["--policy", str(data / "policy.yaml")]
    given = {f"FAIR_DIFFUSION_{name.upper()}": str(value) for name, value in settings.items()}
    own = {"FAIR_DIFFUSION_DATABASE": url, "OMP_NUM_THREADS": str(threads)}
    with (data / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fair_diffusion.cli", *words],
            env={**os.environ, **given, **own},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=_end_with_parent,
        )
        assert process.stdout
        address = process.stdout.readline().removeprefix("serving on ").partition(";")[0].strip()
        found = Running(process, address, secret, database)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        try:
            if workers:
                _wait_until_ready(found, workers)
            yield found
        finally:
            found.stop()
            database.close()


def _end_with_parent() -> None:
    """Let this process be told to end when its parent does, however that ends (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _wait_until_ready(service: Running, workers: int) -> None:
    until = time.monotonic() + READY
    log = service.database, workers
    with service.client() as client:
        while client.get("/ready").status_code != 200 or _at_work(*log) < workers:
            if time.monotonic() > until or service.process.poll() is not None:
                raise RuntimeError("the service did not become ready; its log is in the data folder")
            time.sleep(0.2)


def _at_work(database: Database, workers: int) -> int:
    """How many workers have told of a model."""
    from sqlalchemy import func, select

    from fair_diffusion.service.tables import workers as table

    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def asked(service: Running, requests: int, clients: int, ask: Callable[[httpx2.Client, int], T]) -> list[T]:
    """What so many requests give, in their order, by clients that each ask for the next one when they have one."""
    numbers = iter(range(requests))
    lock, found = threading.Lock(), dict[int, T]()

    def client(_: int) -> None:
        with service.client() as own:
            while True:
                with lock:
                    k = next(numbers, None)
                if k is None:
                    return
                found[k] = ask(own, k)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return [found[k] for k in range(requests)]


def draw(client: httpx2.Client, prompt: str, path: str = "/v1/images/generations", **fairness: Any) -> dict[str, Any]:
    """The answer to a request for one image. `RuntimeError` if it is refused."""
    answer = client.post(path, json={"prompt": prompt, **({"fairness": fairness} if fairness else {})})
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.status_code}: {answer.text}")
    return dict(answer.json())
