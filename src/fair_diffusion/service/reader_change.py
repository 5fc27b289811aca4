"""Labels of pictures that readers of other weights read: a calibration is of one perceiver and one judge.

A model's readers change when somebody trains them anew or loads others. Their errors are others then, so the labels
that tell of the earlier ones are left out. Whoever wants these chooses the sets that they alone are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from fair_diffusion.perception.labelled_image import LabelledImage


class Told(NamedTuple):
    """What a label tells of a reader, and of which picture.

    Attributes:
        row: the label beside the reading.
        image: the hash of the picture.
        label_set: the name of its set.
        read: when the job came that drew the picture, in seconds since 1970.
    """

    row: LabelledImage
    image: str
    label_set: str
    read: float


def of_latest_readers(told: Sequence[Told]) -> tuple[list[Told], list[str]]:
    """Those labels whose pictures the latest reader of each model and attribute read.

    Where one reader is known, pictures count whose reader nobody knows; where there are several, they do not.

    Args:
        told: the labels.

    Returns:
        The labels that count, in their order, and a sentence for each reader of which some do not.
    """
    latest, several = dict[tuple[str, str, str], tuple[float, str]](), set[tuple[str, str, str]]()
    for each in told:
        known = latest.setdefault(_reader(each), (each.read, each.row.fingerprint))
        if each.row.fingerprint and known[1] not in ("", each.row.fingerprint):
            several.add(_reader(each))
        if each.row.fingerprint and (not known[1] or each.read > known[0]):
            latest[_reader(each)] = (each.read, each.row.fingerprint)
    earlier = [each for each in told if _reader(each) in several and each.row.fingerprint != latest[_reader(each)][1]]
    if not earlier:
        return list(told), []
    gone = set(map(id, earlier))
    notes = [_note(reader, [each for each in earlier if _reader(each) == reader]) for reader in sorted(several)]
    return [each for each in told if id(each) not in gone], notes


def _reader(each: Told) -> tuple[str, str, str]:
    return each.row.model, each.row.reader, each.row.attribute


def _note(reader: tuple[str, str, str], earlier: Sequence[Told]) -> str:
    """What to say of the labels of earlier readers."""
    model, role, attribute = reader
    counts = Counter(each.label_set for each in earlier)
    sets = ", ".join(f"{name!r} ({count})" for name, count in counts.items())
    return (
        f"{len(earlier)} labels of {attribute} were left out: another {role} of {model} read these pictures than the "
        f"latest ones; they are of the sets {sets}. To calibrate that {role}, choose sets of such pictures alone"
    )
