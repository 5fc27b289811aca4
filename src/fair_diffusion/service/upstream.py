"""The client of another server that speaks the images contract.

Only the address that was configured is ever asked: redirects are not followed, an address of an image in an answer must
be of the same server, and proxies of the environment are not used. Answers are bounded in bytes and in time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, TypeVar

import httpx2
from PIL import Image

from fair_diffusion import __version__
from fair_diffusion.files.pictures import BrokenPicture, open_picture
from fair_diffusion.files.text import printable
from fair_diffusion.service.upstream_url import checked_url, within

T = TypeVar("T")
LARGEST = 64 * 2**20
"""Bytes of an answer at most."""
LONGEST = 65_535
"""Pixels of a side at most."""
BEAT = 0.2
"""Seconds between two looks whether an answer is still wanted."""
LATEST = 3600.0
"""Seconds that an upstream server may tell clients to wait, at most."""


@dataclass(eq=False)
class Refusal(Exception):
    """An upstream server gave no image.

    Attributes:
        status: that clients are answered: 400, 429, 502, 503 or 504.
        message: what happened.
        code: a word for programs.
        param: the field that it names.
        retry_after: seconds after which it may work.
        retry: whether clients may try the same again; None: as they usually do for the status.
    """

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    retry: bool | None = None

    def stored(self) -> dict[str, Any]:
        """As plain data."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


class Upstream:
    """An upstream server, as a context manager.

    Args:
        url: its address, to which `/images/generations` is added.
        key: sent as a bearer token; None: it needs none.
        model: the name of the model there; None: its usual one.
        timeout: seconds for one image.
        at_once: images that it is asked for at once.

    Attributes:
        took: told the seconds of each image that it gave.
    """

    def __init__(self, url: str, *, key: str | None, model: str | None, timeout: float, at_once: int) -> None:
        self.took: Callable[[float], None] = lambda seconds: None
        self._url, self._model, self._timeout, self._at_once = checked_url(url), model, timeout, at_once
        self._headers = {"user-agent": f"fair-diffusion/{__version__}", "accept-encoding": "identity"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key}"

    def __enter__(self) -> Upstream:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._thread.start()
        self._run(self._open()).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._client.aclose()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def draw(
        self, prompts: Sequence[str], fields: Mapping[str, Any], unwanted: Callable[[], bool]
    ) -> list[Image.Image | None]:
        """One picture for each prompt; None for those that were not there when they were not wanted any more.

        Args:
            prompts: what to draw.
            fields: further ones of the contract, for all.
            unwanted: asked now and then. If it says so, the requests are ended.

        Raises:
            Refusal: one of them gave no picture; the others are ended.
        """
        asked = [self._run(self._ask({**fields, "prompt": prompt})) for prompt in prompts]
        left: set[Future[bytes]] = set(asked)
        try:
            while left:
                done, left = wait(left, timeout=BEAT, return_when=FIRST_EXCEPTION)
                for each in done:
                    each.result()
                if unwanted():
                    break
        finally:
            for each in left:
                each.cancel()
        return [None if each in left else _picture(each.result()) for each in asked]

    async def _open(self) -> None:
        self._places = asyncio.Semaphore(self._at_once)
        limits = httpx2.Limits(max_connections=self._at_once)
        timeout = httpx2.Timeout(self._timeout)
        self._client = httpx2.AsyncClient(
            headers=self._headers, timeout=timeout, limits=limits, follow_redirects=False, trust_env=False
        )

    def _run(self, asked: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(asked, self._loop)

    async def _ask(self, fields: Mapping[str, Any]) -> bytes:
        """The file of one image."""
        named = {} if self._model is None else {"model": self._model}
        async with self._places:
            try:
                async with asyncio.timeout(self._timeout):
                    body, began = {**named, **fields, "n": 1}, time.monotonic()
                    status, headers, content = await self._answer("POST", f"{self._url}/images/generations", json=body)
                    if status != 200:
                        raise refusal(status, headers, content)
                    file = await self._file(content)
                    self.took(time.monotonic() - began)
                    return file
            except (TimeoutError, httpx2.TimeoutException):
                said = f"the upstream server did not answer within {self._timeout:g} seconds"
                raise Refusal(504, said, "upstream_timeout") from None
            except httpx2.InvalidURL:
                raise _garbage("an address that is none") from None
            except httpx2.HTTPError as error:
                said = f"the upstream server cannot be reached ({type(error).__name__})"
                raise Refusal(502, said, "upstream_unreachable") from None

    async def _answer(self, method: str, url: str, **sent: Any) -> tuple[int, Mapping[str, str], bytes]:
        """The status, the headers and the content of an answer."""
        async with self._client.stream(method, url, **sent) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _garbage("an answer that is packed, although it was asked for none")
            parts, size = [], 0
            async for part in answer.aiter_raw():
                size += len(part)
                if size > LARGEST:
                    raise _garbage(f"more than {LARGEST:,} bytes")
                parts.append(part)
            return answer.status_code, answer.headers, b"".join(parts)

    async def _file(self, content: bytes) -> bytes:
        """The file in an answer, or at the address in it."""
        try:
            image = json.loads(content)["data"][0]
            encoded, url = image.get("b64_json"), image.get("url")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _garbage("no images") from None
        if isinstance(encoded, str):
            try:
                return base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise _garbage("an image that is no base64") from None
        if not isinstance(url, str):
            raise _garbage("no images")
        address = within(self._url, url)
        if address is None:
            raise _garbage("the address of an image on another server, which is not asked")
        status, _, file = await self._answer("GET", address)
        if status != 200:
            raise _garbage(f"an address of an image, which answers {status}")
        return file


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> Refusal:
    """What clients are told of an answer that is no success."""
    message, code, param = _said(content)
    told = f"the upstream server refused: {message}" if message else f"the upstream server answered {status}"
    after = _seconds(headers.get("retry-after"))
    if status in (400, 413, 422):
        return Refusal(400, told, code or "upstream_refused", param)
    if status == 429:
        return Refusal(429, told, code or "slow_down", retry_after=after or 2.0)
    if status == 503:
        return Refusal(503, told, "server_is_overloaded", retry_after=after or 2.0)
    if status in (408, 504):
        return Refusal(504, told, "upstream_timeout", retry_after=after)
    if status >= 500:
        return Refusal(502, told, "upstream_failed", retry_after=after)
    if 300 <= status < 400:
        said = "the upstream server sends to another address, which is not asked; its own address must be configured"
        return Refusal(502, said, "upstream_redirects", retry=False)
    return Refusal(
        502, f"the upstream server does not serve this one (status {status})", "upstream_closed", retry=False
    )


def _said(content: bytes) -> tuple[str, str | None, str | None]:
    """Message, code and param of an error, each short and safe to show."""
    try:
        error = json.loads(content)["error"]
        found = [error.get(name) for name in ("message", "code", "param")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", None, None
    message, code, param = (
        printable(each[:most]) if isinstance(each, str) and each else None
        for each, most in zip(found, (500, 100, 100), strict=True)
    )
    return message or "", code, param


def _seconds(text: str | None) -> float | None:
    """The seconds that a header Retry-After says; None if it says a date, or nothing."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return min(found, LATEST) if found >= 0 else None


def _garbage(what: str) -> Refusal:
    return Refusal(502, f"the upstream server gave {what}", "upstream_garbage")


def _picture(file: bytes) -> Image.Image:
    """The picture in a file. `Refusal` if it is none, or too large."""
    try:
        return open_picture(file, side=LONGEST)
    except BrokenPicture as error:
        raise _garbage(f"no image: {printable(str(error))}") from None
