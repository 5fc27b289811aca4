"""The groups that captions state about the people of an occupation.

A caption counts for each occupation that it depicts (`policy.concepts`), and for a group if it states this group and no
other of the attribute (`policy.reading`). Captions that state no group or two groups are unknown; most captions are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from fair_diffusion.audit.tally import Tally
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.concepts import canonical, known
from fair_diffusion.policy.mentions import mentions
from fair_diffusion.policy.reading import Reading
from fair_diffusion.policy.words import Phrase, words

LONGEST = 2_000
"""Characters of a caption that are read."""


class CaptionCounts:
    """Counts of captions by occupation, attribute and stated group.

    Args:
        defined: the attributes that captions state; the built-in ones if None.
    """

    def __init__(self, defined: Attributes | None = None) -> None:
        self.defined = defined or built_in()
        self.concepts: Counter[str] = Counter()
        self.stated: Counter[tuple[str, str, str]] = Counter()
        self._states = lru_cache(maxsize=4096)(self._stated)  # a caption may stand there very often

    def add(self, caption: str) -> list[str]:
        """Count one caption.

        Returns:
            The occupations that it depicts.
        """
        found = self._states(caption[:LONGEST])
        for concept, groups in found.items():
            self.concepts[concept] += 1
            for attribute, group in groups.items():
                self.stated[concept, attribute, group] += 1
        return list(found)

    def _stated(self, caption: str) -> dict[str, Mapping[str, str]]:
        """The occupations that a caption depicts, each with the groups that it states."""
        text = words(caption)
        reading = Reading(caption, text, mentions(text, frozenset(), people=True), self.defined)
        depicted = {m.words: m for m in reading.mentions if not m.refused and m.words in known()}
        found: dict[str, Mapping[str, str]] = {}
        for mention in depicted.values():
            if (concept := _occupation(mention.words)) not in found:
                found[concept] = reading.groups(mention)
        return found

    def tallies(self, source: str) -> list[Tally]:
        """One tally per occupation and attribute, the most frequent occupation first."""
        tallies = []
        for concept, n in self.concepts.most_common():
            for attribute, data in self.defined.items():
                counts = {group: self.stated[concept, attribute, group] for group in data.group_names}
                unknown = n - sum(counts.values())
                tallies.append(
                    Tally(source=source, concept=concept, attribute=attribute, counts=counts, unknown=unknown)
                )
        return tallies


@lru_cache(maxsize=4096)
def _occupation(mentioned: Phrase) -> str:
    """The usual name of an occupation."""
    return canonical(" ".join(mentioned))
