"""`/v1/images/edits` through the SDK: a person's own pictures are moved, counted and forgotten."""

from __future__ import annotations

import base64
import io
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image
from running_service import Running, running
from sqlalchemy import select

from fair_diffusion import FairPipeline
from fair_diffusion.policy.target import uniform
from fair_diffusion.service import rebalancing, uploads
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.tables import images
from fair_diffusion.service.uploads import forget
from fair_diffusion.service.worker import Worker, WorkerSettings
from fair_diffusion.service.worker_kind import kind_of

PROMPT = "a photo of a firefighter"
FEW: dict[str, Any] = {"fairness": {"steps": 4}}
PLAIN: dict[str, Any] = {"fairness": {"steps": 4, "policy": "none"}}


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


@pytest.fixture(scope="module")
def men(pocket: FairPipeline) -> list[Image.Image]:
    """Two firefighters of the pocket model, who are men."""
    drawn = pocket(PROMPT, n=2, seed=100, steps=12)
    assert [record.perceived["gender"] for record in drawn.records] == ["man", "man"]
    return list(drawn.images)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pocket: FairPipeline) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("edits"), pipe=pocket, most_pixels=100_000, most_upload=200_000) as found:
        yield found


def file_of(image: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def shown(image: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image.b64_json)))


def uploads_of(service: Running) -> list[str]:
    """The keys under which uploaded pictures are stored now."""
    with service.server.database.reading() as connection:
        return [key for key in connection.scalars(select(images.c.key)) if "/" in key]


def until_forgotten(service: Running) -> None:
    """The worker deletes the pictures when the job is done, and the answer may be there a moment before."""
    for _ in range(500):
        if not uploads_of(service):
            return
        time.sleep(0.02)
    raise AssertionError(f"{uploads_of(service)} are still stored")


def test_the_fewest_pictures_are_moved_and_the_others_come_back_as_they_were_sent(
    service: Running, men: list[Image.Image]
) -> None:
    sent = [file_of(image) for image in men]
    answer: Any = service.sdk().images.edit(image=sent, prompt=PROMPT, extra_body={"fairness": {"steps": 12}})
    told = answer.fairness
    assert told["rule"] == "every occupation"
    assert [sorted(image["assigned"].values()) for image in told["images"]] in (
        [["man"], ["woman"]],
        [["woman"], ["man"]],
    )
    steered = [image["steered"] for image in told["images"]]
    assert sorted(steered) == [False, True]
    got = [base64.b64decode(image.b64_json) for image in answer.data]
    assert [mine == theirs for mine, theirs in zip(sent, got, strict=True)] == [not moved for moved in steered]
    moved = got[steered.index(True)]
    assert Image.open(io.BytesIO(moved)).size == (64, 64)
    assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in moved  # of somebody's picture
    assert b"woman" not in moved
    assert {image["judged_before"]["gender"] for image in told["images"]} == {"man"}
    (stream,) = told["streams"]
    assert (stream["rule"], stream["n"]) == ("every occupation: firefighter (edits)", 2)
    job = service.server.jobs.get(told["job"])
    assert (job.body["prompt"], job.body["originals"]) == ("(not kept)", None)
    until_forgotten(service)


def test_a_client_moves_one_picture_at_a_time_in_a_stream_and_is_told_no_group(
    service: Running, men: list[Image.Image]
) -> None:
    sdk = service.sdk(service.client)
    events: list[Any] = []
    for image in men:
        events += sdk.images.edit(
            image=file_of(image, "JPEG"),
            prompt=PROMPT,
            quality="low",
            stream=True,
            partial_images=1,
            input_fidelity="low",
        )
    kinds = {event.type for event in events}
    assert kinds == {"image_edit.partial_image", "image_edit.completed"}  # of two in a row, one is to be a woman
    completed = [event for event in events if event.type == "image_edit.completed"]
    assert [event.fairness["images"][0].keys() for event in completed] == [
        {"index", "steered", "judged", "judged_before", "put_back"}
    ] * 2
    assert {event.size for event in completed} == {"64x64"}
    assert [event.fairness["images"][0]["steered"] for event in completed] == [False, True]  # the first had a choice


