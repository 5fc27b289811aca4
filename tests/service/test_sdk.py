"""The API through the SDK of the contract that it keeps: images, streams, errors, retries, keys."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from typing import Any

import c2pa
import httpx2
import openai
import pytest
from PIL import Image
from running_service import FAST, Running, running

from benchmarks.certificates import certificate
from fair_diffusion import FairPipeline
from fair_diffusion.files.signature import Signature
from fair_diffusion.service import gate
from fair_diffusion.service.keys import Keys
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.problems import overloaded

PROMPT = "a photo of a firefighter"


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pocket: FairPipeline) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("service")
    with running(place, pipe=pocket, signature=Signature.of(*certificate(place))) as found:
        yield found


def opened(image: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image.b64_json)))


def jobs_of(service: Running) -> int:
    return sum(service.server.jobs.counts().values())


def test_images_and_what_is_told_of_them(service: Running) -> None:
    answer: Any = service.sdk().images.generate(prompt=PROMPT, n=2, extra_body=FAST)
    assert [opened(image).size for image in answer.data] == [(64, 64), (64, 64)]
    assert (answer.size, answer.output_format, answer.quality) == ("64x64", "png", "medium")
    assert answer.usage.total_tokens == answer.usage.output_tokens > 0
    told = answer.fairness
    assert told["rule"] == "every occupation"
    assert sorted(image["assigned"]["gender"] for image in told["images"]) == ["man", "woman"]
    assert told["streams"][0]["n"] >= 2
    assert service.server.jobs.get(told["job"]).key == service.operator_key.id


def test_clients_draw_by_the_policy_and_are_not_told_what_was_assigned(service: Running) -> None:
    sdk = service.sdk(service.client)
    with pytest.raises(openai.PermissionDeniedError, match="may not set fairness") as refused:
        sdk.images.generate(prompt=PROMPT, extra_body=FAST)
    assert refused.value.param == "fairness"
    answer: Any = sdk.images.generate(prompt=PROMPT, quality="low")
    assert answer.fairness["rule"] == "every occupation"
    assert set(answer.fairness["images"][0]) == {"index", "steered", "judged"}


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_files_say_that_a_model_made_them_and_not_which_group_was_assigned(service: Running, format: Any) -> None:
    answer: Any = service.sdk().images.generate(prompt=PROMPT, output_format=format, extra_body=FAST)
    file = base64.b64decode(answer.data[0].b64_json)
    image = Image.open(io.BytesIO(file))
    assert image.format == format.upper()
    mark = image.info["xmp"]
    assert b"trainedAlgorithmicMedia" in mark
    assert b"every occupation" in mark
    with c2pa.Reader(f"image/{format}", io.BytesIO(file)) as reader:
        assert reader.get_validation_state() == "Valid"
    for private in (b"assigned", b"woman", b"firefighter", str(answer.fairness["images"][0]["seed"]).encode()):
        assert private not in file


def test_a_stream_shows_partial_images_then_each_image(service: Running) -> None:
    events: list[Any] = list(
        service.sdk().images.generate(
            prompt=PROMPT, n=2, stream=True, partial_images=1, extra_body={"fairness": {"steps": 2, "policy": "none"}}
        )
    )
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + [
        "image_generation.completed"
    ] * 2
    assert [event.fairness["index"] for event in events] == [0, 1, 0, 1]
    assert {opened(event).size for event in events} == {(64, 64)}
    assert {event.size for event in events} == {"64x64"}
    assert events[-1].usage.total_tokens > 0


def test_a_stream_is_sent_again_without_the_partial_images_that_are_not_kept_any_more(service: Running) -> None:
    header = {"Idempotency-Key": "partials-that-are-gone"}
    own = {"fairness": {"steps": 4, "policy": "none"}}

    def types() -> list[str]:
        stream = service.sdk().images.generate(
            prompt=PROMPT, stream=True, partial_images=2, extra_body=own, extra_headers=header
        )
        return [event.type for event in stream]

    assert types() == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    (job, *_) = service.server.jobs.newest()
    first = next(event for event in service.server.jobs.events(job.id) if event.kind == "partial")
    service.server.images.delete(first.data["image"], key=job.key)
    assert types() == ["image_generation.partial_image", "image_generation.completed"]


def test_what_the_model_cannot_do_of_the_policy_names_no_field_that_a_client_may_not_set(service: Running) -> None:
    policies = service.server.policies
    before = policies.active()
    assert before is not None
    young = "version: 1\nrules:\n  - concepts: [firefighter]\n    targets: {age: {young: 50%, old: 50%}}\n"
    policies.activate(policies.add(young).version, why="a test")
    try:
        with pytest.raises(openai.BadRequestError, match="age") as refused:
            service.sdk(service.client).images.generate(prompt=PROMPT, quality="low")
        assert refused.value.param == "model"
    finally:
        policies.activate(before.version, why="a test")
    own = {"fairness": {"instruct": "firefighter: half young, half old", "steps": 1}}
    with pytest.raises(openai.BadRequestError) as refused:
        service.sdk().images.generate(prompt=PROMPT, extra_body=own)
    assert refused.value.param == "fairness"


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (2.0, "2"), (7.4, "8")])
def test_a_client_that_keeps_to_the_header_is_never_too_early(seconds: float, header: str) -> None:
    assert overloaded("later", seconds).answer().headers["retry-after"] == header


def test_an_address_opens_for_its_key_alone(service: Running) -> None:
    answer = service.sdk(service.client).images.generate(prompt=PROMPT, quality="low", response_format="url")
    assert answer.data
    address = str(answer.data[0].url)
    assert service.http(service.client).get(address).headers["content-type"] == "image/png"
    assert service.http(service.operator).get(address).status_code == 200
    other, _ = service.key("client")
    assert service.http(other).get(address).status_code == 404
    assert httpx2.get(address).status_code == 401


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": "2"}, "n"),
        ({"model": "none such"}, "model"),
        ({"size": "65x64"}, "size"),
        ({"size": "99999x99999"}, "size"),
        ({"size": "8192x8192"}, "size"),
        ({"size": "0x0"}, "size"),
        ({"size": "big"}, "size"),
        ({"quality": "superb"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "svg"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression"),
        ({"moderation": "none"}, "moderation"),
        ({"partial_images": 1}, "partial_images"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"stream": "yes"}, "stream"),
        ({"stream": True, "response_format": "url"}, "response_format"),
        ({"response_format": "file"}, "response_format"),
        ({"style": "vivid"}, "style"),
        ({"fairness": {"steps": 1001}}, "fairness.steps"),
        ({"fairness": {"steps": 151}}, "fairness.steps"),
        ({"fairness": {"guidance": "nan"}}, "fairness.guidance"),
        ({"fairness": {"guidance": 101}}, "fairness.guidance"),
        ({"fairness": {"seed": -1}}, "fairness.seed"),
        ({"fairness": {"seed": 2**64}}, "fairness.seed"),
        ({"fairness": {"method": "none such"}}, "fairness.method"),
        ({"fairness": {"hold": ["hair"]}}, "fairness.hold"),
        ({"fairness": {"policy": 999}}, "fairness.policy"),
        ({"fairness": {"policy": 1, "instruct": "nurse: half women"}}, "fairness.policy"),
        ({"fairness": {"instruct": "be nice"}}, "fairness.instruct"),
        ({"fairness": {"unknown": 1}}, "fairness.unknown"),
    ],
)
def test_what_is_wrong_is_a_400_that_names_it_and_puts_no_job(
    service: Running, given: dict[str, Any], param: str
) -> None:
    before = jobs_of(service)
    body = {"prompt": PROMPT, **given} if given else {}
    answer = service.http().post("/v1/images/generations", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert jobs_of(service) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"prompt": "\\ud800"}', b'{"prompt": NaN}'])
def test_a_body_that_is_no_request(service: Running, body: bytes) -> None:
    answer = service.http().post("/v1/images/generations", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "media"), [(b"[" * 100_000, "application/json"), (b"\xff", "application/json"), (b"{}", "text/plain")]
)
def test_a_body_that_is_no_json_is_called_so(service: Running, body: bytes, media: str) -> None:
    answer = service.http().post("/v1/images/generations", content=body, headers={"content-type": media})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert ("application/json" in answer.json()["error"]["message"]) == (media == "text/plain")


def test_a_body_that_is_too_large(service: Running) -> None:
    assert service.http().post("/v1/images/generations", content=b" " * 1_048_577).status_code == 413


def test_a_body_that_does_not_come_in_time(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is gathered first, or read as it comes; and a client that waits long for its answer is none such."""
    monkeypatch.setattr(gate, "SLOWEST", 0.2)

    def slowly(content: bytes) -> Iterator[bytes]:
        yield content
        time.sleep(1.0)
        yield content

    for path, media in (("generations", "application/json"), ("edits", "multipart/form-data; boundary=x")):
        answer = service.http().post(f"/v1/images/{path}", content=slowly(b"--x\r\n"), headers={"content-type": media})
        assert (answer.status_code, answer.json()["error"]["code"]) == (408, "body_too_slow")
    assert service.http().post("/v1/images/generations", json={"prompt": PROMPT, "n": 3}).status_code == 200


