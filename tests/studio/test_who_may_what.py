"""Who may do what: clients have the policy alone, nobody changes the drawings of others; and answers that fail."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from browsing import Studio, browsing
from label_examples import GENDER, made_set, new_pictures, sets_of
from sqlalchemy import update
from stream_jobs import drawn

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.service.audit_body import COUNTS
from fair_diffusion.service.claims import Claims, Ended
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.keys import CLIENT, OPERATOR, RATER
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.tables import images as image_table
from fair_diffusion.service.tables import label_pictures
from fair_diffusion.service.trail import changes
from fair_diffusion.studio.pages import streams

MODEL = ServedModel(
    name="pocket",
    width=64,
    height=64,
    grain=4,
    steps=25,
    guidance=2.0,
    attributes=["gender", "hats"],
    passes=2,
    weights="none",
)
RULE = "version: 1\nrules:\n  - concepts: [nurse]\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"
BODY = DrawBody(prompt="a photo of a nurse", n=4, seed=1, steps=25, guidance=2.0, method="prompt")


@pytest.fixture
def present(empty: Studio) -> Iterator[Studio]:
    """A studio whose model says that it is there, and draws nothing."""
    with Presence(empty.server.database, "nobody", [MODEL]):
        yield empty


def test_the_example_waits_for_the_model(empty: Studio) -> None:
    """Whoever clicks at once would get a refusal in place of a first drawing."""
    with browsing(empty, empty.key) as http:
        assert "Draw this example" not in http.get("").text
        assert "The model is being loaded" in http.get("example").text
        with Presence(empty.server.database, "nobody", [MODEL]):
            assert all("Draw this example" in http.get(path).text for path in ("example", ""))


def test_a_client_draws_under_the_policy_alone(present: Studio) -> None:
    """A twin without the policy would be an image that the policy does not hold for."""
    version = present.server.policies.add(RULE, by=present.key.id)
    present.server.policies.activate(version.version, why="the board agreed", by=present.key.id)
    form = {"prompt": "a photo of a nurse", "n": "2", "twins": "true", "seed": "5", "sentence": "nurse: 100% men"}
    for role, jobs in ((CLIENT, 1), (OPERATOR, 2)):
        key = present.new_key(role)
        with browsing(present, key) as http:
            page = http.get("instruct").text
            assert ('name="seed"' in page) == ('name="twins"' in page) == (role == OPERATOR)
            assert http.post("instruct", data=form).status_code == 303
        found = present.server.jobs.newest(key=key.id)
        assert len(found) == jobs
        if role == CLIENT:
            body = DrawBody.of(found[0].body)
            assert (body.policy, body.instruct, body.plain) == (version.version, None, "")


def test_an_image_is_made_again_for_its_own_key_alone(present: Studio) -> None:
    """Also of an attribute that no built-in one is: the policy that asked for it had its own."""
    key = present.new_key(OPERATOR)
    image: dict[str, Any] = {"file": "a" * 64, "seed": 1, "steered": True, "strength": 1.0, "repairs": 0}
    image |= {name: {"hats": "hat"} for name in ("assigned", "judged", "perceived")} | {"confidence": {"hats": 0.9}}
    result = {"images": [image], "streams": [{"rule": "hats", "attributes": "hats"}], "notes": [], "reason": "a rule"}
    drawn(present.server, ["woman"], body=replace(BODY, n=1).stored(), key=key.id, result=result)
    (job,) = present.server.jobs.newest(key=key.id)
    with browsing(present, present.key) as http:
        assert "Not what I asked" not in http.get(f"instruct/{job.id}").text
        assert http.post(f"instruct/{job.id}/again/0").status_code == 403
    assert Labels(present.server.database).all() == []
    with browsing(present, key) as http:
        assert "Not what I asked" in http.get(f"instruct/{job.id}").text
        assert http.post(f"instruct/{job.id}/again/0").status_code == 200
    (label,) = Labels(present.server.database).all()
    assert (label.attribute, label.queue) == ("hats", "correction")
    assert len(present.server.jobs.newest(key=key.id)) == 2


def test_a_suite_is_put_whole_or_not_at_all(present: Studio) -> None:
    """Two occupations in two ways are four drawings and two sets of twins. Where one is refused, none waits."""
    server = present.server
    form = {"occupations": "nurse\nfarmer", "sentence": "every occupation: half women, half men", "n": "1"}
    for most, ways, status in ((None, [], 400), (None, ["switch", "magic"], 400), (5, ["switch", "prompt"], 429)):
        _, key = server.keys.add("an operator", role=OPERATOR, limits=Limits(queued=most))
        with browsing(present, key) as http:
            assert http.post("audits/suite", data={**form, "ways": ways}).status_code == status
        assert {job.state for job in server.jobs.newest(key=key.id)} == ({"cancelled"} if most else set())
    _, key = server.keys.add("an operator", role=OPERATOR)
    with browsing(present, key) as http:
        assert http.post("audits/suite", data={**form, "ways": ["switch", "prompt"]}).status_code == 303
    found = server.jobs.newest(key=key.id)
    drawings = [DrawBody.of(job.body) for job in found if job.kind.startswith("draw ")]
    assert len(found) == 7
    assert sum(bool(body.plain) for body in drawings) == 2
    for prompt in {body.prompt for body in drawings}:
        assert len({body.seed for body in drawings if body.prompt == prompt}) == 1


def test_each_role_is_told_what_it_can_do(empty: Studio) -> None:
    said = {
        RATER: "Say what you see in pictures",
        CLIENT: "The policy of this server",
        OPERATOR: "Say in a sentence which proportions",
    }
    for role in said:
        with browsing(empty, empty.new_key(role)) as http:
            page = http.get("").text
        assert [other for other, text in said.items() if text in page] == [role]


def test_what_is_too_large_is_said_so(empty: Studio) -> None:
    large = b"x" * 1_100_000
    with browsing(empty, empty.key) as http:
        for answer in (
            http.post("policies/check", data={"text": large.decode()}),
            http.post("instruct/understood", data={"prompt": large.decode()}),
        ):
            assert answer.status_code == 413
            assert "larger than 1,048,576 bytes" in answer.text


def test_a_table_of_labels_may_be_as_large_as_its_set(empty: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_set(empty.server.database, empty.server.settings.data, 2)[1]
    rows = [f"{file},gender,man,carla,{'x' * 100_000}" for file in ("000.png", *map(str, range(20)))]
    table = "\n".join(["file,attribute,group,rater,remark", *rows]).encode()
    with browsing(empty, empty.key) as http:
        told = http.post(f"label/{made.id}/labels.csv", files={"file": ("l.csv", table)})
        assert (told.status_code, "1 label added" in told.text) == (200, True)
        monkeypatch.setattr("fair_diffusion.studio.gate.LARGEST_TABLE", 1_500_000)
        refused = http.post(f"label/{made.id}/labels.csv", files={"file": ("l.csv", table)})
        assert (refused.status_code, "larger than 1,500,000 bytes" in refused.text) == (413, True)
    with browsing(empty, empty.new_key(RATER)) as http:
        refused = http.post(f"label/{made.id}/labels.csv", files={"file": ("l.csv", table)})
        assert (refused.status_code, "larger than 1,048,576 bytes" in refused.text) == (413, True)


def test_an_answer_that_fails_has_the_headers_of_all_others(empty: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a photo of a secret")

    monkeypatch.setattr(streams, "flows", broken)
    with browsing(empty, empty.key) as http:
        answer = http.get("streams")
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "secret" not in answer.text


def test_a_picture_that_was_erased_is_no_disagreement_any_more(empty: Studio) -> None:
    database = empty.server.database
    _, made = made_set(database, empty.server.settings.data, 2)
    with database.reading() as connection:
        hashes = connection.scalars(label_pictures.select().with_only_columns(label_pictures.c.image)).all()
    for image in hashes:
        for rater, group in (("key_a", "woman"), ("key_b", "man")):
            told: dict[str, Any] = {"rater": rater, "queue": "second", "guideline": "1", "label_set": made.id}
            Labels(database).add(image, "gender", group, **told)
    assert len(Adjudications(database, made).disagreements()) == 2
    with database.writing() as connection:
        connection.execute(label_pictures.delete().where(label_pictures.c.image == hashes[0]))
    with browsing(empty, empty.key) as http:
        answer = http.get(f"label/{made.id}/disagreements")
    assert answer.status_code == 200
    assert answer.text.count("It shows") == 1


def test_a_slash_too_many_leaves_no_prefix(empty: Studio) -> None:
    """A redirect to the whole address would lose the prefix that a proxy takes off."""
    with browsing(empty, empty.key) as http:
        assert http.get("streams/").status_code == 404


def test_a_link_to_a_report_promises_no_more_than_the_report_lasts(empty: Studio) -> None:
    server, claims = empty.server, Claims(empty.server.database, "a test")
    for days in (2, 90):
        job, _ = server.jobs.put("audit pocket", {"subject": COUNTS}, key=empty.key.id, images=0, kept=days * 86_400.0)
        digest = server.images.put(b"<!doctype html><p>a report", media="text/html", key=empty.key.id)
        claims.end_all([Ended(claims.claim(["audit pocket"])[0], result={"report": digest, "said": []})])
        with browsing(empty, empty.key) as http:
            answer = http.post(f"audits/{job.id}/share", headers={"hx-request": "true"})
            link = re.search(r'href="[^"]*/studio/(shared/[^"]+)"', answer.text)
            assert link is not None
            until = datetime.fromtimestamp(time.time() + min(days, 30) * 86_400, UTC)
            assert f"until {until:%-d %B %Y}" in answer.text
        assert httpx2.get(empty.address + link[1]).status_code == 200
        for wrong in (link[1][:-1], link[1] + "x", link[1].replace("/", "/x")):
            answer = httpx2.get(empty.address + wrong)
            assert answer.status_code == 404
            assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_an_operator_calibrates_by_all_labels_and_the_trail_knows(empty: Studio) -> None:
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 8)
    images = [each.image for each in pictures]
    drawn(empty.server, ["woman"] * 4 + ["man"] * 4, files=images)
    (job,) = empty.server.jobs.newest()
    with database.writing() as connection:
        connection.execute(update(image_table).values(job=job.id))
    made = sets_of(database, data).add("a set", GENDER, pictures, second=0.0)
    with browsing(empty, empty.key) as http:
        assert "Calibrate</button>" in http.get("label").text
        ours = {"sets": [made.id]}
        for form, said in (({}, "choose at least one set"), (ours, "label some first")):
            early = http.post("label/calibration", data=form)
            assert (early.status_code, said in early.text.lower()) == (400, True)
        queue = LabelQueue(database, made, lambda: 1.0)
        for _ in range(6):
            (task,) = queue.next("key_r")
            queue.label("key_r", task.image, "woman", guideline=made.guideline)
        page = http.post("label/calibration", data=ours).text
        version = re.search(r"Calibration ([0-9a-f]{12})", page)
        assert version
        assert "From 6 labelled pictures of 1 set" in page
        (change,) = changes(database, subject=version[1])
        assert (change.change, change.by) == ("calibration made", empty.key.id)
        file = http.get(f"label/calibration/{version[1]}")
        assert file.headers["content-disposition"] == f'attachment; filename="calibration-{version[1]}.json"'
        (data / "calibration.json").write_text(file.text)
        assert Calibration.load(data / "calibration.json").version == version[1]
        (task,) = queue.next("key_r")
        queue.label("key_r", task.image, "man", guideline=made.guideline)
        later = http.post("label/calibration", data=ours).text
        assert f"Calibration {version[1]}" not in later
        assert http.get(f"label/calibration/{version[1]}").text == file.text
        assert http.get("label").text.count('href="./label/calibration/') == 2
        assert http.get("label/calibration/000000000000").status_code == 404
    with browsing(empty, empty.new_key(RATER)) as http:
        assert http.post("label/calibration", data={"sets": [made.id]}).status_code == 403
        assert http.get(f"label/calibration/{version[1]}").status_code == 403
        assert "calibration" not in http.get("label").text.lower()


def test_clients_see_nothing_of_labels(empty: Studio) -> None:
    _, made = made_set(empty.server.database, empty.server.settings.data, 4)
    paths = ("label", f"label/{made.id}", *(f"label/{made.id}/{part}" for part in ("raters", "disagreements")))
    for role, wanted in ((CLIENT, [403] * 4), (RATER, [200] * 3 + [403]), (OPERATOR, [200] * 4)):
        with browsing(empty, empty.new_key(role)) as http:
            assert [http.get(path).status_code for path in paths] == wanted


def test_a_sentence_takes_the_definitions_of_the_policy_and_its_plain_twins_take_nothing(present: Studio) -> None:
    """Twins by the rules of the policy would be steered, and plain in name alone."""
    groups = "covered: {phrases: [person with a hat]}, uncovered: {phrases: [person without a hat]}"
    own = f"attributes:\n  headgear:\n    label: headgear\n    groups: {{{groups}}}\n"
    version = present.server.policies.add(RULE.replace("rules:", f"{own}rules:"), by=present.key.id)
    present.server.policies.activate(version.version, why="a test", by=present.key.id)
    form = {"prompt": "a photo of a nurse", "n": "2", "twins": "true", "seed": "5", "sentence": "nurse: 100% covered"}
    with browsing(present, present.key) as http:
        assert "2 covered" in http.post("instruct/understood", data=form).text
        assert http.post("instruct", data=form).status_code == 303
    bodies = [DrawBody.of(job.body) for job in present.server.jobs.newest(key=present.key.id)]
    twin, steered = sorted(bodies, key=lambda body: body.instruct is not None)
    assert (twin.version, twin.instruct, steered.version) == (None, None, version.version)
    asked = twin.drawing(None, batch=1)
    assert (asked.policy, asked.instruct) == (None, None)
    assert replace(steered, instruct=None).version is None  # so were the twins of jobs that wait already
