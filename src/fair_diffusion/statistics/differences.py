"""Did the shares change between two runs? Tests with the difference and its interval, corrected for many concepts.

    same seeds:   McNemar's exact test: of the images that changed, as many should change one way as the other
                  (McNemar 1947, Psychometrika 12), with Tango's score interval (1998, Statistics in Medicine 17)
    other images: Fisher's exact test, with Newcombe's interval from two Wilson ones (1998, Statistics in Medicine 17,
                  method 10)

Of 150 concepts, 7 change "significantly" if nothing changes at all. So each p comes with two that are corrected over
the concepts of the same attribute and group: Holm's (1979), below 0.05 for none of the unchanged ones with probability
95 %, and Benjamini and Hochberg's (1995), of which at most 5 % below 0.05 are false on average. An interval speaks of
its concept alone. Test and interval are not each other's inverse: at the border one may exclude 0 and the other not.
Exports `compare` and `compare_paired` with their lines, and `corrected`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import Array, Interval, wilson

Labels = Sequence[str | None]
_HALVINGS = 60


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group of one concept in two runs.

    Attributes:
        concept: what the images show.
        attribute: what was read.
        group: one of its groups.
        test: "Fisher exact" or "McNemar exact".
        n_before: images of the first run, unread ones included.
        n_after: images of the second.
        before: share of the group in the first run.
        after: share of the group in the second.
        difference: after − before.
        low: lower end of its 95 % interval.
        high: its upper end.
        p: two-sided, of this concept alone.
        p_holm: corrected over concepts, by Holm.
        p_bh: corrected over concepts, by Benjamini and Hochberg.
    """

    concept: str
    attribute: str
    group: str
    test: str
    n_before: int
    n_after: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan
    p_bh: float = math.nan


def compare(before: Sequence[Tally], after: Sequence[Tally], *, level: float = 0.95) -> list[Difference]:
    """Compare two runs whose images do not share seeds, concept by concept.

    Args:
        before: tallies of one source.
        after: tallies of another, of the same concepts and attributes; others have nothing to be compared with
            and are left out.
        level: confidence of each interval.

    Raises:
        ValueError: no concept in common, a concept counted twice, without images, or with other groups.
    """
    from scipy.stats import fisher_exact

    second = _by_concept(after)
    rows = []
    for key, a in _by_concept(before).items():
        b = second.get(key)
        if b is None:
            continue
        if set(a.counts) != set(b.counts):
            raise ValueError(
                f"{a.concept!r} has groups {list(a.counts)} before and {list(b.counts)} after: use the same"
            )
        for group in a.counts:
            x, y = a.counts[group], b.counts[group]
            low, high = newcombe(x, a.n, y, b.n, level=level)
            rows.append(
                Difference(
                    concept=a.concept,
                    attribute=a.attribute,
                    group=group,
                    test="Fisher exact",
                    n_before=a.n,
                    n_after=b.n,
                    before=x / a.n,
                    after=y / b.n,
                    difference=y / b.n - x / a.n,
                    low=low,
                    high=high,
                    p=min(1.0, float(fisher_exact([[x, a.n - x], [y, b.n - y]]).pvalue)),
                )
            )
    if not rows:
        raise ValueError("the two runs have no concept in common: compare runs of the same prompts")
    return corrected(rows)


def compare_paired(
    pairs: Mapping[str, tuple[Labels, Labels]], *, attribute: str, groups: Sequence[str], level: float = 0.95
) -> list[Difference]:
    """Compare two runs image by image, where the i-th image of both has the same seed.

    Args:
        pairs: for each concept the labels before and after, None where an image could not be read.
        attribute: name of the attribute.
        groups: its groups.
        level: confidence of each interval.

    Raises:
        ValueError: no concept, one without images or with numbers of images that differ, or a label that is no group.
    """
    from scipy.stats import binomtest

    rows = []
    for concept, (first, second) in pairs.items():
        n = len(first)
        if n != len(second) or n < 1:
            raise ValueError(f"{concept!r} has {n} labels before and {len(second)} after: give both for each seed")
        strange = sorted({label for label in [*first, *second] if label is not None} - set(groups))
        if strange:
            raise ValueError(f"label {strange[0]!r} is no group of {attribute}: use {list(groups)}, or None")
        for group in groups:
            seen = [(a == group, b == group) for a, b in zip(first, second, strict=True)]
            gained, lost, kept = seen.count((False, True)), seen.count((True, False)), seen.count((True, True))
            low, high = tango(gained, lost, n, level=level)
            rows.append(
                Difference(
                    concept=concept,
                    attribute=attribute,
                    group=group,
                    test="McNemar exact",
                    n_before=n,
                    n_after=n,
                    before=(kept + lost) / n,
                    after=(kept + gained) / n,
                    difference=(gained - lost) / n,
                    low=low,
                    high=high,
                    p=float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
                )
            )
    if not rows:
        raise ValueError("there is nothing to compare: give at least one concept and one group")
    return corrected(rows)


def newcombe(before: int, n_before: int, after: int, n_after: int, *, level: float = 0.95) -> Interval:
    """Interval of the difference of two independent shares, after − before."""
    p, q = before / n_before, after / n_after
    (low_p, high_p), (low_q, high_q) = wilson(before, n_before, level), wilson(after, n_after, level)
    return (
        q - p - math.hypot(q - low_q, high_p - p),
        q - p + math.hypot(high_q - q, p - low_p),
    )


def tango(gained: int, lost: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval of the difference of two paired shares, after − before.

    Args:
        gained: pairs that show the group only after.
        lost: pairs that show it only before.
        n: all pairs.
        level: confidence.
    """
    z = float(ndtri((1 + level) / 2))
    observed = (gained - lost) / n

    def crossing(end: float) -> float:
        inner, outer = observed, end
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            if abs(_score(gained, lost, n, middle)) <= z:
                inner = middle
            else:
                outer = middle
        return outer

    return crossing(-1.0), crossing(1.0)


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic: standard errors between the observed difference and a supposed one."""
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    rarest = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * rarest + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.inf
    return distance / math.sqrt(variance)


def _by_concept(tallies: Iterable[Tally]) -> dict[tuple[str, str], Tally]:
    found: dict[tuple[str, str], Tally] = {}
    for tally in tallies:
        if found.setdefault((tally.concept, tally.attribute), tally) is not tally:
            raise ValueError(f"{tally.attribute} of {tally.concept!r} is counted twice: compare one source with one")
        if not tally.n:
            raise ValueError(f"{tally.attribute} of {tally.concept!r} has no images: leave it out")
    return found


def corrected(rows: Sequence[Difference]) -> list[Difference]:
    """The rows with their p corrected over the concepts of the same attribute and group.

    The groups are not counted in: with two, both say the same.
    """
    from scipy.stats import false_discovery_control

    families: dict[tuple[str, str], list[int]] = {}
    for k, row in enumerate(rows):
        families.setdefault((row.attribute, row.group), []).append(k)
    done = list(rows)
    for family in families.values():
        p = np.array([rows[k].p for k in family])
        for k, holm, bh in zip(family, _holm(p), false_discovery_control(p), strict=True):
            done[k] = replace(rows[k], p_holm=float(holm), p_bh=float(bh))
    return done


def _holm(p: Array) -> Array:
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
