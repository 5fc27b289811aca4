"""Campaigns: what workers draw together is what one process draws, and every cell is drawn once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_pipe import QUICK, FakePipe, Threads, campaign_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fair_diffusion.readers.run import read_run
from fair_diffusion.runs.parts import PART, Part, Parts
from fair_diffusion.runs.suite import Suite, draw_suite
from fair_diffusion.scale import driver
from fair_diffusion.scale.campaign import Cell
from fair_diffusion.scale.cells import KIND, Cells, held
from fair_diffusion.scale.driver import Elsewhere, draw_campaign
from fair_diffusion.scale.store import Store
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.job import DONE, Job
from fair_diffusion.service.jobs import Jobs

SUITE = Suite(model="fake", prompt="a photo of a {}")
CONCEPTS = ["nurse", "cook", "judge", "smith"]
IMAGES = 2 * PART + 10


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and driver look often."""
    monkeypatch.setattr("fair_diffusion.scale.cell_worker.REST", 0.02)
    monkeypatch.setattr(driver, "LOOK", 0.01)
    monkeypatch.setattr(driver, "LONGEST_LOOK", 0.05)


def rows_in(work: Path) -> dict[str, list[dict[str, Any]]]:
    """The records of every part; the paths of their pictures do not count."""
    return {path.parent.name: pq.read_table(path).to_pylist() for path in work.glob("[!.]*/records.parquet")}


def rows_left(database: Database) -> int:
    return sum(number for (kind, _), number in Jobs(database).counts().items() if kind == KIND)


def test_two_workers_draw_what_one_process_draws(database: Database, tmp_path: Path) -> None:
    pipes = FakePipe(0.005), FakePipe(0.005)
    told: list[tuple[int, int | None]] = []
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "many", images=IMAGES)
    draw_campaign(campaign, database, Threads(database, *pipes), progress=lambda *k: told.append(k))
    alone: Any = FakePipe()
    draw_suite(alone, SUITE, CONCEPTS, tmp_path / "one", images=IMAGES)
    assert rows_in(tmp_path / "many") == rows_in(tmp_path / "one")
    assert sorted(pipes[0].calls + pipes[1].calls) == sorted(alone.calls)
    assert all(pipe.calls for pipe in pipes)
    many, one = (read_run(tmp_path / name, scratch=tmp_path).study for name in ("many", "one"))
    assert many.tallies == one.tallies
    assert told[-1] == (len(CONCEPTS) * IMAGES,) * 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert rows_left(database) == 0
    settings = [(tmp_path / name / "suite.json").read_text() for name in ("many", "one")]
    assert settings[0] == settings[1]


def test_precision_ends_each_concept_where_one_process_ends_it(database: Database, tmp_path: Path) -> None:
    size: dict[str, Any] = {"images": 400, "until": 0.05, "attributes": ["gender"]}
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "many", **size)
    draw_campaign(campaign, database, Threads(database, FakePipe(), FakePipe()))
    uncertain = draw_suite(FakePipe(), SUITE, CONCEPTS, tmp_path / "one", **size)
    assert campaign.parts.uncertain == uncertain == CONCEPTS[1:]
    assert rows_in(tmp_path / "many") == rows_in(tmp_path / "one")
    assert campaign.whole == campaign.there < 400 * len(CONCEPTS)


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """The parts that one process draws, one after the other."""
    alone, pipe = tmp_path_factory.mktemp("alone") / "work", FakePipe()
    draw_suite(pipe, SUITE, CONCEPTS[:3], alone, images=4 * PART, until=0.12, attributes=["gender"])
    return Counter(rows_in(alone).keys())


