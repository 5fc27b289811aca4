"""`fair-diffusion jobs list|cancel|retry`: the jobs of a service."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.service_place import DATA, Data, Where, opened
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.times import clock_time

if TYPE_CHECKING:
    from fair_diffusion.service.job import Job

jobs = typer.Typer(no_args_is_help=True, help="The jobs of a service: those that wait, that run, and that ended.")
Id = Annotated[str, typer.Argument(help="the id of the job, as `jobs list` prints it", metavar="JOB")]


@jobs.callback()
def verbs() -> None:
    """The jobs of a service: those that wait, that run, and that ended."""


@jobs.command("list")
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option(help="only queued, running, done, failed or cancelled ones; may be repeated")
    ] = None,
    key: Annotated[str | None, typer.Option(help="only those of this key")] = None,
    most: Annotated[int, typer.Option(help="how many, the newest first", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON array, without what was asked for")] = False,
    data: Data = DATA,
    database: Where = None,
) -> None:
    """Print the newest jobs."""
    with opened(data, database) as found:
        from fair_diffusion.policy.attributes import suggestion
        from fair_diffusion.service.job import STATES
        from fair_diffusion.service.jobs import Jobs

        for name in state or ():
            if name not in STATES:
                raise ValueError(f"unknown state {name!r}; {suggestion(name, STATES)}")
        listed = Jobs(found).newest(key=key, states=state or (), most=most)
    if as_json:
        say_json([_public(job) for job in listed])
        return
    shown = Columns("job", "kind", "state", "key", "images", "asked", "attempts", "reason")
    for job in listed:
        asked = clock_time(job.created)
        shown.row(job.id, job.kind, job.shown, job.key, str(job.images), asked, str(job.attempts), job.reason or "")
    Terminal().lines_of(shown) if listed else say("no jobs")


@jobs.command()
def cancel(job: Id, data: Data = DATA, database: Where = None) -> None:
    """Cancel a job. A running one ends when its worker sees it; images that are finished are kept."""
    with opened(data, database) as found:
        from fair_diffusion.service.jobs import Jobs

        now = Jobs(found).cancel(job)
    say(f"{job} is {now.state}" if now.over else f"{job} is {now.shown}: it ends when its worker sees it")


@jobs.command()
def retry(job: Id, data: Data = DATA, database: Where = None) -> None:
    """Put a job that failed or was cancelled into the queue again."""
    with opened(data, database) as found:
        from fair_diffusion.service.jobs import Jobs

        Jobs(found).retry(job)
    say(f"{job} is queued")


def _public(job: Job) -> dict[str, object]:
    """A job without its body and result, which hold prompts."""
    return {name: value for name, value in asdict(job).items() if name not in ("body", "result", "progress")}
