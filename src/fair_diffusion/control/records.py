"""Finished images as plain data: the fields of their records, and the audit of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fair_diffusion.audit.table import AuditRow, audit_rows, joint_groups, joint_labels
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.vocabulary import known_labels
from fair_diffusion.policy import Assignment, Attributes, Target
from fair_diffusion.steering import used_prompt
from fair_diffusion.steering.brief import Brief

Readings = Mapping[str, Sequence[Reading]]
"""One reading per image, by attribute."""


def asked_fields(brief: Brief, *, model: str, rule: str | None, calibration: str | None = None) -> dict[str, Any]:
    """The fields of a record that are the same for all images of a request."""
    asked = brief.request
    return {
        "prompt": asked.prompt,
        "model": model,
        "method": asked.row.name,
        "rule": rule,
        "steps": brief.steps,
        "guidance": brief.guidance,
        "negative_prompt": asked.negative_prompt,
        "guidance_rescale": asked.guidance_rescale,
        "definitions": brief.definitions.own,
        "calibration": calibration,
    }


def read_fields(judged: Readings, perceived: Readings, place: int) -> dict[str, Any]:
    """The fields of a record that hold what judge and perceiver read in the image at a place."""
    return {
        "judged": {name: readings[place].label for name, readings in judged.items()},
        "perceived": {name: readings[place].label for name, readings in perceived.items()},
        "confidence": {name: round(readings[place].confidence, 4) for name, readings in judged.items()},
    }


def prompt_of(brief: Brief, steered_to: Assignment) -> str:
    """The prompt of an image that was steered to these groups."""
    return used_prompt(brief.request.row, brief, steered_to)


def audited(
    readings: Readings,
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    attributes: Sequence[str],
    defined: Attributes,
) -> list[AuditRow]:
    """The audit of images.

    Args:
        readings: one reading per image, by attribute.
        targets: the targets.
        quotas: for each target one count per cell; empty if there are none.
        attributes: the attributes to count if there is no target.
        defined: the definitions of all attributes.

    Returns:
        The audit rows of every target, or those of all attributes. A group that the project does not know counts as
        unknown.
    """
    asked = [name for target in targets for name in target.attributes]
    groups = {name: defined[name].group_names for name in (*attributes, *asked)}
    labels = {name: known_labels([one.label for one in readings[name]], known) for name, known in groups.items()}
    if not targets:
        return [row for name in attributes for row in audit_rows(labels[name], attribute=name, groups=groups[name])]
    rows: list[AuditRow] = []
    for k, target in enumerate(targets):
        rows += audit_rows(
            joint_labels(*(labels[name] for name in target.attributes)),
            attribute=" × ".join(target.attributes),
            groups=joint_groups(*target.group_names),
            target=[float(share) for share in target.shares.values()],
            quota=quotas[k] if quotas else None,
        )
    return rows
