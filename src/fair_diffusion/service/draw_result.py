"""The result of a job that drew, as plain data: what each image is, and what the answer tells of fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.policy import Match

if TYPE_CHECKING:
    from fair_diffusion.result import Result

IMAGE = ("seed", "assigned", "steered", "steered_to", "judged", "perceived", "confidence", "strength", "repairs")
"""What is kept of the record of an image, beside its file."""
ASSIGNED = ("assigned", "steered_to", "strength", "seed", "perceived", "repairs")
"""What of it only operators see: it tells which group an image was to show, or lets one draw it again."""


def result_of(result: Result, files: Sequence[str], turns: Sequence[Turn], matched: Match) -> dict[str, Any]:
    """The result of a job.

    Args:
        result: what the pipeline drew.
        files: the hash of each image's file.
        turns: of the job, which name the streams.
        matched: the rule that fired.
    """
    images = [
        {"file": file, **{name: getattr(record, name) for name in IMAGE}}
        for file, record in zip(files, result.records, strict=True)
    ]
    size = result.images[0].size if result.images else (0, 0)
    return {
        "images": images,
        "width": size[0],
        "height": size[1],
        "rule": result.rule,
        "reason": result.reason,
        "notes": result.notes,
        "evaluations": sum(record.evaluations for record in result.records),
        "plain_evaluations": sum(record.plain_evaluations for record in result.records),
        "seconds": round(result.seconds, 3),
        "streams": [{"rule": ledger_key(matched), "attributes": " × ".join(turn.target.attributes)} for turn in turns],
    }
