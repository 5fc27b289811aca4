"""A service in front of another image server: proportions by the ledger, few images drawn anew, honest failures."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from fake_upstream import BLUE, GREY, RED, FakeUpstream, bad, fake_upstream, picture, proxying
from running_service import Running, running

from fair_diffusion import FairPipeline
from fair_diffusion.service.job import QUEUED
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.proxy_worker import ProxyWorker
from fair_diffusion.service.proxying import Proxied
from fair_diffusion.service.upstream import Upstream

PROMPT = "a photo of a firefighter"
WOMAN, MAN = "a photo of a female firefighter", "a photo of a male firefighter"


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeUpstream]:
    with fake_upstream() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("fair")) as found:
        yield found


@pytest.fixture(scope="module")
def worker(service: Running, server: FakeUpstream) -> Iterator[ProxyWorker]:
    upstream = Upstream(server.address, key=None, model=None, timeout=60.0, at_once=4)
    with upstream, proxying(service, upstream) as found:
        yield found


@pytest.fixture
def fake(service: Running, server: FakeUpstream, worker: ProxyWorker) -> FakeUpstream:
    """The other server without a memory, and no stream begun."""
    server.reset()
    DatabaseLedger(service.server.database).reset()
    return server


def generate(service: Running, prompt: str = PROMPT, **fields: Any) -> Any:
    return service.sdk().images.generate(prompt=prompt, **fields)


def counted(service: Running) -> list[tuple[str, int, int]]:
    """Each group with the images that were asked for, and those under way."""
    return [(row.group, row.asked, row.pending) for row in DatabaseLedger(service.server.database).rows()]


def test_every_prefix_is_within_one_image_and_only_what_does_not_fit_is_drawn_anew(
    service: Running, fake: FakeUpstream, worker: ProxyWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[int]] = []
    reserve = worker.tools.claims.reserve

    def noted(*given: Any, **named: Any) -> Any:
        turn = reserve(*given, **named)
        taken.append(list(turn.quotas))
        return turn

    monkeypatch.setattr(worker.tools.claims, "reserve", noted)
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: generate(service), range(24)))
    women = 0
    for n, quotas in enumerate(taken, 1):
        women += quotas[0]
        assert abs(women - n / 2) <= 1
    assigned = [answer.fairness["images"][0]["assigned"]["gender"] for answer in answers]
    assert (len(taken), assigned.count("woman")) == (24, 12)
    assert [answer.fairness["images"][0]["judged"]["gender"] for answer in answers] == assigned
    assert sorted(fake.prompts) == sorted([PROMPT] * 24 + [WOMAN] * 12)  # men draw themselves
    assert sum(answer.usage.output_tokens for answer in answers) == 36
    shown = answers[-1].fairness
    assert ("seed" not in shown["images"][0], shown["rule"]) == (True, "every occupation")
    assert {row.model for row in DatabaseLedger(service.server.database).rows()} == {"upstream"}


def test_a_turn_is_of_the_group_that_shows_where_the_stream_leaves_a_choice(
    service: Running, fake: FakeUpstream
) -> None:
    fake.plain = [RED, BLUE, BLUE, RED]
    assert [generate(service).fairness["images"][0]["steered"] for _ in range(4)] == [False] * 4
    assert fake.prompts == [PROMPT] * 4


def test_images_of_one_request_are_assigned_with_the_least_change(service: Running, fake: FakeUpstream) -> None:
    fake.plain = [RED, BLUE, BLUE, BLUE]
    answer = generate(service, n=4, size="64x64", quality="high", output_format="webp")
    assert sorted(image["assigned"]["gender"] for image in answer.fairness["images"]) == ["man"] * 2 + ["woman"] * 2
    assert sum(image["steered"] for image in answer.fairness["images"]) == 1
    assert fake.prompts == [PROMPT] * 4 + [WOMAN]
    assert {(body["size"], body["quality"], body["n"]) for body in fake.asked} == {("64x64", "high", 1)}
    assert base64.b64decode(answer.data[0].b64_json)[8:12] == b"WEBP"
    assert (answer.quality, answer.size) == ("high", "16x16")  # as the server drew them


def test_a_prompt_without_a_rule_is_drawn_as_it_is_and_counts_nowhere(service: Running, fake: FakeUpstream) -> None:
    answer = generate(service, "a photo of a red car")
    assert (answer.fairness["rule"], answer.fairness["streams"]) == (None, [])
    assert fake.asked == [{"prompt": "a photo of a red car", "n": 1}]
    assert not counted(service)


def test_what_misses_is_drawn_again_within_the_budget(
    service: Running, fake: FakeUpstream, worker: ProxyWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.plain = [GREY]  # nobody can tell
    usual, words = fake.answer, 0

    def resisting(body: dict[str, Any]) -> Any:
        nonlocal words
        words += body["prompt"] != PROMPT
        return usual({**body, "prompt": "x"} if body["prompt"] != PROMPT and words < 3 else body)

    monkeypatch.setattr(fake, "answer", resisting)
    (image,) = generate(service).fairness["images"]
    assert (image["steered"], image["repairs"], image["judged"]["gender"]) == (True, 2, image["assigned"]["gender"])
    words = -100
    answer = generate(service)
    assert (answer.usage.output_tokens, answer.fairness["images"][0]["judged"]["gender"]) == (4, None)
    assert "1 of 1 images do not surely show what was assigned" in answer.fairness["notes"][0]


FAILURES: list[tuple[Any, type[openai.APIStatusError], str, str | None]] = [
    (bad(429, "too fast", retry_after="7"), openai.RateLimitError, "slow_down", "7"),
    (bad(400, "not allowed", "moderation_blocked"), openai.BadRequestError, "moderation_blocked", None),
    (bad(503, "busy", retry_after="5"), openai.InternalServerError, "server_is_overloaded", "5"),
    (bad(500, "oh"), openai.InternalServerError, "upstream_failed", None),
    (bad(401, "no key"), openai.InternalServerError, "upstream_closed", None),
    ((200, {}, b"garbage"), openai.InternalServerError, "upstream_garbage", None),
]


@pytest.mark.parametrize("at", ["plain", "with words"])
def test_failures_are_passed_on_and_spend_no_turn(service: Running, fake: FakeUpstream, at: str) -> None:
    everyone = {"fairness": {"instruct": "firefighter: all women"}}
    for n, (answer, error, code, after) in enumerate(FAILURES):
        fake.answers = [answer] if at == "plain" else [None, answer]
        with pytest.raises(error) as refused:
            generate(service, extra_body=everyone)
        assert refused.value.code == code
        assert ("refused: not allowed" in refused.value.message) == (at == "plain" and code == "moderation_blocked")
        assert refused.value.response.headers.get("retry-after") == after
        assert sum(asked + pending for _, asked, pending in counted(service)) == n
        assert generate(service, extra_body=everyone).fairness["images"][0]["judged"] == {"gender": "woman"}
        assert next(row[1:] for row in counted(service)) == (n + 1, 0)


def test_a_failure_after_an_image_with_words_ends_the_repairs_alone(service: Running, fake: FakeUpstream) -> None:
    fake.plain = [GREY]
    good_grey = fake.answer({"prompt": "x"})
    fake.asked.clear()
    fake.answers = [None, good_grey, bad(429, "too fast")]
    answer = generate(service)
    assert answer.fairness["notes"][0].startswith(
        "no further attempt: the upstream server refused to draw an image again"
    )
    assert answer.usage.output_tokens == 2
    assert sum(asked for _, asked, _ in counted(service)) == 1


def test_the_sdk_tries_again_and_one_turn_is_spent(service: Running, fake: FakeUpstream) -> None:
    fake.answers = [bad(503, "busy", retry_after="0.1"), bad(500, "oh")]
    assert service.sdk(retries=2).images.generate(prompt=PROMPT).data
    assert sum(asked for _, asked, _ in counted(service)) == 1


def test_the_same_idempotency_key_is_not_refused_for_a_day_because_the_other_server_was_busy_once(
    service: Running, fake: FakeUpstream
) -> None:
    fake.answers = [bad(429, "too fast", retry_after="0.1")]
    header = {"Idempotency-Key": "busy-once"}
    first: Any = service.sdk(retries=2).images.generate(prompt=PROMPT, extra_headers=header)
    again: Any = service.sdk().images.generate(prompt=PROMPT, extra_headers=header)
    assert first.fairness["job"] == again.fairness["job"]
    assert sum(asked for _, asked, _ in counted(service)) == 1


def test_what_the_other_server_cannot_do_is_a_400(service: Running, fake: FakeUpstream) -> None:
    wrong: list[dict[str, Any]] = [{"steps": 3}, {"seed": 3}, {"guidance": 3.0}, {"negative_prompt": "x"}]
    for fields in [*wrong, {"method": "switch"}]:
        with pytest.raises(openai.BadRequestError) as refused:
            generate(service, extra_body={"fairness": fields})
        assert refused.value.param == f"fairness.{next(iter(fields))}"
    with pytest.raises(openai.BadRequestError, match="age"):
        generate(service, extra_body={"fairness": {"instruct": "firefighter: half young, half old"}})
    with pytest.raises(openai.BadRequestError, match=r"draws sides from 16 pixels$"):
        generate(service, size="10x10")
    with pytest.raises(openai.BadRequestError) as refused:
        service.sdk().images.edit(image=picture(BLUE), prompt=PROMPT)
    assert refused.value.param == "model"


def test_a_stream_has_the_finished_images(service: Running, fake: FakeUpstream) -> None:
    events: list[Any] = list(generate(service, n=2, stream=True, partial_images=2))
    assert [(event.type, event.fairness["index"]) for event in events] == [
        ("image_generation.completed", 0),
        ("image_generation.completed", 1),
    ]


def test_a_job_is_cancelled_while_the_other_server_is_silent_or_given_back(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "data") as service, fake_upstream() as fake:
        fake.hang = 3.0
        http = service.http()

        def begun() -> str:
            job = str(http.post("/v1/jobs", json={"prompt": PROMPT}).json()["id"])
            while service.server.jobs.get(job).state == QUEUED:
                time.sleep(0.02)
            return job

        silent = Upstream(fake.address, key=None, model=None, timeout=60.0, at_once=4)
        with silent as upstream, proxying(service, upstream):
            first = begun()
            http.post(f"/v1/jobs/{first}/cancel")
            while not (job := service.server.jobs.get(first)).over:
                time.sleep(0.02)
            assert job.state == "cancelled"
            second = begun()
        assert service.server.jobs.get(second).state == QUEUED
        assert service.server.jobs.get(second).attempts == 0


def test_a_cancelled_job_keeps_the_images_that_are_finished_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data") as service, fake_upstream() as fake:
        http, again = service.http(), Proxied._again

        def late(job: Proxied, images: Any) -> None:
            fake.hang = 3.0
            service.server.jobs.cancel(job._job.id)
            while not job._tools.holding.cancelled(job._job):
                time.sleep(0.02)
            again(job, images)

        monkeypatch.setattr(Proxied, "_again", late)
        upstream = Upstream(fake.address, key=None, model=None, timeout=60.0, at_once=4)
        with upstream, proxying(service, upstream):
            job = http.post("/v1/jobs", json={"prompt": PROMPT, "n": 2}).json()["id"]
            http.get(f"/v1/jobs/{job}/events")
            shown = http.get(f"/v1/jobs/{job}").json()
            assert shown["state"] == "cancelled"
            (image,) = shown["result"]["fairness"]["images"]  # of two blue pictures one may stay
            assert (image["assigned"], image["steered"]) == ({"gender": "man"}, False)
            assert [row for row in counted(service) if any(row[1:])] == [("man", 1, 0)]
            assert service.server.jobs.get(job).body["prompt"] == PROMPT
            fake.reset()
            usual, last = fake.answer, threading.Event()

            def slow(body: dict[str, Any]) -> Any:
                answer = usual(body)
                if len(fake.asked) == 3:
                    service.server.jobs.cancel(second)
                    last.wait(5)
                return answer

            monkeypatch.setattr(fake, "answer", slow)
            second = http.post("/v1/jobs", json={"prompt": "a red car", "n": 3}).json()["id"]
            http.get(f"/v1/jobs/{second}/events")
            last.set()
            shown = http.get(f"/v1/jobs/{second}").json()
            assert (shown["state"], len(shown["result"]["data"])) == ("cancelled", 2)


def test_in_front_of_one_of_our_own_servers_through_the_sdk(tmp_path: Path, pocket: FairPipeline) -> None:
    few = FairPipeline(
        pocket.backbone.pipeline,
        name="pocket",
        perceiver=pocket.perceiver,
        judge=pocket.judge,
        card=replace(pocket.card, steps=12),
    )
    with running(tmp_path / "drawing", pipe=few) as drawing, running(tmp_path / "fair") as fair:
        drawing.server.policies.activate(None, why="it only draws")
        server = Upstream(f"{drawing.address}/v1", key=drawing.client, model="pocket", timeout=60.0, at_once=4)
        with server as upstream, proxying(fair, upstream, readers=(pocket.perceiver, pocket.judge), model="pocket"):
            answer: Any = fair.sdk().images.generate(prompt=PROMPT, n=4)
            shown = answer.fairness["images"]
            assert sorted(image["assigned"]["gender"] for image in shown) == ["man"] * 2 + ["woman"] * 2
            assert all(image["perceived"] | image["assigned"] == image["perceived"] for image in shown)
            assert 4 < answer.usage.output_tokens <= 10
            assert fair.http().get("/v1/models").json()["data"][0]["size"] == "auto"
        assert {row.rule for row in DatabaseLedger(drawing.server.database).rows()} == set()
