"""A service that runs within the tests: the API on a free port of loopback, and a worker, each in a thread.

Its clients hold every answer against the OpenAPI document.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
from document import Document

from fair_diffusion.files.signature import Signature
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.service.api import application
from fair_diffusion.service.database import Database
from fair_diffusion.service.keys import Key, Keys
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.server import Server
from fair_diffusion.service.serving import Uvicorn
from fair_diffusion.service.settings import Settings
from fair_diffusion.service.worker import Worker, WorkerSettings

HALF = "version: 1\nrules:\n  - every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
"""A policy: half women, half men."""
FAST = {"fairness": {"steps": 1}}
"""One step: nobody looks at the picture."""
TLS = ssl.create_default_context()
"""Read once: each client would read all certificates for itself, and speaks with loopback alone."""
_DOCUMENTS: list[Document] = []
"""The document of the API, once it was made: it is the same of every service."""
IN_PARTS = {"read_in_parts": True}
"""The extension of a request whose answer is not held against the document, because it is not read to its end."""


class Running:
    """A service that runs.

    Attributes:
        server: its parts.
        address: where it is.
        operator, client: the secrets of two keys.
    """

    def __init__(self, server: Server, address: str) -> None:
        self.server, self.address = server, address
        if not _DOCUMENTS:
            _DOCUMENTS.append(Document(application(server)))
        self.document = _DOCUMENTS[0]
        self._clients = ExitStack()
        self.operator, self.operator_key = self.key("operator")
        self.client, self.client_key = self.key("client")

    def key(self, role: str, **limits: int) -> tuple[str, Key]:
        """A new key: its secret, and the key."""
        return Keys(self.server.database).add(f"a {role}", role=role, limits=Limits(**limits))

    def sdk(self, secret: str | None = None, *, retries: int = 0, **options: Any) -> openai.OpenAI:
        """The SDK, for the operator if no key is given."""
        url = f"{self.address}/v1"
        hooked = options.pop("http_client", None) or self._clients.enter_context(httpx2.Client(verify=TLS))
        hooked.event_hooks["response"].append(self._check)
        options |= {"max_retries": retries, "timeout": 60, "http_client": hooked}
        made = openai.OpenAI(api_key=secret or self.operator, base_url=url, **options)
        return self._clients.enter_context(made)

    def http(self, secret: str | None = None) -> httpx2.Client:
        """A plain client, for the operator if no key is given."""
        headers = {"authorization": f"Bearer {secret or self.operator}"}
        hooks = {"response": [self._check]}
        made = httpx2.Client(base_url=self.address, headers=headers, timeout=60, event_hooks=hooks, verify=TLS)
        return self._clients.enter_context(made)

    def _check(self, answer: httpx2.Response) -> None:
        """Every answer is as the document says."""
        if not IN_PARTS.items() <= answer.request.extensions.items():
            self.document.check(answer)

    def close(self) -> None:
        """Close the clients."""
        self._clients.close()


@contextmanager
def running(
    data: Path,
    *,
    pipe: FairPipeline | None = None,
    url: str | None = None,
    signature: Signature | None = None,
    **given: Any,
) -> Iterator[Running]:
    """Run a service; without a pipeline, the API alone."""
    data.mkdir(parents=True, exist_ok=True)
    settings = Settings(data=data, port=0, database=url, **given)
    server, started = Server(settings, Database(settings.database_url)), threading.Event()
    uvicorn = Uvicorn(server, started.set)
    serving = threading.Thread(target=uvicorn.run)
    serving.start()
    worker = None
    if pipe is not None:
        worker = Worker(server.database, server.images, pipe, WorkerSettings(lease=5.0, grace=0.0, signature=signature))
        drawing = threading.Thread(target=worker.run)
        drawing.start()
    try:
        assert started.wait(30)
        version = server.policies.add(HALF)
        server.policies.activate(version.version, why="a test")
        with closing(Running(server, f"http://127.0.0.1:{uvicorn.port}")) as found:
            http = found.http()
            while pipe is not None and http.get("/ready").status_code != 200:
                time.sleep(0.02)
            yield found
    finally:
        if worker is not None:
            worker.stop()
            drawing.join()
        uvicorn.should_exit = True
        serving.join()
        server.close()
