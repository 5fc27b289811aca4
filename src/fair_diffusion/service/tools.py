"""What every round of a worker uses."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from PIL import Image

from fair_diffusion.backbones import Backbone
from fair_diffusion.files.signature import Signature
from fair_diffusion.policy import Policy
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.figures import Figures
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Job
from fair_diffusion.service.picture_file import MEDIA, picture_file
from fair_diffusion.service.policies import Policies

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

T = TypeVar("T")
AGAIN = (0.2, 1.0, 3.0)
"""Seconds after which something that the database refused is tried again."""


@dataclass(kw_only=True)
class JobTools:
    """What whoever does the jobs of a worker uses.

    Attributes:
        claims, holding: the worker's jobs.
        images, policies: of the service.
        model: the name of the model in streams and records.
        kept: seconds for which images are kept.
        keep_prompts: whether the prompt of a job that is done is kept.
        signature: signs the images, where one is given.
        figures: of the worker.
        stopping: whether the worker is to end.
        give_up: whether the time to finish what it has is over.
    """

    claims: Claims
    holding: Holding
    images: Images
    policies: Policies
    model: str
    kept: float
    keep_prompts: bool
    stopping: Callable[[], bool]
    give_up: Callable[[], bool]
    signature: Signature | None = None
    figures: Figures = field(default_factory=Figures)
    versions: dict[int, Policy] = field(default_factory=dict)

    def file(self, picture: Image.Image, public: dict[str, Any], body: DrawBody) -> bytes:
        """A picture as the file that a job asks for, with its public record."""
        return picture_file(
            picture,
            public,
            format=body.format,
            compression=body.compression,
            signature=self.signature,
            changed=bool(body.upload),
        )

    def policy(self, version: int | None) -> Policy | None:
        """The policy of a version, which never changes."""
        if version is None:
            return None
        if version not in self.versions:
            self.versions[version] = self.policies.get(version).policy
        return self.versions[version]

    def policy_for(self, body: DrawBody) -> Policy:
        """The policy of a job: its own instruction, or a version; one without rules if it has neither."""
        if body.instruct is None:
            return self.policy(body.policy) or Policy()
        defining = self.policy(body.defined_by)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told when the request came
            return Policy.from_sentence(body.instruct, defining.attributes if defining else None)

    def ended(self, job: Job) -> None:
        """Count how long a job waited, and how long it took. Whoever ended it calls this, before it is dropped."""
        if job.began is not None:
            self.figures.waited("queue", job.began - job.created)
        self.figures.waited("draw", self.holding.seconds(job))

    def vain(self, job: Job) -> bool:
        """Whether what is done for a job is in vain: it is cancelled, another worker has it, or the time is over."""
        return self.holding.cancelled(job) or self.holding.lost(job) or self.give_up()


class More(Protocol):
    """Gives further jobs of a lane."""

    def __call__(self, lane: str, most: int, *, linger: bool, in_turn: bool) -> list[Job]:
        """Claim them.

        Args:
            lane: they are of this one.
            most: how many at most.
            linger: wait for the first one, for a little while. If not, it is enough to look when some may be there.
            in_turn: only if the next job of all is one of the lane.
        """
        ...


@dataclass(kw_only=True)
class Tools(JobTools):
    """What every round of a worker uses that draws.

    Attributes:
        pipe: draws.
        batch: images in one batch at most.
        more: gives further jobs of a lane, see `Worker`.
    """

    pipe: FairPipeline
    batch: int
    more: More
    backbones: dict[str, Backbone] = field(default_factory=dict)

    def backbone(self, size: str | None) -> Backbone:
        """The model for pictures of a size."""
        if size is None:
            return self.pipe.backbone
        if size not in self.backbones:
            width, height = map(int, size.split("x"))
            self.backbones[size] = self.pipe.backbone.sized(width, height)
        return self.backbones[size]


def show_partial(tools: Tools, job: Job, body: DrawBody, image: int, number: int, picture: Image.Image) -> None:
    """Store a partial image of a job, and tell of it."""
    file, size = tools.file(picture, {"partial": True}, body), "{}x{}".format(*picture.size)
    kept = min(3600.0, tools.kept)
    stored = tools.images.put(file, media=MEDIA[body.format], key=job.key, job=job.id, kept=kept)
    told = tools.claims.event(job, "partial", {"index": image, "number": number, "image": stored, "size": size})
    if told == 1 and job.began is not None:
        tools.figures.waited("first_partial", job.began - job.created + tools.holding.seconds(job))


def reason_of(error: Exception, body: DrawBody | None = None) -> str:
    """Why a job failed, for its client and for lists of jobs.

    An error of the system is without the path that it names, and one of the pipeline without the prompt of `body`."""
    said = error.strerror if isinstance(error, OSError) else str(error)
    if said is not None and body is not None:
        said = said.removeprefix(f"{body.prompt!r}: ")
    return f"it cannot be drawn: {type(error).__name__}: {said}"


def again(do: Callable[[], T]) -> T:
    """Do something in the database, again some times if it cannot be used at the moment."""
    for seconds in AGAIN:
        try:
            return do()
        except DatabaseError:
            time.sleep(seconds)
    return do()
