"""Instructions as a person writes them: "half of the doctors should be women", "firefighter: 50% woman, 50% man".

An instruction has one or more clauses, separated by ";", a full stop or a new line. A clause names concepts and states
shares. A clause without a concept ("skin tone uniform") belongs to the rule before it. `_SHAPES` has the forms that a
clause may take, as regular expressions over the letters of its tokens (`tokens.KINDS`): they say which tokens are the
concepts and which are about shares (`shares_text`). A clause must fit a shape as a whole, and all shapes that it fits
must give the same rule. So nothing is passed over, and nothing is read in one of two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.attributes import Attributes, built_in, read_data
from fair_diffusion.policy.concept_text import Concepts, read_concepts
from fair_diffusion.policy.concepts import WILDCARDS, known
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.rules import Policy, Rule, conflicts
from fair_diffusion.policy.shares_text import Shares, read_shares, written
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.tokens import Token, kinds, plain, spelled, tokenize
from fair_diffusion.policy.words import phrase

LONGEST = 32_000
LONGEST_CLAUSE, MOST_TOKENS = 4_000, 400
"""Characters and tokens of one clause: reading it takes more than linear time."""
EXAMPLE = 'say for which prompts and which share, such as "firefighter: half women"'
_K = r"(?P<k>P?d?C(?:[,&|]P?d?C)*)"
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        rf"{_K},?(?P<v>[VP:at]*)(?P<b>[^C]*)",  # doctors should be half women; among doctors, half women
        rf"P?(?P<b>[SN])P?{_K}(?P<v>[VP:at]*)(?P<b2>G[^C]*)",  # half of the doctors should be women
        rf"(?!G+[V:P]+SC)(?P<b>[^C]*[^CVPat,&:])[,:]?{_K}",  # gender parity for all jobs; half women: doctors
        rf"(?P<b>G+)[V:P]*(?P<b2>S)P{_K}",  # women should be half of the doctors
        rf"(?P<b>T?MG+)P?{_K}(?P<b2>aG+)",  # as many female nurses as male
        rf"(?P<b>Q){_K}(?P<b2>PL(?:[,&]+L)*)",  # balance doctors by gender
        rf"P?(?P<b>L(?:[,&]+L)*)P{_K}(?P<v>[V:]?)(?P<b2>[^C]+)",  # the ages of teachers should be uniform
        rf"P?(?P<b>G+(?:[&,t]+G+)*)P{_K}[V:]?(?P<b2>[SRQ])",  # the share of women among doctors should be 40%
        rf"(?P<b>G+){_K}[V:](?P<b2>S)",  # female doctors: 50%
    )
)
_LOOSE = (
    re.compile(rf"{_K},?(?P<v>[V:]+)(?P<b>.*)"),
    re.compile(rf"P?(?P<b>[SN])P?{_K}(?P<v>[V:]+)(?P<b2>.*)"),
)
"""How the words about shares are found in a clause that fits no shape, to say what is wrong with them."""
_SEVERAL = re.compile(r"S?P?d?C(?:[,&|]P?C)*(?:[,&]SP?d?C(?:[,&|]P?C)*)+(?P<v>V)(?P<b>G+)")
_EXCEPT = re.compile(r",?EP?C(?:[,&|]P?C)*,?")


@dataclass
class _Reading:
    """One clause, read: its concepts with what is said of shares, and the mistakes of both."""

    concepts: Concepts
    shares: Shares

    @property
    def problems(self) -> list[Problem]:
        return [*self.concepts.problems, *self.shares.problems]

    @property
    def meaning(self) -> tuple[object, ...]:
        """What two readings must have in common to be the same."""
        return self.concepts.names, self.concepts.exceptions, tuple(self.shares.targets)


def parse_instruction(text: str, attributes: Attributes | None = None) -> Policy:
    """The policy that the sentence `text` states.

    Args:
        text: the sentence.
        attributes: the definitions that it may use; the built-in ones if None.

    Raises:
        PolicyError: every mistake, if any part of the sentence cannot be understood.
    """
    if len(text) > LONGEST:
        message = f"the instruction is {len(text):,} characters long"
        raise PolicyError([Problem(None, text[:40] + "…", message, f"keep it under {LONGEST:,}")])
    attributes = attributes or built_in()
    problems: list[Problem] = []
    warnings: list[str] = []
    rules: list[Rule] = []
    lines: list[int | None] = []
    clauses = list(_clauses(text, attributes))
    for line, clause in clauses:
        readings, read_as = _understood(clause, line, attributes)
        warnings += read_as
        for reading in readings:
            problems += reading.problems
            warnings += [*reading.concepts.warnings, *reading.shares.warnings]
            if not reading.concepts.names or reading.problems:
                continue
            rule = Rule(reading.concepts.label, reading.concepts.names, (), exceptions=reading.concepts.exceptions)
            at = next((i for i, other in enumerate(rules) if other.name == rule.name), len(rules))
            if at == len(rules):
                rules.append(rule)
                lines.append(line)
            targets = _joined(rules[at], reading.shares.targets, clause, line, problems)
            rules[at] = replace(rules[at], targets=targets)
    if not clauses:
        problems.append(Problem(None, text.strip(), "the instruction is empty", EXAMPLE))
    problems += conflicts(list(zip(rules, lines, strict=True)))
    if problems:
        raise PolicyError(problems)
    return Policy(tuple(rules), text=text.strip(), warnings=tuple(dict.fromkeys(warnings)), attributes=attributes)


def _clauses(text: str, attributes: Attributes) -> Iterator[tuple[int | None, str]]:
    """The words of each clause with its line. A clause without a concept is joined to the one before."""
    opening, closing = _wrapping()
    lines = text.strip().splitlines()
    before: tuple[int | None, str] | None = None
    for number, line in enumerate(lines, start=1):
        for clause in re.split(r";|[.!?]+(?=\s|$)", plain(line)):
            if len(clause) > LONGEST_CLAUSE:
                message = f"the clause is {len(clause):,} characters long"
                raise PolicyError([Problem(None, clause[:40] + "…", message, 'put ";" between clauses')])
            words = closing.sub("", opening.sub("", clause.strip(" ,\t\"'")))
            letters = kinds(tokenize(words, attributes))
            if before and letters and not set("C!") & set(letters):
                before = before[0], f"{before[1]}, {words}"
            elif letters:
                if before:
                    yield before
                before = (number if len(lines) > 1 else None), words
    if before:
        yield before


@cache
def _wrapping() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What stands before and after the words of an instruction: "please …", "I would like to have …, thanks"."""
    data = read_data("instruction.yaml")
    return re.compile(rf"^(?:(?:{'|'.join(data['opening'])})(?![\w'])[ ,:]*)+"), re.compile(rf"{data['closing']}[ ,]*$")