@given(data=st.data())
@settings(max_examples=10)
def test_the_order_of_arrivals_changes_nothing(
    data: st.DataObject, in_turn: Counter[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever is quicker: the parts are given out once each, and the same ones."""
    work = tmp_path_factory.mktemp("work")
    pipe: Any = FakePipe()
    parts = Parts(CONCEPTS[:3], work, images=4 * PART, until=0.12, attributes=["gender"])
    begun: list[Part] = []
    given_out: list[str] = []
    while parts.waiting or begun:
        new = list(parts.missing())
        begun += new
        given_out += [part.name for part in new]
        if not begun:
            continue
        part = begun.pop(data.draw(st.integers(0, len(begun) - 1)))
        for _, result in pipe.each([_request(part)]):
            result.save(work / part.name)
        parts.arrived(part)
    assert Counter(given_out) == in_turn


def _request(part: Part) -> Any:
    from fair_diffusion.request import Request

    return Request(prompt=SUITE.prompt_for(part.concept), n=part.n, seed=part.first)


def test_an_interrupt_is_gone_on_with_and_nothing_is_drawn_twice(database: Database, tmp_path: Path) -> None:
    pipes = FakePipe(0.01), FakePipe(0.01)

    def interrupt(done: int, _: int | None) -> None:
        if done >= 3 * PART:
            raise KeyboardInterrupt

    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=IMAGES)
    with pytest.raises(KeyboardInterrupt):
        draw_campaign(campaign, database, Threads(database, *pipes), progress=interrupt)
    kept = set(rows_in(tmp_path / "work"))
    assert 3 <= len(kept) < 3 * len(CONCEPTS)
    assert rows_left(database) == 0
    again = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=IMAGES)
    draw_campaign(again, database, Threads(database, *pipes))
    drawn = Counter(pipes[0].calls + pipes[1].calls)
    assert len(rows_in(tmp_path / "work")) == len(drawn) == 3 * len(CONCEPTS)
    assert again.there == len(CONCEPTS) * IMAGES


def test_more_later_draws_what_is_missing(database: Database, tmp_path: Path) -> None:
    draw_campaign(campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART), database, Threads(database, FakePipe()))
    pipe = FakePipe()
    draw_campaign(campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART + 9), database, Threads(database, pipe))
    assert pipe.calls == [("a photo of a cook", PART)]
    for path in (tmp_path / "work").glob(f"cook-*-{PART:05d}/*"):
        path.unlink()
    draw_campaign(campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART + 9), database, Threads(database, pipe))
    assert pipe.calls == [("a photo of a cook", PART)] * 2


def test_what_fails_says_why_the_rest_is_drawn_and_it_is_tried_again(database: Database, tmp_path: Path) -> None:
    broken = FakePipe(breaks=["a photo of a cook"])
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART)
    with pytest.raises(ValueError, match=r"a cell could not be drawn: 'a photo of a cook' cannot be drawn; mend that"):
        draw_campaign(campaign, database, Threads(database, broken))
    assert len(rows_in(tmp_path / "work")) == len(CONCEPTS) - 1
    mended = FakePipe()
    draw_campaign(campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART), database, Threads(database, mended))
    assert mended.calls == [("a photo of a cook", 0)]


def test_a_campaign_of_failures_ends_early(database: Database, tmp_path: Path) -> None:
    broken = FakePipe(breaks=["a photo of a cook"])
    campaign = campaign_of(SUITE, ["cook"], tmp_path / "work", images=100 * PART)
    with pytest.raises(ValueError, match="cells could not be drawn"):
        draw_campaign(campaign, database, Threads(database, broken))
    assert rows_left(database) == 0
    assert not list((tmp_path / "work").glob("cook*"))


def test_other_weights_are_refused_by_the_worker(database: Database, tmp_path: Path) -> None:
    draw_suite(FakePipe(), SUITE, ["cook"], tmp_path / "work", images=PART)
    other = FakePipe()
    other.weights = "others"
    with pytest.raises(ValueError, match="was drawn with weights 'none', not 'others'"):
        draw_campaign(
            campaign_of(SUITE, ["cook"], tmp_path / "work", images=2 * PART), database, Threads(database, other)
        )
    assert other.calls == []


def test_the_cell_of_a_dead_worker_is_drawn_once_by_another(database: Database, tmp_path: Path) -> None:
    """It claims a cell and is not heard of again; when it comes back, what it says counts no more."""
    dead = Claims(database, "dead", lease=0.5)
    stolen: list[Any] = []

    class Stealing(Threads):
        def __enter__(self) -> Threads:
            threading.Thread(target=self.steal).start()
            return self

        def steal(self) -> None:
            while not stolen:
                stolen.extend(dead.claim([KIND]))
                time.sleep(0.005)
            super().__enter__()

        def __exit__(self, *_: object) -> None:
            while not stolen:
                time.sleep(0.005)
            time.sleep(0.05)
            super().__exit__()

    pipe = FakePipe()
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART)
    draw_campaign(campaign, database, Stealing(database, pipe))
    assert len(pipe.calls) == len(set(pipe.calls)) == len(CONCEPTS)
    assert stolen[0].body["name"] in rows_in(tmp_path / "work")
    assert dead.renew(stolen) == {}


def test_the_cell_of_a_dead_worker_does_not_wait_for_the_end(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fair_diffusion.scale.cell_worker.ROUND", 2)
    stolen: list[Any] = []

    class Stealing(Threads):
        def __enter__(self) -> Threads:
            return self

        def tend(self) -> None:
            if not stolen:
                stolen.extend(Claims(database, "dead", lease=0.2).claim([KIND]))
                super().__enter__()

    pipe = FakePipe(0.1)
    campaign = campaign_of(SUITE, ["cook"], tmp_path / "work", images=16 * PART)
    draw_campaign(campaign, database, Stealing(database, pipe))
    assert stolen[0].body["cell"]["first"] == 0
    assert len(pipe.calls) == 16
    assert 0 < pipe.calls.index(("a photo of a cook", 0)) < 15


def test_two_campaigns_take_turns(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker draws both: neither waits for the end of the other."""
    monkeypatch.setattr("fair_diffusion.scale.cell_worker.ROUND", 2)
    pipe = FakePipe(0.02)
    campaigns = [campaign_of(SUITE, [name], tmp_path / name, images=8 * PART) for name in ("cook", "judge")]
    drivers = [threading.Thread(target=draw_campaign, args=(each, database, Elsewhere())) for each in campaigns]
    for thread in drivers:
        thread.start()
    while rows_left(database) < 16:
        time.sleep(0.01)
    with Threads(database, pipe):
        for thread in drivers:
            thread.join()
    first = [prompt for prompt, _ in pipe.calls[:8]]
    assert len(set(first)) == 2
    assert len(pipe.calls) == 16


def test_a_part_that_somebody_else_wrote_meanwhile_stays(database: Database, tmp_path: Path) -> None:
    work = tmp_path / "work"

    class Slow(FakePipe):
        def each(self, requests: Any, *, on_step: Any = None) -> Iterator[tuple[int, Any]]:
            for k, result in super().each(requests, on_step=on_step):
                if not rows_in(work):
                    draw_suite(FakePipe(), SUITE, ["cook"], work, images=PART)
                yield k, result

    campaign = campaign_of(SUITE, ["cook"], work, images=PART)
    draw_campaign(campaign, database, Threads(database, Slow()))
    assert campaign.there == PART
    assert len(rows_in(work)) == 1


def test_parts_travel_through_a_store_where_no_folder_is_shared(database: Database, tmp_path: Path) -> None:
    store = f"file://{tmp_path}/store"
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "many", images=IMAGES, store=store)
    assert campaign.told()["work"] is None
    draw_campaign(campaign, database, Threads(database, FakePipe(), FakePipe()))
    draw_suite(FakePipe(), SUITE, CONCEPTS, tmp_path / "one", images=IMAGES)
    assert rows_in(tmp_path / "many") == rows_in(tmp_path / "one")
    assert len(list((tmp_path / "store").iterdir())) == 3 * len(CONCEPTS) + 1
    other = FakePipe()
    other.weights = "others"
    more = campaign_of(SUITE, CONCEPTS, tmp_path / "many", images=IMAGES + 1, store=store)
    with pytest.raises(ValueError, match="was drawn with weights 'none', not 'others'"):
        draw_campaign(more, database, Threads(database, other))


def test_parts_that_were_deleted_after_their_driver_died_are_drawn_again(database: Database, tmp_path: Path) -> None:
    """The driver was killed before it noted the end of a cell, and then somebody deleted what the worker wrote."""
    for store in (None, f"file://{tmp_path}/store"):
        campaign = campaign_of(SUITE, ["cook"], tmp_path / f"work {store is None}", images=PART, store=store)
        with held(database, campaign, "killed", tell=lambda _: None) as (job, _holding):
            cells = Cells(database, job.id)
            cells.put(list(campaign.missing()))
            claims = Claims(database, "a worker")
            (claimed,) = claims.claim([KIND])
            claims.end(claimed, DONE)
        pipe = FakePipe()
        again = campaign_of(SUITE, ["cook"], tmp_path / f"work {store is None}", images=PART, store=store)
        draw_campaign(again, database, Threads(database, pipe))
        assert pipe.calls == [("a photo of a cook", 0)]
        assert again.there == PART


def test_a_database_that_is_away_while_a_model_loads_costs_no_cell(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, asked = Jobs.get, list[str]()

    def away_at_first(self: Jobs, job: str, **given: Any) -> Job:
        asked.append(job)
        if len(asked) == 1:
            raise DatabaseError("the server is away")
        return get(self, job, **given)

    monkeypatch.setattr(Jobs, "get", away_at_first)
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART)
    draw_campaign(campaign, database, Threads(database, FakePipe()))
    assert len(asked) > 1
    assert len(rows_in(tmp_path / "work")) == len(CONCEPTS)


def test_an_object_of_a_store_writes_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in").mkdir()
    store.put("bad", tmp_path / "in", [tmp_path / "in" / ".." / "outside"])
    with pytest.raises(ValueError, match="outside of its folder"):
        store.fetch("bad", tmp_path / "here")
    assert (tmp_path / "outside").read_text() == "x"
    with pytest.raises(ValueError, match="is no store"):
        Store("nothing://x")


def test_the_database_never_holds_more_than_the_window(database: Database, tmp_path: Path) -> None:
    most: list[int] = []

    class Watching(Threads):
        def tend(self) -> None:
            most.append(rows_left(database))

    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=5 * PART)
    draw_campaign(campaign, database, Watching(database, FakePipe()), window=6)
    assert max(most) <= 6
    assert len(rows_in(tmp_path / "work")) == 5 * len(CONCEPTS)


