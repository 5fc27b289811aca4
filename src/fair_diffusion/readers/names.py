"""The concept of an image, from its prompt or its file name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_MADE = "photo|photograph|picture|image|portrait|headshot|drawing|painting|illustration|sketch|close-?up|selfie"
_FRAME = re.compile(
    rf"^(?:(?:an?|the|one) )?(?:[a-z-]+ )?(?:{_MADE})s? (?:of|showing) "
    r"(?:the (?:face|head) of )?(?:(?:an?|the|one) )?(?=\S)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[\s_.()#-]*\d+[\s_.()#-]*$")
UNNAMED = "all images"
"""The concept of images whose names tell nothing."""


def concept_of(prompt: str) -> str:
    """A prompt without its frame: "a photo of the face of a nurse" → "nurse". Other prompts stay as they are."""
    plain = " ".join(prompt.split()).strip(" .")
    return _FRAME.sub("", plain) or plain


def concept_of_file(name: str) -> str:
    """A file name without number: "construction_worker-012.png" → "construction worker"; "012.png" → `UNNAMED`."""
    stem = PurePosixPath(name).stem
    words = re.sub(r"[_\s]+|(?<=\w)-(?=\w)", " ", _NUMBER.sub("", stem)).strip()
    return concept_of(words) if words else UNNAMED
