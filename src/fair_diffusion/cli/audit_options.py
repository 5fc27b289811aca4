"""Which options of `fair-diffusion audit` fit which kind of target: one that does not is an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping

KINDS = {
    "counts": "a table of counts",
    "study": "a study",
    "images": "a table of images that were read",
    "run": "a run",
    "dataset": "a dataset",
    "folder": "a folder of images",
}
"""Kinds of targets, as `kind_of_target` tells them and in words."""

FITS: Mapping[str, Collection[str]] = {
    "perceiver": ("run", "dataset", "folder"),
    "concepts": ("folder",),
    "human_labels": ("study", "images", "run", "folder"),
    "quality_reference": ("run", "folder"),
    "define": ("counts", "images", "dataset"),
}
"""The kinds that an option is for; the options that are not named here are for all."""
MENDS: Mapping[str, str] = {"define": "name it to the perceiver, as in clip:MODEL,glasses, or leave it out"}
"""What to do instead, where it is more than leaving the option out."""


def check_options(given: Collection[str], kind: str) -> None:
    """`ValueError` with a line for each option in `given` that does not fit a target of this kind."""
    wrong = [name for name in FITS if name in given and kind not in FITS[name]]
    if wrong:
        raise ValueError("\n".join(_said(name, kind) for name in wrong))


def _said(name: str, kind: str) -> str:
    *others, last = (KINDS[one] for one in FITS[name])
    fits = f"{', '.join(others)} or {last}" if others else last
    mend = MENDS.get(name, "leave it out")
    return f"--{name.replace('_', '-')} does not go with {KINDS[kind]}, only with {fits}; {mend}"
