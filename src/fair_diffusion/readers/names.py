"""The concept of an image, from its prompt or its file name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.captions import CaptionCounts

_MADE = "photo|photograph|picture|image|portrait|headshot|drawing|painting|illustration|sketch|close-?up|selfie"
_FRAME = re.compile(
    rf"^(?:(?:an?|the|one) )?(?:[a-z-]+ )?(?:{_MADE})s? (?:of|showing) "
    r"(?:the (?:face|head) of )?(?:(?:an?|the|one) )?(?=\S)",
    re.IGNORECASE,
)
_UUID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?![0-9a-z])", re.IGNORECASE)
_PARTS = re.compile(r"[\s_.()#\[\]+,;=~-]+")
_NUMBERED = re.compile(r"(?:seed|step|steps|cfg|s|n|v|no|nr)\d+", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"[\s_.(#\[-]*\d+[)\]]?$")
_GENERAL = frozenset(
    "image img images imgs photo photos picture pictures pic pics dsc dscf dscn dscs sam gopr dcim pxl mvimg pano scan "
    "cimg imgp mg imag wp screenshot screen shot download downloads untitled unnamed "
    "unknown output outputs out sample samples file frame "
    "generated generation render result results seed s comfyui invokeai midjourney txt2img txt2imgs img2img grid temp "
    "tmp copy new test train val validation data raw whatsapp at am pm dalle dall e sd sdxl flux version v no".split()
)
"""Words of names that tell nothing if nothing else stands there."""
_EDGES = _GENERAL - {"photo", "picture", "image", "new", "test", "no"}
LONGEST = 200
"""Letters of a prompt that name a concept."""
UNNAMED = "all images"
"""The concept of images whose names tell nothing."""


def concept_of(prompt: str) -> str:
    """A prompt without its frame: "a photo of the face of a nurse" → "nurse". Other prompts stay as they are."""
    plain = " ".join(prompt.split()).strip(" .")
    return _FRAME.sub("", plain) or plain


def concept_of_file(name: str) -> str:
    """A file name without numbers, dates and hashes at its ends: "construction_worker-012.png" → "construction worker".

    Names of which nothing else is left, such as "00012-42.png" and "DSC_0012.jpg", give `UNNAMED`."""
    return _named(PurePosixPath(name).stem)


def concept_of_folder(name: str) -> str:
    """A folder's name as a concept; `UNNAMED` for a date, a number, "train", "outputs" and the like."""
    named = _named(name)
    return UNNAMED if named == UNNAMED else concept_of(name.replace("_", " "))


def without_number(concept: str) -> str:
    """A concept without a number at its end, if an occupation that is known is left: "nurse1" → "nurse"."""
    plain = _LAST_NUMBER.sub("", concept)
    return plain if plain != concept and phrase(plain) in known() else concept


def concept_of_caption(text: str) -> str:
    """What a prompt or caption is about: the occupation that it depicts if there is one, else as `concept_of`."""
    depicted = CaptionCounts().add(text)
    return depicted[0] if len(depicted) == 1 else concept_of(text[:LONGEST])


def _named(stem: str) -> str:
    parts = [part for part in _PARTS.split(_UUID.sub(" 0 ", stem)) if part]
    numbered = False
    while parts and (_is_number(parts[-1]) or (numbered and parts[-1].lower() in _EDGES)):
        numbered = parts.pop() is not None
    while parts and _is_number(parts[0]):
        parts.pop(0)
    told = [part for part in parts if not _is_number(part) and part.lower() not in _GENERAL]
    told = [part for part in told if len(part) > 1 or not part.isascii()]  # one letter: "P_0012"
    return concept_of(" ".join(parts)) if told else UNNAMED


def _is_number(part: str) -> bool:
    """Whether a part of a name is a number, a date, or a piece of a hash: "0012", "20240131T1200", "e29b"."""
    digits = sum(letter.isdigit() for letter in part)
    if _NUMBERED.fullmatch(part):
        return True
    hexed = all(letter in "0123456789abcdefABCDEF" for letter in part)
    return (
        digits == len(part)
        or (hexed and (len(part) >= 8 or (len(part) >= 3 and digits > 0)))
        or (len(part) >= 3 and digits * 2 >= len(part))
        or (len(part) >= 16 and digits > 1)
    )
