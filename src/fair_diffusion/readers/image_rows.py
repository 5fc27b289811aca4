"""One row per image that was read, kept as columns; tallies are counts of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from fair_diffusion.audit.table import JOINT, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.readers.findings import check_attributes

Key = tuple[str, str]
"""Source and concept."""
Targets = Mapping[tuple[str, str, str], Mapping[str, float]]
"""Shares asked for, by source, concept and attribute."""


class ImageRows:
    """Rows of file, source, concept, seed (None: not known) and, by attribute of `groups`, a label (None: unknown) and
    its confidence."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = {attribute: tuple(names) for attribute, names in groups.items()}
        self.files: list[str] = []
        self.keys: list[Key] = []
        self.seeds: list[int | None] = []
        self.labels: dict[str, list[str | None]] = {attribute: [] for attribute in groups}
        self.confidence: dict[str, list[float | None]] = {attribute: [] for attribute in groups}
        self._known: dict[Key, Key] = {}

    def __len__(self) -> int:
        return len(self.files)

    def add(
        self,
        file: str,
        source: str,
        concept: str,
        labels: Mapping[str, str | None],
        confidence: Mapping[str, float | None],
        seed: int | None = None,
    ) -> None:
        """Append one image; attributes that it lacks are unknown."""
        self.files.append(file)
        self.seeds.append(seed)
        key = (source, concept)
        self.keys.append(self._known.setdefault(key, key))  # one tuple per source and concept, however many images
        for attribute, column in self.labels.items():
            column.append(labels.get(attribute))
            self.confidence[attribute].append(confidence.get(attribute))

    def tallies(self, attributes: Iterable[str] | None = None, targets: Targets | None = None) -> list[Tally]:
        """Counts per source, concept and attribute, in the order in which they came.

        `attributes` may hold joint ones ("gender × skin_tone"); without it, every attribute of its own."""
        wanted = list(attributes or self.groups)
        check_attributes([part for attribute in wanted for part in attribute.split(JOINT)], list(self.groups))
        found: dict[str, Counter[tuple[Key, str | None]]] = {}
        names = {attribute: attribute.split(JOINT) for attribute in wanted}
        for attribute, parts in names.items():
            columns = [self.labels[part] for part in parts]
            labels = columns[0] if len(columns) == 1 else joint_labels(*columns)
            found[attribute] = Counter(zip(self.keys, labels, strict=True))
            strange = {label for _, label in found[attribute]} - {None, *self._groups(parts)}
            if strange:
                raise ValueError(f"{min(map(str, strange))!r} is no group of {attribute}: {self._groups(parts)}")
        return [
            Tally(
                source=key[0],
                concept=key[1],
                attribute=attribute,
                counts={group: counts[key, group] for group in self._groups(names[attribute])},
                unknown=counts[key, None],
                target=_fitting((targets or {}).get((*key, attribute)), self._groups(names[attribute])),
            )
            for key in self._known
            for attribute, counts in found.items()
        ]

    def unfit(self, targets: Targets) -> dict[tuple[str, str, str], str]:
        """The targets that cannot be measured, and what of each was not read: a group, or the whole attribute."""
        found = {}
        for key, target in targets.items():
            parts = key[-1].split(JOINT)
            groups = self._groups(parts) if self.groups.keys() >= set(parts) else []
            if _fitting(target, groups) is None:
                asked = [group for group, share in target.items() if share and group not in groups]
                found[key] = ", ".join(asked) if groups else key[-1]
        return found

    def _groups(self, attributes: Sequence[str]) -> list[str]:
        return joint_groups(*(self.groups[attribute] for attribute in attributes))

    def table(self) -> pa.Table:
        """Columns file, source, concept, seed if any is known, by attribute a label and `<attribute>_confidence`."""
        columns = {
            "file": pa.array(self.files, pa.string()),
            "source": pa.array((source for source, _ in self.keys), pa.string(), size=len(self)),
            "concept": pa.array((concept for _, concept in self.keys), pa.string(), size=len(self)),
        }
        if any(seed is not None for seed in self.seeds):
            columns["seed"] = pa.array(self.seeds, pa.int64())
        for attribute, labels in self.labels.items():
            columns[attribute] = pa.array(labels, pa.string())
            columns[f"{attribute}_confidence"] = pa.array(self.confidence[attribute], pa.float32())
        return pa.table(columns)


def _fitting(target: Mapping[str, float] | None, groups: Sequence[str]) -> dict[str, float] | None:
    """A target over exactly these groups; None if it asks for one that nobody can read."""
    if target is None or any(share and group not in groups for group, share in target.items()):
        return None
    return {group: target.get(group, 0.0) for group in groups}
