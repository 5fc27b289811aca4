"""Lists of occupations: those that come with the package, and lists in files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml

from fair_diffusion.files import guarded

SHIPPED, EQUISTEER = "occupations", "equisteer"
"""The names of the lists that come with the package: many occupations by field, and those of EquiSteer's protocol."""
POCKET = "pocket"
"""The name of the list of those that the pocket model knows."""
LONGEST = 200
"""Characters of the name of an occupation."""


def read_occupations(spec: str) -> dict[str, str]:
    """Read a list of occupations, each with its field ("" if the list has no fields).

    Args:
        spec: "occupations" for the list that comes with the package, "equisteer" for the eight professions of that
            protocol, "pocket" for the 20 of the pocket model, or a file: YAML (`field: [occupation, …]`, or a list),
            or text with one occupation per line.

    Raises:
        ValueError: the list cannot be read, is empty, or holds something that is no name.
    """
    if spec in (SHIPPED, EQUISTEER):
        text = resources.files("fair_diffusion.runs").joinpath(f"{spec}.yaml").read_text(encoding="utf-8")
    elif spec == POCKET:
        from fair_diffusion.models.pocket import OCCUPATIONS  # here, since it loads torch

        return read_occupations(str(OCCUPATIONS))
    else:
        try:
            text = guarded.text(Path(spec))
        except (OSError, guarded.RefusedFile) as error:
            said = f"{spec!r} is no list of occupations that can be read ({guarded.why(error)})"
            raise ValueError(f"{said}; use {SHIPPED!r}, {EQUISTEER!r}, {POCKET!r} or a file") from error
    if spec not in (SHIPPED, EQUISTEER) and not spec.lower().endswith((".yaml", ".yml")):
        occupations = {" ".join(line.split()): "" for line in text.splitlines() if line.strip() and line[0] != "#"}
    else:
        occupations = _of_yaml(spec, text)
    wrong = [name for name in occupations if not name.isprintable() or len(name) > LONGEST]
    if wrong:
        raise ValueError(f"{spec}: {wrong[0][:40]!r} is no name of an occupation; write up to {LONGEST} characters")
    if not occupations:
        raise ValueError(f"{spec} names no occupation; write one per line")
    return occupations


def _of_yaml(spec: str, text: str) -> dict[str, str]:
    """The occupations in a YAML text, each with its field."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{spec} is no YAML: {str(error).splitlines()[0]}") from error
    fields = data if isinstance(data, dict) else {"": data}
    occupations: dict[str, str] = {}
    for heading, names in fields.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError(f"{spec} must say `field: [occupation, …]`; {heading!r} does not")
        for name in names:
            occupations.setdefault(" ".join(name.split()), str(heading))
    return occupations
