"""The streams as a person reads them: shares with their intervals, the last images, and what calls for a look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import select

from fair_diffusion.audit.table import JOINT
from fair_diffusion.policy.defined_as import defined_in
from fair_diffusion.report.headline import percent, plural, spoken
from fair_diffusion.service.job import DONE
from fair_diffusion.service.label_decisions import DecidedEverywhere
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import streams
from fair_diffusion.service.worker_kind import model_of
from fair_diffusion.statistics.differences import newcombe
from fair_diffusion.statistics.intervals import Interval, Verdict, verdict, wilson, with_unread
from fair_diffusion.studio.peoples_shares import PeoplesShare, PeoplesShares

LAST = 100
"""Images of the strip, and those that alarms look at."""
JOBS = 1000
"""Jobs that are looked through for them."""
TOLERANCE = 0.05
"""Half the width of the band around a target."""
HALF = 20
"""Images in each half of the last ones, below which nothing is said of a rise."""
SAME = 0.01
"""Shares that differ by less are the same to whoever reads whole percents."""
DISAGREE = 0.1
"""The share of images that the readers may read differently."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of a stream. An image that the judge could not read may show any group, as in a report.

    Attributes:
        name: of the group.
        target: its share.
        asked, perceived, judged: images.
        n: images of the stream; `unread` are those of them that the judge could not read.
        people: the share as people see it; None without labels.
    """

    name: str
    target: float
    asked: int
    perceived: int
    judged: int
    n: int
    unread: int
    people: PeoplesShare | None

    @property
    def share(self) -> float | None:
        """The judged share, of all images."""
        return self.judged / self.n if self.n else None

    @cached_property
    def interval(self) -> Interval | None:
        """Its 95 % interval: the lower end if no unread image shows the group, the upper end if all do."""
        return with_unread(self.judged, self.unread, self.n) if self.n else None

    @property
    def judges_verdict(self) -> Verdict:
        """Whether the judged share is within the band around the target."""
        return verdict(*self.interval, self.target, TOLERANCE) if self.interval else "cannot tell"

    @property
    def peoples_verdict(self) -> Verdict:
        """Whether the share that people see is."""
        return verdict(*self.people.process, self.target, TOLERANCE) if self.people else "cannot tell"

    @property
    def eyes(self) -> str:
        """By whose eyes the verdict is: "people" as soon as their labels are enough for one, else "the judge"."""
        return "the judge" if self.peoples_verdict == "cannot tell" else "people"

    @property
    def verdict(self) -> Verdict:
        """The verdict of these eyes."""
        return self.peoples_verdict if self.eyes == "people" else self.judges_verdict

    @property
    def interval_seen(self) -> Interval | None:
        """The interval by these eyes."""
        return self.people.process if self.people and self.eyes == "people" else self.interval

    @property
    def hidden(self) -> bool:
        """Whether unread images alone are the reason why nothing can be told."""
        read = self.n - self.unread
        told = verdict(*wilson(self.judged, read), self.target, TOLERANCE) if read else "cannot tell"
        return self.verdict == "cannot tell" != told


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One stream: a rule with its target on one model, over all requests.

    Attributes:
        id: its number.
        rule, model, attributes: of the stream.
        n: images so far.
        groups: with a target above zero, or with images.
        all_images: those that are kept, the newest first: what is kept of each.
        unread: images that the judge could not read.
        labels: how many pictures people labelled that were drawn at random; `skipped`: how many of them they skipped.
        labels_of: how many pictures these were drawn from.
        left_out: how many others they labelled: chosen by somebody, drawn by uncertainty, or from another set.
    """

    id: int
    rule: str
    model: str
    attributes: tuple[str, ...]
    n: int
    groups: Sequence[Group]
    all_images: Sequence[Mapping[str, Any]]
    unread: int
    labels: int
    skipped: int
    labels_of: int
    left_out: int

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """The last ones."""
        return self.all_images[:LAST]

    @property
    def names(self) -> list[str]:
        """The groups, in order."""
        return [group.name for group in self.groups]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of a group."""
        verdicts = {group.verdict for group in self.groups}
        return "misses" if "misses" in verdicts else "cannot tell" if "cannot tell" in verdicts else "meets"

    @property
    def eyes(self) -> str:
        """By whose eyes it is: "the judge", "people", or "people and the judge" of different groups."""
        return " and ".join(sorted({group.eyes for group in self.groups if group.verdict == self.verdict}))

    @property
    def hidden(self) -> bool:
        """Whether it cannot be told because images are unread."""
        return self.verdict == "cannot tell" and any(group.hidden for group in self.groups)

    @cached_property
    def alarms(self) -> list[str]:
        """What calls for a look, one sentence each."""
        return [*self._deviations(), *self._contradictions(), *self._unknowns(), *self._readers()]

    def _deviations(self) -> list[str]:
        missed, found = [group for group in self.groups if group.verdict == "misses"], []
        for group in self._once(missed, lambda group: group.interval_seen):
            by_people = group.people if group.eyes == "people" else None
            share, interval = by_people.share if by_people else group.share, group.interval_seen
            if interval and share is not None:
                read = f"people see {plural(group.name)} in {percent(share, 0)} of the images"
                if not by_people:
                    read = f"{percent(share, 0)} of the images show {plural(group.name)}, as the judge reads them"
                found.append(f"{read} ({_ends(interval)}), {percent(group.target, 0)} were asked")
        return found

    def _contradictions(self) -> list[str]:
        """Where people contradict the judge, in the same images."""
        told = [group for group in self.groups if group.people and group.people.contradicts]
        return [
            f"people contradict the judge: they see {plural(group.name)} in {_ends(group.people.interval)} of the "
            f"images from which a set draws, and it reads {_ends(group.people.judged)}"
            for group in self._once(told, lambda group: group.people and group.people.interval)
            if group.people
        ]

    def _once(self, told: Sequence[Group], by: Callable[[Group], Interval | None]) -> Sequence[Group]:
        """Groups to tell of. Of two that mirror each other, the first one: who is not of one is of the other."""
        one, other = (
            map(by, told) if len(told) == len(self.groups) == 2 and told[0].eyes == told[1].eyes else (None, None)
        )
        mirrored = one and other and all(abs(a + b - 1) < SAME for a, b in zip(one, reversed(other), strict=True))
        return told[:1] if mirrored else told

    def _unknowns(self) -> list[str]:
        half = len(self.images) // 2
        if half < HALF:
            return []
        new, old = self.images[:half], self.images[half : 2 * half]
        counts = [sum(shows(image, "judged", self.attributes) is None for image in part) for part in (old, new)]
        if newcombe(counts[0], half, counts[1], half)[0] <= 0:
            return []
        return [f"more images cannot be read: {counts[1]} of the last {half}, {counts[0]} of the {half} before"]

    def _readers(self) -> list[str]:
        read = [[shows(image, by, self.attributes) for by in ("judged", "perceived")] for image in self.images]
        both = [pair for pair in read if None not in pair]
        differ = sum(a != b for a, b in both)
        if not both or wilson(differ, len(both))[0] <= DISAGREE:
            return []
        return [f"judge and perceiver disagree on {differ} of the last {len(both)} images"]

    def label(self, image: Mapping[str, Any]) -> str | None:
        """The group that the judge reads in an image; None if it cannot."""
        shown = shows(image, "judged", self.attributes)
        return shown.replace(JOINT, " + ") if shown else None


def flows(server: Server) -> list[Flow]:
    """Every stream, those with alarms first, then the largest."""
    with server.database.reading() as connection:
        targets = {row.id: row.target for row in connection.execute(select(streams.c.id, streams.c.target))}
    rows = defaultdict(list)
    for row in DatabaseLedger(server.database).rows():
        rows[row.stream].append(row)
    images = _images(server)
    decisions = DecidedEverywhere(server.database)
    found = []
    for stream, group in rows.items():
        first = group[0]
        if not first.n:  # nothing came of it, as of a drawing that was cancelled
            continue
        own = images.get((first.rule, first.model, first.attributes, targets[stream])) or []
        attributes = tuple(first.attributes.split(" × "))
        unread = first.n - sum(row.judged for row in group)
        defined = defined_in(targets[stream], first.attributes)
        readings = {image["file"]: shows(image, "judged", attributes) for image in own}
        people = PeoplesShares(JOINT.join(attributes), readings, decisions, defined)
        found.append(
            Flow(
                id=stream,
                rule=first.rule,
                model=first.model,
                attributes=attributes,
                n=first.n,
                groups=[
                    Group(
                        name=row.group,
                        target=float(row.share),
                        asked=row.asked,
                        perceived=row.perceived,
                        judged=row.judged,
                        n=first.n,
                        unread=unread,
                        people=people(row.group),
                    )
                    for row in group
                    if row.share or row.asked or row.judged or row.perceived
                ],
                all_images=own,
                unread=unread,
                labels=people.labelled,
                skipped=people.skipped,
                labels_of=people.images,
                left_out=people.left_out,
            )
        )
    return sorted(found, key=lambda flow: (not flow.alarms, -flow.n))


def shows(image: Mapping[str, Any], by: str, names: Sequence[str]) -> str | None:
    """What a reader sees in an image, as the audit names it; None if it cannot tell."""
    read = [image[by].get(name) for name in names]
    return None if None in read else JOINT.join(map(str, read))


def _images(server: Server) -> dict[tuple[str, str, str, str], list[Mapping[str, Any]]]:
    """The images of each stream that are kept, the newest first."""
    found: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for job in server.jobs.newest(states=[DONE], kinds=["draw "], most=JOBS):
        result = job.result or {}
        for stream in result.get("streams", ()):
            key = (stream["rule"], model_of(job.kind), stream["attributes"], stream.get("target", ""))
            found[key] += [{**image, "job": job.id} for image in reversed(result.get("images", ()))]
    return found


def _ends(interval: Interval) -> str:
    """A share, or between which two it lies."""
    low, high = (percent(end, 0) for end in interval)
    return low if low == high else f"{low} to {high}"


def title_of(flow: Flow) -> str:
    """What a stream is called: its attributes."""
    return " × ".join(spoken(name) for name in flow.attributes)
