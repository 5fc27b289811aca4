"""The log of a service, on standard error: what it does, without prompts and keys."""

from __future__ import annotations

import logging


def service_log() -> None:
    """Log what our own modules do, and only the warnings of others."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("fair_diffusion").setLevel(logging.INFO)
