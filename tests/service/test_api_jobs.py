"""Jobs over HTTP: put, look, follow, cancel; clients that go away; proportions over many small requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import httpx2
import pytest
from PIL import Image
from running_service import FAST, IN_PARTS, Running, running
from sqlalchemy import select

from fair_diffusion import FairPipeline
from fair_diffusion.perception.reader import Reading
from fair_diffusion.policy import built_in
from fair_diffusion.service.job import Job
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.tables import turns

PROMPT = "a photo of a firefighter"
QUICK = {"fairness": {"steps": 1, "method": "prompt"}}
LONG = {"prompt": PROMPT, "n": 10, "fairness": {"steps": 150, "method": "prompt"}}


class Blind:
    """A perceiver that reads nothing, so that images count as they were assigned."""

    def __init__(self) -> None:
        self.groups = {name: tuple(built_in()[name].group_names) for name in ("gender", "skin_tone")}

    def read(self, images: list[Image.Image]) -> dict[str, list[Reading]]:
        return {name: [Reading(None, 0.0) for _ in images] for name in self.groups}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.perceiver = Blind()  # type: ignore[assignment]
    with running(tmp_path_factory.mktemp("jobs"), pipe=pipe) as found:
        yield found


def until(service: Running, job: str, true: Callable[[Job], bool]) -> Job:
    """The job, as soon as something is true of it."""
    for _ in range(3000):
        found = service.server.jobs.get(job)
        if true(found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{job} stays {found.state}")


def put(http: httpx2.Client, body: dict[str, Any]) -> str:
    answer = http.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_job_from_its_start_to_its_images(service: Running) -> None:
    http = service.http()
    answer = http.post("/v1/jobs", json={"prompt": PROMPT, **FAST})
    assert answer.status_code == 202
    address = answer.headers["location"]
    events = http.get(f"{address}/events").text  # ends with the job
    assert "event: done" in events
    shown = http.get(address).json()
    assert (shown["state"], shown["images"], shown["model"]) == ("done", 1, "pocket")
    assert http.get(shown["result"]["data"][0]["url"]).headers["content-type"] == "image/png"
    assert shown["id"] in [each["id"] for each in http.get("/v1/jobs?state=done").json()["data"]]
    assert http.get(f"{address}/events?after=1").text.count("event:") == 0


def test_jobs_of_another_key_are_not_there(service: Running) -> None:
    job = put(service.http(service.client), {"prompt": PROMPT, "quality": "low"})
    other, _ = service.key("client")
    http = service.http(other)
    for answer in (
        http.get(f"/v1/jobs/{job}"),
        http.get(f"/v1/jobs/{job}/events"),
        http.post(f"/v1/jobs/{job}/cancel"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
    assert http.get("/v1/jobs").json()["data"] == []
    assert service.http().get(f"/v1/jobs/{job}").status_code == 200  # an operator sees it
    service.server.jobs.cancel(job)
    until(service, job, lambda job: job.over)


def test_a_running_job_is_cancelled_and_its_turn_given_back(service: Running) -> None:
    http = service.http()
    job = put(http, LONG)
    until(service, job, lambda job: job.state == "running")
    told = http.post(f"/v1/jobs/{job}/cancel").json()
    assert (told["state"], told["cancelling"]) in (("running", True), ("cancelled", True))
    ended = until(service, job, lambda job: job.over)
    kinds = [event.kind for event in service.server.jobs.events(job)]
    assert kinds[-2:] == ["cancelling", "cancelled"]
    assert "event: cancelling" in http.get(f"/v1/jobs/{job}/events").text
    assert ended.state == "cancelled"
    assert len(ended.result["images"] if ended.result else []) < 10
    with service.server.database.reading() as connection:
        assert connection.execute(select(turns).where(turns.c.job == job)).all() == []
    assert http.post("/v1/images/generations", json={"prompt": PROMPT, **FAST}).status_code == 200


def test_a_cancelled_job_leaves_the_batch_that_it_shares(service: Running) -> None:
    http = service.http()
    asked = {"prompt": PROMPT, "fairness": {"steps": 40, "method": "prompt", "policy": "none"}}
    put(http, {**asked, "n": 1})  # until it is drawn, the two wait
    first, second = put(http, {**asked, "n": 3}), put(http, asked)
    until(service, second, lambda job: job.progress is not None)
    http.post(f"/v1/jobs/{first}/cancel")
    ended = until(service, first, lambda job: job.over)
    assert ended.state == "cancelled"
    assert (ended.result or {}).get("images", []) == []  # they were in one batch with the image of the other job
    other = until(service, second, lambda job: job.over)
    assert other.state == "done"
    assert other.began
    assert ended.ended
    assert other.began < ended.ended


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_cancels_its_job(service: Running, stream: bool) -> None:
    http = service.http()
    before = {job.id for job in service.server.jobs.newest()}
    body = {**LONG, "stream": stream}
    if stream:
        with http.stream("POST", "/v1/images/generations", json=body, extensions=IN_PARTS) as answer:
            next(answer.iter_lines())
    else:
        with pytest.raises(httpx2.TimeoutException):
            http.post("/v1/images/generations", json=body, timeout=1.0)
    (job,) = {job.id for job in service.server.jobs.newest()} - before
    assert until(service, job, lambda job: job.over).state == "cancelled"


def test_the_sdk_that_tries_again_gets_the_job_that_it_left(service: Running) -> None:
    before = {job.id for job in service.server.jobs.newest()}
    impatient = service.sdk(retries=10).with_options(timeout=1.0)
    answer: Any = impatient.images.generate(
        prompt="a photo of a pilot", n=2, extra_body={"fairness": {"steps": 40, "method": "prompt"}}
    )
    jobs = {job.id for job in service.server.jobs.newest()} - before
    assert jobs == {answer.fairness["job"]}
    rows = [row for row in DatabaseLedger(service.server.database).rows() if row.rule == "every occupation: pilot"]
    assert sum(row.asked for row in rows) == 2


def test_a_client_with_an_idempotency_key_comes_back_for_its_images(service: Running) -> None:
    http = service.http()
    body = {"prompt": PROMPT, "n": 4, "fairness": {"steps": 30, "method": "prompt"}}
    headers = {"Idempotency-Key": "back"}
    with pytest.raises(httpx2.TimeoutException):
        http.post("/v1/images/generations", json=body, headers=headers, timeout=0.5)
    answer = http.post("/v1/images/generations", json=body, headers=headers)
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 4
    jobs = [job for job in service.server.jobs.newest() if job.images == 4]
    assert [job.id for job in jobs] == [answer.json()["fairness"]["job"]]


def test_proportions_over_small_requests_of_many_clients_are_exact_in_every_prefix(service: Running) -> None:
    prompt, rule = "a photo of a dentist", "every occupation: dentist"
    secrets = [service.key("operator")[0] for _ in range(4)]
    apart: list[Fraction] = []

    def look() -> None:
        """How far the turns so far are from the target, counted and under way."""
        rows = [row for row in DatabaseLedger(service.server.database).rows() if row.rule == rule]
        n = sum(row.asked + row.pending for row in rows)
        apart.extend(abs(row.asked + row.pending - n * row.share) for row in rows)

    def ask(secret: str) -> list[str]:
        with httpx2.Client(base_url=service.address, headers={"authorization": f"Bearer {secret}"}, timeout=60) as http:
            shown = []
            for _ in range(6):
                answer = http.post("/v1/images/generations", json={"prompt": prompt, **QUICK}).json()
                shown.append(answer["fairness"]["images"][0]["assigned"]["gender"])
                look()
        return shown

    with ThreadPoolExecutor(4) as clients:
        shown = [group for groups in clients.map(ask, secrets) for group in groups]
    assert (shown.count("woman"), shown.count("man")) == (12, 12)
    assert len(apart) >= 24 * 2
    assert max(apart) < 1
    drawn = [job for job in service.server.jobs.newest() if job.began and job.images == 1]
    assert any(sum(job.began == other.began for other in drawn) > 1 for job in drawn)  # batches across requests
    streams = service.http().get("/v1/streams").json()["data"]
    (stream,) = [stream for stream in streams if stream["rule"] == rule]
    assert stream["n"] == 24
    assert {group["group"]: group["asked"] for group in stream["groups"]} == {"woman": 12, "man": 12, "androgynous": 0}
    assert json.dumps(streams)
