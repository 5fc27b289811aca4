"""The system card: what a service is for, who decided what, what came of it, and how far that can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from fair_diffusion.audit.table import JOINT
from fair_diffusion.policy.target import Target
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import DONE, Job
from fair_diffusion.service.label_decisions import TIED, DecidedEverywhere, Decision
from fair_diffusion.service.server import Server
from fair_diffusion.service.trail import changes, note
from fair_diffusion.statistics.intervals import Interval, with_unread
from fair_diffusion.statistics.rater_agreement import krippendorff_alpha
from fair_diffusion.studio.flows import JOBS, Flow, shows

SUBJECT = "system card"
"""Under which name the trail keeps the texts."""
LIMITS = (
    "Who anybody is: groups are perceived in pictures, and a picture has no identity of its own.",
    "That the groups of a policy are all there are.",
    "Why a model draws as it does: a gap has no cause here, and an even share says nothing about how a group is shown.",
    "More than its intervals say: they are of the process that draws, as the judge reads its images, at 95 %.",
)
"""What no such card can show."""


@dataclass(frozen=True)
class Texts:
    """What people write on the card.

    Attributes:
        purpose: what the service is for, and for whom.
        source: where the targets come from: a statistic, a decision, a law.
        contact: who answers questions and complaints.
        limits: what else a reader must know.
    """

    purpose: str = ""
    source: str = ""
    contact: str = ""
    limits: str = ""


def texts_of(database: Database) -> tuple[Texts, float | None]:
    """The texts as they were written last, and when; None if nobody wrote any."""
    last = next(iter(changes(database, subject=SUBJECT, most=1)), None)
    if last is None:
        return Texts(), None
    return Texts(**{each.name: str(last.details.get(each.name, "")) for each in fields(Texts)}), last.time


def write(database: Database, texts: Texts, *, by: str) -> None:
    """Write the texts. The trail keeps what they were before."""
    details = {each.name: getattr(texts, each.name) for each in fields(Texts)}
    with database.writing() as connection:
        note(connection, by=by, change="system card written", subject=SUBJECT, details=details)


@dataclass(frozen=True)
class Held:
    """A rule of the policy in force, with its targets."""

    rule: str
    concepts: str
    targets: Sequence[Target]


def rules_in_force(server: Server) -> list[Held]:
    """The rules that hold now."""
    active = server.policies.active()
    if active is None:
        return []
    return [Held(rule.name, ", ".join(rule.concepts), rule.targets) for rule in active.policy.rules]


@dataclass(frozen=True)
class Before:
    """Plain images with the seeds of a stream's images. One that could not be read may show any group, as in a report.

    Attributes:
        n: how many there are.
        unread: how many of them the judge could not read.
        counts: how many show each group.
    """

    n: int
    unread: int
    counts: Mapping[str, int]

    def share(self, group: str) -> float:
        """The share of a group, of all of them."""
        return self.counts.get(group, 0) / self.n

    def interval(self, group: str) -> Interval:
        """Its 95 % interval: the lower end if no unread image shows the group, the upper end if all do."""
        return with_unread(self.counts.get(group, 0), self.unread, self.n)


def drawings(server: Server) -> list[Job]:
    """The newest drawings that are done."""
    return server.jobs.newest(states=[DONE], kinds=["draw "], most=JOBS)


def before(drawn: Sequence[Job], found: Sequence[Flow]) -> dict[int, Before]:
    """What the model draws by itself with the seeds of each stream, where `drawn` has plain twins of its drawings."""
    jobs = {job.id: job for job in drawn}
    told = dict[int, Before]()
    for flow in found:
        names = dict.fromkeys(str(image["job"]) for image in flow.all_images)
        twins = [jobs.get(jobs[name].body.get("plain", "")) for name in names if name in jobs]
        images = [image for twin in twins if twin for image in (twin.result or {}).get("images", ())]
        read = Counter(shows(image, "judged", flow.attributes) for image in images)
        if images:
            counts = {group.replace(JOINT, " + "): count for group, count in read.items() if group is not None}
            told[flow.id] = Before(len(images), read[None], counts)
    return told


@dataclass(frozen=True)
class Agreement:
    """What people say of one attribute.

    Attributes:
        attribute: its name.
        pictures: that somebody labelled; skips are no labels.
        raters: people who labelled them.
        cannot_tell: pictures that cannot be told.
        tied: pictures on which raters are tied, and nobody has decided yet.
        alpha: Krippendorff's, over pictures with several labels; "cannot tell" is a group. None if undefined.
    """

    attribute: str
    pictures: int
    raters: int
    cannot_tell: int
    tied: int
    alpha: float | None


def agreement(database: Database) -> list[Agreement]:
    """What people say, by attribute; each definition of one is told by itself."""
    everywhere = DecidedEverywhere(database)
    told = [(name, [*everywhere.of(name, definition).every.values()]) for name, definition in everywhere.defined]
    return [_agreement(name, every) for name, every in told if every]


def _agreement(attribute: str, told: Sequence[Decision]) -> Agreement:
    answers = list(dict.fromkeys(answer for one in told for answer in one.said.values()))
    counts = [[[*one.said.values()].count(answer) for answer in answers] for one in told]
    shared = [row for row in counts if sum(row) > 1]
    return Agreement(
        attribute=attribute,
        pictures=len(told),
        raters=len({rater for one in told for rater in one.said}),
        cannot_tell=sum(one.answer is None and one.how != TIED for one in told),
        tied=sum(one.how == TIED for one in told),
        alpha=krippendorff_alpha(shared) if shared else None,
    )