def test_only_one_driver_draws_a_campaign_and_a_killed_one_is_waited_for(database: Database, tmp_path: Path) -> None:
    campaign = campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART)
    from fair_diffusion.service.jobs import digest_of

    kind = f"suite {digest_of('suite', campaign.told())[:16]}"
    Jobs(database).put(kind, campaign.told(), key="suite", idempotency=kind, images=0)
    assert Claims(database, "killed", lease=1.0).claim([kind])
    said: list[str] = []
    draw_campaign(campaign, database, Threads(database, FakePipe()), tell=said.append, lease=2.0)
    assert "waiting for up to 2 seconds" in said[0]
    assert campaign.there == PART


def test_a_campaign_is_cancelled_in_the_database(database: Database, tmp_path: Path) -> None:
    campaign = campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART)

    class Cancelling(Elsewhere):
        def tend(self) -> None:
            jobs = Jobs(database)
            for job in jobs.newest(states=["running"]):
                jobs.cancel(job.id)

    with pytest.raises(KeyboardInterrupt):
        draw_campaign(campaign, database, Cancelling())
    assert rows_left(database) == 0
    assert [job.state for job in Jobs(database).newest()] == ["cancelled"]
    draw_campaign(campaign_of(SUITE, CONCEPTS, tmp_path / "work", images=PART), database, Threads(database, FakePipe()))
    assert len(rows_in(tmp_path / "work")) == len(CONCEPTS)


