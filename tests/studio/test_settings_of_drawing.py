"""Change and draw again: the form has every setting of a drawing, and what is sent from it draws the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from browsing import Studio, browsing
from stream_jobs import drawn

from fair_diffusion.service.draw_body import ERASED, DrawBody
from fair_diffusion.service.keys import CLIENT
from fair_diffusion.service.served_model import Presence, ServedModel

RULE = "version: 1\nrules:\n  - concepts: [nurse]\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
MODEL = ServedModel(
    name="pocket", width=64, height=64, grain=4, steps=25, guidance=2.0, attributes=["gender"], passes=2, weights="none"
)
SENTENCE = "nurse: half women, half men"
PLAIN: dict[str, Any] = {"prompt": "a photo of a nurse", "n": "3", "seed": "5"}


@pytest.fixture
def present(empty: Studio) -> Iterator[Studio]:
    """A studio whose model says that it is there, and draws nothing."""
    with Presence(empty.server.database, "nobody", [MODEL]):
        yield empty


class _Form(HTMLParser):
    """What a browser would send of the first form of a page that has a prompt."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._inside = False
        self._select: str | None = None
        self._area: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "form":
            self._inside = told.get("id") == "form"
        name = told.get("name")
        if not self._inside:
            return
        if tag == "textarea" and name:
            self._area = name
            self.sent[name] = ""
        if tag == "select":
            self._select = name
        if tag == "option" and self._select and ("selected" in told or self._select not in self.sent):
            self.sent[self._select] = told.get("value") or ""
        if tag == "input" and name and (told.get("type") != "checkbox" or "checked" in told):
            self.sent[name] = told.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None
        if tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data


def activated(studio: Studio, text: str) -> int:
    version = studio.server.policies.add(text, by=studio.key.id).version
    studio.server.policies.activate(version, why="a test", by=studio.key.id)
    return version


def put(studio: Studio, form: dict[str, str]) -> tuple[str, DrawBody]:
    """Draw what a form asks for: the job that a person sees, and its body."""
    with browsing(studio, studio.key) as http:
        answer = http.post("instruct", data=form)
        assert answer.status_code == 303, answer.text
    job = answer.headers["location"].rpartition("/")[2]
    return job, DrawBody.of(studio.server.jobs.get(job).body)


def form_of(studio: Studio, address: str) -> tuple[dict[str, str], str]:
    """The form at an address, and the whole page."""
    with browsing(studio, studio.key) as http:
        page = http.get(address).text
    return _Form(page).sent, page


@pytest.mark.parametrize(
    "given",
    [
        {"sentence": SENTENCE, "twins": "true"},
        {"sentence": SENTENCE},
        {"sentence": "nurse: all women", "method": "semantic", "guidance": "3.5", "steps": "12"},
        {"negative_prompt": "a hat", "policy": "none"},
        {"method": "prompt", "twins": "true"},  # by the policy in force
        {"policy": "1", "twins": "true"},
    ],
)
def test_change_and_draw_again_draws_the_same(present: Studio, given: dict[str, str]) -> None:
    assert activated(present, RULE) == 1
    assert activated(present, RULE.replace("1/2", "50%")) == 2
    job, first = put(present, {**PLAIN, **given})
    assert (first.policy is None) == ("sentence" in given or given.get("policy") == "none")
    assert bool(first.plain) == ("twins" in given)
    sent, page = form_of(present, f"instruct?like={job}")
    assert "Not every setting came back" not in page
    again, second = put(present, sent)
    assert again != job
    assert bool(second.plain) == bool(first.plain)
    own: dict[str, Any] = {"plain": "", "request": ""}
    assert replace(second, **own) == replace(first, **own)


def test_a_policy_that_holds_meanwhile_steers_no_drawing_that_had_none(present: Studio) -> None:
    job, first = put(present, dict(PLAIN))
    activated(present, RULE)
    sent, _ = form_of(present, f"instruct?like={job}")
    assert sent["policy"] == "none"
    assert put(present, sent)[1].policy is first.policy is None
    assert put(present, {**sent, "policy": ""})[1].policy == 1
    with browsing(present, present.key) as http:
        understood = {
            each: http.post("instruct/understood", data={**sent, "policy": each}).text for each in ("", "none")
        }
        assert "policy version 1" in understood[""]
        assert "policy version 1" not in understood["none"]
        assert http.post("instruct/understood", data={**sent, "policy": "9"}).status_code == 404
        assert http.post("instruct", data={**sent, "policy": "9"}).status_code == 400


def test_one_image_is_drawn_again_from_its_seed(present: Studio) -> None:
    body = DrawBody(
        prompt="a photo of a nurse", n=2, seed=5, steps=25, guidance=2.0, method="prompt", instruct=SENTENCE
    )
    images: list[dict[str, Any]] = [
        {"file": str(k) * 64, "seed": seed, "steered": k > 0, "strength": 0.0, "repairs": 0}
        | {name: {"gender": group} for name in ("assigned", "judged", "perceived")}
        | {"confidence": {"gender": 0.9}}
        for k, (seed, group) in enumerate([(5, "woman"), (1_000_017, "man")])
    ]
    result = {"images": images, "notes": [], "reason": "a rule", "rule": "nurse"}
    drawn(present.server, ["woman", "man"], body=body.stored(), key=present.key.id, result=result)
    job = present.server.jobs.newest(key=present.key.id)[0].id
    with browsing(present, present.key) as http:
        page = http.get(f"instruct/{job}").text
        assert http.get(f"instruct?like={job}&place=2").status_code == 404
    links = re.findall(r'href="([^"]*)" aria-label="Image 2, seed 1000017: draw again from this seed"', page)
    assert links == [f"../instruct?like={job}&amp;place=1"]
    sent, page = form_of(present, f"instruct?like={job}&place=1")
    assert (sent["seed"], sent["n"], sent["sentence"]) == ("1000017", "1", SENTENCE)
    assert "Image 2 was to show: man." in page
    assert put(present, sent)[1].seed == 1_000_017
    with browsing(present, present.new_key(CLIENT)) as http:
        assert http.get(f"instruct?like={job}&place=1").status_code == 404  # it is another key's


def test_what_does_not_come_back_is_said(present: Studio) -> None:
    body = DrawBody(
        prompt=ERASED,
        instruct=ERASED,
        n=1,
        seed=1,
        steps=25,
        guidance=2.0,
        method="prompt",
        size="128x64",
        hold=["age"],
    )
    result = {"images": [], "rule": "nurse"}
    drawn(present.server, ["woman"], body=body.stored(), key=present.key.id, result=result)
    (job,) = present.server.jobs.newest(key=present.key.id)
    sent, page = form_of(present, f"instruct?like={job.id}")
    assert (sent["prompt"], sent["sentence"]) == ("", "")
    for said in (
        "Not kept, so not given back: prompt, sentence.",
        "The size of 128x64 pixels",
        "It kept as it was: age.",
    ):
        assert said in page


def test_the_model_of_another_server_takes_no_seed(empty: Studio) -> None:
    model = replace(MODEL, name="far", upstream=True, width=0, height=0)
    with Presence(empty.server.database, "nobody", [model]):
        job, first = put(empty, {"prompt": "a photo of a nurse", "n": "2", "sentence": SENTENCE, "twins": "true"})
        sent, _ = form_of(empty, f"instruct?like={job}")
        assert (sent["seed"], sent["steps"], sent["guidance"], sent["method"]) == ("", "", "", "prompt")
        _, second = put(empty, sent)
    own: dict[str, Any] = {"request": "", "seed": 0}
    assert replace(second, **own) == replace(first, **own)
