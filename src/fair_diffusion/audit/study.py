"""A study: all that a report shows, as plain data. An audit fills it, the report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.audit.tally import Tally


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where images come from, and how they were made and read.

    `kind` is "data", "plain", "instructed" or "other" and orders them in figures; `facts` are lines for "how it was
    done" (model, weights' hash, policy, seeds, steps, perceiver, versions), name to text. `ratio` is the cost in
    network evaluations over plain generation, `seconds` the wall-clock time; `quality` names figures such as "KID to
    renders". `stopped` is the half width in share at which an audit by precision stopped: its intervals must be those
    that hold under such stopping.
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
    """One image of the contact sheet, drawn at random and never picked; `labels` and `confidence` by attribute."""

    image: Path
    source: str
    concept: str
    labels: Mapping[str, str | None]
    confidence: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How a perceiver errs on labelled images: counts[i][j] of group i were read as group j; the last j is unknown.

    `sources` names the sources whose images it read: theirs are the shares that it can correct. `left_out` are groups
    that it reads and no labelled image shows, so that nothing tells how they are read: readings of them are unknown.
    """

    attribute: str
    groups: Sequence[str]
    counts: Sequence[Sequence[int]]
    measured_on: str
    sources: Sequence[str] = ()
    left_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_out", tuple(self.left_out))  # so that what comes from a file is equal


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Images of one source and concept that people have labelled beside the machine.

    counts[i][j] of them are group i to people and group j to the machine; the last i and j are unknown. `table` is the
    name of the file that holds the labels.
    """

    source: str
    concept: str
    attribute: str
    groups: Sequence[str]
    counts: Sequence[Sequence[int]]
    table: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tallies with all that is needed to believe them.

    `perceived` are the same images as counted by a second reader (a run's perceiver, which may steer). `drawn` says how
    the samples were drawn, `unit` what a concept is, in the singular: "concept", "prompt", "occupation". `broken`
    names images that could not be read, and why. `fields` groups concepts: "nurse" lies in the field "health".
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
