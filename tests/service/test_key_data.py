"""The data of a key: exported whole, deleted whole, and never that of another key."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from running_service import Running, running
from sqlalchemy import delete, select
from typer.testing import CliRunner

from fair_diffusion import FairPipeline
from fair_diffusion.cli import app
from fair_diffusion.policy import built_in
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.key_data import ERASED, Had, KeyData, RunningError, erased_since
from fair_diffusion.service.keys import Key, Keys
from fair_diffusion.service.label_queue import LabelQueue, NotHeldError
from fair_diffusion.service.label_sets import LabelSets, NewPicture
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.tables import images, jobs, tables
from fair_diffusion.service.trail import changes, note

MODEL = ServedModel(
    name="pocket", width=64, height=64, grain=4, steps=25, guidance=2.0, attributes=["gender"], passes=2, weights="none"
)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Images:
    return Images(database, tmp_path / "images")


def filled(database: Database, place: Images, name: str) -> Key:
    """A key with a job that is done, a picture of its own, one that all keys have, one that it sent, and labels."""
    _, key = Keys(database).add(name)
    job, _ = Jobs(database).put("draw", {"prompt": f"secret of {name}"}, key=key.id)
    claims = Claims(database, "w")
    (held,) = claims.claim(["draw"])
    own = place.put(name.encode(), key=key.id, job=job.id)
    place.put(b"the same for all", key=key.id)
    place.put(f"sent by {name}".encode(), key=f"{key.id}/upload")
    claims.event(held, "partial", {"image": own})
    claims.end(held, result={"images": [{"file": own}]})
    Labels(database).add(own, "gender", "woman", rater="somebody", queue="random", probability=0.5, guideline="1")
    Labels(database).add("0" * 64, "gender", None, rater=key.id, queue="gold", guideline="1")
    return key


def opened(content: bytes) -> dict[str, Any]:
    """The members of an archive; those that are JSON as data."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    return {name: json.loads(member) if name.endswith(".json") else member for name, member in members.items()}


def test_an_archive_has_all_of_a_key_and_nothing_of_another(database: Database, place: Images) -> None:
    ours, _ = filled(database, place, "ours"), filled(database, place, "theirs")
    out = io.BytesIO()
    assert KeyData(database, place).export(ours, out, by="key_x") == Had(jobs=1, images=3, labels=2)
    found = opened(out.getvalue())
    assert found["key.json"]["id"] == ours.id
    (job,) = found["jobs.json"]
    assert (job["body"], job["state"]) == ({"prompt": "secret of ours"}, "done")
    assert [event["kind"] for event in job["events"]] == ["partial", "done"]
    assert {member for name, member in found.items() if name.startswith("images/")} == {
        b"ours",
        b"the same for all",
        b"sent by ours",
    }
    assert [label["rater"] for label in found["labels.json"]] == ["somebody", ours.id]
    assert b"theirs" not in out.getvalue()
    assert (changes(database)[0].change, changes(database)[0].by) == ("data exported", "key_x")


def test_what_is_erased_is_nowhere_and_others_keep_theirs(database: Database, place: Images, tmp_path: Path) -> None:
    ours, theirs = filled(database, place, "ours"), filled(database, place, "theirs")
    waiting, _ = Jobs(database).put("draw", {"prompt": "waits"}, key=ours.id)
    data = KeyData(database, place)
    assert data.erase(ours, by="key_x") == Had(jobs=2, images=3, labels=2)
    with database.reading() as connection:
        rows = [str(row) for table in tables.tables.values() for row in connection.execute(select(table))]
        assert not [row for row in rows if "secret of ours" in row or waiting.id in row]
        assert connection.scalars(select(jobs.c.key)).all() == [theirs.id]
        assert set(connection.scalars(select(images.c.key))) == {theirs.id, f"{theirs.id}/upload"}
    files = {path.read_bytes() for path in (tmp_path / "images").rglob("*.png")}
    assert files == {b"theirs", b"the same for all", b"sent by theirs"}
    assert [label.rater for label in Labels(database).all()] == ["somebody", theirs.id]
    (last, *_) = changes(database, subject=ours.id)
    assert (last.change, last.by, last.details) == ("data erased", "key_x", {"jobs": 2, "images": 3, "labels": 2})
    assert data.erase(ours) == Had(0, 0, 0)
    assert ours.id in [key.id for key in Keys(database).all()]


