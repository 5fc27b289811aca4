"""The API does what its OpenAPI document says, whatever is asked for.

schemathesis makes requests that fit the document and requests that do not, with keys of every role. `document.py` holds
all other answers of the tests against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
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
