"""Proportions over many one-image requests of 6 prompts, by 8 clients at once, with 2 workers; half women.

A trigger of the database notes every turn in the order in which turns are taken, with what its stream had then, so that
every moment of every stream is looked at, and not only the end.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import text

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, asked, draw, serving
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger

REQUESTS, CLIENTS, WORKERS = 600, 8, 2
APART = 0.02
"""Mean total variation of the judged groups from the target, at most."""
STEPS = 15
_NOTE = "INSERT INTO taken (stream, quotas, counted, others) SELECT NEW.stream, {new}, {counted}, {others}"
_SQLITE = (
    "CREATE TABLE taken (number INTEGER PRIMARY KEY, stream INTEGER, quotas TEXT, counted TEXT, others TEXT)",
    "CREATE TRIGGER take BEFORE INSERT ON turns BEGIN "
    + _NOTE.format(
        new="NEW.quotas",
        counted="(SELECT json_group_object(name, counted) FROM cells WHERE stream = NEW.stream)",
        others="(SELECT json_group_array(json(quotas)) FROM turns WHERE stream = NEW.stream)",
    )
    + "; END",
)
_POSTGRES = (
    "CREATE TABLE taken (number serial PRIMARY KEY, stream integer, quotas text, counted text, others text)",
    "CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    + _NOTE.format(
        new="NEW.quotas::text",
        counted="(SELECT json_object_agg(name, counted)::text FROM cells WHERE stream = NEW.stream)",
        others="(SELECT coalesce(json_agg(quotas), '[]')::text FROM turns WHERE stream = NEW.stream)",
    )
    + "; RETURN NEW; END $$",
    "CREATE TRIGGER take BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION take()",  # so it sees the turns before
)


@dataclass(frozen=True, kw_only=True)
class Distances:
    """How far streams were from their targets, in images, at the worst moment of the worst stream.

    Attributes:
        ahead: by how much a turn put its group over its share of what was counted and under way.
        counted: any group from its share of what was counted and under way.
        assigned: any group from its share of the images that were assigned so far.
        turns: how many were taken.
    """

    ahead: Fraction
    counted: Fraction
    assigned: Fraction
    turns: int


def measure(requests: int | None) -> list[Line]:
    """Both databases."""
    wanted, lines = requests or REQUESTS, []
    with places() as both:
        for name, (url, data) in both.items():
            with serving(url, data, workers=WORKERS) as service:
                note_turns(service.database)
                start = time.perf_counter()
                asked(service, wanted, CLIENTS, lambda client, k: draw(client, PROMPTS[k % len(PROMPTS)], steps=STEPS))
                seconds = time.perf_counter() - start
                found = distances(service.database)
                missed = misses(service.database)
                judged = deviation(service.database)
            of = f"{wanted:,} one-image requests, {len(PROMPTS)} prompts, {CLIENTS} clients, {WORKERS} workers, {name}"
            lines += [
                *prefix_lines(found, missed, wanted, of),
                Line(
                    what=f"mean total variation at the end, by the judge ({name})",
                    figure=f"{judged:.3f}",
                    bar=f"≤ {APART}",
                    meets=judged <= APART,
                ),
                Line(what=f"images per second ({name}, {STEPS} steps)", figure=f"{wanted / seconds:.1f}"),
            ]
    return lines


def note_turns(database: Database) -> None:
    """Note every turn from now on, for `distances`."""
    with database.writing() as connection:
        for statement in _POSTGRES if database.postgres else _SQLITE:
            connection.execute(text(statement))


def distances(database: Database) -> Distances:
    """How far every stream was from its target at every turn."""
    shares: dict[int, dict[str, Fraction]] = defaultdict(dict)
    for row in DatabaseLedger(database).rows():
        shares[row.stream][row.group] = row.share
    had: dict[int, Counter[str]] = defaultdict(Counter)
    ahead = counted = assigned = Fraction(0)
    with database.reading() as connection:
        taken = connection.execute(text("SELECT stream, quotas, counted, others FROM taken ORDER BY number")).all()
    for stream, quotas, settled, others in taken:
        new, target = json.loads(quotas), shares[stream]
        now = sum(map(Counter, json.loads(others)), Counter(json.loads(settled)) + Counter(new))
        had[stream].update(new)
        over = {group: now[group] - share * now.total() for group, share in target.items()}
        ahead = max([ahead, *(over[group] for group, images in new.items() if images)])
        counted = max([counted, *map(abs, over.values())])
        apart = (abs(share * had[stream].total() - had[stream][group]) for group, share in target.items())
        assigned = max([assigned, *apart])
    return Distances(ahead=ahead, counted=counted, assigned=assigned, turns=len(taken))


def misses(database: Database) -> int:
    """How many images surely show another group than they were assigned, as the perceiver reads them."""
    shown = [image for job in Jobs(database).newest(most=10_000) for image in (job.result or {}).get("images", [])]
    return sum(
        any(image["perceived"].get(name) not in (None, group) for name, group in image["assigned"].items())
        for image in shown
    )


def prefix_lines(found: Distances, missed: int, wanted: int, of: str) -> list[Line]:
    """What the ledger guarantees, and what it leads to where images show another group than they were assigned."""
    return [
        Line(
            what=f"by how much any turn put its group over its share of what was counted and under way ({of})",
            figure=f"{float(found.ahead):.2f} images, {found.turns:,} turns",
            bar="≤ 1",
            meets=found.ahead <= 1 and found.turns == wanted,
        ),
        Line(
            what="any group at any turn, from its share of what was counted and under way",
            figure=f"{float(found.counted):.2f} images; {missed} images showed another group than they were assigned",
        ),
        Line(
            what="any prefix of any stream, from the target by the assigned groups, those that make up for misses too",
            figure=f"{float(found.assigned):.2f} images",
            bar="≤ 1",
            meets=found.assigned <= 1,
        ),
    ]


def deviation(database: Database) -> float:
    """The mean over streams of the total variation of the judged groups from the target."""
    streams = defaultdict(list)
    for row in DatabaseLedger(database).rows():
        streams[row.stream].append(row)
    apart = []
    for rows in streams.values():
        judged = sum(row.judged for row in rows)
        apart.append(sum(abs(row.judged / judged - float(row.share)) for row in rows) / 2)
    return sum(apart) / len(apart)
