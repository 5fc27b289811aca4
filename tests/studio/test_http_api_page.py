"""The page of the API: readable without a key, behind a prefix, and every example on it runs as it stands."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from browsing import ERRORS, Studio, check, studio
from document import Document
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.service.api import application
from fair_diffusion.service.api_reference import routes_of
from fair_diffusion.service.keys import OPERATOR, RATER, Keys

HALF = "version: 1\nrules:\n  - every: occupation\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
SLOW = 300.0
"""Seconds after which something hangs, however busy the machine is."""
EXAMPLE = re.compile(r'<pre class="example" data-language="(\w+)"><code>(.*?)</code></pre>', re.DOTALL)
WRAPPED = """\
curl() { command curl --silent --show-error --dump-header head --write-out '%{stderr}%{method} %{url}' "$@"; }
"""
"""In front of an example: the same command, which also says what it asked for and what came back."""


@pytest.fixture
def serving(tmp_path: Path, pocket: FairPipeline) -> Iterator[Studio]:
    """A server that draws in one step, under a policy."""
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.card = replace(pocket.card, steps=1)
    with studio(tmp_path / "data", pipe=pipe, most_steps=3) as found:
        version = found.server.policies.add(HALF)
        found.server.policies.activate(version.version, why="a test")
        with httpx2.Client(base_url=found.address.removesuffix("studio/"), headers=bearer(found), timeout=SLOW) as http:
            while http.get("/ready").status_code != 200:
                time.sleep(0.02)
        yield found


def bearer(serving: Studio, role: str = OPERATOR) -> dict[str, str]:
    return {"authorization": f"Bearer {Keys(serving.server.database).add(role, role=role)[0]}"}


def page_of(address: str) -> str:
    """The page as anybody gets it who asks for /docs."""
    answer = httpx2.get(f"{address.removesuffix('/studio/')}/docs", follow_redirects=True, timeout=SLOW)
    assert answer.status_code == 200
    return answer.text


def test_the_page_has_every_route_and_says_who_may_call_it(empty: Studio) -> None:
    text = html.unescape(page_of(empty.address))
    document = application(empty.server).openapi()
    for route in routes_of(document):
        (part,) = re.findall(rf"<h3 [^>]*>\S* ?\S*>{route.method}</span> <code>{re.escape(route.path)}</code>", text)
        assert part
        assert route.curl
        for field in route.fields:
            assert f"<code>{field.name}</code>" in text
    assert "For keys of role client or operator." in text
    assert "Needs no key." in text
    assert "<td>0 to 100</td>" in text  # limits
    assert re.search(r"<td>1 to 1,000</td>\s*<td>100 if not given</td>", text)  # and what is usual
    assert "<script>" not in text
    assert re.search(r"export FAIR=<span id=\"address\">http://127.0.0.1:\d+</span>\n", text)


def test_a_checker_of_links_finds_the_page(empty: Studio) -> None:
    told = httpx2.head(f"{empty.address.removesuffix('/studio/')}/docs", follow_redirects=True, timeout=SLOW)
    assert (told.status_code, told.content) == (200, b"")


def test_the_address_of_the_server_by_itself_leads_to_the_studio(empty: Studio) -> None:
    home = empty.address.removesuffix("studio/")
    told = httpx2.get(home, follow_redirects=True, timeout=SLOW)
    assert (str(told.url), told.text) == (empty.address, "sign in first")


def test_an_address_that_a_client_makes_up_cannot_leave_its_word(empty: Studio) -> None:
    """What a request says of itself stands on the page as one word of a shell, and as text."""
    told = httpx2.get(f"{empty.address}api", headers={"host": "x'$(touch)<b>"}, timeout=SLOW)
    assert told.status_code in (200, 400)
    assert "<b>x" not in told.text
    assert "$(touch)<b>" not in told.text


def test_every_example_of_the_page_runs_as_it_stands(serving: Studio, tmp_path: Path) -> None:
    examples = [(kind, html.unescape(text)) for kind, text in EXAMPLE.findall(page_of(serving.address))]
    assert {kind for kind, _ in examples} == {"curl", "python"}
    assert len(examples) > 40
    known = Known(serving, tmp_path / "shell")
    for kind, example in examples:
        if "/disagreements" in example:
            known.disagree()  # the caller took the own label back
        if kind == "curl":
            known.ask(example)
        else:
            done = known.run([sys.executable, "-W", "error::ResourceWarning", "-c", example])
            assert done.returncode == 0, done.stderr.decode()
            kept = known.folder / "firefighter-0.png"
            with Image.open(kept) as picture:
                assert picture.size == ((16, 16) if "images.edit" in example else (64, 64))
            kept.unlink()
    known.close()
    assert known.asked == {(route.method, route.path) for route in routes_of(known.document.content)}


class Known:
    """What a reader of the page has: a shell, a key, a picture, and ids that answers told.

    Attributes:
        folder: where commands run.
        document: what the API says of itself.
        asked: the routes that were asked for.
    """

    def __init__(self, serving: Studio, folder: Path) -> None:
        self.folder, self.document = folder, Document(application(serving.server))
        self.asked: set[tuple[str, str]] = set()
        folder.mkdir()
        Image.new("RGB", (16, 16)).save(folder / "picture.png")
        address = serving.address.removesuffix("/studio/")
        self.http = httpx2.Client(base_url=address, headers=bearer(serving), timeout=SLOW)
        job = self.http.post("/v1/jobs", json={"prompt": "a photo of a firefighter"}).json()["id"]
        self.http.get(f"/v1/jobs/{job}/events")  # until it ends
        self.image = self.http.get(f"/v1/jobs/{job}").json()["result"]["data"][0]["url"].rpartition("/")[2]
        made = {"name": "n", "attribute": "gender", "images": [self.image], "second": 1}
        made = self.http.post("/v1/label/sets", json=made).json()
        self.at, self.guideline = f"/v1/label/sets/{made['id']}", made["guideline"]
        self.environment = {
            "FAIR": address,
            "FAIR_DIFFUSION_KEY": self.http.headers["authorization"].removeprefix("Bearer "),
            "JOB": job,
            "IMAGE": self.image,
            "KEY": serving.new_key("client").id,
            "SET": str(made["id"]),
            "GUIDELINE": str(made["guideline"]),
        }
        with httpx2.Client(base_url=address, headers=bearer(serving, RATER), timeout=SLOW) as rater:
            rater.post(f"{self.at}/consent", json={"guideline": self.guideline})
            rater.post(f"{self.at}/next")
            assert rater.post(f"{self.at}/labels", json=self._label("man")).status_code == 201

    def close(self) -> None:
        """Close the client."""
        self.http.close()

    def _label(self, answer: str) -> dict[str, Any]:
        return {"image": self.image, "guideline": self.guideline, "answer": answer}

    def disagree(self) -> None:
        """Label the picture otherwise than the other rater."""
        self.http.post(f"{self.at}/next")
        assert self.http.post(f"{self.at}/labels", json=self._label("woman")).status_code == 201

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the folder, with what the page says to export."""
        environment = os.environ | self.environment
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, timeout=SLOW, check=False)

    def ask(self, example: str) -> None:
        """Run an example of curl in a shell. It is answered with success, as documented."""
        assert shutil.which("curl"), "the examples need curl; install it"
        done = self.run(["bash", "-ec", WRAPPED + example])
        assert done.returncode == 0, f"{example}\n{done.stderr.decode()}"
        method, _, url = done.stderr.decode().partition(" ")
        head, *lines = (self.folder / "head").read_text(encoding="ascii").split("\n\n")[0].splitlines()
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines if line)]
        request = httpx2.Request(method, url)
        answer = httpx2.Response(int(head.split()[1]), headers=headers, content=done.stdout, request=request)
        assert answer.status_code < 300, f"{example}\n{answer.text}"
        self.document.check(answer)
        path = request.url.path
        names = {self.environment["JOB"]: "job", self.image: "image", self.environment["SET"]: "label_set"}
        names |= {self.environment["KEY"]: "key"}
        for value, name in names.items():
            path = path.replace(value, f"{{{name}}}")
        path = re.sub(r"^/v1/policies/1", "/v1/policies/{version}", path)
        self.asked.add((method, path.replace("/pocket", "/{model}")))


@pytest.mark.chromium
def test_the_page_is_for_everybody(empty: Studio, browser: Browser, look: Callable[[Page, str], None]) -> None:
    page = empty.visit(browser, "../docs")
    expect(page.get_by_role("heading", level=1, name="HTTP API")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)
    look(page, "api")
    page.get_by_role("link", name="POST /v1/images/edits").click()
    expect(page.get_by_role("heading", name="POST /v1/images/edits")).to_be_in_viewport()
    page.get_by_text("Answers of POST /v1/images/edits").click()
    answers = page.get_by_role("region", name="What POST /v1/images/edits answers")
    expect(answers).to_contain_text("data[].b64_json")
    check(page)
    known = empty.open(browser, "api")
    expect(known.get_by_role("navigation", name="Pages")).to_be_visible()
    check(known)


@pytest.mark.chromium
def test_the_page_names_the_address_behind_a_prefix_that_the_server_does_not_know(
    tmp_path: Path, browser: Browser
) -> None:
    with studio(tmp_path / "data", prefix="/people/studio/apis") as found:
        page = found.visit(browser, "../docs")
        expect(page.locator("#address")).to_have_text(f"'{found.address.removesuffix('/studio/')}'")
        assert not ERRORS[page]
