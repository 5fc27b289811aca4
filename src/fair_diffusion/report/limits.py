"""Limits of a study: sentences for the end of its report on what it does not show. Exports `limits`."""

from __future__ import annotations

from fair_diffusion.audit.numbers import Numbers
from fair_diffusion.audit.relations import FEWEST_CONCEPTS
from fair_diffusion.report.headline import units

_FEW = 100


def limits(found: Numbers) -> list[str]:
    """Sentences on what cannot be concluded: general ones first, then those of this study."""
    study, lines = found.study, found.lines
    concepts = len({line.concept for line in lines})
    sentences = [
        "Who anybody is: groups are perceived, and a picture has no identity of its own. The reader's groups are not "
        "all there are.",
        "Why: a gap is no cause, and an even share says nothing about how a group is shown.",
        "More than the interval says: it speaks of the process that made the images, as if they were independent draws "
        "from it. Of these very images the counts are exact, but for the reader's errors.",
        f"Anything about other {study.unit}s, settings or models."
        + (
            f" These {concepts:,} {study.unit}s stand for others only if they were drawn at random."
            if concepts > 1
            else ""
        ),
    ]
    if len(lines) > 1:
        sentences.append(
            f"That every verdict is right: of {len(lines):,} intervals at 95 %, some miss the true share by chance, "
            f"{round(0.05 * len(lines)):,} or so if each is taken by itself."
        )
    fewest = min(line.n for line in lines)
    if fewest < _FEW:
        sentences.append(
            f"That all is well where it reads “cannot tell”: with {units(fewest, 'image')} an interval is wide."
        )
    if any(line.assumed for line in lines):
        sentences.append("That anybody wanted the default shares: where no target was given, they are merely assumed.")
    if any(one.groups for one in found.corrections):
        sentences.append("That shares are free of the reader's errors: all but those called corrected are as read.")
    elif study.confusions:
        sentences.append(
            "That shares are free of the reader's errors: they are as read, the table of its errors beside."
        )
    else:
        sentences.append("How far the reader's errors move the shares: nothing here says how often it errs.")
    if any(one.groups for one in found.predictions):
        sentences.append(
            "That the labelled images stand for the others: shares as people would see them believe that those to be "
            "labelled were drawn at random."
        )
    stopped = [source.name for source in study.sources if source.stopped is not None]
    if stopped and (found.corrections or found.comparisons or found.predictions):
        sentences.append(
            f"That tests, corrected intervals and those of shares as people would see them hold for "
            f"{', '.join(stopped)} as for other sources: they take the number of images to be set beforehand, and "
            "there it was not."
        )
    if any(line.unknown for line in lines):
        sentences.append("What the unread images show. They lower every share; they need not be like the others.")
    if any(one.difference is not None and one.difference_low is None for one in found.relations):
        sentences.append(
            f"How sure the mean difference from {found.reference} is: of fewer than {FEWEST_CONCEPTS} {study.unit}s no "
            "interval is given, because none holds where 1 of 10 behaves unlike the others."
        )
    if found.reference:
        sentences.append(f"That {found.reference} is right or wanted: it is only what the others are compared with.")
    return sentences
