"""A drawing: what one click of "Draw" asked for, with its plain twins and the images that were made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import select

from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import ERASED, DrawBody
from fair_diffusion.service.job import DONE, Job, UnknownJobError
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import jobs
from fair_diffusion.service.worker_kind import model_of

KIND = "draw "
"""How the kinds of these jobs begin."""
PARTS = ("upload", "instead", "group")
"""What the body of a job has that is no drawing of its own."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """An image that is made again: its place, how often, and the job that makes it."""

    place: int
    attempt: int
    job: Job


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One place of a drawing, with the image that stands there now.

    Attributes:
        place: from 0.
        image: what is kept of it, as `draw_result` has it; None while it is made again.
        plain: its plain twin of the same seed, if there is one.
        again: the job that made it again last; None if nobody asked for that.
        first: the image that stood there first.
    """

    place: int
    image: Mapping[str, Any] | None
    plain: Mapping[str, Any] | None
    again: Job | None
    first: Mapping[str, Any]

    @property
    def missed(self) -> bool:
        """Whether the perceiver is not sure that it shows what it was to show, as `Record.missed` has it."""
        return bool((self.image or {}).get("missed"))

    @property
    def otherwise(self) -> bool:
        """Whether it missed nothing, and the judge reads another group in it than it was to show."""
        image = self.image or {}
        read = image.get("judged", {})
        return not self.missed and any(
            read.get(name) not in (None, group) for name, group in image.get("assigned", {}).items()
        )

    def unknown(self, attributes: Sequence[str]) -> bool:
        """Whether the judge cannot read one of these attributes."""
        return self.image is not None and any(self.image["judged"].get(name) is None for name in attributes)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawing as it is now.

    Attributes:
        job: draws it.
        plain: draws the same seeds without steering; None if nothing does, or if it is forgotten.
        again: every image that was asked for again, the latest of a place last.
        policies: of the service.
    """

    job: Job
    plain: Job | None
    again: Sequence[Again]
    policies: Policies

    @cached_property
    def body(self) -> DrawBody:
        """What was asked for."""
        return DrawBody.of(self.job.body)

    @property
    def model(self) -> str:
        """The name of the model."""
        return model_of(self.job.kind)

    @property
    def result(self) -> Mapping[str, Any]:
        """What came out so far."""
        return self.job.result or {}

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """What is kept of the images as they were drawn first."""
        found: Sequence[Mapping[str, Any]] = self.result.get("images", ())
        return found

    @property
    def over(self) -> bool:
        """Whether nothing of it is drawn any more, but for images that are made again."""
        return self.job.over and (self.plain is None or self.plain.over)

    @property
    def prompt(self) -> str | None:
        """The prompt; None if it is not kept."""
        return None if self.body.prompt == ERASED else self.body.prompt

    @property
    def sentence(self) -> str | None:
        """The sentence that was given; None if none was, or if it is not kept."""
        return None if self.body.instruct == ERASED else self.body.instruct

    @cached_property
    def definitions(self) -> Attributes:
        """The attributes as the policy or the sentence knew them. A sentence defines none of its own."""
        number = self.body.version
        return self.policies.get(number).policy.attributes if number else built_in()

    @cached_property
    def targets(self) -> list[tuple[str, ...]]:
        """The attributes of each target."""
        named = [tuple(each["attributes"].split(" × ")) for each in self.result.get("streams", ())]
        asked = {name for image in self.images for name in image["assigned"]}
        return [names for names in dict.fromkeys(named) if set(names) <= asked]

    @cached_property
    def asked(self) -> list[str]:
        """The attributes that somebody asked for."""
        return list(dict.fromkeys(name for names in self.targets for name in names))

    def groups(self, attribute: str) -> list[str]:
        """The groups of an attribute, as far as they are known."""
        if attribute in self.definitions:
            return list(self.definitions[attribute].group_names)
        read = [image[by].get(attribute) for image in self.images for by in ("assigned", "judged")]
        return list(dict.fromkeys(group for group in read if group is not None))

    @property
    def attributes(self) -> list[str]:
        """The attributes that the judge read, those that were asked for first."""
        read = [name for image in self.images for name in image["judged"]]
        return list(dict.fromkeys([*self.asked, *read]))

    @cached_property
    def tiles(self) -> list[Tile]:
        """The images by place, those that were made again instead of the first ones."""
        twins = {image["seed"]: image for image in (self.plain.result or {}).get("images", ())} if self.plain else {}
        latest = {each.place: each.job for each in self.again}
        found = []
        for place, first in enumerate(self.images):
            job = latest.get(place)
            made = ((job.result or {}).get("images") or [None])[0] if job is not None else first
            image = made if job is None or job.state == DONE or not job.over else first
            found.append(
                Tile(place=place, image=image, plain=twins.get(self.body.seed + place), again=job, first=first)
            )
        return found

    def counts(self, attribute: str) -> Counter[str | None]:
        """How many images show each group of an attribute, as the judge reads them; None: it cannot."""
        return Counter(tile.image["judged"].get(attribute) for tile in self.tiles if tile.image)


def drawing(server: Server, key: Key, job: str) -> Drawing:
    """A drawing that a key may see. `UnknownJobError` if there is none."""
    own = None if key.role == OPERATOR else key.id
    found = server.jobs.get(job, key=own)
    if not found.kind.startswith(KIND) or found.body.get("upload"):
        raise UnknownJobError("this job is no drawing")
    plain = None
    if found.body.get("plain"):
        try:
            plain = server.jobs.get(found.body["plain"], key=own)
        except UnknownJobError:
            plain = None
    return Drawing(job=found, plain=plain, again=images_made_again(server.database, found), policies=server.policies)


def again_name(job: str, place: int, attempt: int) -> str:
    """Under which idempotency key an image is made again: a click that comes twice counts once."""
    return f"again {job} {place} {attempt}"


def images_made_again(database: Database, job: Job) -> list[Again]:
    """The images of a drawing that were asked for again."""
    start = f"again {job.id} "
    named = jobs.c.idempotency.startswith(start, autoescape=True)  # a range would hang on the database's collation
    wanted = select(jobs).where(jobs.c.key == job.key, named)
    with database.reading() as connection:
        rows = connection.execute(wanted).all()
    made = []
    for row in rows:
        _, _, place, attempt = row.idempotency.split()
        made.append(Again(place=int(place), attempt=int(attempt), job=Job.of(row)))
    return sorted(made, key=lambda each: (each.place, each.attempt))


def latest(server: Server, key: Key, most: int = 12) -> list[Drawing]:
    """The newest drawings of a key, without plain twins and images that were made again."""
    found = server.jobs.newest(key=key.id, kinds=[KIND], most=8 * most)
    twins = {job.body.get("plain") for job in found} - {None, ""}
    own = [job for job in found if job.id not in twins and not any(job.body.get(name) for name in PARTS)]
    return [Drawing(job=job, plain=None, again=(), policies=server.policies) for job in own[:most]]