def test_sets_that_are_labelled_lose_the_pictures_of_a_key_that_is_erased(
    database: Database, place: Images, tmp_path: Path
) -> None:
    ours, theirs = filled(database, place, "ours"), filled(database, place, "theirs")
    sets = LabelSets(database, place)
    pictures = [NewPicture(image=hashlib.sha256(key.name.encode()).hexdigest(), owner=key.id) for key in (ours, theirs)]
    made = sets.add("a set", built_in()["gender"], pictures, second=0)
    queue = LabelQueue(database, made, lambda: 1.0)
    for task in queue.next("somebody", most=2):
        queue.label("somebody", task.image, "woman", guideline=made.guideline)
    sets.consent(ours.id, made.guideline)
    queue.next(ours.id)
    assert KeyData(database, place).erase(ours).labels == 3
    with database.reading() as connection:
        assert connection.scalars(select(tables.tables["label_pictures"].c.owner)).all() == [theirs.id]
        assert connection.execute(select(tables.tables["consents"])).all() == []
    assert b"ours" not in {path.read_bytes() for path in (tmp_path / "images").rglob("*.png")}
    assert [label.image for label in Labels(database).all(label_set=made.id)] == [pictures[1].image]


def test_a_rater_does_not_wait_for_a_picture_that_is_erased_meanwhile(
    database: Database, place: Images, tmp_path: Path
) -> None:
    _, ours = Keys(database).add("ours")
    pictures = [NewPicture(image=place.put(name, key=ours.id), owner=ours.id) for name in (b"a", b"b")]
    pictures.append(NewPicture(image=place.put(b"c"), owner=""))
    made = LabelSets(database, place).add("a set", built_in()["gender"], pictures, second=0)
    queue = LabelQueue(database, made, lambda: 1.0)
    held = queue.next("anna", most=3)
    KeyData(database, place).erase(ours)
    assert [task.image for task in queue.next("anna", most=3)] == [pictures[2].image]
    gone = next(task for task in held if task.image != pictures[2].image)
    with pytest.raises(NotHeldError):
        queue.label("anna", gone.image, "woman", guideline=made.guideline)
    queue.label("anna", pictures[2].image, "woman", guideline=made.guideline)


def test_a_job_that_is_drawn_just_now_is_cancelled_first(database: Database, place: Images) -> None:
    ours = filled(database, place, "ours")
    Jobs(database).put("draw", {}, key=ours.id)
    claims = Claims(database, "w")
    (held,) = claims.claim(["draw"])
    with pytest.raises(RunningError, match="1 jobs of this key are drawn just now"):
        KeyData(database, place).erase(ours)
    assert Jobs(database).get(held.id).cancelling
    assert len(Jobs(database).newest(key=ours.id)) == 2
    claims.end(held, "cancelled")
    assert KeyData(database, place).erase(ours).jobs == 2


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pipe = FairPipeline.from_pretrained("pocket")
    pipe.card = replace(pipe.card, steps=1)
    with running(tmp_path_factory.mktemp("data"), pipe=pipe) as found:
        yield found


def test_a_key_gets_and_erases_its_own_and_operators_those_of_all(service: Running) -> None:
    secret, key = service.key("client")
    http = service.http(secret)
    job = http.post("/v1/images/generations", json={"prompt": "a photo of a nurse"}).json()["fairness"]["job"]
    found = opened(http.get("/v1/keys/own/data").content)
    assert [each["id"] for each in found["jobs.json"]] == [job]
    assert len([name for name in found if name.startswith("images/")]) == 1
    operator = service.http()
    assert opened(operator.get(f"/v1/keys/{key.id}/data").content).keys() == found.keys()
    for other in (service.client_key.id, service.operator_key.id, "key_000000000000"):
        assert http.get(f"/v1/keys/{other}/data").status_code == 404
        assert http.delete(f"/v1/keys/{other}/data").status_code == 404
    assert http.get("/v1/keys/..%2f..%2fown/data").status_code in (400, 404)
    before = sum(row.asked for row in DatabaseLedger(service.server.database).rows())
    assert before
    assert operator.delete(f"/v1/keys/{key.id}/data").json()["jobs"] == 1
    assert http.get(f"/v1/jobs/{job}").status_code == 404
    assert http.delete("/v1/keys/own/data").json() == {
        **{"object": "erased", "key": key.id, "jobs": 0, "images": 0, "labels": 0}
    }
    assert sum(row.asked for row in DatabaseLedger(service.server.database).rows()) == before
    assert changes(service.server.database, subject=key.id)[0].by == key.id


