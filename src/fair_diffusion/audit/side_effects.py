"""What else moved: how steering changed an attribute that nobody asked to change, image by image.

Each image is compared with its plain twin, which has the same seed, or with its original. Readers err: they sometimes
read two images differently that show the same. So the share that changed counts their errors too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fair_diffusion.audit.study import Source
from fair_diffusion.audit.table import JOINT
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.symmetry import bowker_p


@dataclass(frozen=True, kw_only=True)
class SideEffect:
    """How one attribute changed that nobody asked to change.

    Attributes:
        attribute: the attribute.
        steered: the steered images that can be read before and after.
        changed: those of them that show another group.
        low, high: Wilson's 95 % interval of their share; 0 and 1 without steered images.
        p: p value of Bowker's test on the steered images: does every group lose as many images as it gains?
        before, after: the images of each group, of all images that can be read before and after.
        unread: the images that cannot be read before or after.
    """

    attribute: str
    steered: int
    changed: int
    low: float
    high: float
    p: float
    before: Mapping[str, int]
    after: Mapping[str, int]
    unread: int

    @property
    def share(self) -> float:
        """The share of steered images that changed; 0 without steered images."""
        return self.changed / self.steered if self.steered else 0.0

    @property
    def distance(self) -> float:
        """The total variation between the shares before and after."""
        n = sum(self.before.values())
        return sum(abs(self.after[group] - self.before[group]) for group in self.before) / (2 * n) if n else 0.0


def side_effect(
    attribute: str,
    groups: Sequence[str],
    before: Sequence[str | None],
    after: Sequence[str | None],
    steered: Sequence[bool],
) -> SideEffect:
    """How one attribute changed.

    Args:
        attribute: the attribute.
        groups: its groups.
        before: the group of each image without steering; None: unknown.
        after: the group of the same images as they are.
        steered: whether each of them was steered.
    """
    known = [(a, b, by) for a, b, by in zip(before, after, steered, strict=True) if a in groups and b in groups]
    place = {group: k for k, group in enumerate(groups)}
    table = np.zeros((len(groups), len(groups)), dtype=np.int64)
    for a, b, by in known:
        table[place[str(a)], place[str(b)]] += by
    n = int(table.sum())
    changed = n - int(np.trace(table))
    low, high = wilson(changed, n) if n else (0.0, 1.0)
    first, second = Counter(a for a, _, _ in known), Counter(b for _, b, _ in known)
    return SideEffect(
        attribute=attribute,
        steered=n,
        changed=changed,
        low=low,
        high=high,
        p=bowker_p(table),
        before={group: first[group] for group in groups},
        after={group: second[group] for group in groups},
        unread=len(before) - len(known),
    )


@dataclass(frozen=True, kw_only=True)
class SourceSideEffect:
    """How one attribute changed in a source that asked nothing of it.

    Attributes:
        before: the name of the plain source.
        after: the name of the instructed source.
        concepts: how many concepts have images of the same seeds in both.
        effect: the change, over these concepts together.
    """

    before: str
    after: str
    concepts: int
    effect: SideEffect


def source_side_effects(
    sources: Sequence[Source],
    tallies: Iterable[Tally],
    images: pa.Table | None,
    asked: Collection[tuple[str, str, str]],
) -> list[SourceSideEffect]:
    """How each instructed source changed the attributes that it asked nothing of.

    Its images are compared with those of the same concepts and seeds in the first plain source that has any.

    Args:
        sources: in order.
        tallies: counts of these sources, which tell the groups of each attribute.
        images: one row per image (see `ImageRows.table`). Without seeds, nothing can be compared. Images of which
            `steered` does not tell are left out; without this column, every instructed image is taken as steered.
        asked: source, concept and attribute of everything that was asked for.
    """
    if images is None or not {"source", "concept", "seed"} <= set(images.column_names):
        return []
    groups = {tally.attribute: list(tally.counts) for tally in tallies if JOINT not in tally.attribute}
    names = [name for name in groups if name in images.column_names]
    rows = _rows_by_seed(images, names)
    wanted = {(source, concept, part) for source, concept, name in asked for part in name.split(JOINT)}
    plain = [source.name for source in sources if source.kind == "plain"]
    found = []
    for after in (source.name for source in sources if source.kind == "instructed"):
        for name in names:
            own = [key for key in rows if key[0] == after and (*key, name) not in wanted]
            for before in plain:
                pairs = {
                    (concept, seed): (rows[before, concept][seed], row)
                    for _, concept in own
                    for seed, row in rows[after, concept].items()
                    if row.steered is not None and seed in rows.get((before, concept), {})
                }
                if pairs:
                    effect = side_effect(
                        name,
                        groups[name],
                        [first.labels[name] for first, _ in pairs.values()],
                        [second.labels[name] for _, second in pairs.values()],
                        [bool(second.steered) for _, second in pairs.values()],
                    )
                    concepts = len({concept for concept, _ in pairs})
                    found.append(SourceSideEffect(before=before, after=after, concepts=concepts, effect=effect))
                    break
    return found


@dataclass(frozen=True)
class _Row:
    """The group that an image shows of each attribute, and whether it was steered; None where nobody can tell."""

    labels: Mapping[str, str | None]
    steered: bool | None


def _rows_by_seed(images: pa.Table, attributes: Sequence[str]) -> dict[tuple[str, str], dict[int, _Row]]:
    """The images by source and concept and by seed.

    A seed that several images of one source and concept have tells nothing, and is left out."""
    steered = images["steered"].to_pylist() if "steered" in images.column_names else [True] * images.num_rows
    columns = [images[name].to_pylist() for name in ("source", "concept", "seed", *attributes)]
    rows: dict[tuple[str, str], dict[int, _Row]] = {}
    often: Counter[tuple[str, str, int]] = Counter()
    for done, source, concept, seed, *labels in zip(steered, *columns, strict=True):
        if seed is not None:
            often[source, concept, seed] += 1
            rows.setdefault((source, concept), {})[seed] = _Row(dict(zip(attributes, labels, strict=True)), done)
    for (source, concept, seed), times in often.items():
        if times > 1:
            del rows[source, concept][seed]
    return rows
