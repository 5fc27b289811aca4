"""The log of a service: no prompt stands in it, whatever libraries would say."""

from __future__ import annotations

import os
import subprocess
import sys

SAID = """
from fair_diffusion.cli.service_log import service_log
service_log()
from diffusers.utils import logging
logging.get_logger("diffusers.x").warning("truncated: a photo of a secret")
from transformers.utils import logging
logging.get_logger("transformers.x").warning("truncated: a photo of a secret")
logging.get_logger("transformers.x").error("it failed")
"""


def test_libraries_that_quote_prompts_log_errors_alone() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_VERBOSITY")}
    done = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True, env=environment)
    assert "it failed" in done.stderr
    assert "secret" not in done.stderr
