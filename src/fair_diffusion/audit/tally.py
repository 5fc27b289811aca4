"""A tally: how many images of one concept, from one source, show which group of one attribute.

Everything that is audited (a run, a folder, a dataset, a table of counts) becomes tallies first. Numbers and reports
use nothing else. Exports `Tally`, `check_tallies` and `by_source_and_attribute`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fair_diffusion.policy.attributes import built_in
from fair_diffusion.statistics.over_prompts import FEWEST


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of one attribute over the images of one concept.

    Attributes:
        source: where the images come from, such as "laion", "plain", "instructed" or the name of a run.
        concept: what they show: an occupation, or a prompt.
        attribute: what was read, such as "gender"; joint attributes as "gender × skin_tone".
        counts: images per group, zeros included, in the order of the attribute's groups.
        unknown: images in which the attribute could not be read.
        target: share asked for of each group, or None if nothing was asked.
        phrasings: the same images by phrasing, if the concept has several: images per group, then those unknown.
    """

    source: str
    concept: str
    attribute: str
    counts: Mapping[str, int]
    unknown: int = 0
    target: Mapping[str, float] | None = None
    phrasings: Sequence[Sequence[int]] = ()

    @property
    def n(self) -> int:
        """All images, unread ones included."""
        return sum(self.counts.values()) + self.unknown

    @property
    def known(self) -> int:
        """The images that could be read."""
        return sum(self.counts.values())

    @property
    def asked(self) -> tuple[float, ...]:
        """The target in the order of the groups; without a target, the attribute's default shares, or uniform ones."""
        if self.target is None:
            known = built_in().get(self.attribute)
            default = known.default_shares if known else {}
            shares = [float(default.get(group, 0)) for group in self.counts]
            total = sum(shares) if self.counts.keys() <= default.keys() else 0
            return tuple(share / total for share in shares) if total else (1 / len(shares),) * len(shares)
        return tuple(float(self.target[group]) for group in self.counts)

    @property
    def in_play(self) -> int:
        """How many groups have a target above zero."""
        return sum(share > 0 for share in self.asked)

    @property
    def clusters(self) -> Sequence[Sequence[int]]:
        """The phrasings if they are `FEWEST` or more, so that their spread is known; else none."""
        return self.phrasings if len(self.phrasings) >= FEWEST else ()


def check_tallies(tallies: Sequence[Tally]) -> None:
    """Check that every tally can be summed up and none is counted twice; a `ValueError` names tally and mend."""
    seen = set()
    for tally in tallies:
        where = f"{tally.source}: {tally.attribute} of {tally.concept!r}"
        key = (tally.source, tally.concept, tally.attribute)
        if key in seen:
            raise ValueError(f"{where} is counted twice: add the counts up first")
        seen.add(key)
        if len(tally.counts) < 2:
            raise ValueError(f"{where} has groups {list(tally.counts)}: name all groups, at least 2, zeros included")
        if min(*tally.counts.values(), tally.unknown) < 0:
            raise ValueError(f"{where} has a negative count: {dict(tally.counts)}, unknown {tally.unknown}")
        if not tally.n:
            raise ValueError(f"{where} has no images: leave it out, and say so in a note")
        whole = [*tally.counts.values(), tally.unknown]
        if tally.phrasings and [sum(column) for column in zip(*tally.phrasings, strict=True)] != whole:
            raise ValueError(f"{where} has phrasings that do not sum to {whole}: give groups, then unknown, for each")
        if tally.target is None:
            continue
        if set(tally.target) != set(tally.counts):
            raise ValueError(f"{where} has targets for {list(tally.target)}: give one for each of {list(tally.counts)}")
        shares = list(tally.target.values())
        if not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6):
            raise ValueError(f"{where} has target {dict(tally.target)}: shares must not be negative and sum to 1")


def by_source_and_attribute(tallies: Iterable[Tally]) -> dict[tuple[str, str], list[Tally]]:
    """The tallies of each source and attribute, in order of first appearance."""
    parts: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.source, tally.attribute), []).append(tally)
    return parts
