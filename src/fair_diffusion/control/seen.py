"""What people would see in the images of one order, from what the perceiver reads in them.

A calibration knows how the perceiver errs. What a reading then means depends on what such images show: a "man" among
images that would nearly all show women is often a misread woman. So images are told apart by what was done to them.
Those that steering left alone are *natural*, and their shares are explained by what the look read in all images of the
order, whichever of them were then steered. Those that were steered to a group are explained by what was read in all
images that were steered to it, in the first attempt of each. `statistics.as_seen` has the equations.

Without a calibration of an attribute its readings stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.control.assignments import SURE_AT_END, SURE_AT_LOOK, Shares
from fair_diffusion.policy import Assignment
from fair_diffusion.statistics.as_seen import explained, translated

Array = NDArray[np.float64]
Read = Mapping[str, Array]
"""Probabilities (groups,) by attribute, read in one image."""

UNSURE = 0.9 * SURE_AT_LOOK
"""A probability that is not sure at the look."""
_IMAGINED = 0.5
"""Imagined natural images, over all groups together."""
_MEANT = 2.0
"""Imagined images that steering brought to the group that it was meant to."""


class Seen:
    """The readings of one order, and what they mean.

    Args:
        rates: by attribute, the probability of each reading where people see a group: shape (groups + unknown, groups
            + unknown), in the order of the attribute's groups. Attributes without rates are taken at their word.
        groups: the groups of these attributes, in order.
        version: of the calibration that the rates are from; None without one.
    """

    def __init__(
        self,
        rates: Mapping[str, Array] | None = None,
        groups: Mapping[str, tuple[str, ...]] | None = None,
        version: str | None = None,
    ) -> None:
        self.rates, self.version = dict(rates or {}), version
        self._groups = dict(groups or {})
        self._readings: dict[tuple[str, str | None], Array] = {}
        self._shares: dict[tuple[str, str | None], Array] = {}

    def note(self, read: Read, meant: Assignment | None = None) -> None:
        """Note what was read in one image: at the look, or at the end in an image that was steered.

        Args:
            read: what was read.
            meant: the group that it was steered to, by attribute; of other attributes nothing is noted. None: the look.
        """
        for name in self.rates if meant is None else self.rates.keys() & meant.keys():
            key = name, None if meant is None else meant[name]
            self._readings[key] = self._readings.get(key, 0) + _whole(_worded(read[name]))
            self._shares.pop(key, None)

    def of(self, read: Read, meant: Assignment | None = None) -> dict[str, Array]:
        """What people would see in one image, as `read`. `meant` is the group that it was steered to, by attribute."""
        return {name: self._of(name, p, (meant or {}).get(name)) for name, p in read.items()}

    def natural(self, read: Read) -> dict[str, Array]:
        """The same at the look, for an image that would be left alone.

        Where the word for a group would not be sure enough in the end, whatever the reader's confidence, no group is
        sure now: it is better to steer such an image from here on than to make it again."""
        found, word = self.of(read), self.word(read)
        for name in self.rates.keys() & found.keys():
            if word[name].max() < SURE_AT_END:
                found[name] = unsure(found[name])
        return found

    def word(self, read: Read, meant: Assignment | None = None) -> dict[str, Array]:
        """The same, if the perceiver's word alone counts: its most probable group, however sure it is.

        Sums of these are what people would see of many images. The confidence of a reading has no part in it, because
        labels tell how often words are right."""
        return {
            name: self._of(name, _worded(p), (meant or {}).get(name)) if name in self.rates else p
            for name, p in read.items()
        }

    def all_of(
        self, shares: Shares, meant: Mapping[int, Assignment], *, word: bool = False, look: bool = False
    ) -> dict[str, Array]:
        """`of`, `word` or `natural` for many images at once.

        Args:
            shares: what was read, shape (images, groups) by attribute.
            meant: for the images that are to be translated, by their place, what they were steered to. The others stay
                as they are.
            word: as `word` gives it.
            look: as `natural` gives it.
        """
        found = {name: table.copy() for name, table in shares.items()}
        for i, steered in meant.items():
            read = {name: shares[name][i] for name in self.rates if name in shares}
            seen = self.natural(read) if look else self.word(read, steered) if word else self.of(read, steered)
            for name, row in seen.items():
                found[name][i] = row
        return found

    def told(self, seen: Read) -> dict[str, dict[str, float]]:
        """What people would see in one image, for its record: the probability of each group, by attribute."""
        return {
            name: dict(zip(self._groups[name], (round(float(p), 4) for p in seen[name]), strict=True))
            for name in self.rates
            if name in seen
        }

    def _of(self, name: str, read: Array, meant: str | None) -> Array:
        rates = self.rates.get(name)
        if rates is None:
            return read
        return np.asarray(translated(_whole(read)[None], rates, self._explained(name, meant))[0, :-1])

    def _explained(self, name: str, meant: str | None) -> Array:
        """The shares that people would see of the natural images, or of those that were steered to a group."""
        if (name, meant) not in self._shares:
            size = len(self.rates[name])
            imagined = np.full(size, _IMAGINED / size)
            if meant is not None:
                imagined[self._groups[name].index(meant)] += _MEANT
            noted = self._readings.get((name, meant), np.zeros(size))
            self._shares[name, meant] = explained(noted, self.rates[name], imagined)
        return self._shares[name, meant]


def unsure(read: Array) -> Array:
    """Probabilities (groups,) of which none is sure at the look, in the same proportions."""
    most = float(read.max())
    return read * (UNSURE / most) if most >= SURE_AT_LOOK else read


def _whole(read: Array) -> Array:
    """Probabilities with that of "unknown" behind them."""
    return np.append(read, max(0.0, 1 - float(read.sum())))


def _worded(read: Array) -> Array:
    """1 for the group that is surely read, if one is."""
    return np.asarray((read == read.max()) & (read >= SURE_AT_LOOK), dtype=np.float64)
