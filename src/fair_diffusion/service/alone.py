"""A job that is done by itself, and not in a round: how it ends, whatever comes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.job import CANCELLED, FAILED, Job, LostError
from fair_diffusion.service.tools import JobTools, again, reason_of

LOG = logging.getLogger("fair_diffusion.worker")


def done_alone(tools: JobTools, job: Job, do: Callable[[], None]) -> None:
    """Do a job until it has ended or is given back. An error ends this job alone.

    Args:
        tools: of the worker.
        job: claimed, and held by `tools.holding`, which lets it go at the end.
        do: does it and ends it. `KeyboardInterrupt` says that it is done in vain.
    """
    try:
        do()
    except KeyboardInterrupt:
        if tools.holding.cancelled(job):
            end(tools, job, CANCELLED)
        elif not tools.holding.lost(job):
            with suppress(DatabaseError):  # its lease then runs out
                tools.claims.release([job])
    except (LostError, DatabaseError) as error:
        LOG.warning("%s: %s", job.id, type(error).__name__)
    except ValueError as error:  # what only the loaded model or readers can tell
        end(tools, job, FAILED, reason=str(error), result={"wrong_request": True})
    except Exception as error:
        LOG.error("%s in %s", type(error).__name__, job.id)
        end(tools, job, FAILED, reason=reason_of(error))
    finally:
        tools.holding.drop(job)


def end(tools: JobTools, job: Job, state: str, **ended: Any) -> bool:
    """End a job, and return True. If the database refuses it for long, it is left to whoever claims it."""
    try:
        again(partial(tools.claims.end, job, state, **ended))
    except (LostError, DatabaseError) as error:
        LOG.warning("%s was not ended: %s", job.id, type(error).__name__)
        return False
    tools.ended(job)
    LOG.info("%s %s (request %s)", job.id, state, job.body.get("request", ""))
    return True
