"""The format of a run on disk: names of files, the key inside PNGs, columns of the records, and the format number.

    records.parquet        one row per image; the plain twins come first
    result.json            the summary of the request
    image-00000.png, …     the images, each with its record inside
    plain-00000.png, …     their plain twins, if they were asked for
    contact-sheet.png      an overview of all images

A suite keeps its runs as folders beside suite.json, its settings.
"""

from __future__ import annotations

import re

from fair_diffusion.methods import NONE

FORMAT = 1
"""Format of result.json, records.parquet, suite.json and the records in PNGs."""
RECORDS, RESULT, SHEET = "records.parquet", "result.json", "contact-sheet.png"
SETTINGS = "suite.json"
PNG_KEY = "fair-diffusion"
"""Key of the PNG text that holds an image's record as JSON."""

NEEDED = frozenset(["prompt", "model", "method", "judged"])
"""Columns without which a table is no table of records."""
BY_ATTRIBUTE = ("judged", "perceived", "confidence", "steered_to", "natural")
"""Columns that hold a mapping from attributes."""
USED = (
    *("index", "file", "prompt", "negative_prompt", "seed", "model", "method", "control", "rule", "steps", "guidance"),
    *("guidance_rescale", "strength", "repairs", "reseeds", "missed", "calibration"),
    *BY_ATTRIBUTE,
    *("evaluations", "plain_evaluations"),
)
"""Columns that an audit reads."""

_IMAGE = re.compile(r"(image|plain)-(?=\d+\.png$)")


def image_name(index: int, *, twin: bool = False) -> str:
    """The file name of image `index` of a run, or of its plain twin."""
    return f"{'plain' if twin else 'image'}-{index:05d}.png"


def is_twin_name(name: str) -> bool:
    """Whether `name`, without folders, is the file name of a plain twin."""
    match = _IMAGE.match(name)
    return match is not None and match[1] == "plain"


def pair_name(name: str) -> str:
    """The path `name` of an image without "image-" or "plain-": an image and its plain twin share it."""
    return _IMAGE.sub("", name)


def title(rule: str | None, method: str) -> str:
    """The kind of images: "instructed" if a rule steered them, else "plain"."""
    return "instructed" if rule and method != NONE else "plain"
