"""One row per image that was read, kept as columns, and the tallies that count the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from fair_diffusion.audit.study import Disputed, Sample
from fair_diffusion.audit.table import JOINT, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.guarded import Readable
from fair_diffusion.policy.attributes import check_attributes

Key = tuple[str, str]
"""Source and concept."""
Targets = Mapping[tuple[str, str, str], Mapping[str, float]]
"""Shares asked for, by source, concept and attribute."""


class ImageRows:
    """Images with their labels.

    Attributes:
        groups: the groups of each attribute.
        files: the name of each image.
        keys: source and concept of each image.
        seeds: the seed of each image; None if it is not known.
        phrasings: the words that asked for each image; None if they are not known.
        steered: whether each image was steered; None if it is not known, or the image is from a new seed.
        labels: by attribute, the group that each image shows; None if it could not be read.
        confidence: by attribute, the reader's confidence in each label.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = {attribute: tuple(names) for attribute, names in groups.items()}
        self.files: list[str] = []
        self.keys: list[Key] = []
        self.seeds: list[int | None] = []
        self.phrasings: list[str | None] = []
        self.steered: list[bool | None] = []
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
        phrasing: str | None = None,
        steered: bool | None = None,
    ) -> None:
        """Append one image. Attributes without a label are unknown."""
        self.files.append(file)
        self.seeds.append(seed)
        self.phrasings.append(phrasing)
        self.steered.append(steered)
        key = (source, concept)
        self.keys.append(self._known.setdefault(key, key))  # one tuple per source and concept, however many images
        for attribute, column in self.labels.items():
            column.append(labels.get(attribute))
            self.confidence[attribute].append(confidence.get(attribute))

    def tallies(self, attributes: Iterable[str] | None = None, targets: Targets | None = None) -> list[Tally]:
        """Count the images by source, concept and attribute, in the order in which they came.

        Args:
            attributes: what to count, joint attributes as "gender × skin_tone". Default: every single attribute.
            targets: shares that were asked for. A target that names a group that is never read is left out.

        Raises:
            ValueError: one of the attributes was not read, or a label is not a group of its attribute.
        """
        wanted = list(attributes or self.groups)
        check_attributes([part for attribute in wanted for part in attribute.split(JOINT)], list(self.groups))
        counted: dict[str, Counter[tuple[Key, str | None]]] = {}
        phrased: dict[str, Counter[tuple[Key, str | None, str | None]]] = {}
        several = self._phrasings()
        names = {attribute: attribute.split(JOINT) for attribute in wanted}
        for attribute, parts in names.items():
            columns = [self.labels[part] for part in parts]
            labels = columns[0] if len(columns) == 1 else joint_labels(*columns)
            counted[attribute] = Counter(zip(self.keys, labels, strict=True))
            if several:
                phrased[attribute] = Counter(zip(self.keys, self.phrasings, labels, strict=True))
            strange = {label for _, label in counted[attribute]} - {None, *self._groups(parts)}
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
                phrasings=tuple(
                    tuple(phrased[attribute][key, words, group] for group in (*self._groups(names[attribute]), None))
                    for words in several.get(key, ())
                ),
            )
            for key in self._known
            for attribute, counts in counted.items()
        ]

    def _phrasings(self) -> dict[Key, list[str | None]]:
        """The phrasings of each source and concept that has several, in the order in which they came."""
        found: dict[Key, dict[str | None, None]] = {}
        for key, words in zip(self.keys, self.phrasings, strict=True):
            found.setdefault(key, {})[words] = None
        return {key: list(words) for key, words in found.items() if len(words) > 1 and None not in words}

    def disputed(self, other: ImageRows, attributes: Iterable[str]) -> list[Disputed]:
        """Count the images that another reader reads differently, by source, concept and attribute.

        Args:
            other: the same images in the same order, by the other reader.
            attributes: what to compare, joint attributes as "gender × skin_tone"; those that either lacks are left out.
        """
        made = []
        for attribute in attributes:
            parts = attribute.split(JOINT)
            if not (self.groups.keys() >= set(parts) <= other.groups.keys()):
                continue
            here, there = (joint_labels(*(rows.labels[part] for part in parts)) for rows in (self, other))
            counted: dict[Key, Counter[str | None]] = {key: Counter() for key in self._known}
            for key, one, two in zip(self.keys, here, there, strict=True):
                if one != two:
                    counted[key][one] += 1
            for (source, concept), counts in counted.items():
                unknown = counts.pop(None, 0)
                shown = {group: count for group, count in counts.items() if group is not None}
                about = {"source": source, "concept": concept, "attribute": attribute}
                made.append(Disputed(**about, counts=shown, unknown=unknown))
        return made

    def unfit(self, targets: Targets) -> dict[tuple[str, str, str], str]:
        """The targets that cannot be measured, each with what was not read: groups, or the whole attribute."""
        unfit = {}
        for key, target in targets.items():
            parts = key[-1].split(JOINT)
            groups = self._groups(parts) if self.groups.keys() >= set(parts) else []
            if _fitting(target, groups) is None:
                asked = [group for group, share in target.items() if share and group not in groups]
                unfit[key] = ", ".join(asked) if groups else key[-1]
        return unfit

    def sample(self, row: int, image: Readable) -> Sample:
        """One row as a sample to show, with its image in the file `image`."""
        source, concept = self.keys[row]
        return Sample(
            image=image,
            source=source,
            concept=concept,
            labels={name: column[row] for name, column in self.labels.items()},
            confidence={name: column[row] or 0.0 for name, column in self.confidence.items()},
        )

    def _groups(self, attributes: Sequence[str]) -> list[str]:
        """The groups of one attribute, or the combinations of several."""
        return joint_groups(*(self.groups[attribute] for attribute in attributes))

    def table(self) -> pa.Table:
        """The rows as a table: file, source, concept, seed and steered if any is known, phrasing if a concept has
        several, and two columns for each attribute.

        The columns of an attribute hold its label and, as `<attribute>_confidence`, the reader's confidence."""
        columns = {
            "file": pa.array(self.files, pa.string()),
            "source": pa.array((source for source, _ in self.keys), pa.string(), size=len(self)),
            "concept": pa.array((concept for _, concept in self.keys), pa.string(), size=len(self)),
        }
        if any(seed is not None for seed in self.seeds):
            columns["seed"] = pa.array(self.seeds, pa.int64())
        if any(done is not None for done in self.steered):
            columns["steered"] = pa.array(self.steered, pa.bool_())
        if self._phrasings():
            columns["phrasing"] = pa.array(self.phrasings, pa.string())
        for attribute, labels in self.labels.items():
            columns[attribute] = pa.array(labels, pa.string())
            columns[f"{attribute}_confidence"] = pa.array(self.confidence[attribute], pa.float32())
        return pa.table(columns)


def _fitting(target: Mapping[str, float] | None, groups: Sequence[str]) -> dict[str, float] | None:
    """The target over exactly these groups; None if it asks for a group that is not among them."""
    if target is None or any(share and group not in groups for group, share in target.items()):
        return None
    return {group: target.get(group, 0.0) for group in groups}
