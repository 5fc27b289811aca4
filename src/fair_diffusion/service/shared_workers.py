"""Which jobs wait for the same workers: the fair order of the keys goes over all of them together."""

from __future__ import annotations

import time
from collections import defaultdict

from fair_diffusion.service.database import Database
from fair_diffusion.service.served_model import workers_seen

FRESH = 1.0
"""Seconds for which what workers said of themselves is not read again."""


class SharedWorkers:
    """The models that share workers, by what workers say of themselves.

    A key that asks for many models of one worker, such as a model and its LoRAs, has one place in the order for all of
    them. Models with workers of their own have orders of their own: none waits for what is done elsewhere.

    Args:
        database: where workers say it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = float("-inf")
        self._models: dict[str, tuple[str, ...]] = {}

    def kinds(self, kind: str) -> tuple[str, ...]:
        """The kinds of jobs that wait for the workers of a kind, such as "draw pocket": itself and others of its sort.

        A model without a worker now has those that it had with its last one."""
        if time.monotonic() - self._read > FRESH:
            self._models, self._read = together(self._database), time.monotonic()
        sort, _, model = kind.partition(" ")
        return tuple(f"{sort} {each}" for each in self._models.get(model, ())) or (kind,)


def together(database: Database) -> dict[str, tuple[str, ...]]:
    """For each model those that share workers with it, also by way of others; itself among them, by name."""
    here: dict[str, set[str]] = defaultdict(set)
    last: dict[str, set[str]] = {}
    for row, model in workers_seen(database):  # the one that was seen last at the end
        worker = row.removesuffix(f" {model.name}")  # a worker of several models has a row for each
        last[model.name] = {worker}
        if model.ready:
            here[model.name].add(worker)
    groups: list[tuple[set[str], set[str]]] = []
    for name, workers in {**last, **here}.items():
        joined, rest = ({name}, set(workers)), list[tuple[set[str], set[str]]]()
        for names, theirs in groups:
            if theirs & workers:
                joined = joined[0] | names, joined[1] | theirs
            else:
                rest.append((names, theirs))
        groups = [*rest, joined]
    return {name: tuple(sorted(names)) for names, _ in groups for name in names}
