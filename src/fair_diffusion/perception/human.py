"""Labels by people: a table (see `label_rows`) that works as a perceiver and as a reference for the others.

The majority of a picture's raters decides; a tie is unknown, and a rater may also write "unknown". Agreement beyond
chance is Cohen's kappa for two raters and Fleiss' kappa for more, over the pictures that all of them labelled (Cohen
1960, Educational and Psychological Measurement 20; Fleiss 1971, Psychological Bulletin 76):

    κ = (p_o − p_e) / (1 − p_e)      p_o: observed agreement, p_e: agreement by chance
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fair_diffusion.perception.label_rows import read_labels
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.policy import Attribute, Attributes, built_in
from fair_diffusion.policy.spelling import UNKNOWN

Votes = Mapping[str, Mapping[str, Mapping[str, str]]]
"""The group that each rater wrote, by attribute, file and rater."""


@dataclass(frozen=True)
class Agreement:
    """The agreement of raters on one attribute.

    Attributes:
        attribute: its name.
        kappa: None if it is undefined.
        raters: how many people labelled pictures.
        pictures: how many pictures all raters labelled.
    """

    attribute: str
    kappa: float | None
    raters: int
    pictures: int


class HumanLabels:
    """Labels of pictures by their file names. A picture without labels is unknown.

    The confidence of a reading is the majority's share of the raters.

    Args:
        votes: the labels.
        notes: how they were read.
        defined: the definitions of the attributes; the built-in ones if None.
        chances: the probability with which a picture was shown, by attribute and file, as far as it is known.
        skipped: by attribute, the pictures that people were shown and skipped.
    """

    def __init__(
        self,
        votes: Votes,
        notes: Sequence[str] = (),
        defined: Attributes | None = None,
        chances: Mapping[tuple[str, str], float] | None = None,
        skipped: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.votes, self.notes, self.chances, self.skipped = votes, notes, chances or {}, skipped or {}
        self.files = {file for files in votes.values() for file in files}
        self.met: set[str] = set()
        known = defined or built_in()
        self.groups = {attribute: _groups(files, known.get(attribute)) for attribute, files in votes.items()}

    @classmethod
    def load(cls, path: Path, defined: Attributes | None = None) -> HumanLabels:
        """The table in `path`.

        Args:
            path: the table.
            defined: the definitions of the attributes that it may name; the built-in ones if None.

        Raises:
            ValueError: one line for each line of the table that is wrong.
        """
        rows = read_labels(path, defined)
        return cls(rows.votes, rows.notes, defined, rows.chances, rows.skipped)

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture. `info["file"]` of a picture is its path below the audited folder."""
        self.met.update(self.files.intersection(image.info.get("file", "") for image in images))
        return {name: [self.label(name, image.info.get("file", "")) for image in images] for name in self.groups}

    def label(self, attribute: str, file: str) -> Reading:
        """The majority's label for one file; unknown for a tie, and for a file without labels."""
        said = Counter(self.votes[attribute].get(file, {}).values()).most_common(2)
        if not said or (len(said) == 2 and said[0][1] == said[1][1]):
            return Reading(None, 0.0)
        (group, count), total = said[0], len(self.votes[attribute][file])
        return Reading(None if group == UNKNOWN else group, count / total)

    def check_even(self, attribute: str, files: Iterable[str], *, table: str) -> None:
        """`ValueError` if labelled pictures that are to count alike were shown with different probabilities."""
        known = [self.chances[attribute, file] for file in files if (attribute, file) in self.chances]
        if known and not math.isclose(min(known), max(known)):
            raise ValueError(
                f"{table} has probabilities from {min(known):g} to {max(known):g} for {attribute}, and an audit counts "
                "labels of one concept alike; give labels of pictures that were drawn uniformly, or let "
                "`fair-diffusion calibrate` weigh these"
            )

    def unmet(self) -> list[str]:
        """The labelled files of which no picture was read so far."""
        return sorted(self.files - self.met)

    def agreement(self) -> list[Agreement]:
        """The agreement for each attribute that several people labelled."""
        found = []
        for attribute, files in self.votes.items():
            raters = sorted({rater for said in files.values() for rater in said})
            shared = [said for said in files.values() if len(said) == len(raters)]
            if len(raters) > 1:
                labels = [[said[rater] for rater in raters] for said in shared]
                found.append(Agreement(attribute, kappa(labels), len(raters), len(shared)))
        return found


def kappa(labels: Sequence[Sequence[str]]) -> float | None:
    """Cohen's kappa for two labels per picture, Fleiss' kappa for more. None if chance alone always agrees."""
    if not labels:
        return None
    names = sorted({label for row in labels for label in row})
    table = np.array([[row.count(name) for name in names] for row in labels], dtype=np.float64)
    raters = len(labels[0])
    seen = float(((table * (table - 1)).sum(axis=1) / (raters * (raters - 1))).mean())
    if raters == 2:
        shares = [np.array([[row[k] == name for name in names] for row in labels]).mean(axis=0) for k in (0, 1)]
        chance = float(shares[0] @ shares[1])
    else:
        chance = float((table.mean(axis=0) / raters) @ (table.mean(axis=0) / raters))
    return None if chance >= 1 - 1e-12 else (seen - chance) / (1 - chance)


def _groups(files: Mapping[str, Mapping[str, str]], known: Attribute | None) -> tuple[str, ...]:
    """The attribute's own groups if every label is one of them; else those in the labels, numbers first, by size."""
    said = {group for raters in files.values() for group in raters.values()} - {UNKNOWN}
    own = tuple(sorted(said, key=_by_number))
    return known.group_names if known and said <= set(known.group_names) else own


def _by_number(group: str) -> tuple[bool, float, str]:
    """The order of groups of people's own: "3-9" comes before "20-29"."""
    number = re.search(r"[0-9]{1,9}", group)
    return number is None, float(number[0]) if number else 0.0, group


def opened(argument: str) -> HumanLabels:
    """The labels by `argument`: a CSV file; or CSV with definitions: labels.csv,glasses,own.yaml."""
    path, *named = [argument] if Path(argument).exists() else argument.split(",")
    return HumanLabels.load(Path(path), Attributes.named(*named) if named else None)