def test_without_a_rule_all_come_back_and_the_answer_says_why(service: Running, men: list[Image.Image]) -> None:
    wide = Image.new("RGB", (40, 20), "white")
    sent = [file_of(men[0], "JPEG"), file_of(wide, "WEBP")]
    answer: Any = service.sdk().images.edit(image=sent, prompt="a photo of a red car", extra_body=FEW)
    told = answer.fairness
    assert (told["rule"], told["streams"]) == (None, [])
    assert "rule" in told["reason"]
    assert [image["steered"] for image in told["images"]] == [False, False]
    assert answer.size == "auto"
    assert [(shown(image).format, shown(image).size) for image in answer.data] == [("PNG", (64, 64)), ("PNG", (40, 20))]
    assert shown(answer.data[0]).tobytes() == Image.open(io.BytesIO(sent[0])).tobytes()
    assert b"trainedAlgorithmicMedia" not in base64.b64decode(answer.data[0].b64_json)
    same: Any = service.sdk().images.edit(image=sent[0], prompt="a photo of a red car", output_format="jpeg")
    assert base64.b64decode(same.data[0].b64_json) == sent[0]


def png(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(900))) + chunk(b"IEND", b"")
    )


SMALL = file_of(Image.new("RGB", (32, 32)))


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"image": b"no picture"}, "image"),
        ({"image": b""}, "image"),
        ({"image": b"GIF89a" + bytes(40)}, "image"),
        ({"image": png(60_000, 60_000)}, "image"),
        ({"image": png(400, 300)}, "image"),
        ({"image": png(100, 100)}, "image"),
        ({"image": [SMALL] * 11}, "image"),
        ({"image": [SMALL, b"no picture"]}, "image[]"),
        ({"mask": SMALL}, "mask"),
        ({"markup": SMALL}, "markup"),
        ({"n": 2}, "n"),
        ({"size": "64x64"}, "size"),
        ({"prompt": ""}, "prompt"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"partial_images": 2}, "partial_images"),
        ({"extra_body": {"unknown": "1"}}, "unknown"),
        ({"extra_body": {"fairness": {"method": "prompt"}}}, "fairness.method"),
        ({"extra_body": {"fairness": {"method": "none such"}}}, "fairness.method"),
        ({"extra_body": {"fairness": {"steps": "many"}}}, "fairness.steps"),
        ({"extra_body": {"fairness": "{"}}, "fairness"),
        ({"extra_body": {"fairness": "[" * 100_000}}, "fairness"),
    ],
)
def test_what_is_wrong_is_a_400_that_names_it_and_stores_nothing(
    service: Running, given: dict[str, Any], param: str
) -> None:
    before = sum(service.server.jobs.counts().values())
    with pytest.raises(openai.BadRequestError) as refused:
        service.sdk().images.edit(**{"image": SMALL, "prompt": PROMPT, **given})
    assert refused.value.param == param
    assert sum(service.server.jobs.counts().values()) == before
    assert not uploads_of(service)