def test_nobody_draws_so_it_is_said(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ALONE", 0.1)
    said: list[str] = []

    class Late(Elsewhere):
        def tend(self) -> None:
            if len(said) > 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_campaign(campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART), database, Late(), tell=said.append)
    assert said == ["no worker takes a cell; start some: fair-diffusion worker --cells --database …"]


def test_a_part_that_the_driver_does_not_see_is_a_failure(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the folder is not shared."""
    monkeypatch.setattr(driver, "SEEN", 0.2)
    campaign = campaign_of(SUITE, ["cook"], tmp_path / "work", images=PART)
    monkeypatch.setattr(campaign, "told", lambda: _elsewhere(campaign, tmp_path))
    with pytest.raises(ValueError, match=r"it is not in .*work, which workers must share"):
        draw_campaign(campaign, database, Threads(database, FakePipe()))


def _elsewhere(campaign: Any, tmp_path: Path) -> dict[str, Any]:
    return {**type(campaign).told(campaign), "work": str(tmp_path / "elsewhere")}


def test_a_worker_at_rest_ends_after_its_idle_time(database: Database) -> None:
    from dataclasses import replace

    from fair_diffusion.scale.cell_worker import CellWorker

    CellWorker(database, replace(QUICK, idle=0.1)).run()


def test_a_cell_that_is_there_is_not_put_twice(database: Database) -> None:
    cells = Cells(database, "job_x")
    cells.put([Cell(name=str(k), images=3, told={"k": k}) for k in range(5)])
    (first,) = Claims(database, "w").claim([KIND])
    cells.put([Cell(name=str(k), images=3, told={"k": k}) for k in range(6)])
    assert cells.states() == {"queued": 5, "running": 1}
    assert first.body == {"campaign": "job_x", "name": "0", "cell": {"k": 0}}
    taken = [Claims(database, "w").claim([KIND])[0].body["name"] for _ in range(5)]
    assert taken == ["1", "2", "3", "4", "5"]
