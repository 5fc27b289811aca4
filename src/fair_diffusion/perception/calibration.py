"""A calibration: what people's labels say of a reader's errors, as plain data with a version.

It is made from labels of images that were drawn at random, or with a known probability; `statistics.pooled_rates` has
the equations. Its version is a hash of its content, so the same labels give the same version, and a result can name
what it was made with. Nothing is stored of the images, and no prompt: concepts that the vocabulary does not know are
counted together.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from fair_diffusion.files.schema import Count, DamagedFile, Number, Share, read_json
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.perception.confusion import BY_PEOPLE, Confusion
from fair_diffusion.policy import Attribute, Attributes
from fair_diffusion.policy.concepts import canonical, known
from fair_diffusion.policy.words import phrase
from fair_diffusion.statistics.pooled_rates import pooled_rates, rate_intervals

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver

FORMAT = 2
"""Format of a file of a calibration."""
READERS = PERCEIVER, JUDGE = "perceiver", "judge"
Table = Sequence[Sequence[Number]]


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """What people and a reader saw of one attribute of one image.

    Attributes:
        reader: "perceiver" or "judge".
        model: the model that made the image.
        attribute: what was labelled.
        people: the group that people saw; None if they could not tell.
        read: the group that the reader read; None if it was not sure.
        concept: what the image shows, such as "nurse"; empty if that is not known.
        probability: with which the image was shown to people, up to a common factor.
        guideline: the version of the guideline that people went by; empty if that is not known.
        fingerprint: of the reader, as `models.fingerprint.of_reader` has it; empty if that is not known.
    """

    reader: str
    model: str
    attribute: str
    people: str | None
    read: str | None
    concept: str = ""
    probability: float = 1.0
    guideline: str = ""
    fingerprint: str = ""


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
        own = self.concepts.get(_named(concept))
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


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibrations of some readers. `format` is that of the file."""

    readers: Sequence[ReaderCalibration]
    format: int = field(default=FORMAT, compare=False)

    def __post_init__(self) -> None:
        named = Counter((each.model, each.reader, each.attribute) for each in self.readers)
        if twice := [name for name, times in named.items() if times > 1]:
            raise ValueError(f"{' '.join(twice[0])} is calibrated twice; keep one")

    @cached_property
    def version(self) -> str:
        """A hash of the content, 12 letters."""
        content = json.dumps([each.plain() for each in self.readers], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def find(self, reader: str, model: str, attribute: Attribute) -> ReaderCalibration | None:
        """How a reader of the images of a model errs on an attribute, as it is defined; None if nothing is known."""
        for each in self.readers:
            if (each.reader, each.model, each.attribute) == (reader, model, attribute.name):
                return each if each.definition == attribute.digest else None
        return None

    def check_for(self, model: str, readers: Mapping[str, Perceiver] | None = None) -> None:
        """`ValueError` if it knows nothing of the images of `model`, or of these readers.

        Args:
            model: the model that is to draw by it.
            readers: the readers of its images, by "perceiver" and "judge". Nothing is said of those without a
                fingerprint here; their readings are taken for those of the labels.
        """
        models = sorted({each.model for each in self.readers})
        if model not in models:
            raise ValueError(
                f"calibration {self.version} is of labels of images of {', '.join(models) or 'no model'}, and tells "
                f"nothing of {model!r}; calibrate with labels of its images"
            )

        from fair_diffusion.models.fingerprint import of_reader

        told = [each for each in self.readers if each.model == model and each.fingerprint]
        own = {
            role: of_reader(reader) for role, reader in (readers or {}).items() if any(role == e.reader for e in told)
        }
        for each in told:
            if own.get(each.reader, each.fingerprint) != each.fingerprint:
                raise ValueError(
                    f"calibration {self.version} is of another {each.reader} of {model!r} ({_short(each.fingerprint)}) "
                    f"than this one ({_short(own[each.reader])}): its weights, number type, groups or words differ; "
                    "load that reader, or label images that this one has read and calibrate again"
                )

    def replacing(
        self, confusions: Sequence[Confusion], reader: str, model: str, defined: Attributes
    ) -> list[Confusion]:
        """The confusion matrices of a reader, with those that people's labels of its images give in their place.

        Args:
            confusions: those that are known otherwise.
            reader: the name of the reader.
            model: the model whose images it reads.
            defined: the attributes; labels of one by another definition tell nothing.
        """
        own = [each for name in defined if (each := self.find(reader, model, defined[name])) is not None]
        made = [one for each in own if (one := each.confusion(self.version)) is not None]
        anew = {one.attribute for one in made}
        return [*(one for one in confusions if one.attribute not in anew), *made]

    def save(self, path: Path) -> bool:
        """Write the file, whole or not at all. False, and nothing is written, if it holds this version already.

        Raises:
            ValueError: there is another file of this name.
            OSError: it cannot be written.
        """
        if path.exists() and self.load(path).version == self.version:
            return False
        with whole_file(path) as part:
            part.write_text(self.text, encoding="utf-8")
        return True

    @property
    def text(self) -> str:
        """The content of its file."""
        return json.dumps(self.plain(), indent=1) + "\n"

    def plain(self) -> dict[str, Any]:
        """As plain data, as the file has it."""
        return {"format": FORMAT, "version": self.version, "readers": [each.plain() for each in self.readers]}

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """The calibration in a file.

        Raises:
            ValueError: it holds none, or one of a newer format, or its content is not that of its version.
        """
        found = read_json(path, _FILE, FORMAT)
        made = cls(readers=found.readers)
        if made.version != found.version:
            raise DamagedFile(
                f"{path} was changed by hand: its content has the version {made.version}; calibrate again"
            )
        return made


@dataclass(frozen=True, kw_only=True)
class _File:
    """The content of a file."""

    version: str
    readers: list[ReaderCalibration]
    format: int = FORMAT


_FILE = TypeAdapter(_File)


def calibrated(labels: Iterable[LabelledImage], defined: Attributes) -> Calibration:
    """Make a calibration from labels.

    Args:
        labels: of images drawn at random, or with the probability that each says. Chosen images have no place here.
        defined: the attributes; labels of others, and of groups that they lack, are an error.

    Raises:
        ValueError: there are no labels, or one does not fit its attribute.
    """
    parts: dict[tuple[str, str, str], list[LabelledImage]] = {}
    for one in labels:
        parts.setdefault((one.model, one.reader, one.attribute), []).append(one)
    if not parts:
        raise ValueError("there are no labels to calibrate by: label some of the images")
    return Calibration(readers=[_calibrated(parts[key], defined.attribute(key[2])) for key in sorted(parts)])


def _calibrated(labels: Sequence[LabelledImage], attribute: Attribute) -> ReaderCalibration:
    place: dict[str | None, int] = {group: k for k, group in enumerate((*attribute.group_names, None))}
    concepts = sorted({_named(one.concept) for one in labels})
    counts = np.zeros((len(concepts), len(place), len(place)))
    weights = _weights(labels)
    for one, weight in zip(labels, weights, strict=True):
        for group in (one.people, one.read):
            if group not in place:
                raise ValueError(
                    f"{attribute.name} has no group {group!r}; its groups are {list(place)[:-1]}: label by these, or "
                    "give the definition that has it"
                )
        counts[concepts.index(_named(one.concept)), place[one.people], place[one.read]] += weight
    found = pooled_rates(counts)
    # As many labels as if all had the largest weight: an error that happens not to be among them may weigh so much.
    low, high = rate_intervals(counts.sum(axis=0) / weights.max())
    numbers = Counter(_named(one.concept) for one in labels)
    return ReaderCalibration(
        reader=labels[0].reader,
        model=labels[0].model,
        attribute=attribute.name,
        definition=attribute.digest,
        groups=list(attribute.group_names),
        labels=len(labels),
        guidelines=sorted({one.guideline for one in labels if one.guideline}),
        counts=_rounded(counts.sum(axis=0)),
        rates=_rounded(found.pooled),
        low=_rounded(low),
        high=_rounded(high),
        strengths=_rounded(found.strengths[None])[0],
        concepts={
            name: ConceptRates(labels=numbers[name], rates=_rounded(rates))
            for name, rates in zip(concepts, found.own, strict=True)
            if name
        },
        fingerprint=_fingerprint(labels),
    )


def _fingerprint(labels: Sequence[LabelledImage]) -> str:
    """That of the reader of these images; empty if it is not known of all of them."""
    known = {one.fingerprint for one in labels}
    if len(known - {""}) > 1:
        one = labels[0]
        raise ValueError(
            f"the labelled images of {one.model} were read by {len(known - {''})} different {one.reader}s; "
            "calibrate with the images of one of them"
        )
    return known.pop() if len(known) == 1 else ""


def _short(fingerprint: str) -> str:
    """Its class and the first digits, for people."""
    return fingerprint[: fingerprint.find("sha256 ") + 19]


def _weights(labels: Sequence[LabelledImage]) -> NDArray[np.float64]:
    """The weight of each label, 1 / probability, in sum the number of labels that would tell as much by themselves."""
    chance = np.array([one.probability for one in labels], dtype=np.float64)
    if not ((chance > 0) & (chance <= 1)).all():
        raise ValueError("a label has no probability above 0 and up to 1: leave labels of chosen images out")
    weights = chance.min() / chance  # a common factor tells nothing, and 1 / chance may be too large a number
    return np.asarray(weights * weights.sum() / (weights**2).sum())


def _rounded(table: NDArray[np.float64]) -> list[list[float]]:
    """Numbers for a file: twelve digits are the same on every machine."""
    return [[float(f"{value:.12g}") for value in row] for row in table.tolist()]


def _named(concept: str) -> str:
    """The vocabulary's name of a concept; empty if it has none."""
    return canonical(concept) if phrase(concept) in known() else ""
