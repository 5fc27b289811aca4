"""The streams as a person reads them: shares with their intervals, the last images, and what calls for a look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import select

from fair_diffusion.audit.table import JOINT
from fair_diffusion.policy.defined_as import defined_in
from fair_diffusion.report.headline import percent, plural, spoken
from fair_diffusion.service.job import DONE
from fair_diffusion.service.label_decisions import DecidedEverywhere, Decision
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import streams
from fair_diffusion.service.worker_kind import model_of
from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.differences import newcombe
from fair_diffusion.statistics.intervals import Interval, verdict, wilson

LAST = 100
"""Images of the strip, and those that alarms look at."""
JOBS = 1000
"""Jobs that are looked through for them."""
TOLERANCE = 0.05
"""Half the width of the band around a target."""
HALF = 20
"""Images in each half of the last ones, below which nothing is said of a rise."""
DISAGREE = 0.1
"""The share of images that the readers may read differently."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of a stream.

    Attributes:
        name: of the group.
        target: its share.
        asked, perceived, judged: images; `judged_of` counts those that the judge could read.
        interval: of the judged share; None if nothing was judged.
        people: the share as people see it, with its interval; None without labels.
    """

    name: str
    target: float
    asked: int
    perceived: int
    judged: int
    judged_of: int
    interval: Interval | None
    people: tuple[float, Interval] | None

    @property
    def share(self) -> float | None:
        """The judged share."""
        return self.judged / self.judged_of if self.judged_of else None

    @property
    def verdict(self) -> str:
        """Whether the judged share is within the band around the target."""
        return verdict(*self.interval, self.target, TOLERANCE) if self.interval else "cannot tell"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One stream: a rule with its target on one model, over all requests.

    Attributes:
        id: its number.
        rule, model, attributes: of the stream.
        n: images so far.
        groups: with a target above zero, or with images.
        all_images: those that are kept, the newest first: what is kept of each.
        labels: how many pictures people labelled that were drawn at random.
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
    labels: int
    labels_of: int
    left_out: int

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """The last ones."""
        return self.all_images[:LAST]

    @property
    def unread(self) -> int:
        """Images that the judge could not read."""
        return self.n - sum(group.judged for group in self.groups)

    @property
    def names(self) -> list[str]:
        """The groups, in order."""
        return [group.name for group in self.groups]

    @property
    def verdict(self) -> str:
        """The worst verdict of a group."""
        verdicts = {group.verdict for group in self.groups}
        return next(each for each in ("misses", "cannot tell", "meets") if each in verdicts or each == "meets")

    @cached_property
    def alarms(self) -> list[str]:
        """What calls for a look, one sentence each."""
        return [*self._deviations(), *self._unknowns(), *self._readers()]

    def _deviations(self) -> list[str]:
        found = []
        for group in self.groups:
            if group.verdict == "misses" and group.interval and group.share is not None:
                low, high = (percent(end, 0) for end in group.interval)
                found.append(
                    f"{percent(group.share, 0)} of the images show {plural(group.name)} ({low} to {high}), "
                    f"{percent(group.target, 0)} were asked"
                )
        return found

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
        read = sum(row.judged for row in group)
        people = _people(attributes, own, decisions, defined_in(targets[stream], first.attributes))
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
                        judged_of=read,
                        interval=wilson(row.judged, read) if read else None,
                        people=people(row.group),
                    )
                    for row in group
                    if row.share or row.asked or row.judged or row.perceived
                ],
                all_images=own,
                labels=len(people.labelled),
                labels_of=len(people.images),
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


class _people:
    """The shares of a stream as people see them: an interval that holds however often somebody looks at it.

    A set tells of the pictures that it draws from, and not of those that came later. Sets draw at different rates, so
    one of them tells: that of which most pictures of the stream are labelled. A picture that cannot be told, or on
    which raters are tied, shows no group, as on the pages of labels.

    Args:
        attributes: of the stream; nothing is told of combinations.
        images: of the stream.
        decisions: what people see in pictures; those alone count that were drawn at random.
        definition: by what the stream's definition of the attribute is known.
    """

    def __init__(
        self,
        attributes: Sequence[str],
        images: Sequence[Mapping[str, Any]],
        decisions: DecidedEverywhere,
        definition: str,
    ) -> None:
        told = decisions.of(JOINT.join(attributes), definition)
        own, self._names = {image["file"]: image for image in images}, attributes
        drawn_from, labelled = set[str](), dict[str, Decision]()
        for name, drawn in told.random.items():
            there = own.keys() & decisions.pictures(name) if name else set(own)
            known = {file: one for file, one in drawn.items() if file in there}
            if len(known) > len(labelled):
                drawn_from, labelled = there, known
        self.images = [own[file] for file in drawn_from]
        self.labelled = [(one.answer, own[file]) for file, one in labelled.items()]
        self.left_out = sum(file in own and file not in labelled for file in told.every)

    def __call__(self, group: str) -> tuple[float, Interval] | None:
        """The share of a group; None without labels."""
        if not self.labelled:
            return None
        human = [float(answer == group) for answer, _ in self.labelled]
        machine = [float(shows(image, "judged", self._names) == group) for _, image in self.labelled]
        seen = sum(shows(image, "judged", self._names) == group for image in self.images)
        return anytime_share(human, machine, seen, len(self.images))


def title_of(flow: Flow) -> str:
    """What a stream is called: its attributes."""
    return " × ".join(spoken(name) for name in flow.attributes)
