"""The study of several drawings: what was asked of their images, and what the judge read in them and their twins."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.audit.study import Quota, Sample, Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.policy import Attributes, Match, match
from fair_diffusion.readers.findings import Findings
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.job import Job

if TYPE_CHECKING:
    from fair_diffusion.service.tools import Tools

PLAIN, INSTRUCTED = "plain", "instructed"
SHOWN = 24
"""Pictures of each source in the report."""


@dataclass(frozen=True)
class Drawn:
    """The drawing of one concept in one way: its job, and the job of its plain twins if they were drawn."""

    concept: str
    job: Job
    plain: Job | None

    @property
    def way(self) -> str:
        """The method that drew it."""
        return str(self.job.body["method"])

    def images(self, source: str) -> Sequence[Mapping[str, Any]]:
        """What is kept of the images of a source: the plain ones, the instructed ones, or those of one way."""
        job = self.plain if source == PLAIN else self.job if source in (INSTRUCTED, self.way) else None
        found: Sequence[Mapping[str, Any]] = (job.result or {}).get("images", ()) if job else ()
        return found


def drawing_study(tools: Tools, drawn: Sequence[Drawn], folder: Path) -> Findings:
    """The study of these drawings. Of several ways each is a source by its name.

    Args:
        tools: of the worker.
        drawn: all of them are over.
        folder: for the pictures that the report shows.
    """
    ways = list(dict.fromkeys(each.way for each in drawn))
    asking = ways if len(ways) > 1 else [INSTRUCTED]
    names = [source for source in (PLAIN, *asking) if any(each.images(source) for each in drawn)]
    tallies, quotas, errors = list[Tally](), list[Quota](), list[Confusion]()
    for each in drawn:
        found = match(tools.policy_for(DrawBody.of(each.job.body)), str(each.job.body["prompt"]))
        asked = _asked(found)
        errors = _errors(tools, each.job, found.attributes)  # one policy holds for all drawings of an audit
        for source in names:
            images = each.images(source)
            if images:
                tallies += _tallies(source, each.concept, images, asked, found.attributes)
        quotas += [
            Quota(source=source, concept=each.concept, attribute=name, counts=counts)
            for source in asking
            if each.images(source)
            for name, counts in _quotas(each.images(source), asked).items()
        ]
    facts = {"model": tools.model, "reader": "the judge of the model"}
    sources = [
        Source(name=name, kind=PLAIN if name == PLAIN else INSTRUCTED, facts=facts, asked=name != PLAIN)
        for name in names
    ]
    study = Study(
        title="",
        sources=sources,
        tallies=tallies,
        quotas=quotas,
        samples=[sample for name in names for sample in _samples(tools, drawn, name, folder)],
        drawn=f"up to {SHOWN} of each source, drawn at random",
        unit="occupation",
        confusions=[replace(one, sources=names) for one in errors],
    )
    return Findings(study)


def _errors(tools: Tools, job: Job, attributes: Attributes) -> list[Confusion]:
    """How the judge that read the images errs, as the job keeps it; as the judge of now does if the job is older."""
    kept = (job.result or {}).get("confusions")
    if kept is None:
        return tools.pipe.judge_confusions(attributes)
    return [Confusion(**each) for each in kept]


def _asked(found: Match) -> dict[str, dict[str, float]]:
    """The target shares of the rule that fires, by attribute and group."""
    return {
        JOINT.join(target.attributes): {JOINT.join(cell): float(share) for cell, share in target.shares.items()}
        for target in found.targets
    }


def _tallies(
    source: str,
    concept: str,
    images: Sequence[Mapping[str, Any]],
    asked: Mapping[str, Mapping[str, float]],
    attributes: Attributes,
) -> list[Tally]:
    """The counts of every attribute that was read and is known, and of every combination that was asked for."""
    single = [name for name in attributes if any(name in image["judged"] for image in images)]
    found = []
    for name in dict.fromkeys([*single, *asked]):
        target = asked.get(name)
        groups = list(target) if target is not None else list(attributes[name].group_names)
        read = Counter(_read(image, name) for image in images)
        counts = {group: read[group] for group in groups}
        unknown = len(images) - sum(counts.values())
        found.append(
            Tally(source=source, concept=concept, attribute=name, counts=counts, unknown=unknown, target=target)
        )
    return found


def _quotas(images: Sequence[Mapping[str, Any]], asked: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, int]]:
    """How many images were to show each group."""
    found = {}
    for name, shares in asked.items():
        wanted = Counter(JOINT.join(image["assigned"].get(part, "") for part in name.split(JOINT)) for image in images)
        if sum(wanted[group] for group in shares) == len(images):
            found[name] = {group: wanted[group] for group in shares}
    return found


def _read(image: Mapping[str, Any], attribute: str) -> str | None:
    read = [image["judged"].get(part) for part in attribute.split(JOINT)]
    return None if None in read else JOINT.join(map(str, read))


def _samples(tools: Tools, drawn: Sequence[Drawn], source: str, folder: Path) -> list[Sample]:
    """Some images, drawn at random: the same places in every source."""
    every = [(each.concept, image) for each in drawn for image in each.images(source)]
    places = sorted(random.Random(0).sample(range(len(every)), min(SHOWN, len(every))))
    found = []
    for concept, image in (every[k] for k in places):
        path = folder / f"{image['file']}.png"
        try:
            path.write_bytes(tools.images.get(image["file"])[0])
        except (LookupError, OSError):  # its time is over
            continue
        found.append(
            Sample(image=path, source=source, concept=concept, labels=image["judged"], confidence=image["confidence"])
        )
    return found