def test_forms_that_are_none(service: Running) -> None:
    http = service.http()
    for answer, param in (
        (http.post("/v1/images/edits", json={"prompt": PROMPT}), None),
        (http.post("/v1/images/edits", content=b"x", headers={"content-type": "multipart/form-data"}), None),
        (http.post("/v1/images/edits", data={"prompt": PROMPT}, files={"other": SMALL}), "other"),
        (http.post("/v1/images/edits", files={"prompt": (None, PROMPT)}), "image"),
        (http.post("/v1/images/edits", files={"prompt": (None, PROMPT), "image": (None, "x")}), "image"),
        (http.post("/v1/images/edits", files=[("n", (None, "1")), ("n", (None, "1")), ("image", SMALL)]), "n"),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_what_is_too_large_is_a_413(service: Running) -> None:
    http = service.http()
    files: dict[str, Any] = {"prompt": (None, PROMPT), "image": bytes(200_001)}
    said = http.post("/v1/images/edits", files=files)
    request = http.build_request("POST", "/v1/images/edits", files=files)
    content = request.read()
    parts = (content[k : k + 50_000] for k in range(0, len(content), 50_000))  # of no said length
    told = http.post("/v1/images/edits", content=parts, headers={"content-type": request.headers["content-type"]})
    for answer in (said, told):
        assert (answer.status_code, answer.json()["error"]["param"]) == (413, "image")


def test_the_same_idempotency_key_gives_the_same_job_if_the_pictures_are_the_same(service: Running) -> None:
    def edit(picture: bytes) -> Any:
        header = {"Idempotency-Key": "edit"}
        return service.sdk().images.edit(image=picture, prompt="a red car", extra_headers=header, extra_body=PLAIN)

    first, again = edit(SMALL), edit(SMALL)
    assert first.fairness["job"] == again.fairness["job"]
    with pytest.raises(openai.ConflictError):
        edit(file_of(Image.new("RGB", (32, 32), "red")))
    until_forgotten(service)


def test_a_cancelled_job_ends_while_it_moves_counts_nothing_and_keeps_its_pictures_to_be_tried_again(
    service: Running, men: list[Image.Image]
) -> None:
    fields = {"fairness": {"steps": 150, "instruct": "baker: all women"}}
    prompt = "a photo of a baker"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.sdk().images.edit, image=file_of(men[0]), prompt=prompt, extra_body=fields)
        while not (running := service.server.jobs.newest(states=["running"])):
            time.sleep(0.02)
        service.http().post(f"/v1/jobs/{running[0].id}/cancel")
        with pytest.raises(openai.ConflictError, match="cancelled"):
            waiting.result()
    assert not [row for row in DatabaseLedger(service.server.database).rows() if "baker" in row.rule and row.asked]
    (kept,) = uploads_of(service)
    body = service.server.jobs.get(running[0].id).body
    assert (body["prompt"], kept.partition("/")[2]) == (prompt, body["upload"])
    forget(service.server.images, body["originals"], key=service.operator_key.id, upload=body["upload"])


