"""What a server must survive, and the tests that say that it does:

a burst far over its capacity                   here
slow drawing, with /health answering            here
SIGTERM and kill -9 in the middle of a job      test_drawing_kills.py, test_worker_kills.py
many workers, one owner of a job                test_jobs.py, test_races.py, test_job_states.py
the same Idempotency-Key again                  test_sdk.py, test_api_jobs.py
a cancelled job, queued or running              test_api_jobs.py, test_api_routes.py
a client that goes away                         test_api_jobs.py
fuzzed requests                                 test_document.py
huge prompts, n, sizes and steps                test_sdk.py; weights that are not finite: here
image bombs                                     test_image_edits.py, test_upstream.py, tests/files
tricks with paths                               test_api_routes.py
pickles                                         tests/models
a route without a key, things of other keys     test_api_routes.py, test_api_jobs.py, test_sdk.py, test_key_data.py
an address that a request names                 here
a full disk, a locked database                  here, test_records_of_changes.py
prompts and keys in logs                        test_sdk.py
HTML in reports                                 tests/report
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from running_service import FAST, Running, running
from sqlalchemy import delete, select

from fair_diffusion import FairPipeline
from fair_diffusion.service import claims, database
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.server import PUTTERS
from fair_diffusion.service.streams import Wanted
from fair_diffusion.service.tables import events, jobs, turns

BODY: dict[str, Any] = {"prompt": "a photo of a nurse", **FAST}
LONG = {"prompt": "a photo of a nurse", "n": 10, "fairness": {"steps": 150, "method": "prompt"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "BUSY_SECONDS", 0.3)
        pipe = FairPipeline.from_pretrained("pocket")
        with running(tmp_path_factory.mktemp("survival"), pipe=pipe, most_waiting=4) as found:
            yield found


def counted(service: Running) -> int:
    return sum(row.asked for row in DatabaseLedger(service.server.database).rows())


def under_way(service: Running) -> int:
    with service.server.database.reading() as connection:
        return len(connection.execute(select(turns)).all())


def test_what_a_burst_leaves_over_is_drawn_and_the_rest_is_told_when_to_come_back(service: Running) -> None:
    http, before = service.http(), counted(service)
    running_one = http.post("/v1/jobs", json=LONG).json()["id"]  # so that the queue fills
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: http.post("/v1/jobs", json=BODY), range(40)))
    assert http.get("/health").status_code == 200
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert 4 <= len(accepted) <= 5
    assert len(accepted) + len(refused) == 40
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert service.server.jobs.get(running_one).state in ("queued", "running")  # it was drawn, or is next, all along
    http.post(f"/v1/jobs/{running_one}/cancel")
    for job in accepted:
        assert "event: done" in http.get(f"/v1/jobs/{job}/events").text
    http.get(f"/v1/jobs/{running_one}/events")
    finished = (service.server.jobs.get(running_one).result or {"images": []})["images"]
    assert counted(service) == before + len(accepted) + len(finished)
    assert under_way(service) == 0


def test_a_job_that_the_database_lost_is_asked_for_again(service: Running) -> None:
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(service.http().post, "/v1/images/generations", json=LONG)
        while not (begun := service.server.jobs.newest(states=["running"])):
            time.sleep(0.05)
        with service.server.database.writing() as connection:
            connection.execute(delete(events).where(events.c.job == begun[0].id))
            connection.execute(delete(jobs).where(jobs.c.id == begun[0].id))
        answer = waiting.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_is_overloaded")
    assert "lost" in answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert service.http().post("/v1/images/generations", json=BODY).status_code == 200


def test_a_full_disk_fails_one_job_and_no_other(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    http, before, files = service.http(), counted(service), service.server.images._files

    def full(name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device", "/secret/folder")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        answer = http.post("/v1/images/generations", json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "drawing_failed")
    assert "No space left" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["x-should-retry"] == "false"
    assert http.post("/v1/images/generations", json=BODY).status_code == 200
    assert (counted(service), under_way(service)) == (before + 1, 0)


def test_a_job_whose_turn_cannot_be_taken_fails_alone(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    http, before = service.http(), counted(service)

    def take(connection: Any, wanted: Sequence[Wanted]) -> Any:
        if any("pilot" in each.rule for each in wanted):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return taken(connection, wanted)

    taken = vars(claims)["take"]
    with monkeypatch.context() as patch:
        patch.setattr(claims, "take", take)
        prompts = ("a photo of a nurse", "a photo of a pilot", "a photo of a teacher")
        with ThreadPoolExecutor(3) as pool:  # they come together, so that a worker may begin them together
            asked = [BODY | {"prompt": prompt} for prompt in prompts]
            answers = list(pool.map(lambda body: http.post("/v1/images/generations", json=body), asked))
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert "UnicodeEncodeError" in answers[1].text  # and not that its worker died
    assert (counted(service), under_way(service)) == (before + 2, 0)


def test_a_locked_database_is_a_503_and_the_server_goes_on(service: Running) -> None:
    http = service.http()
    with closing(sqlite3.connect(service.server.database.name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = http.post("/v1/jobs", json=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_is_overloaded")
        assert service.server.database.name not in answer.text
        assert http.get("/health").status_code == 200
        assert http.get("/v1/jobs").status_code == 200  # what only reads waits for nobody
        other.execute("ROLLBACK")
    assert http.post("/v1/images/generations", json=BODY).status_code == 200


class Gathered:
    """Stands in front of a function: whoever calls it waits until it may go on, and is counted."""

    def __init__(self, does: Any) -> None:
        self.does, self.go, self.came = does, threading.Event(), threading.Semaphore(0)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.came.release()
        assert self.go.wait(60)
        return self.does(*given, **named)

    def wait_for(self, number: int) -> None:
        """Wait until so many came."""
        for _ in range(number):
            assert self.came.acquire(timeout=60)


def test_keys_are_found_and_jobs_are_put_while_all_who_read_wait(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, jobs = service.http(), service.server.jobs
    reading = Gathered(jobs.newest)
    monkeypatch.setattr(jobs, "newest", reading)
    with ThreadPoolExecutor(50) as pool:
        slow = [pool.submit(http.get, "/v1/jobs") for _ in range(50)]
        try:
            reading.wait_for(40)  # threads of the server
            wrong = httpx2.post(f"{service.address}/v1/jobs", headers={"authorization": "Bearer fd-none"}, json=BODY)
            assert wrong.status_code == 401
            put = http.post("/v1/jobs", json=BODY)
            assert put.status_code == 202
        finally:
            reading.go.set()
        assert {each.result().status_code for each in slow} == {200}
    assert "event: done" in http.get(f"/v1/jobs/{put.json()['id']}/events").text


def test_who_reads_is_answered_while_all_who_put_wait(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    http, jobs = service.http(), service.server.jobs
    putting = Gathered(jobs.put)
    with monkeypatch.context() as patch, ThreadPoolExecutor(PUTTERS + 4) as pool:
        patch.setattr(jobs, "put", putting)
        slow = [pool.submit(http.post, "/v1/jobs", json=BODY) for _ in range(PUTTERS + 4)]
        try:
            putting.wait_for(PUTTERS)
            assert http.get("/v1/jobs").status_code == 200
            refused = [each.result().status_code for each in islice(as_completed(slow, timeout=60), 4)]
        finally:
            putting.go.set()
        assert refused == [503] * 4  # nobody is made to wait for ever
    answers = [each.result() for each in slow]
    assert {answer.status_code for answer in answers} <= {202, 503}
    for answer in answers:
        if answer.status_code == 202:
            assert "event: done" in http.get(f"/v1/jobs/{answer.json()['id']}/events").text


def test_weights_that_are_not_finite_fail_the_job_and_count_nothing(tmp_path: Path) -> None:
    pipe = FairPipeline.from_pretrained("pocket")
    network = next(part for part in vars(pipe.backbone).values() if isinstance(part, torch.nn.Module))
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with running(tmp_path / "data", pipe=pipe) as found:
        answer = found.http().post("/v1/images/generations", json=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "drawing_failed")
        assert "not finite" in answer.text
        (job,) = found.server.jobs.newest()
        assert BODY["prompt"] in job.body["prompt"]  # it may be tried again
        assert BODY["prompt"] not in f"{job.reason}{found.server.jobs.events(job.id)}"  # lists print the reason
        assert (counted(found), under_way(found)) == (0, 0)


def test_no_address_that_a_request_names_is_opened(service: Running) -> None:
    asked: list[str] = []

    class Trap(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    http = service.http()
    with HTTPServer(("127.0.0.1", 0), Trap) as trap:
        listening = threading.Thread(target=trap.serve_forever)
        listening.start()
        url = f"http://127.0.0.1:{trap.server_port}/x.png"
        for fields in (
            {"prompt": url},
            {"model": url},
            {"user": url},
            {"safety_identifier": url},
            {"size": url},
            {"image": url},
            {"fairness": {"steps": 1, "instruct": f"nurse: half women {url}"}},
            {"fairness": {"steps": 1, "method": url}},
            {"fairness": {"steps": 1, "negative_prompt": url}},
        ):
            assert http.post("/v1/images/generations", json={**BODY, **fields}).status_code in (200, 400), fields
        http.post("/v1/explain", json={"prompt": url})
        assert http.put("/v1/policies", json={"text": f"include: {url}"}).status_code == 400
        assert http.get(f"/v1/models/{url}").status_code == 404
        httpx2.get(url)  # the trap works
        trap.shutdown()
        listening.join()
    assert asked == ["/x.png"]


def test_slow_drawing_does_not_keep_health_waiting(service: Running) -> None:
    http = service.http()
    job = http.post("/v1/jobs", json=LONG).json()["id"]
    assert [http.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200] * 3
    assert not service.server.jobs.get(job).over
    http.post(f"/v1/jobs/{job}/cancel")
    http.get(f"/v1/jobs/{job}/events")
