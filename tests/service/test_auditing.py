"""Audits as jobs: a table of counts, drawings and their twins, what is wrong, and what goes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running_service import FAST, Running, running

from fair_diffusion.audit.corrections import corrections
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy
from fair_diffusion.service.audit_body import COUNTS, DRAWINGS, AuditBody
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.drawing_study import Drawn, drawing_study
from fair_diffusion.service.job import DONE, FAILED, Job
from fair_diffusion.service.worker_kind import audit_kind_of, kind_of

TABLE = "prompt,attribute,group,count\nnurse,gender,woman,9\nnurse,gender,man,1\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pipe = FairPipeline.from_pretrained("pocket")
    with running(tmp_path_factory.mktemp("service"), pipe=pipe) as found:
        yield found


def ended(service: Running, job: Job) -> Job:
    while not job.over:
        time.sleep(0.02)
        job = service.server.jobs.get(job.id)
    return job


def audited(service: Running, body: AuditBody) -> Job:
    job, _ = service.server.jobs.put(audit_kind_of("pocket"), body.stored(), key=service.operator_key.id)
    return ended(service, job)


def report(service: Running, job: Job) -> str:
    assert job.state == DONE, job.reason
    assert job.result is not None
    content, media = service.server.images.get(job.result["report"], key=job.key)
    assert media == "text/html"
    return content.decode()


def test_a_table_of_counts_becomes_a_report_and_is_not_kept(service: Running) -> None:
    job = audited(service, AuditBody(subject=COUNTS, title="Nurses <1>", text=TABLE))
    page = report(service, job)
    assert "Nurses &lt;1&gt;" in page
    assert job.result is not None
    assert "deviate" in job.result["said"][0]
    assert job.body["text"] == ""


def test_a_mistake_names_the_line_and_no_folder_of_the_server(service: Running) -> None:
    job = audited(service, AuditBody(subject=COUNTS, title="", text=TABLE.replace("9", "many")))
    assert job.state == FAILED
    assert job.reason is not None
    assert job.reason.startswith("counts.csv, line 2")
    assert "/" not in job.reason.split("line 2")[0]


def test_drawings_are_counted_beside_their_twins_as_their_judge_read_them(service: Running) -> None:
    server, key = service.server, service.operator_key.id
    asked = {"prompt": "a photo of a nurse", "n": 4, **FAST}
    first = ended(service, server.jobs.get(service.http().post("/v1/jobs", json=asked).json()["id"]))
    whole = replace(DrawBody.of(first.body), prompt="a photo of a nurse", n=4)
    twin, _ = server.jobs.put(kind_of("pocket"), replace(whole, policy=None).stored(), key=key, images=4)
    steered, _ = server.jobs.put(kind_of("pocket"), replace(whole, plain=twin.id).stored(), key=key, images=4)
    job = audited(service, AuditBody(subject=DRAWINGS, title="One", drawings=[("nurse", steered.id)]))
    page = report(service, job)
    for source in ("plain", "instructed"):
        assert source in page


def test_every_attribute_and_every_combination_that_was_asked_for_is_counted() -> None:
    sentence = "nurse: half women, half men; age: half young, half old"
    body = {"prompt": "a photo of a nurse", "instruct": sentence}
    both = [("woman", "young"), ("woman", None), ("man", "old")]
    images = [
        {
            "file": "0" * 64,
            "assigned": {"gender": gender, "age": age or "old"},
            "judged": {"gender": gender, "age": age, "skin_tone": "dark"},
            "confidence": {},
        }
        for gender, age in both
    ]
    plain = [{**image, "judged": {"gender": "man", "age": "old", "skin_tone": "light"}} for image in images]
    drawn = Drawn("nurse", _job(body, images), _job(body, plain))
    errs = Confusion(
        attribute="gender",
        groups=["woman", "man"],
        counts=[[80, 20, 0], [0, 100, 0]],
        measured_on="drawings",
        left_out=["androgynous"],
    )
    tools: Any = SimpleNamespace(
        policy_for=lambda body: Policy.from_sentence(body.instruct),
        images=SimpleNamespace(get=_nothing),
        pipe=SimpleNamespace(judge_confusions=lambda _: [errs]),
        model="pocket",
    )
    study = drawing_study(tools, [drawn], Path()).study
    found = {(tally.source, tally.attribute): (dict(tally.counts), tally.unknown) for tally in study.tallies}
    assert found["instructed", "gender"] == ({"woman": 2, "man": 1, "androgynous": 0}, 0)
    assert found["instructed", "age"] == ({"young": 1, "middle-aged": 0, "old": 1}, 1)
    assert found["plain", "gender"] == ({"woman": 0, "man": 3, "androgynous": 0}, 0)
    assert found["plain", "skin_tone"][0]["light"] == 3
    quotas = {quota.attribute: dict(quota.counts) for quota in study.quotas}
    assert quotas["gender"] == {"woman": 2, "man": 1, "androgynous": 0}
    corrected = corrections(study.tallies, study.confusions)  # the judge read the images of both sources
    assert [(one.source, one.attribute) for one in corrected] == [("plain", "gender"), ("instructed", "gender")]
    asked = next(tally for tally in study.tallies if tally.attribute == "age")
    assert asked.target == {"young": 0.5, "middle-aged": 0, "old": 0.5}


def _job(body: dict[str, Any], images: list[dict[str, Any]]) -> Any:
    whole = {"n": 3, "seed": 0, "steps": 1, "guidance": 1.0, "method": "switch", **body}
    return SimpleNamespace(body=whole, result={"images": images})


def _nothing(file: str) -> bytes:
    raise LookupError(file)


def test_drawings_that_failed_are_no_report(service: Running) -> None:
    job = audited(service, AuditBody(subject=DRAWINGS, title="None", drawings=[("nurse", "job_" + 32 * "0")]))
    assert job.state == FAILED
    assert job.reason is not None
    assert job.reason.startswith("none of the images could be drawn")
