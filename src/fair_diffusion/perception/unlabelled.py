"""Groups that no labelled image shows: nothing tells how a reader reads them, so it is taken at its word there."""

from __future__ import annotations

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.reader_calibration import ReaderCalibration
from fair_diffusion.policy import Attributes


def unlabelled(found: Calibration, defined: Attributes) -> list[str]:
    """A sentence for each attribute and model of which labels lack groups, with the mend.

    Groups that nobody gets unless they are asked for by name (without a default share) are not missed.

    Args:
        found: the calibration.
        defined: the attributes.
    """
    said: dict[tuple[str, str, tuple[str, ...]], list[ReaderCalibration]] = {}
    for each in found.readers:
        shares, rows = defined.attribute(each.attribute).default_shares, zip(each.groups, each.counts, strict=False)
        if lacks := tuple(group for group, row in rows if shares[group] and not sum(row)):
            said.setdefault((each.model, each.attribute, lacks), []).append(each)
    return [_sentence(*key, readers) for key, readers in said.items()]


def _sentence(model: str, attribute: str, lacks: tuple[str, ...], readers: list[ReaderCalibration]) -> str:
    who, name = ", ".join(each.reader for each in readers), attribute.replace("_", " ")
    if not any(sum(row) for each in readers for row in each.counts[:-1]):
        return (
            f"people could tell the {name} of no labelled image of {model}, so these labels say nothing of any reading "
            f"({who}); label images in which it can be told"
        )
    return (
        f"no labelled image of {model} shows {', '.join(lacks)} ({name}), so such readings ({who}) are taken at their "
        "word; label more images, or images of prompts that show it"
    )
