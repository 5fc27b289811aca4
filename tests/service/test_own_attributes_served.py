"""A policy that defines an attribute, served: images, streams, another definition, what no reader reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from running_service import Running, running

from fair_diffusion import FairPipeline
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.service.image_request import Fairness, ImageRequest, chosen_model, draw_body
from fair_diffusion.service.keys import OPERATOR
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.studio.drawings import drawing

PERCEIVER = f"pocket:{WEIGHTS / 'styles-perceiver.safetensors'}"
JUDGE = f"judge:{WEIGHTS / 'styles-judge.safetensors'}"
POLICY = """version: 1
attributes:
  complexion:
    label: complexion
    stands: after
    groups:
      fair: {phrases: [figure with light skin], adjective: with light skin}
      tan: {phrases: [figure with medium skin], adjective: with medium skin}
      deep: {phrases: [figure with dark skin], adjective: with dark skin}
rules:
- every: occupation
  targets: {complexion: {fair: 50%, deep: 50%}}
"""
BODY = {"prompt": "a photo of a cook", "n": 2, "fairness": {"steps": 4, "method": "prompt"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pipe = FairPipeline.from_pretrained("pocket", perceiver=PERCEIVER, judge=JUDGE)
    with running(tmp_path_factory.mktemp("own"), pipe=pipe) as found:
        yield found


def serve(service: Running, text: str) -> None:
    version = service.server.policies.add(text)
    service.server.policies.activate(version.version, why="a test")


def test_an_attribute_of_the_policy_is_drawn_counted_and_another_definition_is_another_stream(service: Running) -> None:
    http = service.http()
    serve(service, POLICY)
    answer = http.post("/v1/images/generations", json=BODY)
    assert answer.status_code == 200, answer.text
    told = answer.json()["fairness"]
    groups = [image["assigned"]["complexion"] for image in told["images"]]
    assert sorted(groups) == ["deep", "fair"]
    serve(service, POLICY.replace("figure with dark skin", "figure with very dark skin"))
    assert http.post("/v1/images/generations", json=BODY).status_code == 200
    rows = DatabaseLedger(service.server.database).rows()
    own = [row for row in rows if row.attributes == "complexion"]
    assert len({row.stream for row in own}) == 2
    assert sum(row.asked for row in own) == 4


def test_an_instruction_uses_the_definitions_of_the_policy_in_force(service: Running) -> None:
    """It may name the attribute of the policy, hold it, and have it explained; and the studio knows its groups."""
    http = service.http()
    serve(service, POLICY.replace("fair: 50%, deep: 50%", "tan: 100%"))
    own = {"steps": 4, "method": "prompt", "instruct": "cook: complexion 50% fair, 50% deep"}
    answer = http.post("/v1/images/generations", json={**BODY, "fairness": own})
    assert answer.status_code == 200, answer.text
    told = answer.json()["fairness"]
    assert sorted(image["assigned"]["complexion"] for image in told["images"]) == ["deep", "fair"]
    assert told["policy"] is None
    _, operator = service.server.keys.add("who looks", role=OPERATOR)
    drawn = drawing(service.server, operator, told["job"])
    assert drawn.groups("complexion") == ["fair", "tan", "deep"]
    held = {"steps": 4, "method": "switch", "instruct": "cook: half women, half men", "hold": ["complexion"]}
    assert http.post("/v1/images/generations", json={**BODY, "fairness": held}).status_code == 200
    question = {"prompt": BODY["prompt"], "instruct": own["instruct"]}
    explained = http.post("/v1/explain", json=question).json()
    assert explained["targets"][0]["attributes"] == ["complexion"]
    assert explained["policy"] is None


def test_the_hash_of_an_instruction_knows_the_definitions(service: Running) -> None:
    """It stands in the public record: one sentence under two definitions is two policies; a note changes nothing."""
    _, key = service.server.keys.add("who asks", role=OPERATOR)
    said = "cook: complexion 50% fair, 50% deep"
    asked = ImageRequest(prompt="a photo of a cook", fairness=Fairness(instruct=said, method="prompt"))
    texts = [
        POLICY,
        POLICY.replace("label: complexion", "label: complexion\n    note: As we see it."),
        POLICY.replace("figure with dark skin", "figure with very dark skin"),
    ]
    found = []
    for text in texts:
        serve(service, text)
        found.append(draw_body(service.server, key, asked, chosen_model(service.server, None), "r").policy_hash)
    assert found[0] == found[1] != found[2]
    plain = ImageRequest(prompt="a photo of a cook", fairness=Fairness(instruct="cook: half women"))
    service.server.policies.activate(None, why="a test")
    made = draw_body(service.server, key, plain, chosen_model(service.server, None), "r").policy_hash
    assert made == hashlib.sha256(b"cook: half women").hexdigest()  # as ever, where all definitions are built in


def test_what_the_readers_of_the_model_cannot_read_is_said_and_nothing_is_drawn(service: Running) -> None:
    http = service.http()
    rule = "rules:\n- every: occupation\n  targets: {glasses: uniform}\n"
    serve(service, f"version: 1\ninclude: [glasses]\n{rule}")
    answer = http.post("/v1/images/generations", json=BODY)
    assert answer.status_code >= 400
    assert "cannot read 'glasses'" in answer.json()["error"]["message"]
    refused = http.put("/v1/policies", json={"text": f"version: 1\ninclude: [hair.yaml]\n{rule}"})
    assert refused.status_code == 400
    assert "write what the file defines below 'attributes'" in refused.text