def test_a_key_that_erases_its_data_has_no_more_images_of_its_minute(service: Running) -> None:
    secret, key = service.key("client", images_per_minute=1)
    http = service.http(secret)
    assert http.delete("/v1/keys/own/data").json()["jobs"] == 0
    asked = time.monotonic()
    assert http.post("/v1/images/generations", json={"prompt": "a photo of a nurse"}).status_code == 200
    refused = http.delete(f"/v1/keys/{key.id}/data")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "still_counted")
    assert 59 - (time.monotonic() - asked) <= int(refused.headers["retry-after"]) <= 60
    assert http.post("/v1/jobs", json={"prompt": "a photo of a nurse"}).status_code == 429
    assert service.http().delete(f"/v1/keys/{key.id}/data").json()["jobs"] == 1


@pytest.mark.parametrize(
    ("stream", "erased", "status", "said"),
    [
        (False, True, 404, "there is no such job"),
        (True, True, 404, "there is no such job"),
        (False, False, 503, "the job was lost, as when the database loses its power; try again"),
    ],
)
def test_a_job_that_is_gone_while_its_client_waits(
    stream: bool, erased: bool, status: int, said: str, tmp_path: Path
) -> None:
    """After 503 the SDK asks for the same images again, and nobody wants those that were erased."""
    with running(tmp_path) as service, ThreadPoolExecutor() as threads, Presence(service.server.database, "w", [MODEL]):
        asked = {"prompt": "a photo of a nurse", "stream": stream}
        waiting = threads.submit(service.http(service.client).post, "/v1/images/generations", json=asked)
        while not (found := service.server.jobs.newest()):
            time.sleep(0.02)
        with service.server.database.writing() as connection:  # at once: else the client sees that it is cancelled
            connection.execute(delete(jobs).where(jobs.c.id == found[0].id))
            if erased:
                note(connection, by="key_x", change=ERASED, subject=found[0].key, details={})
        answer = waiting.result(30)
    assert answer.status_code == (200 if stream else status)
    told = json.loads(answer.text.partition("data: ")[2]) if stream else answer.json()
    assert told["error"]["message"] == said


def test_a_job_that_is_lost_is_no_job_that_was_erased(database: Database, place: Images) -> None:
    ours, theirs = filled(database, place, "ours"), filled(database, place, "theirs")
    before = changes(database)[0].time
    KeyData(database, place).erase(ours)
    (erased,) = [each.time for each in changes(database) if each.change == ERASED]
    assert erased_since(database, ours.id, before)
    assert not erased_since(database, ours.id, erased + 1e-3)  # of a job that came later
    assert not erased_since(database, theirs.id, before)


def test_raters_label_and_have_their_data_and_nothing_else(service: Running) -> None:
    secret, _ = service.key("rater")
    http = service.http(secret)
    for path in ("/v1/models", "/v1/models/pocket", "/metrics", "/v1/jobs", "/v1/streams", "/v1/policies"):
        assert http.get(path).status_code == 403, path
    assert opened(http.get("/v1/keys/own/data").content)["labels.json"] == []


def test_the_command_exports_and_erases(tmp_path: Path) -> None:
    database = Database(tmp_path / "service.sqlite")
    key = filled(database, Images(database, tmp_path / "images"), "ours")
    database.close()
    given, out = ["--data", str(tmp_path)], tmp_path / "ours.zip"
    run = CliRunner().invoke(app, ["keys", "export", key.id, "--out", str(out), *given])
    assert (run.exit_code, run.output) == (0, f"wrote {out}: 1 jobs, 3 images and 2 labels\n")
    assert len(opened(out.read_bytes())["jobs.json"]) == 1
    asked = CliRunner().invoke(app, ["keys", "erase", key.id, *given], input="n\n")
    assert asked.exit_code == 1
    run = CliRunner().invoke(app, ["keys", "erase", key.id, "--yes", *given])
    assert run.output.startswith("deleted 1 jobs, 3 images and 2 labels; the key, the trail")
    none = CliRunner().invoke(app, ["keys", "erase", "key_none", "--yes", *given])
    assert none.exit_code == 2
