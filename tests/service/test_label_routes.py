"""The routes of labels: who may, in which order, and what strict bodies refuse."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from label_examples import picture_file
from running_service import Running, running

from fair_diffusion.service.label_queue import UNDOABLE

SETS = "/v1/label/sets"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("labels")) as found:
        yield found


@pytest.fixture
def made(service: Running) -> dict[str, Any]:
    """A set of six pictures of a client, two of them gold."""
    hashes = [service.server.images.put(picture_file(k), key=service.client_key.id) for k in range(6)]
    body = {"name": "six", "attribute": "gender", "images": hashes[:4], "second": 0}
    answer = service.http().post(SETS, json={**body, "gold": dict.fromkeys(hashes[4:], "woman")})
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def _agreed(service: Running, made: dict[str, Any], role: str = "rater") -> httpx2.Client:
    http = service.http(service.key(role)[0])
    agreed = http.post(f"{SETS}/{made['id']}/consent", json={"guideline": made["guideline"]})
    assert agreed.json()["agreed"] is True
    return http


def _label(http: httpx2.Client, made: dict[str, Any], **said: Any) -> httpx2.Response:
    return http.post(f"{SETS}/{made['id']}/labels", json={"guideline": made["guideline"], **said})


def test_a_rater_labels_after_agreeing_once(service: Running, made: dict[str, Any]) -> None:
    at = f"{SETS}/{made['id']}"
    http = service.http(service.key("rater")[0])
    assert http.get(SETS).json()["data"][0]["id"] == made["id"]
    refused = http.post(f"{at}/next")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "consent_needed")
    assert _label(http, made, image="0" * 64).status_code == 403
    told = http.get(f"{at}/guideline").json()
    assert (told["agreed"], list(told["groups"])) == (False, made["groups"])
    assert http.post(f"{at}/consent", json={"guideline": "another"}).status_code == 400
    http.post(f"{at}/consent", json={"guideline": told["version"]})
    held = http.post(f"{at}/next", params={"most": 2}).json()["data"]
    assert [set(task) for task in held] == [{"image"}] * 2, "a rater does not know which pictures are gold questions"
    assert len(held) == 2
    file = http.get(f"{at}/pictures/{held[0]['image']}")
    assert (file.status_code, file.headers["content-type"]) == (200, "image/png")
    given = _label(http, made, image=held[0]["image"], answer="woman", most=2)
    assert given.status_code == 201
    told = given.json()
    assert (told["label"]["answer"], told["final"], len(told["next"])) == ("woman", None, 2)
    assert told["next"][0] == held[1]
    again = _label(http, made, image=held[0]["image"], answer="man")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "labelled")
    undone = http.post(f"{at}/undo", params={"most": 2}).json()
    assert (undone["label"]["id"], undone["next"][0]["image"]) == (told["label"]["id"], held[0]["image"])
    assert http.post(f"{at}/undo").json()["error"]["code"] == "nothing_to_undo"


def test_the_readers_word_and_a_known_answer_wait_until_the_label_is_final(
    service: Running, made: dict[str, Any]
) -> None:
    http = _agreed(service, made)
    given = []
    while tasks := http.post(f"{SETS}/{made['id']}/next").json()["data"]:
        given.append(_label(http, made, image=tasks[0]["image"], answer="man").json())
    labels, final = [each["label"] for each in given], [each["final"] for each in given]
    assert all(set(each) == {"label", "final", "next", "progress"} for each in given)
    assert final[:UNDOABLE] == [None] * UNDOABLE
    assert [each["label"] for each in final[UNDOABLE:]] == labels[:-UNDOABLE]
    golden = [each["gold"] for each in final[UNDOABLE:]]
    assert golden == ["woman" if each["queue"] == "gold" else None for each in labels[:-UNDOABLE]]
    repeated = _label(http, made, image=labels[0]["image"], answer="man")
    assert (repeated.status_code, repeated.json()["label"]) == (201, labels[0])


def test_pictures_that_are_named_are_chosen(service: Running, made: dict[str, Any]) -> None:
    assert made["chosen"] is True
    http = _agreed(service, made)
    queues = set()
    while tasks := http.post(f"{SETS}/{made['id']}/next").json()["data"]:
        given = _label(http, made, image=tasks[0]["image"], answer="woman").json()
        queues.add((given["label"]["queue"], given["label"]["probability"]))
    assert queues - {("gold", None)} == {("chosen", None)}


def test_what_a_key_may(service: Running, made: dict[str, Any]) -> None:
    at = f"{SETS}/{made['id']}"
    client = service.http(service.client)
    for path in (SETS, at, f"{at}/guideline", f"{at}/progress", f"{at}/raters", f"{at}/pictures/{'0' * 64}"):
        assert client.get(path).status_code == 403
    rater = _agreed(service, made)
    for answer in (
        rater.post(SETS, json={"name": "n", "attribute": "gender", "rule": "r"}),
        rater.post(f"{at}/remove"),
        rater.get(f"{at}/disagreements"),
        rater.get(f"{at}/table"),
        rater.post(f"{at}/table", json={"text": "x"}),
        rater.post(f"{at}/adjudications", json={"image": "0" * 64, "why": "x"}),
        rater.get("/v1/images/files/" + "0" * 64),
        rater.get("/v1/jobs"),
    ):
        assert answer.status_code == 403
    nobody = httpx2.get(f"{service.address}{SETS}")
    assert nobody.status_code == 401
    missing = f"{SETS}/set_{'0' * 12}"
    for path in (missing, f"{missing}/guideline", f"{missing}/progress", f"{at}/pictures/{'0' * 64}"):
        assert rater.get(path).status_code == 404
    assert rater.get(f"{SETS}/nothing").status_code == 400


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"answer": "women"}, "answer"),
        ({"answer": "woman", "reason": "no person"}, "reason"),
        ({"answer": 1}, "answer"),
        ({"guideline": "another"}, "guideline"),
        ({"image": "x"}, "image"),
        ({"most": 9}, "most"),
        ({"extra": 1}, "extra"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_wrong_label_is_refused_with_its_field(
    service: Running, made: dict[str, Any], said: dict[str, Any], param: str
) -> None:
    http = _agreed(service, made)
    (task,) = http.post(f"{SETS}/{made['id']}/next").json()["data"]
    answer = _label(http, made, **{"image": task["image"], **said})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert http.post(f"{SETS}/{made['id']}/next").json()["data"] == [task]


def test_an_operator_sees_all_raters_and_decides(service: Running, made: dict[str, Any]) -> None:
    at = f"{SETS}/{made['id']}"
    operator, anna, ben = service.http(), _agreed(service, made), _agreed(service, made)
    files = {task["image"] for task in anna.post(f"{at}/next", params={"most": 8}).json()["data"]}
    for image in files:
        assert _label(anna, made, image=image, answer="woman").status_code == 201
    table = operator.get(f"{at}/table")
    assert table.headers["content-type"].startswith("text/csv")
    differ = [line.replace(",woman,", ",man,").replace("key_", "ben_") for line in table.text.splitlines()]
    told = operator.post(f"{at}/table", json={"text": "\n".join(differ)}).json()
    assert (told["added"], told["unmatched"]) == (4, [])
    tied = operator.get(f"{at}/disagreements").json()["data"]
    assert len(tied) == 4
    image = tied[0]["image"]
    wrong = operator.post(f"{at}/adjudications", json={"image": image, "answer": "x", "why": "y"})
    assert wrong.json()["error"]["param"] == "answer"
    made_up = operator.post(f"{at}/adjudications", json={"image": image, "answer": "man", "why": "seen larger"})
    assert (made_up.status_code, made_up.json()["answer"]) == (201, "man")
    assert operator.get(f"{at}/progress").json()["tied"] == 3
    assert ",man," in operator.get(f"{at}/table", params={"what": "pictures"}).text
    assert len(operator.get(f"{at}/raters").json()["data"]) == 2
    (own,) = anna.get(f"{at}/raters").json()["data"]
    assert (own["labels"], ben.get(f"{at}/raters").json()["data"]) == (4, [])
    assert operator.delete(f"{at}/adjudications/{image}").status_code == 200
    assert operator.delete(f"{at}/adjudications/{image}").status_code == 404
    assert operator.post(f"{at}/remove").status_code == 200
    assert anna.get(at).status_code == 404


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"attribute": "gendre"}, "attribute"),
        ({"images": None}, "images"),
        ({"rule": "r"}, "images"),
        ({"images": ["0" * 64]}, "images"),
        ({"name": " "}, "name"),
        ({"name": "\u202e"}, "name"),
        ({"gold": {"0" * 64: "elf"}}, "gold"),
        ({"queue": "active"}, "images"),
        ({"images": None, "rule": "no such rule"}, "rule"),
    ],
)
def test_a_wrong_set_is_refused_with_its_field(service: Running, said: dict[str, Any], param: str) -> None:
    digest = service.server.images.put(picture_file(1), key=service.client_key.id)
    body = {"name": "n", "attribute": "gender", "images": [digest], **said}
    answer = service.http().post(SETS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_table_may_be_larger_than_other_bodies_where_an_operator_sends_it(
    service: Running, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, http = f"{SETS}/{made['id']}/table", service.http()
    image = _agreed(service, made).post(f"{SETS}/{made['id']}/next").json()["data"][0]["image"]
    rows = [f"{file},gender,woman,carla,{'x' * 100_000}" for file in (image, *map(str, range(20)))]
    text = "\n".join(["file,attribute,group,rater,remark", *rows])
    assert http.post(at, json={"text": text}).json()["added"] == 1
    for role, path in (("rater", at), ("operator", "/v1/explain")):
        refused = service.http(service.key(role)[0]).post(path, json={"text": text})
        assert (refused.status_code, "larger than 1,048,576 bytes" in refused.text) == (413, True)
    monkeypatch.setattr("fair_diffusion.service.gate.LARGEST_TABLE", 1_500_000)
    parts = [b" " * 500_000] * 4
    for given in ({"json": {"text": text}}, {"content": iter(parts), "headers": {"content-type": "application/json"}}):
        refused = http.post(at, **given)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        assert "larger than 1,500,000 bytes" in refused.text


def test_nothing_is_read_of_a_body_that_is_said_to_be_too_large(service: Running, made: dict[str, Any]) -> None:
    """The answer comes before the body does."""
    host, port = service.address.removeprefix("http://").split(":")
    head = f"POST {SETS}/{made['id']}/table HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.operator}\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {2**40}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
