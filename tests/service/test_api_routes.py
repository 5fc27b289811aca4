"""The API without a worker: keys for every route, policies, what happens when nothing can be drawn, settings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running_service import HALF, Running, running

from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.keys import ROLES
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.serving import prepared
from fair_diffusion.service.settings import Settings

MODEL = ServedModel(
    name="slow",
    width=64,
    height=64,
    grain=4,
    steps=25,
    guidance=2.0,
    attributes=["gender"],
    passes=2,
    weights="none",
)
BODY = {"prompt": "a photo of a nurse"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """No worker draws, but one says that it is there."""
    place = tmp_path_factory.mktemp("routes")
    with running(place, most_waiting=3) as found, Presence(found.server.database, "nobody", [MODEL]):
        yield found


def routes(service: Running) -> list[tuple[str, str]]:
    paths = service.http().get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{version}", "1").replace("{image}", "0" * 64).replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
    ]


def test_every_route_but_health_needs_a_key(service: Running) -> None:
    found = [*routes(service), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/none")]
    assert len(found) > 18
    with httpx2.Client(base_url=service.address) as anybody:
        for method, path in found:
            for headers in ({}, {"authorization": "Bearer fd-wrong"}, {"authorization": "Basic x"}):
                answer = anybody.request(method, path, headers=headers)
                if path == "/health":
                    assert answer.status_code == 200
                    continue
                assert answer.status_code == 401, path
                assert answer.json()["error"]["code"] == "invalid_api_key"
                assert answer.headers["x-request-id"].startswith("req_")


def test_routes_of_operators_are_closed_to_clients(service: Running) -> None:
    http = service.http(service.client)
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/v1/policies", None),
        ("GET", "/v1/policies/1", None),
        ("PUT", "/v1/policies", {"text": HALF}),
        ("POST", "/v1/policies/1/activate", {"reason": "x"}),
        ("GET", "/v1/streams", None),
        ("GET", "/v1/trail", None),
        ("POST", "/v1/explain", {**BODY, "instruct": "nurse: half women"}),
    ]
    for method, path, body in asked:
        assert http.request(method, path, json=body).status_code == 403, path


def test_the_document_says_whose_keys_a_route_takes(service: Running) -> None:
    paths = service.document.content["paths"]
    assert {len(each["x-roles"]) for path in paths.values() for each in path.values()} == {0, 1, 2, 3}
    for role in ROLES:
        http = service.http(service.key(role)[0])
        for method, path in routes(service):
            (told,) = [each["x-roles"] for each in _described(paths, method, path)]
            shut = http.request(method, path).status_code == 403
            assert shut is bool(told and role not in told), f"{role}: {method} {path}"


def _described(paths: dict[str, Any], method: str, path: str) -> list[dict[str, Any]]:
    """The operations of the document that are meant by a path, with something in place of its parameters."""
    found = sorted((name for name in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", name), path)), key=len)
    return [paths[name][method.lower()] for name in found if method.lower() in paths[name]]


def test_policies_are_stored_activated_and_explained(service: Running) -> None:
    http = service.http()
    text = HALF.replace("1/2", "0.5").replace("occupation", "person")
    stored = http.put("/v1/policies", json={"text": text}).json()
    assert not stored["active"]
    assert http.put("/v1/policies", json={"text": text}).json()["version"] == stored["version"]
    path = f"/v1/policies/{stored['version']}"
    assert http.post(f"{path}/activate", json={"reason": " "}).json()["error"]["param"] == "reason"
    assert http.post(f"{path}/activate", json={"reason": "\0"}).json()["error"]["param"] == "reason"
    assert http.post(f"{path}/activate", json={"reason": "a try"}).json()["active"]
    listed = http.get("/v1/policies").json()
    assert listed["active"] == stored["version"]
    assert listed["history"][0]["by"] == service.operator_key.id
    assert any(line.startswith("+") for line in http.get(path).json()["diff"])
    assert http.post("/v1/explain", json=BODY).json()["rule"] == "everyone"
    http.post("/v1/policies/1/activate", json={"reason": "back"})
    found = http.post("/v1/explain", json=BODY).json()
    assert (found["rule"], found["targets"][0]["shares"]["woman"]) == ("every occupation", 0.5)
    assert http.put("/v1/policies", json={"text": "version: 9"}).json()["error"]["param"] == "text"
    for path in ("/v1/policies/999", "/v1/policies/999/activate"):
        method = "POST" if path.endswith("activate") else "GET"
        assert http.request(method, path, json={"reason": "x"}).status_code == 404


def test_a_policy_replaces_only_the_version_that_the_caller_saw(service: Running) -> None:
    http = service.http()
    stored = http.put("/v1/policies", json={"text": HALF.replace("every: occupation", "concepts: [baker]")}).json()
    path, body = f"/v1/policies/{stored['version']}/activate", {"reason": "bakers"}
    active = http.get("/v1/policies").json()["active"]
    for seen in (None, stored["version"]):
        refused = http.post(path, json={**body, "instead_of": seen})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (409, "instead_of", "another_active")
        assert f"version {active} is active" in error["message"]
    for strange in (0, "1", True):
        assert http.post(path, json={**body, "instead_of": strange}).json()["error"]["param"] == "instead_of"
    assert http.get("/v1/policies").json()["active"] == active
    assert http.post(path, json={**body, "instead_of": active}).json()["active"]
    assert http.post(f"/v1/policies/{active}/activate", json={"reason": "back"}).json()["active"]


def test_the_trail_tells_operators_who_changed_what(service: Running) -> None:
    http, (_, key) = service.http(), service.key("client", n=2)
    version = http.put("/v1/policies", json={"text": HALF.replace("every: occupation", "concepts: [pilot]")}).json()
    http.post(f"/v1/policies/{version['version']}/activate", json={"reason": "pilots"})
    newest, before = http.get("/v1/trail", params={"most": 2}).json()["data"]
    assert (newest["change"], newest["details"]) == ("policy activated", {"why": "pilots"})
    assert {newest["by"], before["by"]} == {service.operator_key.id}
    (made,) = http.get("/v1/trail", params={"subject": key.id}).json()["data"]
    assert (made["change"], made["details"]["limits"]) == ("key added", {"n": 2})
    assert http.get("/v1/trail", params={"subject": "key_none"}).json()["data"] == []
    assert http.get("/v1/trail", params={"subject": "\0"}).status_code == 400


def test_a_full_queue_answers_at_once_and_a_queued_job_is_cancelled(service: Running) -> None:
    http = service.http(service.client)
    jobs = [http.post("/v1/jobs", json=BODY).json() for _ in range(3)]
    assert [job["ahead"] for job in jobs] == [0, 1, 2]

    def ask(_: int) -> httpx2.Response:
        return http.post("/v1/images/generations", json=BODY)

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, range(30)))
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert {answer.json()["error"]["code"] for answer in answers} == {"server_is_overloaded"}
    assert http.get("/health").status_code == 200
    for job in jobs:
        assert http.post(f"/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert http.get(f"/v1/jobs/{jobs[0]['id']}/events").text.startswith("id: 1\nevent: cancelled")
    assert http.post(f"/v1/jobs/{jobs[0]['id']}/cancel").json()["state"] == "cancelled"


def test_a_larger_image_costs_more_and_a_very_large_one_is_refused(service: Running) -> None:
    http = service.http(service.client)
    usual, larger = (
        service.server.jobs.cancel(http.post("/v1/jobs", json={**BODY, "size": size}).json()["id"])
        for size in ("64x64", "256x256")
    )
    assert (usual.cost, larger.cost) == (50.0, 800.0)
    refused = http.post("/v1/jobs", json={**BODY, "size": "256x260"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "size")
    assert "65,536 pixels" in refused.json()["error"]["message"]


def test_a_limit_of_jobs_that_wait(service: Running) -> None:
    secret, _ = service.key("client", queued=1)
    http = service.http(secret)
    job = http.post("/v1/jobs", json=BODY).json()["id"]
    refused = http.post("/v1/jobs", json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "slow_down")
    http.post(f"/v1/jobs/{job}/cancel")


def test_a_database_that_cannot_be_used_is_a_503_and_the_server_lives(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("secret.sqlite: the disk is full; free some space")

    with monkeypatch.context() as patch:
        patch.setattr(service.server.jobs, "put", fail)
        answer = service.http().post("/v1/jobs", json=BODY)
    assert answer.status_code == 503
    assert "secret" not in answer.text
    assert service.http().get("/ready").status_code == 200


def test_without_a_worker_requests_wait_for_none(tmp_path: Path) -> None:
    with running(tmp_path / "data") as found:
        http = found.http()
        for answer in (http.get("/ready"), http.post("/v1/jobs", json=BODY)):
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
        assert http.get("/v1/models").json()["data"] == []


@pytest.mark.parametrize("stream", [False, True])
def test_who_waits_when_the_server_ends_is_told_to_try_again(tmp_path: Path, stream: bool) -> None:
    with ThreadPoolExecutor(1) as waiting, httpx2.Client(timeout=60) as http:
        with running(tmp_path, grace=0) as service, Presence(service.server.database, "nobody", [MODEL]):
            headers, body = {"authorization": f"Bearer {service.client}"}, {**BODY, "stream": stream}
            asked = waiting.submit(http.post, f"{service.address}/v1/images/generations", json=body, headers=headers)
            while not (jobs := service.server.jobs.newest()):
                time.sleep(0.02)
        answer = asked.result()
    assert "server_is_overloaded" in answer.text
    assert (answer.status_code, "retry-after" in answer.headers) == ((200, False) if stream else (503, True))
    database = Database(tmp_path / "service.sqlite")
    assert Jobs(database).get(jobs[0].id).state == "cancelled"
    database.close()


def test_figures_and_unknown_things(service: Running) -> None:
    http = service.http()
    figures = http.get("/metrics").text
    for name in (
        "fair_diffusion_jobs",
        'fair_diffusion_model_ready{model="slow"} 1.0',
        "fair_diffusion_requests_total",
    ):
        assert name in figures
    assert http.get("/v1/models/slow").json()["id"] == "slow"
    for name, mend in (("slow+anime", "has no LoRA of this name; it has none"), ("slo", "did you mean 'slow'")):
        error = http.post("/v1/jobs", json={**BODY, "model": name}).json()["error"]
        assert (error["param"], error["code"], mend in error["message"]) == ("model", "model_not_found", True)
    for path in ("/v1/models/none", "/v1/jobs/none", "/v1/jobs/%00", f"/v1/images/files/{'0' * 64}", "/none"):
        answer = http.get(path)
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    for path in ("/v1/images/files/..%2f..%2fservice.sqlite", "/v1/images/files/../../service.sqlite"):
        assert http.get(path).status_code in (400, 404)
    assert http.get("/v1/jobs?most=0").json()["error"]["param"] == "most"
    assert http.get("/v1/jobs?stat=done").json()["error"]["code"] == "unknown_parameter"
    assert http.delete("/v1/jobs").status_code == 405


def test_settings_come_from_options_then_the_environment_then_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service.yaml").write_text("port: 1\nbatch: 2\nlinger: 3\n")
    monkeypatch.setenv("FAIR_DIFFUSION_BATCH", "4")
    monkeypatch.setenv("FAIR_DIFFUSION_DATABASE", "postgresql+psycopg://me:secret@host/name")
    found = Settings.read(data=tmp_path, port=5, host=None)
    assert (found.port, found.batch, found.linger) == (5, 4, 3.0)
    assert "secret" not in str(found.shown())
    with pytest.raises(ValueError, match="the setting port cannot be used"):
        Settings.read(data=tmp_path, port=70_000)
    (tmp_path / "service.yaml").write_text("prot: 1\n")
    with pytest.raises(ValueError, match="the setting prot cannot be used: there is none; did you mean 'port'"):
        Settings.read(data=tmp_path)
    for other in ("- port: 1\n", "port 1\n"):
        (tmp_path / "service.yaml").write_text(other)
        with pytest.raises(ValueError, match=r"service\.yaml in the data folder holds no settings"):
            Settings.read(data=tmp_path)


def test_a_policy_that_includes_other_files_is_told_what_to_do(tmp_path: Path) -> None:
    groups = "{hat: {phrases: [person in a hat]}, bare: {phrases: [bareheaded person]}}"
    (tmp_path / "own.yaml").write_text(f"version: 1\nattributes:\n  hat: {{groups: {groups}}}\n")
    (tmp_path / "policy.yaml").write_text(f"{HALF}include: [./own.yaml]\n")
    with pytest.raises(
        ValueError, match=r"policy\.yaml includes other files, and a server keeps its policy as one text"
    ):
        prepared(Settings(data=tmp_path, policy=tmp_path / "policy.yaml"))


def test_a_first_key_is_made_once_and_only_for_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no key yet, and 0\.0\.0\.0 can be reached from elsewhere"):
        prepared(Settings(data=tmp_path, host="0.0.0.0"))
    with pytest.raises(ValueError, match="--role operator --database URL`"):  # what its error says shows no password
        prepared(Settings(host="0.0.0.0", data=tmp_path, database=f"sqlite:///{tmp_path}/keys.sqlite?password=abc"))
    with pytest.raises(ValueError, match=r"policy\.yaml.*not there"):  # no key is made that nobody is shown
        prepared(Settings(data=tmp_path, policy=tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text(HALF)
    for first in (True, False):
        server, secret = prepared(Settings(data=tmp_path, policy=tmp_path / "policy.yaml"))
        assert (secret is not None) == first
        assert len(server.keys.all()) == len(server.policies.history()) == 1
        server.close()
    database = Database(tmp_path / "service.sqlite", create=False)
    database.close()


def test_addresses_are_below_the_path_of_a_proxy(tmp_path: Path) -> None:
    """The proxy takes the path off, so that requests come without it."""
    with running(tmp_path, prefix="/fair") as service:
        http, claims = service.http(), Claims(service.server.database, "worker")
        assert http.get("/openapi.json").json()["servers"] == [{"url": "/fair"}]
        body = DrawBody(prompt="a nurse", n=1, seed=1, steps=1, guidance=1.0, method="none")
        job, _ = service.server.jobs.put("draw slow", body.stored(), key=service.operator_key.id)
        drawn = {"images": [{"file": "0" * 64, "steered": False, "judged": {}}], "width": 64, "height": 64}
        (mine,) = claims.claim(["draw slow"])
        claims.end(mine, result={**drawn, "rule": None, "reason": "none", "evaluations": 1, "streams": []})
        ((image,), address) = http.get(f"/v1/jobs/{job.id}").json()["result"]["data"], service.address
        assert image == {"url": f"{address}/fair/v1/images/files/{'0' * 64}"}
    with pytest.raises(ValueError, match="the setting prefix cannot be used"):
        Settings.read(data=tmp_path, prefix="fair/")
