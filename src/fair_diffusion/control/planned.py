"""From a request to an order: what the policy asks of it, and what the requests of one run share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fair_diffusion.backbones import Backbone, Conditioning
from fair_diffusion.control.order import Order
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.seen import Seen
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.methods import EDIT, NATURAL_FIRST
from fair_diffusion.perception.labelled_image import PERCEIVER
from fair_diffusion.perception.vocabulary import known_groups
from fair_diffusion.policy import Match
from fair_diffusion.policy.holding import held
from fair_diffusion.request import Request
from fair_diffusion.steering.brief import Brief

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """A request with what its policy asks of it.

    Attributes:
        request: what is asked for.
        matched: the rule that fires, if one does.
        quotas: for each target one count per cell, in the order of its shares; empty: no image is assigned a group.
        strengths: what steering took so far; it is used and added to. None: nothing is known.
        held: the attributes that steered images keep.
        unwanted: as in `Order`.
    """

    request: Request
    matched: Match
    quotas: Sequence[Sequence[int]] = ()
    strengths: Strengths | None = None
    held: Sequence[str] = ()
    unwanted: Callable[[], bool] | None = None


def held_by(pipe: FairPipeline, request: Request, matched: Match) -> tuple[str, ...]:
    """The attributes that steered images of a request keep: only natural-first knows what images would show.

    Raises:
        ValueError: the request names an attribute that the perceiver does not read.
    """
    wanted = held(matched, request.hold_names)
    read = tuple(name for name in wanted if known_groups(pipe.perceiver, matched.attributes[name]))
    if request.hold_names is not None and (unread := [name for name in wanted if name not in read]):
        able = ", ".join(pipe.readable(matched.attributes))
        raise ValueError(
            f"hold names {unread[0]!r}, which the perceiver of {pipe.name!r} does not read; it reads {able}"
        )
    return read if request.natural_first and request.assigns else ()


def _not_held(request: Request, matched: Match) -> list[str]:
    """A note on attributes that the request or its policy names to be held, and that its method cannot hold."""
    named = request.hold_names if request.hold_names is not None else matched.hold
    wanted = held(matched, named) if named else ()
    if not wanted or (request.natural_first and request.assigns):
        return []
    return [
        f"{', '.join(wanted)}: not held, because these images are steered before anybody knows what they would show by "
        f"themselves; control {NATURAL_FIRST!r} holds"
    ]


def _seen(pipe: FairPipeline, planned: Planned) -> Seen:
    """What labels say of the perceiver's readings of this concept."""
    matched = planned.matched
    names = {name for target in matched.targets for name in target.attributes} | {*planned.held}
    found = {name: pipe.calibration.find(PERCEIVER, pipe.name, matched.attributes[name]) for name in sorted(names)}
    known = {name: each for name, each in found.items() if each is not None}
    rates = {name: each.of(matched.concept or "") for name, each in known.items()}
    groups = {name: tuple(each.groups) for name, each in known.items()}
    return Seen(rates, groups, pipe.calibration.version if known else None)


def _not_calibrated(pipe: FairPipeline, planned: Planned, natural_first: bool) -> list[str]:
    """Notes on targets for which a calibration is not used, so that nobody believes that it is."""
    if not pipe.calibration.readers or not planned.matched.targets:
        return []
    version = pipe.calibration.version
    if not natural_first:
        return [
            f"calibration {version} is not used here: what steers goes by the perceiver's word; control "
            f"{NATURAL_FIRST!r} uses it"
        ]
    asked = dict.fromkeys(name for target in planned.matched.targets for name in target.attributes)
    known = [pipe.calibration.find(PERCEIVER, pipe.name, planned.matched.attributes[name]) for name in asked]
    rest = [name for name, each in zip(asked, known, strict=True) if each is None]
    notes = [f"calibration {version} has no labels of {', '.join(rest)}: the perceiver's word counts"] if rest else []
    if any(each is not None and not each.fingerprint for each in known):
        notes.append(
            f"calibration {version} does not tell the weights of its perceiver, so whether it is this one is unknown; "
            "calibrate again to know"
        )
    return notes


@dataclass(frozen=True, eq=False)
class Shared:
    """What the requests of one run share.

    Attributes:
        readers: what steering may ask.
        texts: cache of encoded prompts, by the file of the weights that are in use and the size of the pictures.
        backbones: the model for pictures of each size.
        scratch: the folder in which finished pictures are put away; None: they stay in memory.
    """

    readers: Readers
    texts: dict[tuple[Path | None, str | None], dict[str | None, Conditioning]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    backbones: dict[str, Backbone] = field(default_factory=dict)
    scratch: Path | None = None

    def order(self, pipe: FairPipeline, planned: Planned) -> Order:
        """The order of a planned request, for the loop."""
        asked, matched = planned.request, planned.matched
        # Without a rule that asks for it, the plain twins among it, images are drawn with the weights as they are.
        edit = asked.file if asked.row.name == EDIT and matched.rule else None
        backbone: Backbone = pipe.backbone
        readers = self.readers
        if asked.size is not None and asked.pixels is not None:
            backbone = self.backbones.setdefault(asked.size, backbone.sized(*asked.pixels))
            readers = replace(readers, early=None)  # an early reader knows latents of the usual size
        texts = self.texts[edit, asked.size]
        natural_first = bool(asked.natural_first and matched.targets and planned.quotas)
        brief = Brief(
            backbone,
            asked,
            matched.start,
            pipe.card,
            matched.targets,
            pipe.projections,
            texts,
            words=matched.words,
            held=planned.held,
            definitions=matched.attributes,
        )
        return Order(
            brief=brief,
            quotas=planned.quotas,
            readers=readers,
            seen=_seen(pipe, planned) if natural_first else Seen(),
            strengths=Strengths() if planned.strengths is None else planned.strengths,
            key=(
                pipe.name,
                asked.row.name,
                matched.concept or "",
                f"guidance {brief.guidance:g}",
                f"{brief.steps} steps",
                *([asked.size] if asked.size else []),
                *(["negative prompt"] if asked.negative_prompt else []),
                *([f"rescale {asked.guidance_rescale:g}"] if asked.guidance_rescale else []),
            ),
            edit=edit,
            scratch=self.scratch,
            notes=[*_not_held(asked, matched), *_not_calibrated(pipe, planned, natural_first)],
            unwanted=planned.unwanted,
        )