def test_limits_of_a_key_say_when_to_come_back(service: Running) -> None:
    secret, _ = service.key("client", images_per_minute=1)
    raw = service.sdk(secret).images.with_raw_response.generate(prompt=PROMPT, quality="low")
    assert (raw.headers["x-ratelimit-limit-images"], raw.headers["x-ratelimit-remaining-images"]) == ("1", "0")
    with pytest.raises(openai.RateLimitError) as refused:
        service.sdk(secret).images.generate(prompt=PROMPT)
    assert refused.value.code == "slow_down"
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
    assert refused.value.response.headers["x-ratelimit-remaining-images"] == "0"
    assert 1 <= int(refused.value.response.headers["x-ratelimit-reset-images"].removesuffix("s")) <= 60
    few, _ = service.key("client", n=1, steps=5)
    for given, param in (({"n": 2, "quality": "low"}, "n"), ({"quality": "max"}, "steps")):
        with pytest.raises(openai.BadRequestError) as over:
            service.sdk(few).images.generate(prompt=PROMPT, **given)
        assert over.value.param == param


def test_the_same_idempotency_key_gives_the_same_job_and_spends_one_turn(service: Running) -> None:
    def asked() -> int:
        rows = DatabaseLedger(service.server.database).rows()
        return sum(row.asked for row in rows if row.rule == "every occupation: baker")

    sdk, prompt = service.sdk(retries=2), "a photo of a baker"
    header = {"Idempotency-Key": "one"}
    first: Any = sdk.images.generate(prompt=prompt, extra_body=FAST, extra_headers=header)
    again: Any = sdk.images.generate(prompt=prompt, extra_body=FAST, extra_headers=header)
    assert first.fairness["job"] == again.fairness["job"]
    assert first.data == again.data
    assert asked() == 1
    seen: list[int] = []
    with httpx2.Client(event_hooks={"response": [lambda answer: seen.append(answer.status_code)]}) as counting:
        other = service.sdk(retries=2, http_client=counting)
        with pytest.raises(openai.ConflictError, match="used before"):
            other.images.generate(prompt="a photo of a nurse", extra_body=FAST, extra_headers=header)
    assert seen == [409]  # no retry


