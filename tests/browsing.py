"""A studio that runs within the tests, and a Chromium that opens its pages as a person would."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import httpx2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.service.api import application
from fair_diffusion.service.database import Database
from fair_diffusion.service.keys import OPERATOR, Key, Keys
from fair_diffusion.service.server import Server
from fair_diffusion.service.serving import Uvicorn
from fair_diffusion.service.settings import Settings
from fair_diffusion.service.signing import Signer
from fair_diffusion.service.worker import Worker, WorkerSettings
from fair_diffusion.studio import PREFIX, mount
from fair_diffusion.studio.sessions import cookie_of, entry

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""The rules of axe that together are WCAG 2.2 AA."""
REPLACED = ("htmx:afterRequest", "htmx:sendAbort")
"""What htmx says of a request that a later one replaced; of one that failed it says more."""
SLOW = 60_000
"""Milliseconds that a test waits for what it expects of a page."""
NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

ERRORS: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()
"""What went wrong on each page."""


class Studio:
    """A studio that runs.

    Attributes:
        server: its parts.
        address: of the studio, with a slash at the end.
        key: of an operator.
    """

    def __init__(self, server: Server, address: str) -> None:
        self.server, self.address = server, address
        self.key = self.new_key(OPERATOR)

    def new_key(self, role: str) -> Key:
        """A new key of a role."""
        return Keys(self.server.database).add(f"a {role}", role=role)[1]

    def open(self, browser: Browser, path: str = "", *, key: Key | None = None, **options: Any) -> Page:
        """A page of the studio in a browser of its own, signed in; as the operator if no key is given."""
        page = self.visit(browser, entry(self.server, key or self.key), **options)
        if path:
            page.goto(self.address + path)
        return page

    def visit(self, browser: Browser, path: str = "", **options: Any) -> Page:
        """The same, without signing in.

        Errors of the page, breaches of its policy and requests to other hosts are kept for `check`."""
        page = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options}).new_page()
        page.set_default_timeout(SLOW)
        errors = ERRORS[page] = list[str]()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        here = self.address.split("/studio")[0]
        page.on("request", lambda r: None if r.url.startswith((here, "blob:")) else errors.append(f"asked {r.url}"))
        page.goto(self.address + path)
        return page


def browsing(studio: Studio, key: Key) -> httpx2.Client:
    """What a browser sends that is signed in and shows a page of ours."""
    signer = Signer(studio.server.database)
    cookie = signer.sign("session", key.id)
    headers = {"x-proof": signer.mark("form", cookie)}
    return httpx2.Client(
        base_url=studio.address, cookies={cookie_of(studio.server.database): cookie}, headers=headers, timeout=60
    )


@contextmanager
def studio(data: Path, *, pipe: FairPipeline | None = None, prefix: str = "", **given: Any) -> Iterator[Studio]:
    """Run a studio on a free port of loopback; without a pipeline, nothing is drawn.

    Args:
        data: its folder.
        pipe: draws.
        prefix: a path of a proxy that takes it off, such as "/fair".
        given: further settings.
    """
    data.mkdir(parents=True, exist_ok=True)
    settings = Settings(data=data, port=0, **{"keep_prompts": True, **given})
    server, started = Server(settings, Database(settings.database_url)), threading.Event()
    app = mount(application(server), server)
    uvicorn = Uvicorn(server, started.set, app=_behind(prefix, app) if prefix else app)
    serving = threading.Thread(target=uvicorn.run)
    serving.start()
    worker = None
    if pipe is not None:
        drawing = WorkerSettings(lease=5.0, grace=0.0, keep_prompts=settings.keep_prompts, kept=settings.kept)
        worker = Worker(server.database, server.images, pipe, drawing)
        working = threading.Thread(target=worker.run)
        working.start()
    try:
        assert started.wait(30)
        yield Studio(server, f"http://127.0.0.1:{uvicorn.port}{prefix}{PREFIX}/")
    finally:
        if worker is not None:
            worker.stop()
            working.join()
        uvicorn.should_exit = True
        serving.join()
        server.close()


def _behind(prefix: str, app: Any) -> Any:
    """What a proxy does that has the server below a path: it takes the path off, and says nothing of it."""

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(prefix), f"{scope['path']} leaves the prefix"
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return proxy


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window, with an empty profile. On a busy machine a page may take long."""
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def check(page: Page) -> None:
    """The page is as it should be: axe finds no violation of WCAG 2.2 AA, nothing went wrong, nothing is too wide."""
    found_wrong = [said for said in ERRORS[page] if not said.startswith(REPLACED)]
    assert not found_wrong, "\n".join(found_wrong)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert not found.response["violations"], found.generate_report()
    found_wrong = [said for said in ERRORS[page] if not said.startswith(REPLACED)]
    assert not found_wrong, "\n".join(found_wrong)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the window"


def looks(page: Page, name: str, folder: Path | None = None) -> None:
    """Check the page at both widths, in light and dark; with a folder, keep pictures of it there.

    Args:
        page: the page.
        name: of the pictures.
        folder: where they go.
    """
    for size in (NARROW, WIDE):
        for scheme in ("dark", "light"):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            page.emulate_media(color_scheme=scheme)
            check(page)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=folder / f"{name}-{size['width']}-{scheme}.png", full_page=True)
