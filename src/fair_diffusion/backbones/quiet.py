"""Silence of transformers and diffusers while they do something whose notes are known and harmless."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging as of_diffusers
from transformers.utils import logging as of_transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Hide their notes, and the progress bars of transformers, inside; the settings are as before afterwards."""
    levels = [(logging, logging.get_verbosity()) for logging in (of_transformers, of_diffusers)]
    bars = of_transformers.is_progress_bar_enabled()
    for logging, _ in levels:
        logging.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        for logging, level in levels:
            logging.set_verbosity(level)
        if bars:
            of_transformers.enable_progress_bar()
