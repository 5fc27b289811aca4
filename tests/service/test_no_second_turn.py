"""Whatever fails while a client waits, its SDK tries again, and gets the job that it had: one turn is spent.

Over HTTP, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import openai
import pytest
from running_service import FAST, HALF, Running, running

from fair_diffusion import FairPipeline
from fair_diffusion.service.asking import put
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.image_request import ImageRequest
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.routes import images
from fair_diffusion.service.routes.images import RETRIES

PROMPT = "a photo of a firefighter"
SLOW: dict[str, Any] = {"fairness": {"steps": 40, "method": "prompt"}}


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


@pytest.fixture
def service(tmp_path: Path, url: str, pocket: FairPipeline) -> Iterator[Running]:
    with running(tmp_path / "data", pipe=pocket, url=url) as found:
        yield found


def asked(service: Running) -> int:
    return sum(row.asked + row.pending for row in DatabaseLedger(service.server.database).rows())


class Once:
    """What fails the first time, and then does what it is in front of."""

    def __init__(self, does: Any, error: Exception) -> None:
        self.does, self.error, self.failed = does, error, False

    def __call__(self, *given: Any, **named: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise self.error
        return self.does(*given, **named)


def test_failures_after_a_job_was_put(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = DatabaseError("the database starts again")
    places: list[tuple[Any, str]] = [(service.server.jobs, "look"), (images, "rate_headers"), (images, "answer")]
    for n, (place, name) in enumerate(places, 1):
        failing = Once(getattr(place, name), gone)
        with monkeypatch.context() as patch:
            patch.setattr(place, name, failing)
            answer: Any = service.sdk(retries=2).images.generate(prompt=PROMPT, extra_body=SLOW)
        assert failing.failed
        assert sum(service.server.jobs.counts().values()) == n, name
        assert asked(service) == n, name
        assert service.server.jobs.get(answer.fairness["job"]).state == "done"


def test_a_server_that_was_killed(service: Running) -> None:
    """Its job is in the database, and nobody says any more that its client waits."""
    server, told = service.server, {"prompt": PROMPT, "n": 2, **SLOW}
    job, _ = put(
        server, service.operator_key, ImageRequest.model_validate(told), request="r", idempotency=None, waits=True
    )
    again = service.http().post("/v1/images/generations", json=told, headers={RETRIES: "1"})
    assert again.json()["fairness"]["job"] == job.id
    assert asked(service) == 2


def test_a_retry_takes_no_job_whose_client_waits(service: Running) -> None:
    http, told = service.http(), {"prompt": PROMPT, **SLOW}
    with ThreadPoolExecutor(2) as pool:
        headers = [{RETRIES: "0"}, {RETRIES: "1"}]
        answers = list(
            pool.map(lambda each: http.post("/v1/images/generations", json=told, headers=each).json(), headers)
        )
    assert len({answer["fairness"]["job"] for answer in answers}) == 2


def test_a_stream_that_fails_cancels_its_job(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.server.jobs, "look", Once(service.server.jobs.look, DatabaseError("it starts again")))
    body = {"prompt": PROMPT, "n": 10, "stream": True, "fairness": {"steps": 150, "method": "prompt"}}
    answer = service.http().post("/v1/images/generations", json=body)
    assert "server_is_overloaded" in answer.text
    (job,) = service.server.jobs.newest()
    waiting = threading.Event()
    for _ in range(1200):
        if (state := service.server.jobs.get(job.id).state) == "cancelled":
            break
        waiting.wait(0.05)
    assert state == "cancelled"


def test_many_small_requests_at_once_are_exact(service: Running) -> None:
    secrets = [service.key("client")[0] for _ in range(4)]

    def draw(secret: str) -> list[str]:
        sdk = service.sdk(secret, retries=2)
        found: list[Any] = [sdk.images.generate(prompt=PROMPT, quality="low") for _ in range(3)]
        return [each.fairness["job"] for each in found]

    with ThreadPoolExecutor(4) as pool:
        jobs = [job for found in pool.map(draw, secrets) for job in found]
    assert len(set(jobs)) == 12
    rows = DatabaseLedger(service.server.database).rows()
    assert sum(row.asked for row in rows) == 12
    assert max(abs(row.asked - 12 * Fraction(row.share)) for row in rows) < 1


def test_the_contract_holds(service: Running) -> None:
    """Images, a stream, a job with its events, the same Idempotency-Key, errors, limits, policies and figures."""
    http, sdk = service.http(), service.sdk()
    answer: Any = sdk.images.generate(prompt=PROMPT, n=2, response_format="url", extra_body=FAST)
    assert http.get(answer.data[0].url).headers["content-type"] == "image/png"
    header = {"Idempotency-Key": "one"}
    first, again = (sdk.images.generate(prompt=PROMPT, extra_body=FAST, extra_headers=header) for _ in range(2))
    assert first.data == again.data
    with pytest.raises(openai.ConflictError, match="used before"):
        sdk.images.generate(prompt="a photo of a nurse", extra_body=FAST, extra_headers=header)
    events: list[Any] = list(sdk.images.generate(prompt=PROMPT, stream=True, partial_images=1, extra_body=FAST))
    assert events[-1].type == "image_generation.completed"
    address = http.post("/v1/jobs", json={"prompt": PROMPT, **FAST}).headers["location"]
    assert "event: done" in http.get(f"{address}/events").text
    assert http.get(address).json()["state"] == "done"
    assert http.get("/v1/jobs/job_%00").status_code == 404
    few, _ = service.key("client", images_per_minute=1)
    service.sdk(few).images.generate(prompt=PROMPT, quality="low")
    with pytest.raises(openai.RateLimitError):
        service.sdk(few).images.generate(prompt=PROMPT)
    assert http.put("/v1/policies", json={"text": HALF}).status_code == 200
    assert http.get("/v1/streams").json()["data"][0]["n"] == asked(service) == 6
    assert "fair_diffusion_jobs" in http.get("/metrics").text
