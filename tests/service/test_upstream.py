"""What an upstream server may answer: pictures, refusals, garbage, silence. Nobody else is ever asked."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from time import monotonic

import pytest
from fake_upstream import BLUE, FakeUpstream, bad, fake_upstream, good, picture

from fair_diffusion.service import upstream as module
from fair_diffusion.service.upstream import Refusal, Upstream
from fair_diffusion.service.upstream_url import checked_url

PLAIN = picture(BLUE)


def wanted() -> bool:
    return False


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    with fake_upstream() as found:
        yield found


def opened(fake: FakeUpstream, timeout: float = 30.0) -> Upstream:
    return Upstream(fake.address, key="sk-secret", model="painter", timeout=timeout, at_once=3)


def test_pictures_come_in_the_order_of_their_prompts(fake: FakeUpstream) -> None:
    took: list[float] = []
    with opened(fake) as upstream:
        upstream.took = took.append
        found = upstream.draw(["a female x", "a male x", "a female x", "a male x"], {"size": "16x16"}, wanted)
    assert len(took) == 4
    assert all(0 < seconds < 60 for seconds in took)
    assert [image and image.getpixel((0, 0)) for image in found] == [(250, 0, 0), (0, 0, 250)] * 2
    assert fake.asked[0] == {"model": "painter", "prompt": fake.asked[0]["prompt"], "n": 1, "size": "16x16"}
    assert fake.headers["authorization"] == "Bearer sk-secret"
    assert set(fake.paths) == {"/v1/images/generations"}


@pytest.mark.parametrize(
    ("answer", "status", "code", "after", "retry"),
    [
        (bad(429, "too fast", retry_after="7"), 429, "slow_down", 7.0, None),
        (bad(429, "no money", "insufficient_quota"), 429, "insufficient_quota", 2.0, None),
        (bad(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 429, "slow_down", 2.0, None),
        (bad(429, retry_after="1e9"), 429, "slow_down", 3600.0, None),
        (bad(400, "not allowed", "moderation_blocked"), 400, "moderation_blocked", None, None),
        (bad(422, "wrong"), 400, "upstream_refused", None, None),
        (bad(401, "wrong key"), 502, "upstream_closed", None, False),
        (bad(404, "no model"), 502, "upstream_closed", None, False),
        (bad(500, "oh"), 502, "upstream_failed", None, None),
        (bad(503, "busy", retry_after="3"), 503, "server_is_overloaded", 3.0, None),
        (bad(504), 504, "upstream_timeout", None, None),
        ((500, {}, b"<html>"), 502, "upstream_failed", None, None),
        ((500, {}, b'{"error": [1]}'), 502, "upstream_failed", None, None),
        ((200, {}, b""), 502, "upstream_garbage", None, None),
        ((200, {}, b"<html>"), 502, "upstream_garbage", None, None),
        ((200, {}, b"[" * 100_000), 502, "upstream_garbage", None, None),
        ((200, {}, b'{"data": []}'), 502, "upstream_garbage", None, None),
        ((200, {}, b'{"data": ["x"]}'), 502, "upstream_garbage", None, None),
        ((200, {}, b'{"data": {"0": 1}}'), 502, "upstream_garbage", None, None),
        (good({}), 502, "upstream_garbage", None, None),
        (good({"b64_json": 3}), 502, "upstream_garbage", None, None),
        (good({"b64_json": "!!"}), 502, "upstream_garbage", None, None),
        (good({"b64_json": base64.b64encode(b"no picture").decode()}), 502, "upstream_garbage", None, None),
        (good({"b64_json": base64.b64encode(PLAIN[:60]).decode()}), 502, "upstream_garbage", None, None),
        (good({"url": "http://127.0.0.2:9/x.png"}), 502, "upstream_garbage", None, None),
        (good({"url": "file:///etc/passwd"}), 502, "upstream_garbage", None, None),
        (good({"url": "http://[x"}), 502, "upstream_garbage", None, None),
        ((200, {"content-encoding": "gzip"}, gzip.compress(b"{}")), 502, "upstream_garbage", None, None),
    ],
)
def test_what_is_no_picture_is_told(
    fake: FakeUpstream,
    answer: tuple[int, dict[str, str], bytes],
    status: int,
    code: str,
    after: float | None,
    retry: bool | None,
) -> None:
    fake.answers = [answer]
    with opened(fake) as upstream, pytest.raises(Refusal) as refused:
        upstream.draw(["a baker"], {}, wanted)
    found = refused.value
    assert (found.status, found.code, found.retry_after, found.retry) == (status, code, after, retry)
    assert found.message
    json.dumps(found.stored())


def test_a_bomb_is_not_decoded(fake: FakeUpstream) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    fake.answers = [good({"b64_json": base64.b64encode(bomb).decode()})]
    with opened(fake) as upstream, pytest.raises(Refusal, match="pixels"):
        upstream.draw(["a baker"], {}, wanted)


def test_an_answer_that_is_too_long_is_not_read_to_its_end(fake: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10_000)
    fake.answers = [(200, {}, bytes(20_000_000))]
    with opened(fake) as upstream, pytest.raises(Refusal, match="more than 10,000 bytes"):
        upstream.draw(["a baker"], {}, wanted)


def test_an_address_of_the_same_server_is_opened_and_redirects_are_not_followed(fake: FakeUpstream) -> None:
    with fake_upstream() as other, opened(fake) as upstream:
        fake.answers = [good({"url": "/files/x.png"})]
        (drawn,) = upstream.draw(["a baker"], {}, wanted)
        assert drawn is not None
        assert drawn.getpixel((0, 0)) == BLUE
        assert fake.paths[-1] == "/files/x.png"
        for status in (301, 302, 307, 308):
            fake.answers = [(status, {"location": f"{other.address}/images/generations"}, b"")]
            with pytest.raises(Refusal) as refused:
                upstream.draw(["a baker"], {}, wanted)
            assert (refused.value.status, refused.value.code) == (502, "upstream_redirects")
        fake.answers = [good({"url": f"{other.address}/x.png"})]
        with pytest.raises(Refusal, match="another server"):
            upstream.draw(["a baker"], {}, wanted)
        assert not other.paths


def test_silence_ends_in_time_and_nobody_there_is_told(fake: FakeUpstream) -> None:
    fake.hang = 1.0
    with opened(fake, timeout=0.2) as upstream, pytest.raises(Refusal) as refused:
        upstream.draw(["a baker"], {}, wanted)
    assert (refused.value.status, refused.value.code) == (504, "upstream_timeout")
    nobody = Upstream("http://127.0.0.1:9/v1", key=None, model=None, timeout=5.0, at_once=1)
    with nobody as upstream, pytest.raises(Refusal) as refused:
        upstream.draw(["a baker"], {}, wanted)
    assert (refused.value.status, refused.value.code) == (502, "upstream_unreachable")


def test_what_is_not_wanted_any_more_is_not_waited_for(fake: FakeUpstream) -> None:
    fake.hang = 3.0
    with opened(fake) as upstream:
        began = monotonic()
        assert upstream.draw(["a baker"] * 5, {}, lambda: True) == [None] * 5
        assert monotonic() - began < fake.hang


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://host/v1",
        "http://",
        "http://user:secret@host/v1",
        "http://host/v1?key=1",
        "http://host:x/",
        "http://[/",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="upstream server") as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)


def test_an_address_has_no_slash_at_its_end() -> None:
    assert checked_url("https://api.example.com/v1/") == "https://api.example.com/v1"
