"""How often the judge read each group in the images of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fair_diffusion.audit.table import JOINT, joint_groups, joint_labels
from fair_diffusion.perception.perceiver import OCCUPATION
from fair_diffusion.policy.attributes import built_in, check_attributes, ordered_groups
from fair_diffusion.runs.records import Run

LabelCounts = Mapping[str, Mapping[str | None, int]]
"""Images by attribute and group; None counts the images in which the attribute could not be read."""


def label_counts(run: Run, attributes: Sequence[str] | None = None) -> LabelCounts:
    """Count the groups in a run's images and their plain twins. Groups without an image count zero.

    Args:
        run: the run, whose records are all held in memory.
        attributes: what to count, joint attributes as "gender × skin_tone". Default: every attribute that the judge
            read, and every joint attribute that has a target.

    Raises:
        ValueError: one of the attributes was not read, or a label is not a group of its attribute.
    """
    records = list(run.records())
    seen: dict[str, dict[str, None]] = {}
    for record in records:
        note_groups(seen, record["judged"], record["perceived"])
    groups = groups_read(seen, own_groups(run.parts))
    targets = dict.fromkeys(
        row["attribute"] for part in run.parts for row in part.get("audit", ()) if row["target"] is not None
    )
    joint = [name for name in targets if JOINT in name and groups.keys() >= set(name.split(JOINT))]
    wanted = attributes or [*groups, *joint]
    check_attributes([part for name in wanted for part in name.split(JOINT)], list(groups))
    counts = {}
    for name in wanted:
        parts = name.split(JOINT)
        own = joint_groups(*(groups[part] for part in parts))
        read = Counter(joint_labels(*([record["judged"].get(part) for record in records] for part in parts)))
        if strange := read.keys() - {None, *own}:
            raise ValueError(f"{min(map(str, strange))!r} is no group of {name}: {own}")
        counts[name] = {group: read[group] for group in (*own, None)}
    return counts


def note_groups(
    seen: dict[str, dict[str, None]], judged: Mapping[str, str | None], also: Mapping[str, str | None]
) -> None:
    """Add the groups that one image shows to `seen`, by each attribute that was judged; `also` are other readings."""
    for attribute, label in judged.items():
        seen.setdefault(attribute, {}).update((group, None) for group in (label, also.get(attribute)) if group)


def own_groups(parts: Iterable[Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """The groups of the attributes that summaries of images define otherwise than they are built in.

    Where two define an attribute differently, the groups of both."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for name, each in part.get("definitions", {}).items():
            found.setdefault(name, {}).update(dict.fromkeys(each["groups"]))
    return {name: tuple(groups) for name, groups in found.items()}


def groups_read(
    seen: Mapping[str, Iterable[str]], own: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> dict[str, Sequence[str]]:
    """The groups of every attribute: all groups of an attribute that is defined, else those that were seen.

    The occupation is no attribute that is counted.

    Args:
        seen: the groups that were read, by attribute.
        own: the groups of the attributes that the run defines itself.
    """
    defined = {name: each.group_names for name, each in built_in().items()} | dict(own)
    return {
        name: defined[name] if name in defined else ordered_groups(name, groups)
        for name, groups in seen.items()
        if name != OCCUPATION
    }