def _understood(clause: str, line: int | None, attributes: Attributes) -> tuple[list[_Reading], list[str]]:
    """What a clause says, and the typos in it. A word is taken for a typo only if the clause cannot be read without."""
    readings = _readings(tokenize(clause, attributes), line, attributes)
    unread = any(reading.problems or reading.concepts.unknown for reading in readings)
    typos = _typos(clause, attributes) if unread else {}
    if typos:
        mended = re.sub(r"[^\W\d_]+", lambda found: typos.get(found.group(), found.group()), clause)
        again = _readings(tokenize(mended, attributes), line, attributes)
        if not any(reading.problems or reading.concepts.unknown for reading in again):
            return again, [f"read {word!r} as {meant!r}" for word, meant in typos.items()]
    return readings, []


def _typos(clause: str, attributes: Attributes) -> dict[str, str]:
    """The unknown words of a clause that are one letter, or a swap of two, away from a word of instructions."""
    unknown = [word for token in tokenize(clause, attributes) if token.kind == "C" for word in token.text.split()]
    found = {}
    for word in unknown:
        near = process.extractOne(word, spelled(attributes), scorer=OSA.distance, score_cutoff=1)
        english = word in vocabulary.ordinary() or phrase(word) in known()
        if len(word) > 3 and near and near[1] and near[0][0] == word[0] and not english:
            found[word] = near[0]
    return found


def _readings(tokens: list[Token], line: int | None, attributes: Attributes) -> list[_Reading]:
    """What a clause says: one reading, or several for several concepts with shares of their own."""
    refused = [token for token in tokens if token.kind == "!"]
    if refused:
        return [_failed([_problem(line, token.text, token.value) for token in refused[:1]])]
    if len(tokens) > MOST_TOKENS:
        return [
            _failed(
                [Problem(line, written(tokens[:8]), f"the clause has {len(tokens)} words", 'put ";" between clauses')]
            )
        ]
    if not set("SNRQMX") & set(kinds(tokens)) and not re.search("VG|dC[VP]?G", kinds(tokens)):
        return [_failed([Problem(line, written(tokens), "no share is stated", f"{EXAMPLE}, in English")])]
    if "C" not in kinds(tokens):
        return [_failed([Problem(line, written(tokens), "no concept is named", EXAMPLE)])]
    if readings := _several(tokens, line, attributes):
        return readings
    single = _single(tokens, line, attributes)
    right = [reading for reading in single if not reading.problems]
    if len({repr(reading.meaning) for reading in right}) > 1:
        message = f"this can be read in two ways, for {' and for '.join(repr(r.concepts.label) for r in right[:2])}"
        return [_failed([Problem(line, written(tokens), message, EXAMPLE)])]
    if right:
        return right[:1]
    return _split(tokens, line, attributes) or single[:1] or [_failed(_why_not(tokens, line, attributes))]