def test_a_job_that_cannot_be_drawn_fails_alone_and_is_not_tried_again(service: Running) -> None:
    seen: list[int] = []
    wrong = {"fairness": {"instruct": "firefighter: half young, half old", "steps": 1}}
    counting = httpx2.Client(event_hooks={"response": [lambda answer: seen.append(answer.status_code)]})
    with pytest.raises(openai.BadRequestError, match="age"):
        service.sdk(retries=2, http_client=counting).images.generate(prompt=PROMPT, extra_body=wrong)
    assert seen == [400]
    assert service.sdk().images.generate(prompt=PROMPT, extra_body=FAST).data


def test_nothing_of_a_prompt_is_kept_or_logged(service: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        answer: Any = service.sdk().images.generate(prompt="a photo of a xyzzy nurse", extra_body=FAST)
    job = service.server.jobs.get(answer.fairness["job"])
    assert "xyzzy" not in f"{job}{service.server.jobs.events(job.id)}"
    assert "xyzzy" not in caplog.text
    assert service.operator not in caplog.text


def test_revoked_keys_open_nothing(service: Running) -> None:
    secret, key = service.key("client")
    assert service.http(secret).get("/v1/models").status_code == 200
    Keys(service.server.database).revoke(key.id)
    with pytest.raises(openai.AuthenticationError):
        service.sdk(secret).images.generate(prompt=PROMPT)


def test_keys_of_raters_ask_for_no_images(service: Running) -> None:
    secret, _ = service.key("rater")
    with pytest.raises(openai.PermissionDeniedError, match="may only label"):
        service.sdk(secret).images.generate(prompt=PROMPT)
    assert Limits() == service.client_key.limits
