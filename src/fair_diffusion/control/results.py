"""What came of an order, as a result: images, records and audits, with what made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fair_diffusion.backbones import Backbone
from fair_diffusion.control.order import Order
from fair_diffusion.control.planned import Planned
from fair_diffusion.control.records import Readings, asked_fields, audited, prompt_of, read_fields
from fair_diffusion.files.picture_files import Pictures, taken_out
from fair_diffusion.models.provenance import made_with
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import occupations
from fair_diffusion.policy import Match
from fair_diffusion.result import Record, Result

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline


def result_of(pipe: FairPipeline, order: Order, planned: Planned, judged: Readings, perceived: Readings) -> Result:
    """What came of an order, with what judge and perceiver read in its finished images."""
    asked, matched, brief = planned.request, planned.matched, order.brief
    rule, targets = matched.rule.name if matched.rule else None, matched.targets
    same = asked_fields(brief, model=pipe.name, rule=rule, calibration=order.seen.version)
    records = [
        Record(
            **{key: value for key, value in vars(shown).items() if key != "picture"},
            **same,
            **read_fields(judged, perceived, i),
            index=i,
            used_prompt=prompt_of(brief, {**shown.held, **shown.steered_to}),
            control=order.control,
            plain_evaluations=order.plain_evaluations,
        )
        for i, shown in enumerate(order.finished)
    ]
    told = dict.fromkeys([*(record.used_prompt for record in records), asked.negative_prompt or ""])
    provenance = provenance_of(pipe, matched, file=asked.file)
    count = partial(audited, targets=targets, quotas=planned.quotas, attributes=pipe.readable(matched.attributes))
    if order.seen.version:
        provenance["made_with"]["calibration"] = order.seen.version
    if asked.row.losses and targets:
        provenance["made_with"]["fairness loss"] = asked.fairness_loss
    return Result(
        prompt=asked.prompt,
        model=pipe.name,
        method=asked.row.name,
        control=order.control,
        seed=asked.seed,
        rule=rule,
        reason=matched.reason,
        images=images_of([order]),
        records=records,
        audit=count(judged, defined=matched.attributes) if records else [],
        perceived_audit=count(perceived, defined=matched.attributes) if records else [],
        seconds=order.seconds,
        requested=asked.n,
        stopped=order.interrupted,
        notes=_truncated(pipe.backbone, told) + order.notes,
        learnt=brief.learnt,
        occupations=occupations(pipe.judge),
        definitions=matched.attributes,
        **provenance,
    )


def images_of(orders: Iterable[Order]) -> Sequence[Image.Image]:
    """The finished images of some orders, in their order. Those that were put away are opened one by one."""
    kept = [shown.picture for order in orders for shown in order.finished]
    return Pictures(kept, taken_out) if any(isinstance(one, Path) for one in kept) else [taken_out(one) for one in kept]


def provenance_of(pipe: FairPipeline, matched: Match, file: Path | None = None) -> dict[str, Any]:
    """What made a result, and how its readers err: the fields of a `Result` on that."""
    facts = made_with(pipe.weights, pipe.card.name, matched, file)
    perceiver: Sequence[Confusion] = getattr(pipe.perceiver, "confusions", ())
    return {
        "made_with": facts | {"dtype": str(pipe.backbone.dtype).removeprefix("torch.")},
        "readers": pipe.fingerprints,
        "confusions": pipe.judge_confusions(matched.attributes),
        "perceiver_confusions": [one for one in perceiver if one.attribute in matched.attributes],
    }


def _truncated(backbone: Backbone, prompts: Iterable[str]) -> list[str]:
    """A note for each prompt whose end the text encoder does not read, or one if it reads no text."""
    if not backbone.reads_text:
        return ["the model draws without text: what the prompt says changes no image"]
    ends = {text: backbone.truncated_text(text) for text in prompts}
    return [f"the model reads {text!r} without its end: {end!r}" for text, end in ends.items() if end]
