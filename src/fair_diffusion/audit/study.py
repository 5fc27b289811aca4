"""A study: everything that a report shows, as plain data. An audit fills it, and the report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.guarded import Readable
from fair_diffusion.perception.confusion import Confusion

__all__ = ["Confusion", "Labelled", "Sample", "Source", "Study"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where images come from, and how they were made and read.

    Attributes:
        name: its name in tables and figures.
        kind: "data", "plain", "instructed" or "other"; figures order the sources by it.
        facts: lines for the section "How it was done", name to text: model, hash of the weights, policy, seeds, steps,
            perceiver, versions.
        ratio: cost in network evaluations, relative to plain generation.
        seconds: wall-clock time.
        quality: quality measures, name to value, such as "KID to renders".
        stopped: the half width, as a share, at which an audit by precision stopped; None for a fixed number of images.
            The intervals of such a source must hold despite the stopping.
    """

    name: str
    kind: str = "other"
    facts: Mapping[str, str] = field(default_factory=dict)
    ratio: float | None = None
    seconds: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    stopped: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of the contact sheet, drawn at random; nobody picked it. `labels` and `confidence` are by attribute."""

    image: Readable
    source: str
    concept: str
    labels: Mapping[str, str | None]
    confidence: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Images of one source and concept that both people and the machine have labelled.

    Attributes:
        source: where the images come from.
        concept: what they show.
        attribute: what was labelled.
        groups: the K groups of the attribute.
        counts: counts[i][j] images are group i to people and group j to the machine, shape (K + 1, K + 1); the last i
            and j are unknown.
        table: name of the file with the people's labels.
    """

    source: str
    concept: str
    attribute: str
    groups: Sequence[str]
    counts: Sequence[Sequence[int]]
    table: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tallies, with everything that a reader needs to judge them.

    Attributes:
        title: title of the report.
        sources: where the images come from.
        tallies: the counts.
        perceived: counts of the same images by a second reader: a run's perceiver, which may steer.
        samples: images of the contact sheet.
        drawn: how the samples were drawn, in words.
        unit: what a concept is, in the singular: "concept", "prompt", "occupation".
        confusions: how the readers err.
        labelled: images that people have labelled too.
        broken: images that could not be read, and why.
        notes: what else a reader must know.
        fields: the field of each concept: "nurse" belongs to "health".
    """

    title: str
    sources: Sequence[Source]
    tallies: Sequence[Tally]
    perceived: Sequence[Tally] = ()
    samples: Sequence[Sample] = ()
    drawn: str = ""
    unit: str = "concept"
    confusions: Sequence[Confusion] = ()
    labelled: Sequence[Labelled] = ()
    broken: Sequence[str] = ()
    notes: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
