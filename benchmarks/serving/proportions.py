"""Proportions over many one-image requests of 6 prompts, by 8 clients at once, with 2 workers; half women.

A trigger of the database notes every turn in the order in which turns are taken, so that every prefix of every stream
is looked at, and not only the end.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from fractions import Fraction

from sqlalchemy import text

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, asked, draw, serving
from fair_diffusion.service.database import Database
from fair_diffusion.service.ledger import DatabaseLedger

REQUESTS, CLIENTS, WORKERS = 600, 8, 2
APART = 0.02
"""Mean total variation of the judged groups from the target, at most."""
STEPS = 15
_SQLITE = (
    "CREATE TABLE taken (number INTEGER PRIMARY KEY, stream INTEGER, quotas TEXT)",
    "CREATE TRIGGER take AFTER INSERT ON turns BEGIN "
    "INSERT INTO taken (stream, quotas) VALUES (NEW.stream, NEW.quotas); END",
)
_POSTGRES = (
    "CREATE TABLE taken (number serial PRIMARY KEY, stream integer, quotas text)",
    "CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO taken (stream, quotas) VALUES (NEW.stream, NEW.quotas::text); RETURN NEW; END $$",
    "CREATE TRIGGER take AFTER INSERT ON turns FOR EACH ROW EXECUTE FUNCTION take()",
)


def measure(requests: int | None) -> list[Line]:
    """Both databases."""
    wanted, lines = requests or REQUESTS, []
    with places() as found:
        for name, (url, data) in found.items():
            with serving(url, data, workers=WORKERS) as service:
                note_turns(service.database)
                start = time.perf_counter()
                asked(service, wanted, CLIENTS, lambda client, k: draw(client, PROMPTS[k % len(PROMPTS)], steps=STEPS))
                seconds = time.perf_counter() - start
                prefix, taken = farthest(service.database)
                judged = deviation(service.database)
            of = f"{wanted:,} one-image requests, {len(PROMPTS)} prompts, {CLIENTS} clients, {WORKERS} workers, {name}"
            lines += [
                Line(
                    what=f"any prefix of any stream, by the assigned groups ({of})",
                    figure=f"{float(prefix):.2f} images from the target, {taken:,} turns",
                    bar="≤ 1",
                    meets=prefix <= 1 and taken == wanted,
                ),
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
    """Note every turn from now on, for `farthest`."""
    with database.writing() as connection:
        for statement in _POSTGRES if database.postgres else _SQLITE:
            connection.execute(text(statement))


def farthest(database: Database) -> tuple[Fraction, int]:
    """How far any prefix of any stream is from its target, in images; and how many turns were taken."""
    shares: dict[int, dict[str, Fraction]] = defaultdict(dict)
    for row in DatabaseLedger(database).rows():
        shares[row.stream][row.group] = row.share
    had: dict[int, Counter[str]] = defaultdict(Counter)
    worst = Fraction(0)
    with database.reading() as connection:
        taken = connection.execute(text("SELECT stream, quotas FROM taken ORDER BY number")).all()
    for stream, quotas in taken:
        had[stream].update(json.loads(quotas))
        n = had[stream].total()
        worst = max([worst, *(abs(share * n - had[stream][group]) for group, share in shares[stream].items())])
    return worst, len(taken)


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
