"""How one reader errs on one attribute, by people's labels: rates of its readings, pooled and by concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.files.schema import Count, Number, Share
from fair_diffusion.perception.confusion import BY_PEOPLE, Confusion
from fair_diffusion.policy.concepts import canonical, known
from fair_diffusion.policy.words import phrase

Table = Sequence[Sequence[Number]]


@dataclass(frozen=True, kw_only=True)
class ConceptRates:
    """The rates of one concept, and its number of labels."""

    labels: Count
    rates: Sequence[Sequence[Share]]


@dataclass(frozen=True, kw_only=True)
class ReaderCalibration:
    """How one reader errs on one attribute.

    Attributes:
        reader: "perceiver" or "judge".
        model: the model whose images it reads.
        attribute: what it reads.
        definition: the hash of the attribute's definition.
        groups: its K groups. "Unknown" is one more, the last of rows and columns.
        labels: number of images that people labelled.
        guidelines: the versions of the guidelines that they went by.
        counts: `counts[i][j]` of these images are group i to people and j to the reader, weighted: an image that was
            shown with a small probability stands for more. Together they are as many as independent labels would be.
        rates: `rates[i][j]` is the probability that an image that is i to people is read as j, in any concept.
        low, high: the 95 % interval of each of these rates, for which a label counts as its weight over the largest.
        strengths: for each group that people saw, how many labels of all concepts count in one concept.
        concepts: the rates of each concept with labels.
        fingerprint: of the reader whose errors these are; empty if that is not known, as in files of format 1.
    """

    reader: str
    model: str
    attribute: str
    definition: str
    groups: Sequence[str]
    labels: Count
    guidelines: Sequence[str]
    counts: Table
    rates: Sequence[Sequence[Share]]
    low: Sequence[Sequence[Share]]
    high: Sequence[Sequence[Share]]
    strengths: Sequence[Number]
    concepts: Mapping[str, ConceptRates]
    fingerprint: str = ""

    def __post_init__(self) -> None:
        size = len(self.groups) + 1
        tables = [self.counts, self.rates, self.low, self.high, *(each.rates for each in self.concepts.values())]
        if any(len(table) != size or any(len(row) != size for row in table) for table in tables):
            raise ValueError(f"a table of {self.attribute} is not {size} × {size}")

    def of(self, concept: str) -> NDArray[np.float64]:
        """The rates of a concept, (K + 1, K + 1); the pooled ones if it has no labels."""
        own = self.concepts.get(named_concept(concept))
        return np.asarray(self.rates if own is None else own.rates, dtype=np.float64)

    def plain(self) -> dict[str, Any]:
        """As plain data. A fingerprint that is not known is left out, so that versions of older files stay theirs."""
        return {name: value for name, value in asdict(self).items() if name != "fingerprint" or value}

    def confusion(self, version: str) -> Confusion | None:
        """As a confusion matrix, in whole images; None where people saw fewer than two groups.

        A group that they saw in no image is left out: readings of it count as unknown."""
        counts = np.rint(np.asarray(self.counts, dtype=np.float64)[:-1]).astype(int)
        seen = counts.sum(axis=1) > 0
        if seen.sum() < 2:
            return None
        unknown = counts[seen, -1] + counts[seen][:, :-1][:, ~seen].sum(axis=1)
        kept = np.column_stack([counts[seen][:, :-1][:, seen], unknown])
        return Confusion(
            attribute=self.attribute,
            groups=[group for group, has in zip(self.groups, seen, strict=True) if has],
            counts=kept.tolist(),
            measured_on=f"{self.labels} images that {BY_PEOPLE} (calibration {version})",
            left_out=[group for group, has in zip(self.groups, seen, strict=True) if not has],
        )


def named_concept(concept: str) -> str:
    """The vocabulary's name of a concept; empty if it has none."""
    return canonical(concept) if phrase(concept) in known() else ""