def test_a_cancelled_job_keeps_the_pictures_that_fit_by_then_and_counts_them(
    service: Running, men: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = rebalancing.Edit._moved

    def late(edit: rebalancing.Edit, run: Any) -> list[int]:
        service.server.jobs.cancel(edit._job.id)
        while not edit._tools.holding.cancelled(edit._job):
            time.sleep(0.02)
        return moved(edit, run)

    monkeypatch.setattr(rebalancing.Edit, "_moved", late)
    own = {"fairness": {"steps": 12, "instruct": "butcher: half women, half men"}}
    with pytest.raises(openai.ConflictError, match="cancelled"):
        service.sdk().images.edit(image=[file_of(man) for man in men], prompt="a photo of a butcher", extra_body=own)
    (job, *_) = service.server.jobs.newest()
    shown = service.http().get(f"/v1/jobs/{job.id}").json()
    assert shown["state"] == "cancelled"
    (image,) = shown["result"]["fairness"]["images"]  # one of two men may stay
    assert (image["assigned"], image["steered"]) == ({"gender": "man"}, False)
    (file,) = shown["result"]["data"]
    content = service.http().get(file["url"].removeprefix(service.address)).content
    assert content in [file_of(man) for man in men]
    rows = [row for row in DatabaseLedger(service.server.database).rows() if "butcher" in row.rule]
    assert [(row.group, row.asked, row.pending) for row in rows if row.asked or row.pending] == [("man", 1, 0)]
    body = service.server.jobs.get(job.id).body
    assert body["prompt"] == "a photo of a butcher"  # it may be tried again
    forget(service.server.images, body["originals"], key=service.operator_key.id, upload=body["upload"])


def test_what_a_key_may_not_ask_for_is_refused_before_its_pictures_are_decoded_or_stored(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, _ = service.key("client", images_per_minute=1)
    service.sdk(few).images.edit(image=SMALL, prompt="a red car", quality="low")
    until_forgotten(service)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(uploads, "store", never)
    with pytest.raises(openai.RateLimitError) as full:
        service.sdk(few).images.edit(image=SMALL, prompt="a red car", quality="low")
    assert full.value.response.headers["x-ratelimit-limit-images"] == "1"
    monkeypatch.setattr(uploads.Upload, "of", never)
    small, _ = service.key("client", n=1)
    cases: list[tuple[str, dict[str, Any], str]] = [
        (service.client, {"model": "none such"}, "model"),
        (service.client, {"n": 2}, "n"),
        (service.client, {"extra_body": {"fairness": {"steps": 1}}}, "fairness"),
        (small, {"image": [SMALL, SMALL]}, "n"),
    ]
    for secret, given, param in cases:
        with pytest.raises((openai.BadRequestError, openai.PermissionDeniedError)) as refused:
            service.sdk(secret).images.edit(**{"image": SMALL, "prompt": PROMPT, **given})
        assert refused.value.param == param


def test_limits_of_a_key_hold_for_its_pictures(service: Running) -> None:
    for limits, param in (({"pixels": 1000}, "size"), ({"n": 1}, "n")):
        secret, _ = service.key("client", **limits)
        with pytest.raises(openai.BadRequestError) as refused:
            service.sdk(secret).images.edit(image=[SMALL, SMALL], prompt=PROMPT)
        assert refused.value.param == param
    assert not uploads_of(service)


def test_pictures_of_a_job_that_waits_are_nobodys_to_see_and_stay_until_it_is_done(
    tmp_path: Path, pocket: FairPipeline
) -> None:
    model = ServedModel.of(pocket)
    with running(tmp_path / "data") as service, Presence(service.server.database, "nobody", [model]):
        client = service.sdk(service.client).with_options(timeout=0.5)
        with pytest.raises(openai.APITimeoutError):
            client.images.edit(image=SMALL, prompt=PROMPT, extra_headers={"Idempotency-Key": "wait"})
        (job,) = service.server.jobs.newest()
        (digest,) = job.body["originals"]
        assert uploads_of(service) == [f"{service.client_key.id}/{job.body['upload']}"]
        assert service.http(service.client).get(f"/v1/images/files/{digest}").status_code == 404
        service.server.jobs.cancel(job.id)
        assert uploads_of(service)  # as the prompt: it may be tried again


def test_another_worker_finishes_what_a_dead_one_began_and_each_image_counts_once(
    tmp_path: Path, pocket: FairPipeline, men: list[Image.Image]
) -> None:
    model = ServedModel.of(pocket)
    with running(tmp_path / "data") as service, ThreadPoolExecutor(1) as pool:
        with Presence(service.server.database, "nobody", [model]):
            waiting = pool.submit(service.sdk().images.edit, image=file_of(men[0]), prompt=PROMPT, extra_body=FEW)
            dead = Claims(service.server.database, "dead", lease=0.1)
            while not (jobs := dead.claim([kind_of(model.name)])):
                time.sleep(0.02)
            rule = "every occupation: firefighter (edits)"
            turn = dead.reserve(jobs[0], rule=rule, target=uniform("gender"), n=1, model=model.name)
        worker = Worker(service.server.database, service.server.images, pocket, WorkerSettings(lease=5.0, grace=0.0))
        thread = threading.Thread(target=worker.run)
        thread.start()
        answer: Any = waiting.result()
        worker.stop()
        thread.join()
        (image,) = answer.fairness["images"]
        quotas = dict(zip(("woman", "man"), turn.quotas, strict=False))
        assert quotas[image["assigned"]["gender"]] == 1
        rows = DatabaseLedger(service.server.database).rows()
        assert (sum(row.asked for row in rows), sum(row.pending for row in rows)) == (1, 0)
        assert not uploads_of(service)


def test_a_full_disk_fails_the_job_and_its_reason_names_no_path(
    service: Running, men: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "/secret/folder")

    monkeypatch.setattr(rebalancing.Edit, "_move", full)
    with pytest.raises(openai.InternalServerError) as caught:
        service.sdk(retries=0).images.edit(image=file_of(men[0]), prompt=PROMPT)
    assert "No space left" in str(caught.value)
    assert "secret" not in str(caught.value)
