"""The log of a service, on standard error: what it does, without prompts and keys."""

from __future__ import annotations

import logging
import os


def service_log() -> None:
    """Log what our own modules do, and only the warnings of others.

    Libraries that draw warn of a prompt that is too long, and quote it: of them, and of processes that are started from
    here, only errors are logged, unless the environment says otherwise."""
    for library in ("DIFFUSERS", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("fair_diffusion").setLevel(logging.INFO)
