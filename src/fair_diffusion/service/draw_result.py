"""The result of a job that drew, as plain data: what each image is, and what the answer tells of fairness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.policy import Match

if TYPE_CHECKING:
    from fair_diffusion.result import Result

IMAGE = (
    *("seed", "assigned", "steered", "steered_to", "judged", "natural", "perceived", "confidence", "strength"),
    *("repairs", "reseeds", "missed"),
)
"""What is kept of the record of an image, beside its file."""
ASSIGNED = ("assigned", "steered_to", "strength", "seed", "perceived", "repairs")
"""What of it only operators see: it tells which group an image was to show, or lets one draw it again."""


MOVED = ("judged_before", "put_back")
"""What is kept beside that of a picture that was to be moved."""


def result_of(
    result: Result,
    files: Sequence[str],
    turns: Sequence[Turn],
    matched: Match,
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    stream: str | None = None,
    quotes: bool = True,
) -> dict[str, Any]:
    """The result of a job.

    Args:
        result: what the pipeline drew.
        files: the hash of each image's file.
        turns: of the job, which name the streams.
        matched: the rule that fired.
        sizes: width and height of each image; as the pictures of the result if None.
        stream: the name of the stream that the images count in; that of the rule if None.
        quotes: whether what is said may quote the prompt. If not, the reason is the rule's name alone.
    """
    images = [
        {"file": file, **{name: getattr(record, name) for name in (*IMAGE, *MOVED) if hasattr(record, name)}}
        for file, record in zip(files, result.records, strict=True)
    ]
    found = set([image.size for image in result.images] if sizes is None else sizes)
    size = found.pop() if len(found) == 1 else (0, 0)
    return {
        "images": images,
        "width": size[0],
        "height": size[1],
        "rule": result.rule,
        "reason": result.reason if quotes else _reason(result.rule),
        "notes": result.notes if quotes else [_UNREAD if "without its end" in note else note for note in result.notes],
        "readers": dict(result.readers),
        "calibration": next((getattr(record, "calibration", None) for record in result.records), None),
        "confusions": [asdict(one) for one in result.confusions],
        "evaluations": sum(record.evaluations for record in result.records),
        "plain_evaluations": sum(record.plain_evaluations for record in result.records),
        "seconds": round(result.seconds, 3),
        "streams": [
            {
                "rule": stream or ledger_key(matched),
                "attributes": " × ".join(turn.target.attributes),
                "target": turn.target.key,
            }
            for turn in turns
        ],
    }


_UNREAD = "the model does not read the end of a prompt of this job"


def _reason(rule: str | None) -> str:
    return "no rule fires" if rule is None else f"rule {rule!r} fires"
