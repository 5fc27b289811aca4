"""Which options of `fair-diffusion audit` fit which kind of target: none that does not is ignored in silence."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fair_diffusion.cli.model_options import LOADING

MODEL = "model"
KINDS = {
    "counts": "a table of counts",
    "study": "a study",
    "images": "a table of images that were read",
    "run": "a run",
    "dataset": "a dataset",
    "folder": "a folder of images",
    MODEL: "--model",
}
"""Kinds of targets, as `kind_of_target` tells them and in words, and what stands for them where a model draws."""

FITS: Mapping[str, Collection[str]] = {
    **dict.fromkeys(LOADING, (MODEL,)),
    "perceiver": ("run", "dataset", "folder", MODEL),
    "concepts": ("folder",),
    "human_labels": ("study", "images", "run", "folder", MODEL),
    "quality_reference": ("run", "folder", MODEL),
    **dict.fromkeys(("suite", "images", "until", "work", "prompt", "instruct", "policy", "method"), (MODEL,)),
    **dict.fromkeys(("steps", "guidance", "seed"), (MODEL,)),
}
"""The kinds that an option is for; those that are not named here are for all."""


def check_options(given: Collection[str], kind: str) -> None:
    """`ValueError` with a line for each option in `given` that does not fit a target of this kind."""
    wrong = [name for name in FITS if name in given and kind not in FITS[name]]
    if wrong:
        raise ValueError("\n".join(_said(name, kind) for name in wrong))


def _said(name: str, kind: str) -> str:
    *others, last = (KINDS[one] for one in FITS[name])
    fits = f"{', '.join(others)} or {last}" if others else last
    return f"--{name.replace('_', '-')} does not go with {KINDS[kind]}, only with {fits}; leave it out"
