"""The API does what its OpenAPI document says, whatever is asked for.

schemathesis makes requests that fit the document and requests that do not, with keys of every role. `document.py` holds
all other answers of the tests against it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image
from running_service import Running, running
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fair_diffusion import FairPipeline
from fair_diffusion.service.keys import ROLES
from recipes.api_page import PAGE

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.card = replace(pipe.card, steps=1)
    with running(tmp_path_factory.mktemp("document"), pipe=pipe, most_steps=3) as found:
        yield found


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_documented_and_no_request_is_the_servers_failure(
    service: Running, role: str, mode: GenerationMode
) -> None:
    secret, _ = service.key(role)
    headers = {"authorization": f"Bearer {secret}"}
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE and role == "operator" else CHECKS
    seen = 0
    found: Any = schemathesis.openapi.from_dict(service.document.content).get_all_operations()
    for operation in [each.ok() for each in found]:
        few = settings(
            max_examples=6 if role == "operator" else 2,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        def asked(case: Any) -> None:
            nonlocal seen
            seen += 1
            case.validate_response(case.call(base_url=service.address, headers=headers, timeout=60), checks=checks)

        try:
            few(given(case=operation.as_strategy(generation_mode=mode))(asked))()
        except Exception as error:
            if type(error).__name__ != "Unsatisfiable":  # nothing about this route can be wrong
                raise
    assert seen > 20


def test_every_example_of_the_page_is_answered_as_documented(service: Running, tmp_path: Path) -> None:
    http = service.http()
    job = http.post("/v1/jobs", json={"prompt": "a photo of a firefighter"}).json()["id"]
    http.get(f"/v1/jobs/{job}/events")  # until it ends
    image = http.get(f"/v1/jobs/{job}").json()["result"]["data"][0]["url"].rpartition("/")[2]
    places = {"$FAIR_DIFFUSION_KEY": service.operator, "$FAIR": "", "$JOB": job, "$IMAGE": image}
    places["$KEY"] = service.client_key.id
    made = http.post("/v1/label/sets", json={"name": "n", "attribute": "gender", "images": [image], "second": 1}).json()
    places |= {"$SET": made["id"], "$GUIDELINE": made["guideline"]}
    rater, at = service.http(service.key("rater")[0]), f"/v1/label/sets/{made['id']}"
    said = {"image": image, "guideline": made["guideline"]}
    assert rater.post(f"{at}/consent", json={"guideline": made["guideline"]}).status_code == 200
    assert rater.post(f"{at}/next").json()["data"] == [{"image": image}]
    assert rater.post(f"{at}/labels", json={**said, "answer": "man"}).status_code == 201
    places["picture.png"] = str(tmp_path / "picture.png")
    Image.new("RGB", (16, 16)).save(places["picture.png"])
    examples = re.findall(r"^curl (?:\\\n|.)*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = set()
    for example in examples:
        for name, value in places.items():
            example = example.replace(name, value)
        method, path, headers, body, form = curl(example)
        if path == f"{at}/disagreements":  # the one who asks took the label back
            http.post(f"{at}/next")
            assert http.post(f"{at}/labels", json={**said, "answer": "woman"}).json()["label"]["queue"] == "second"
        sent: dict[str, Any] = {"files": form} if form else {"content": body}
        assert http.request(method, path, headers=headers, **sent).status_code in (200, 201, 202), example
        shown.add((method.lower(), path.replace(job, "{job}").replace(image, "{image}").replace("/1", "/{version}")))
    assert len(shown) == len(examples) - 1  # one route has two examples


def curl(line: str) -> tuple[str, str, dict[str, str], bytes | None, dict[str, Any]]:
    """What a command line of curl sends: method, address, headers, and body or form."""
    words = shlex.split(line.replace("\\\n", ""))[1:]
    method, address, headers, body, form = "", "", {}, None, dict[str, Any]()
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0).encode()
        elif word == "-F":
            name, _, value = words.pop(0).partition("=")
            form[name] = Path(value[1:]).read_bytes() if value.startswith("@") else (None, value)
        else:
            address = word
    return method or ("POST" if body or form else "GET"), address, headers, body, form


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (418, {"json": {}}),
        (200, {"json": {"object": "list", "data": [], "more": 1}}),
        (200, {"text": "text"}),
        (401, {"json": {"error": {"message": "no key", "type": "authentication_error", "code": None}}}),
    ],
)
def test_an_answer_that_is_not_documented_is_noticed(service: Running, status: int, answer: dict[str, Any]) -> None:
    request = httpx2.Request("GET", "http://here/v1/jobs")
    service.document.check(httpx2.Response(200, request=request, json={"object": "list", "data": []}))
    with pytest.raises(AssertionError, match=f"GET /v1/jobs answers {status}"):
        service.document.check(httpx2.Response(status, request=request, **answer))
