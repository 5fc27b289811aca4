"""Images made again: they are found on every database, and a click counts once, if it is queued at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from browsing import Studio, browsing
from sqlalchemy import event, text
from stream_jobs import drawn
from test_who_may_what import BODY, MODEL

from fair_diffusion.service.database import Database
from fair_diffusion.service.job import Job
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.keys import OPERATOR, Key, Keys
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.served_model import Presence
from fair_diffusion.studio.drawings import again_name, drawing, images_made_again
from fair_diffusion.studio.pages.drawing import make_again


@pytest.fixture
def present(empty: Studio) -> Iterator[Studio]:
    """A studio whose model says that it is there, and draws nothing."""
    with Presence(empty.server.database, "nobody", [MODEL]):
        yield empty


def _sorted_as_people_do(database: Database) -> None:
    """Let the texts of clients sort as in a usual locale: signs before digits, digits before letters."""
    if database.postgres:
        with database.reading() as connection:
            rows = connection.execute(text("SELECT collname FROM pg_collation WHERE collname ~ '^(en|und)[-_]'"))
            names = [row.collname for row in rows]
        if not names:
            pytest.skip("this server knows no order of texts but that of bytes")
        with database.writing() as connection:
            connection.execute(text(f'ALTER TABLE jobs ALTER COLUMN idempotency TYPE text COLLATE "{names[0]}"'))
        return

    def order(one: str, other: str) -> int:
        first, second = ([(c.isalpha(), c.isdigit(), c) for c in each] for each in (one, other))
        return (first > second) - (first < second)

    event.listen(database.engine, "connect", lambda connection, _: connection.create_collation("usual", order))
    with closing(sqlite3.connect(database.name)) as file:
        file.create_collation("usual", order)
        file.execute("PRAGMA writable_schema = ON")
        own = "replace(sql, 'idempotency TEXT', 'idempotency TEXT COLLATE usual')"
        file.execute(f"UPDATE sqlite_master SET sql = {own} WHERE name = 'jobs'")
        file.commit()
    database.engine.dispose()


def test_images_are_found_whatever_the_order_of_texts(database: Database) -> None:
    _sorted_as_people_do(database)
    jobs = Jobs(database)
    first, _ = jobs.put("draw pocket", {}, key="key_1")
    for place, attempt in ((0, 1), (3, 1), (0, 2)):
        jobs.put("draw pocket", {}, key="key_1", idempotency=again_name(first.id, place, attempt))
    jobs.put("draw pocket", {}, key="key_1", idempotency="~")
    jobs.put("draw pocket", {}, key="key_2", idempotency=again_name(first.id, 0, 1))
    found = [(each.place, each.attempt, each.job.key) for each in images_made_again(database, first)]
    assert found == [(0, 1, "key_1"), (0, 2, "key_1"), (3, 1, "key_1")]


def _drawing(studio: Studio, key: Key) -> Job:
    """A drawing of one image."""
    image: dict[str, Any] = {"file": "a" * 64, "seed": 1, "steered": True, "strength": 1.0, "repairs": 0}
    image |= {name: {"gender": "woman"} for name in ("assigned", "judged", "perceived")} | {"confidence": {}}
    result = {"images": [image], "streams": [{"rule": "r", "attributes": "gender"}], "notes": [], "reason": "a rule"}
    drawn(studio.server, ["woman"], body=replace(BODY, n=1).stored(), key=key.id, result=result)
    (job,) = studio.server.jobs.newest(key=key.id)
    return job


def test_a_click_that_is_refused_leaves_no_label(present: Studio) -> None:
    key = Keys(present.server.database).add("an operator", role=OPERATOR, limits=Limits(queued=1))[1]
    job = _drawing(present, key)
    waiting, _ = present.server.jobs.put("draw pocket", {}, key=key.id)
    with browsing(present, key) as http:
        assert http.post(f"instruct/{job.id}/again/0").status_code == 429
        assert Labels(present.server.database).all() == []
        present.server.jobs.cancel(waiting.id)
        assert http.post(f"instruct/{job.id}/again/0").status_code == 200
    assert [label.queue for label in Labels(present.server.database).all()] == ["correction"]


def test_a_click_that_comes_twice_counts_once(present: Studio) -> None:
    """Both requests saw the drawing before either job was there."""
    key = present.new_key(OPERATOR)
    job = _drawing(present, key)
    seen = drawing(present.server, key, job.id)
    twice = [make_again(present.server, key, seen, seen.tiles[0], request=name) for name in ("req_1", "req_2")]
    assert twice == [True, False]
    assert len(present.server.jobs.newest(key=key.id)) == 2
