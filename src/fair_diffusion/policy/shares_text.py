"""What a sentence says about shares: "40% women, 60% men", "2:1 women to men", "gender parity", "the rest old".

The tokens of the sentence are read as statements, one after the other. `_STATEMENTS` has the forms that a statement may
take, as regular expressions over the letters of the tokens (`tokens.KINDS`). Text that fits none is a mistake, so no
word is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import pairwise

from fair_diffusion.policy.attributes import Attributes, built_in, suggestion
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.share import MEND
from fair_diffusion.policy.target import Cell, Target, complete, uniform
from fair_diffusion.policy.tokens import Token, kinds, ready_with
from fair_diffusion.policy.vocabulary import demonyms
from fair_diffusion.policy.words import Phrase, phrase

_ITEM = r"(?:Sv?G+|G+v?S)"
_REST = r"(?:[,&]*(?:Xv?G+|G+v?X))?"
MOST_COUNTED = 10
"""Larger counts ("60 women, 40 men") must sum to 100, or they were not meant as a ratio."""


@dataclass
class Shares:
    """What sentences say about the targets of one rule.

    Attributes:
        targets: as far as they were read without a mistake.
        problems: every mistake.
        warnings: what was read in the only way it can be meant, though it says less than that.
    """

    targets: list[Target] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


Stated = dict[Cell, Fraction]
By = tuple[str, ...]


def read_shares(tokens: Sequence[Token], line: int | None, attributes: Attributes, *, whole: bool = False) -> Shares:
    """The targets that tokens without a concept state.

    Args:
        tokens: of the sentence, without those for concepts.
        line: of the sentence, for messages.
        attributes: the definitions.
        whole: whether a group alone takes all images, as in "doctors should be women".
    """
    reader = _Reader(tokens, line, attributes)
    reader.read(whole)
    return reader.shares


def written(tokens: Sequence[Token]) -> str:
    """The tokens as one text, for messages."""
    text = " ".join(token.text for token in tokens)
    return re.sub(r" ([,:])", r"\1", text)


class _Reader:
    """Reads the statements of one body, and collects targets and mistakes."""

    def __init__(self, tokens: Sequence[Token], line: int | None, attributes: Attributes) -> None:
        self.attributes = attributes
        self.of_them = {id(after) for token, after in pairwise(tokens) if token.kind == "H"}
        self.of_group = {id(after) for token, after in pairwise(tokens) if token.kind == "P" and token.text == "of"}
        self.tokens = [token for token in tokens if token.kind not in "HP"]
        self.kinds = re.sub(r"[V:]", "v", kinds(self.tokens))
        self.line, self.shares = line, Shares()
        self.stated: dict[By, Stated] = {}
        self.rest: dict[By, list[Cell]] = {}
        self.uniform: list[tuple[int, Target]] = []

    def wrong(self, value: str, message: str, mend: str) -> None:
        self.shares.problems.append(Problem(self.line, value, message, mend))

    def read(self, whole: bool) -> None:
        """Read the whole body."""
        body = written(self.tokens)
        at = len(self.kinds) - len(self.kinds.lstrip("v,"))
        try:
            if whole and re.fullmatch("G+", self.kinds[at:]):
                self.add(self.tokens, Fraction(1))
                at = len(self.kinds)
            while at < len(self.kinds):
                stop = self.statement(at)
                if stop is None:
                    self.not_understood(at)
                    return
                between = re.compile("[,&]*(?=[^,&])|,*").match(self.kinds, stop)
                at = between.end() if between else stop
            completed = [
                _completed(by, self.stated.get(by, {}), self.rest.get(by, []), self.attributes)
                for by in dict.fromkeys([*self.stated, *self.rest])
            ]
            for before, target in reversed(self.uniform):
                completed.insert(before, target)
            self.shares.targets += _distinct(completed)
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            self.wrong(body, message, mend)
        if not self.shares.targets and not self.shares.problems:
            self.wrong(body, "no share is stated", 'say one, such as "half women"')

    def statement(self, at: int) -> int | None:
        """Read the longest statement at token `at`. Returns the token after it; None if there is no statement."""
        matches = [(found, read) for pattern, read in _STATEMENTS if (found := pattern.match(self.kinds, at))]
        if not matches:
            return None
        found, read = max(matches, key=lambda match: match[0].end())
        tokens = self.tokens[at : found.end()]
        label = None
        if tokens[0].kind == "L" and read not in (_Reader.parity, _Reader.ratio_of_label, _Reader.each_of_label):
            label, tokens = tokens[0].value, tokens[1:]
        for token in tokens:
            if label and token.kind == "G" and token.value[0] != label:
                raise ValueError(f"{token.text!r} is no group of {self.attributes[label].label}; name one of it")
        read(self, tokens)
        return found.end()

    def cell(self, tokens: Sequence[Token]) -> tuple[By, Cell]:
        """The attributes and the groups that neighbouring tokens name together: "dark-skinned women"."""
        order = list(self.attributes)
        named = sorted({token.value for token in tokens if token.kind == "G"}, key=lambda one: order.index(one[0]))
        by = tuple(name for name, _ in named)
        if len(set(by)) < len(by):
            raise ValueError("two groups of one attribute share one number; give each its share")
        return by, tuple(group for _, group in named)

    def add(self, tokens: Sequence[Token], share: Fraction) -> None:
        """Add the share of the cell that the groups among `tokens` name."""
        by, cell = self.cell(tokens)
        if cell in self.stated.get(by, {}) or cell in self.rest.get(by, []):
            raise ValueError(f"{' + '.join(cell)!r} is named twice; name each group once")
        self.stated.setdefault(by, {})[cell] = share

    def add_uniform(self, target: Target) -> None:
        """Add equal shares for all groups of an attribute, after the targets that are stated so far."""
        self.uniform.append((len({*self.stated, *self.rest}), target))

    # The readers of the forms in _STATEMENTS, each with the tokens of its statement.

    def listed(self, tokens: list[Token]) -> None:
        """half women, men 30%, the rest androgynous."""
        for item in re.finditer(rf"{_ITEM}|Xv?G+|G+v?X", _letters(tokens)):
            part = tokens[item.start() : item.end()]
            share = next((token.value for token in part if token.kind == "S"), None)
            by, cell = self.cell(part)
            others = self.stated and by not in self.stated and any(id(token) in self.of_them for token in part)
            if others or (len(cell) > 1 and any(id(token) in self.of_group for token in part)):
                raise ValueError('of whom is not clear; state combinations, such as "25% dark-skinned women"')
            if share is not None:
                self.add(part, share)
                continue
            if cell in self.stated.get(by, {}):
                raise ValueError(f"{' + '.join(cell)!r} is named twice; name each group once")
            self.rest.setdefault(by, []).append(cell)

    def equal(self, tokens: list[Token]) -> None:
        """Men and women equally; as many women as men; twice as many women as men."""
        times = next((token.value for token in tokens if token.kind == "T"), Fraction(1))
        cells = _cells(tokens)
        parts = [times, *[Fraction(1)] * (len(cells) - 1)]
        for cell, part in zip(cells, parts, strict=True):
            self.add(cell, part / sum(parts))

    def ratio(self, tokens: list[Token]) -> None:
        """2:1 women to men; women to men 2:1."""
        parts = next(token.value for token in tokens if token.kind == "R")
        cells = _cells(tokens)
        if len(parts) != len(cells):
            raise ValueError(f"the ratio has {len(parts)} parts for {len(cells)} groups; give one for each")
        for cell, part in zip(cells, parts, strict=True):
            self.add(cell, part / sum(parts))

    def ratio_of_label(self, tokens: list[Token]) -> None:
        """50/50; gender 50/50."""
        text, parts = next((token.text, token.value) for token in tokens if token.kind == "R")
        name = next((token.value for token in tokens if token.kind == "L"), None)
        target = uniform(name or "gender", self.attributes)
        if len(set(parts)) > 1 or len(parts) != sum(share > 0 for share in target.shares.values()):
            raise ValueError(f'it is not clear whose ratio {text} is; name the groups: "{text} women to men"')
        if name is None:
            self.shares.warnings.append(f"read {text!r} as half women, half men")
        self.add_uniform(target)

    def parity(self, tokens: list[Token]) -> None:
        """Gender parity; balanced by gender and skin tone."""
        for token in tokens:
            if token.kind == "L":
                self.add_uniform(uniform(token.value, self.attributes))

    def counts(self, tokens: list[Token]) -> None:
        """60 women, 40 men; two women for every man."""
        cells = _cells(tokens)
        counts = [token.value for token in tokens if token.kind == "N"]
        counts += [Fraction(1)] * (len(cells) - len(counts))
        total = sum(counts)
        if not total or (total != 100 and max(counts) > MOST_COUNTED):
            raise ValueError(f"it is not clear whether these numbers are percent; {MEND}")
        for cell, count in zip(cells, counts, strict=True):
            self.add(cell, count / total)
        if total != 100 and any(token.kind in ",&" for token in tokens):
            self.shares.warnings.append(f"read {written(tokens)!r} as a ratio, {' : '.join(map(str, counts))}")

    def each(self, tokens: list[Token]) -> None:
        """Women and men, 50% each."""
        share = next(token.value for token in tokens if token.kind == "S")
        for cell in _cells(tokens):
            self.add(cell, share)

    def each_of_label(self, tokens: list[Token]) -> None:
        """Each skin tone 20%; 50% each."""
        share = next(token.value for token in tokens if token.kind == "S")
        name = next((token.value for token in tokens if token.kind == "L"), None)
        target = uniform(name or "gender", self.attributes)
        if share not in target.shares.values() or not share:
            groups = sum(held > 0 for held in target.shares.values())
            raise ValueError(
                f"{groups} groups of {float(share * 100):g} % each do not make 100 %; name each group's share"
            )
        if name is None:
            self.shares.warnings.append(f"read {written(tokens)!r} as half women, half men")
        self.add_uniform(target)

    def not_understood(self, at: int) -> None:
        """Say what is wrong with the tokens from `at` on, which are no statement."""
        rest = self.kinds[at:]
        token = self.tokens[at]
        unknown = next((t for t in self.tokens if t.kind == "C"), None)
        named = next((t.value for t in self.tokens if t.kind == "L"), None)
        if unknown is not None:
            self.unknown(unknown, named)
        elif "N" in rest:
            self.wrong(written(self.tokens[at:]), "it is not clear whether this is percent", MEND)
        elif re.match(r"S[v,&]*(?:S|$)|S$", rest):
            self.wrong(token.text, "a share without a group", 'name it: "50% women"')
        elif "Q" in rest:
            self.wrong(written(self.tokens[at:]), "equal shares of what?", 'name the attribute: "gender: equal"')
        elif re.match(r"G", rest):
            self.wrong(
                written(self.tokens), f"no share is stated for {token.text}", f'say one, such as "half {token.text}"'
            )
        else:
            mend = 'say it as in "40% women, 60% men" or "gender: equal"'
            self.wrong(written(self.tokens), f"{token.text!r} is not understood here", mend)

    def unknown(self, token: Token, named: str | None) -> None:
        """Say that a word is no group."""
        if token.value in demonyms() or token.value in _tones():
            tones = ", ".join(self.attributes["skin_tone"].group_names)
            mend = f"use one of: {tones} (no ethnicity is mapped to a skin tone)"
            self.wrong(token.text, "this says no skin tone", mend)
            return
        if not named and (ready := ready_with(token.value)):
            mend = f"{ready!r} is ready to be included: --define {ready}, or 'include: [{ready}]' in a policy"
            self.wrong(token.text, "unknown group", mend)
            return
        names = self.attributes[named].group_names if named else self.attributes.group_names
        self.wrong(token.text, "unknown group", suggestion(token.text, names))


_STATEMENTS: tuple[tuple[re.Pattern[str], Callable[[_Reader, list[Token]], None]], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rf"(?:Lv?)?{_ITEM}(?:[,&]*{_ITEM})*{_REST}", _Reader.listed),
        (r"(?:Lv?)?(?:Xv?G+|G+v?X)", _Reader.listed),
        (r"(?:Lv?)?T?MG+[a&t]G+", _Reader.equal),
        (r"(?:Lv?)?G+v?T?MaG+", _Reader.equal),
        (r"(?:Lv?)?Qv?G+(?:[&,a]+G+)+", _Reader.equal),
        (r"(?:Lv?)?G+(?:[&,]+G+)+v?Q", _Reader.equal),
        (r"(?:Lv?)?G+v?Qt?G+", _Reader.equal),
        (r"(?:Lv?)?Rv?L?G+(?:[&t,v]+G+)+", _Reader.ratio),
        (r"(?:Lv?)?G+(?:[&t,v]+G+)+[v,]*R", _Reader.ratio),
        (r"R(?:v?L)?|Lv?R", _Reader.ratio_of_label),
        (r"Qv?L(?:[&,]+L)*(?!v?Q)|L(?:[&,]+L)*v?Q(?![v,&]*G)", _Reader.parity),
        (r"(?:Lv?)?NG+(?:[,&tv]*NG+)+", _Reader.counts),
        (r"(?:Lv?)?NG+tN?G+", _Reader.counts),
        (r"(?:Lv?)?G+v?N(?:[,&]*G+v?N)+", _Reader.counts),
        (r"(?:Lv?)?G+(?:[&,]+G+)+[v,]*Se", _Reader.each),
        (r"(?:Lv?)?Sev?G+(?:[&,]+G+)+", _Reader.each),
        (r"eLv?S|SeL?", _Reader.each_of_label),
    )
)


@cache
def _tones() -> frozenset[Phrase]:
    """Words that state a skin tone or a people in a prompt."""
    return frozenset(phrase(word) for word, *_ in built_in()["skin_tone"].stating)


def _letters(tokens: Sequence[Token]) -> str:
    return re.sub(r"[V:]", "v", kinds(tokens))


def _cells(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The tokens of each run of groups."""
    return [tokens[found.start() : found.end()] for found in re.finditer("G+", kinds(tokens))]


def _distinct(targets: list[Target]) -> list[Target]:
    """The targets. `ValueError` if two of them are about one attribute."""
    names = [name for target in targets for name in target.attributes]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two targets for {name}; keep one of the two")
    return targets


def _completed(by: By, stated: Stated, rest: Sequence[Cell], attributes: Attributes) -> Target:
    """The target with the stated shares. The cells in `rest` share what is left."""
    left = max(Fraction(0), 1 - sum(stated.values(), Fraction(0)))
    return complete(by, {**stated, **dict.fromkeys(rest, left / max(1, len(rest)))}, attributes)