def _single(tokens: list[Token], line: int | None, attributes: Attributes) -> list[_Reading]:
    """The readings of a clause with one list of concepts, by every shape that it fits."""
    excepted: list[Token] = []
    if found := _EXCEPT.search(kinds(tokens)):
        wildcards = (i for i in range(*found.span()) if tokens[i].kind == "C" and tokens[i].value[0] in WILDCARDS)
        stop = next(wildcards, found.end())
        excepted = tokens[found.start() : stop]
        tokens = [*tokens[: found.start()], *tokens[stop:]]
    readings = []
    for kept in _without_repeats(tokens):
        for shape in _SHAPES:
            if match := shape.fullmatch(kinds(kept)):
                parts = {name: kept[slice(*match.span(name))] for name in match.groupdict() if match.start(name) >= 0}
                body = [*parts["b"], *parts.get("b2", ())]
                whole = bool({"V", "d"} & {*kinds(parts.get("v", ())), *kinds(parts["k"])}) and "b2" not in parts
                concepts = read_concepts(parts["k"], excepted, line)
                readings.append(_Reading(concepts, read_shares(body, line, attributes, whole=whole)))
    return readings


def _without_repeats(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens with a concept that is named more than once kept at its first place, and then at its last."""
    named = [token for token in tokens if token.kind == "C"]
    if len(named) < 2 or len({token.value for token in named}) > 1:
        yield tokens
        return
    for kept in (named[0], named[-1]):
        yield [token for token in tokens if token.kind != "C" or token is kept]


def _several(tokens: list[Token], line: int | None, attributes: Attributes) -> list[_Reading]:
    """The readings of "50% of doctors and 30% of nurses should be men"; empty if the clause is none such."""
    found = _SEVERAL.fullmatch(kinds(tokens))
    if not found:
        return []
    groups = tokens[slice(*found.span("b"))]
    parts = re.finditer(r"SP?d?(?P<k>C(?:[,&|]P?C)*)(?=[,&]S|V)", kinds(tokens))
    return [
        _Reading(
            read_concepts(tokens[slice(*part.span("k"))], [], line),
            read_shares([tokens[part.start()], *groups], line, attributes),
        )
        for part in parts
    ]


def _split(tokens: list[Token], line: int | None, attributes: Attributes) -> list[_Reading]:
    """The readings of two clauses that a comma, "and" or "but" joins; empty if there are none such."""
    for at, token in enumerate(tokens):
        if (token.kind in ",&" or token.text == "but") and "C" in kinds(tokens[:at]) and "C" in kinds(tokens[at + 1 :]):
            left = [reading for reading in _single(tokens[:at], line, attributes) if not reading.problems]
            if len({repr(reading.meaning) for reading in left}) == 1:
                rest = tokens[at + 1 :]
                right = _readings(rest[1:] if rest[0].text == "but" else rest, line, attributes)
                if not any(reading.problems for reading in right):
                    return [left[0], *right]
    return []


def _failed(problems: list[Problem]) -> _Reading:
    return _Reading(Concepts(), Shares(problems=problems))


def _problem(line: int | None, value: str, said: str) -> Problem:
    message, _, mend = said.partition("; ")
    return Problem(line, value, message, mend)


def _why_not(tokens: list[Token], line: int | None, attributes: Attributes) -> list[Problem]:
    """What is wrong with a clause that fits no shape."""
    if found := re.match("(P?G+)C", kinds(tokens)):
        message = f"a rule holds for all who are {tokens[found.end() - 1].text}, whatever group they are of"
        return [
            Problem(line, written(tokens[: found.end(1)]), message, 'combine groups: "25% old women, 75% young women"')
        ]
    for shape in _LOOSE:
        if match := shape.fullmatch(kinds(tokens)):
            body = [
                token for name in ("b", "b2") if name in match.groupdict() for token in tokens[slice(*match.span(name))]
            ]
            if problems := read_shares(body, line, attributes).problems:
                return problems
    return [Problem(line, written(tokens), "this is not understood as a whole", f"{EXAMPLE}, in English")]


def _joined(
    rule: Rule, targets: Sequence[Target], clause: str, line: int | None, problems: list[Problem]
) -> tuple[Target, ...]:
    joined = list(rule.targets)
    for target in targets:
        taken = {name for other in joined for name in other.attributes}
        for name in taken.intersection(target.attributes):
            message = f"{rule.name!r} has a target for {name} already"
            problems.append(Problem(line, clause, message, "keep one of the two"))
        joined.append(target)
    return tuple(joined)
