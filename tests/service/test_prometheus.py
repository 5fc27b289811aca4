"""Figures for Prometheus: what workers took, what waited, what came out; every sample once."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_service import Running, running

from fair_diffusion import FairPipeline
from fair_diffusion.policy.target import Target, uniform
from fair_diffusion.service import served_model
from fair_diffusion.service.figures import WAITS
from fair_diffusion.service.ledger import DatabaseLedger

SAMPLES = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served_model, "BEAT", 0.05)
        pipe = FairPipeline.from_pretrained("pocket")
        with running(tmp_path_factory.mktemp("metrics"), pipe=pipe) as found:
            yield found


def samples(service: Running, secret: str | None = None) -> SAMPLES:
    """All samples by their names. A name with the same labels twice is no answer that Prometheus reads."""
    found: SAMPLES = {}
    for family in text_string_to_metric_families(service.http(secret).get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), float(sample.value)))
    for name, each in found.items():
        assert Counter(str(labels) for labels, _ in each).most_common(1)[0][1] == 1, name
    return found


def test_the_work_of_a_worker_is_told(service: Running) -> None:
    http, steps = service.http(), 4
    body = {"prompt": "a photo of a nurse", "fairness": {"steps": steps, "method": "prompt"}, "stream": True}
    assert http.post("/v1/images/generations", json={**body, "partial_images": 1}).status_code == 200
    job = http.post("/v1/jobs", json={**body, "stream": False, "n": 10}).json()["id"]
    http.post(f"/v1/jobs/{job}/cancel")
    http.get(f"/v1/jobs/{job}/events")
    for _ in range(200):
        found = samples(service)
        if found.get("fair_diffusion_draw_seconds_count", [({}, 0.0)])[0][1] == 2:
            break
        time.sleep(0.05)
    for part, least in (("step", steps - 1), ("decode", 1), ("ledger", 1)):
        ((labels, count),) = found[f"fair_diffusion_{part}_seconds_count"]
        ((_, total),) = found[f"fair_diffusion_{part}_seconds_sum"]
        assert labels["worker"]
        assert count >= least
        assert 0 < total < 60
    ((labels, most),) = found["fair_diffusion_peak_memory_bytes"]
    assert labels["place"] == "host"
    assert 1e8 < most < 1e12
    for name in ("queue", "draw", "first_partial"):
        assert found[f"fair_diffusion_{name}_seconds_count"][0][1] >= 1
    states = {labels["state"]: number for labels, number in found["fair_diffusion_jobs"]}
    assert states.keys() == {"queued", "running", "done", "failed", "cancelled"}
    assert states["done"] == 1
    judged = {
        labels["group"]: number for labels, number in found["fair_diffusion_images"] if labels["counted"] == "judged"
    }
    assert sum(judged.values()) >= 1
    assert len(found["fair_diffusion_stream_deviation"]) == 1


def test_streams_of_one_rule_with_other_targets_are_told_apart(service: Running) -> None:
    ledger, half = DatabaseLedger(service.server.database), uniform("gender")
    first, *others = half.shares
    women = Target(half.attributes, {first: Fraction(1), **dict.fromkeys(others, Fraction(0))})
    for target in (half, uniform("skin_tone"), women):
        turn = ledger.reserve(rule="one rule", target=target, n=1, model="pocket")
        cells = [cell for cell, n in zip(target.shares, turn.quotas, strict=True) for _ in range(n)]
        ledger.settle(turn, assigned=cells, perceived=cells, judged=cells)
    told = [labels for labels, _ in samples(service)["fair_diffusion_stream_deviation"] if labels["rule"] == "one rule"]
    assert len({labels["stream"] for labels in told}) == 3
    assert sorted(labels["attributes"] for labels in told) == ["gender", "gender", "skin_tone"]


def test_the_names_of_streams_are_for_operators(service: Running) -> None:
    """They hold words of prompts and instructions."""
    asked = {"prompt": "a photo of a surgeon", "fairness": {"steps": 1}}
    assert service.http().post("/v1/images/generations", json=asked).status_code == 200
    operator, client = samples(service), samples(service, service.client)
    told = {labels["rule"] for labels, _ in operator["fair_diffusion_images"]}
    assert any("surgeon" in rule for rule in told)
    assert "surgeon" not in str(client)
    assert operator.keys() - client.keys() == {"fair_diffusion_images", "fair_diffusion_stream_deviation"}
    assert client["fair_diffusion_jobs"]


def test_the_figures_that_pages_name_are_there(service: Running) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    named = set(re.findall(r"fair_diffusion_[a-z_]+", page))
    assert len(named) >= 8
    assert {name for name in named if name not in samples(service)} <= {"fair_diffusion_draw_seconds"}  # by its parts


def test_each_job_is_timed_once_whoever_asked_for_it(service: Running) -> None:
    http, named = service.http(), {"Idempotency-Key": "timed"}
    body = {"prompt": "a red car", "fairness": {"steps": 4, "policy": "none"}}
    streamed = {**body, "stream": True, "partial_images": 2, "n": 2}

    def times() -> dict[str, float]:
        counts = samples(service)
        return {name: counts[f"fair_diffusion_{name}_seconds_count"][0][1] for name in WAITS}

    before = times()
    for _ in range(2):
        assert http.post("/v1/images/generations", json=streamed, headers=named).status_code == 200
    job = http.post("/v1/jobs", json=body).json()["id"]
    http.get(f"/v1/jobs/{job}/events")
    for _ in range(200):
        if (after := times())["draw"] >= before["draw"] + 2:
            break
        time.sleep(0.05)
    assert {name: after[name] - before[name] for name in WAITS} == {"queue": 2, "draw": 2, "first_partial": 1}
    buckets = {labels["le"]: count for labels, count in samples(service)["fair_diffusion_draw_seconds_bucket"]}
    assert buckets["+Inf"] == after["draw"]
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets["0.01"] < after["draw"]
