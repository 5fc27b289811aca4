"""An image server of the contract within the tests, whose pictures are of one colour, and readers of colours.

A prompt that names women is drawn red, one that names men blue, and any other one as `plain` says. Tests may put an
answer of their own in front.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from running_service import Running
from torch import Tensor

from fair_diffusion.perception.reader import Reading
from fair_diffusion.service.proxy_worker import ProxyWorker, served
from fair_diffusion.service.upstream import Upstream
from fair_diffusion.service.worker import WorkerSettings

RED, BLUE, GREY = (250, 0, 0), (0, 0, 250), (120, 120, 120)


def picture(colour: tuple[int, int, int], format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, format)
    return file.getvalue()


class ColourReader:
    """Reads a woman in red pictures and a man in blue ones."""

    groups: ClassVar = {"gender": ("woman", "man")}

    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown)."""
        means = [np.asarray(image.convert("RGB")).mean(axis=(0, 1)) for image in images]
        rows = [
            [0.9, 0.05, 0.05] if m[0] > 200 else [0.05, 0.9, 0.05] if m[2] > 200 else [0.3, 0.3, 0.4] for m in means
        ]
        return {"gender": torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)}

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """The likely group of each picture."""
        rows = self.every_probability(images)["gender"].tolist()
        return {"gender": [Reading(("woman", "man", None)[row.index(max(row))], max(row)) for row in rows]}


class FakeUpstream:
    """What the server was asked, and what it is to answer.

    Attributes:
        address: where it is.
        plain: the colours of plain prompts, one after the other, again from the first.
        answers: for each further request status, headers and body; None: as usual. Then as usual.
        asked: the bodies of the requests.
        headers: of the last request.
        paths: of all requests.
        hang: seconds before an answer.
    """

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.plain: list[tuple[int, int, int]] = [BLUE]
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.hang = 0.0
        self._lock, self._plain = threading.Lock(), 0

    def reset(self) -> None:
        """Forget everything but the address."""
        self.__init__(self.address)  # type: ignore[misc]

    @property
    def prompts(self) -> list[str]:
        """The prompts that it was asked for."""
        return [body["prompt"] for body in self.asked]

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request for an image."""
        with self._lock:
            self.asked.append(body)
            own = self.answers.pop(0) if self.answers else None
            if own is not None:
                return own
            words = body["prompt"].split()
            colour = RED if "female" in words else BLUE if "male" in words else None
            if colour is None:
                colour = self.plain[self._plain % len(self.plain)]
                self._plain += 1
        return good({"b64_json": base64.b64encode(picture(colour)).decode()})


def good(image: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """The answer that holds an image."""
    return 200, {}, json.dumps({"created": 1, "data": [image]}).encode()


def bad(status: int, message: str = "", code: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer that is an error."""
    error = {"message": message, "type": "x", "param": "prompt" if status == 400 else None, "code": code}
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps({"error": error}).encode(),
    )


@contextmanager
def fake_upstream() -> Iterator[FakeUpstream]:
    """A server on a free port of loopback."""
    found = FakeUpstream()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            found.headers = {name.lower(): value for name, value in self.headers.items()}
            time.sleep(found.hang)
            self._send(*found.answer(json.loads(content)))

        def do_GET(self) -> None:
            self._send(200, {}, picture(BLUE))

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            found.paths.append(self.path)
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client went away."""

    server = Quiet(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def proxying(
    service: Running, upstream: Upstream, *, readers: tuple[Any, Any] | None = None, model: str | None = None
) -> Iterator[ProxyWorker]:
    """A worker of a service that asks an upstream server."""
    perceiver, judge = readers or (ColourReader(), ColourReader())
    settings = WorkerSettings(lease=5.0, grace=0.0, batch=4)
    shown = served(model, perceiver, judge)
    worker = ProxyWorker(service.server.database, service.server.images, upstream, shown, perceiver, judge, settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        http = service.http()
        while http.get("/ready").status_code != 200:
            time.sleep(0.02)
        yield worker
    finally:
        worker.stop()
        thread.join()
