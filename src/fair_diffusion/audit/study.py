"""A study: everything that a report shows, as plain data. An audit fills it, and the report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.guarded import Readable
from fair_diffusion.files.schema import Count
from fair_diffusion.perception.confusion import Confusion

__all__ = ["Confusion", "Disputed", "Labelled", "Quota", "Sample", "Source", "Study"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where images come from, and how they were made and read.

    Attributes:
        name: its name in tables and figures.
        kind: "data", "plain", "instructed" or "other"; figures order the sources by it.
        facts: lines for the section "How it was done", name to text: model, hash of the weights, policy, seeds, steps,
            perceiver, versions.
        asked: whether anything was asked of its images: of the plain twins of a run, nothing was.
        ratio: cost in network evaluations, relative to plain generation.
        seconds: wall-clock time.
        quality: quality measures, name to value, such as "KID to renders".
        selection: images by what was done to them, as `Result.counts` names it; `looked_at` is how many pictures the
            perceiver chose from, those made again included. Empty if that is not known.
        stopped: the half width, as a share, at which an audit by precision stopped; None for a fixed number of images.
            The intervals of such a source must hold despite the stopping.
    """

    name: str
    kind: str = "other"
    facts: Mapping[str, str] = field(default_factory=dict)
    asked: bool = True
    ratio: float | None = None
    seconds: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    selection: Mapping[str, int] = field(default_factory=dict)
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
        counts: `counts[i][j]` images are group i to people and group j to the machine, shape (K + 1, K + 1); the last i
            and j are unknown.
        table: name of the file with the people's labels.
        skipped: other images that people were shown and skipped, because they show nobody: `skipped[j]` are group j to
            the machine, shape (K + 1,), the last unknown; empty if there are none.
    """

    source: str
    concept: str
    attribute: str
    groups: Sequence[str]
    counts: Sequence[Sequence[Count]]
    table: str
    skipped: Sequence[Count] = ()


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Images that were asked for, by group: whole numbers, where the images were assigned their groups.

    `source`, `concept` and `attribute` are those of a tally, and so are the groups of `counts`."""

    source: str
    concept: str
    attribute: str
    counts: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True)
class Disputed:
    """Images of one tally that its reader and another one read differently; unknown is a reading of its own.

    Attributes:
        source: where the images come from.
        concept: what they show.
        attribute: what was read.
        counts: these images, by the group that the tally counts them in.
        unknown: these images that the tally counts as unknown.
    """

    source: str
    concept: str
    attribute: str
    counts: Mapping[str, Count]
    unknown: Count = 0

    @property
    def n(self) -> int:
        """All these images."""
        return sum(self.counts.values()) + self.unknown


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tallies, with everything that a reader needs to judge them.

    Attributes:
        title: title of the report.
        sources: where the images come from.
        tallies: the counts.
        perceived: counts of the same images by a second reader: a run's perceiver, which may steer.
        quotas: images that were asked for, by group.
        disputed: for each tally of both readers, the images that they read differently.
        samples: images of the contact sheet.
        drawn: how the samples were drawn, in words.
        unit: what a concept is, in the singular: "concept", "prompt", "occupation".
        confusions: how the readers of `tallies` err.
        perceived_confusions: how the readers of `perceived` err.
        labelled: images that people have labelled too.
        broken: images that could not be read, and why.
        notes: what else a reader must know.
        fields: the field of each concept: "nurse" belongs to "health".
        audited: the day of the audit, as 2026-01-31; empty if that is not known.
    """

    title: str
    sources: Sequence[Source]
    tallies: Sequence[Tally]
    perceived: Sequence[Tally] = ()
    quotas: Sequence[Quota] = ()
    disputed: Sequence[Disputed] = ()
    samples: Sequence[Sample] = ()
    drawn: str = ""
    unit: str = "concept"
    confusions: Sequence[Confusion] = ()
    perceived_confusions: Sequence[Confusion] = ()
    labelled: Sequence[Labelled] = ()
    broken: Sequence[str] = ()
    notes: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    audited: str = ""
