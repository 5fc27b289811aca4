"""A picture that is dropped tells its settings: by its job, or by the record that `generate` wrote into it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from browsing import Studio
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.service.keys import CLIENT
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.studio.settings_of_png import settings_of

POCKET = ServedModel(
    name="pocket", width=64, height=64, grain=4, steps=25, guidance=2.0, attributes=["gender"], passes=2, weights="none"
)


def png(record: Any = None) -> bytes:
    file, info = BytesIO(), PngInfo()
    if record is not None:
        info.add_itxt(PNG_KEY, record if isinstance(record, str) else json.dumps(record))
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


RECORD = {
    "prompt": "a photo of a nurse",
    "seed": 7,
    "steps": 20,
    "guidance": 3.5,
    "method": "semantic",
    "control": "natural-first",
    "model": "/home/somebody/pocket",
    "negative_prompt": None,
    "rule": None,
}
"""What `generate` writes into a picture, as far as it matters here."""


def test_a_record_of_generate_fills_the_form(empty: Studio) -> None:
    with Presence(empty.server.database, "nobody", [POCKET]):
        found = settings_of(empty.server, empty.key, png(RECORD))
    assert found == {
        "prompt": "a photo of a nurse",
        "seed": 7,
        "steps": 20,
        "guidance": 3.5,
        "method": "semantic",
        "model": "pocket",
        "negative_prompt": "",
        "policy": "none",  # no rule held for it
        "n": 1,
        "untold": [],
    }


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"rule": "nurse"}, "does not tell the sentence or the policy that it was drawn by, only the rule: nurse"),
        ({"model": "sd-turbo"}, "the model sd-turbo, which is not served here"),
        ({"control": "all"}, "the control “all”; here the method has “natural-first”"),
        ({"method": "bottleneck"}, "not so that it can be used here: method"),
        ({"guidance": float("inf"), "seed": -1}, "not so that it can be used here: seed, guidance"),
        ({"guidance_rescale": 0.7}, "Its guidance was rescaled"),
    ],
)
def test_what_the_file_does_not_tell_is_said(empty: Studio, record: dict[str, Any], said: str) -> None:
    with Presence(empty.server.database, "nobody", [POCKET]):
        found = settings_of(empty.server, empty.key, png({**RECORD, **record}))
    assert found is not None
    (told,) = found["untold"]
    assert said in told
    assert ("policy" in found) == ("rule" not in record)


def test_a_picture_of_ours_names_its_job_to_its_key_and_to_operators(empty: Studio) -> None:
    content, client, other = png(), empty.new_key(CLIENT), empty.new_key(CLIENT)
    empty.server.images.put(content, key=client.id, job="job_1")
    assert settings_of(empty.server, client, content) == {"job": "job_1"}
    assert settings_of(empty.server, empty.key, content) == {"job": "job_1"}
    assert settings_of(empty.server, other, content) is None


def test_other_files_tell_nothing(empty: Studio) -> None:
    for content in (b"", b"no picture", png(), png("no JSON"), png([1, 2]), png("x" * 40_000)):
        assert settings_of(empty.server, empty.key, content) is None


def test_what_somebody_wrote_into_a_picture_is_read_with_care(empty: Studio) -> None:
    record = {
        "prompt": "a photo of a nurse",
        "seed": '"><script>',
        "steps": [1],
        "negative_prompt": True,
        "job": "job_1",
    }
    found = settings_of(empty.server, empty.key, png(record))
    assert found is not None
    told = found.pop("untold")
    assert found == {"prompt": "a photo of a nurse", "negative_prompt": "", "n": 1}
    assert any("model, method, seed, steps, guidance" in each for each in told)
    for content in (png("[" * 31_000), png({"prompt": ["a list"], "seed": 7}), png('{"seed": 1' + 5000 * "0" + "}")):
        assert settings_of(empty.server, empty.key, content) is None
