"""Instructions as a person writes them: "half of the doctors should be women", "firefighter: 50% woman, 50% man".

An instruction has one or more clauses, separated by ";" or a new line. A clause names concepts and states shares. A
clause without a concept ("skin tone uniform") adds to the rule before it. `shares_text.py` reads the shares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE, known
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.rules import Policy, Rule, conflicts
from fair_diffusion.policy.shares_text import LEADING_SHARE, attribute_named, groups_in, read_targets, starts_with_share
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.words import phrase

LONGEST = 32_000
EXAMPLE = 'say for which prompts and which share, such as "firefighter: half women"'
_JOBS = r"(?:occupations?|jobs?|professions?|careers?|workers?|trades?)"
_EVERY_OCCUPATION = re.compile(rf"(?:(?:every|all|each|any)(?: the)? {_JOBS}|occupations|jobs|professions|\*)")
_EVERYONE = re.compile(
    r"(?:everyone|everybody|anyone|anybody|(?:all|any) (?:people|persons)|(?:every|each|any) person|people)"
)
_DETERMINER = re.compile(r"^(?:(?:all|each|every|any|the|a|an|of|our|my|images?|pictures?|for)\s+)+")
_VERB = re.compile(
    r"^(.+?)\s+(?:(?:should|must|shall|ought to|have to|need to)(?: all)? be|should show|to be|are|is|be|as)\s+(.+)$"
)
_MAKE = re.compile(
    r"^(?:please\s+)?"
    r"(?:(?:i|we)(?: want|'d like| would like| need| wish)(?: to (?:have|see))?|make|draw|show|have|let|generate)\s+"
)
_EXACT = re.compile(
    r"\b(?:exactly|precisely|about|approximately|roughly|around)\s+(?=\d|a |an |one |two |three |half|all)"
)
# Words that bound, deny or blur a share. A concept with such a word was misread, and must not become "all".
_UNCLEAR = frozenset(
    (
        "not no never don't shouldn't isn't aren't most majority minority mostly mainly least more less fewer than "
        "many much few some several almost nearly only half third quarter percent should must want like always over "
        "under up roughly about exactly around approximately without except"
    ).split()
)
_AFTER = re.compile(r"^(.+?)\s+(?:for|among|amongst)\s+(.+)$")
_BEFORE = re.compile(r"^(?:for|among|amongst)\s+([^,]+?)\s*,\s*(.+)$")


def parse_instruction(text: str) -> Policy:
    """The policy that the sentence `text` states.

    Raises:
        PolicyError: every mistake, if any part of the sentence cannot be understood.
    """
    if len(text) > LONGEST:
        message = f"the instruction is {len(text):,} characters long"
        raise PolicyError([Problem(None, text[:40] + "…", message, f"keep it under {LONGEST:,}")])
    problems: list[Problem] = []
    rules: list[Rule] = []
    lines: list[int | None] = []
    empty = True
    for line, clause in _clauses(text):
        empty = False
        named, body = _split(clause)
        if named is None:
            if not rules:
                problems.append(Problem(line, clause, "no concept is named", EXAMPLE))
                continue
            at = len(rules) - 1
        else:
            concepts = _concepts(named, line, problems)
            at = next((i for i, rule in enumerate(rules) if rule.concepts == concepts), len(rules))
            if at == len(rules):
                rules.append(Rule(", ".join(concepts), concepts, ()))
                lines.append(line)
        targets = read_targets(body, line, problems)
        rules[at] = replace(rules[at], targets=_joined(rules[at], targets, clause, line, problems))
    if empty:
        problems.append(Problem(None, text.strip(), "the instruction is empty", EXAMPLE))
    problems += conflicts([pair for pair in zip(rules, lines, strict=True) if pair[0].concepts])
    if problems:
        raise PolicyError(problems)
    return Policy(tuple(rules), text=text.strip())


def _clauses(text: str) -> Iterator[tuple[int | None, str]]:
    lines = text.strip().splitlines()
    for number, line in enumerate(lines, start=1):
        for clause in line.split(";"):
            plain = re.sub(r"\s+", " ", clause).strip(" .!\t")
            if plain:
                yield (number if len(lines) > 1 else None), plain


def _split(clause: str) -> tuple[str | None, str]:
    """The words for the concepts (None if the clause names none) and the words about shares."""
    plain = _EXACT.sub("", _MAKE.sub("", clause.lower()))
    left, colon, right = plain.partition(":")
    if colon:
        about_shares = attribute_named(left) or groups_in(left) or starts_with_share(left)
        return (None, plain) if about_shares else (left.strip(), right.strip())
    if found := _BEFORE.match(plain):
        return found.group(1), found.group(2)
    if found := None if plain.startswith("as many") else _VERB.match(plain):
        subject, body = found.groups()
        if attribute_named(subject) or subject.startswith("the rest") or groups_in(subject):
            return None, plain
        return _shared(subject, body)
    if (found := _AFTER.match(plain)) and not attribute_named(found.group(2)):
        return found.group(2), found.group(1)
    return None, plain


def _shared(subject: str, body: str) -> tuple[str, str]:
    """Move a share from the concept to the body: "half of the doctors" + "women" gives "the doctors" + "half women"."""
    whole = re.match(r"^(all|every|each|only)\s+(?:of\s+)?(?:the\s+)?(.+)$", subject)
    if whole and not _EVERY_OCCUPATION.fullmatch(subject) and not _EVERYONE.fullmatch(subject):
        return whole.group(2), body if _says_shares(body) else f"all {body}"
    if whole:
        return subject, body if _says_shares(body) else f"all {body}"
    if found := LEADING_SHARE.match(subject):
        rest = subject[found.end() :].strip()
        return re.sub(r"^(?:of )?", "", rest), f"{found.group().strip()} {body}"
    return subject, body if _says_shares(body) else f"all {body}"


def _says_shares(body: str) -> bool:
    return bool(re.search(r"\d|equal|even|uniform|balanced|half|third|quarter|all\b|no\b|none|rest|only", body))


def _concepts(text: str, line: int | None, problems: list[Problem]) -> tuple[str, ...]:
    found: list[str] = []
    before = len(problems)
    for part in re.split(r",|\band\b|\bor\b|&|/", text):
        plain = part.strip(" \"'“”")
        if _EVERY_OCCUPATION.fullmatch(plain):
            found.append(EVERY_OCCUPATION)
        elif _EVERYONE.fullmatch(plain):
            found.append(EVERYONE)
        elif words := phrase(_DETERMINER.sub("", plain)):
            unclear = [word for word in words if word in _UNCLEAR or word[0].isdigit()]
            if unclear and words not in known():
                message = f"{unclear[0]!r} leaves open which share is meant, or of whom"
                problems.append(Problem(line, plain, message, EXAMPLE))
            else:
                found.append(" ".join(words))
    if not found and len(problems) == before:
        problems.append(Problem(line, text, "no concept is named", EXAMPLE))
    return tuple(dict.fromkeys(found))


def _joined(
    rule: Rule, targets: list[Target], clause: str, line: int | None, problems: list[Problem]
) -> tuple[Target, ...]:
    joined = list(rule.targets)
    for target in targets:
        taken = {name for other in joined for name in other.attributes}
        for name in taken.intersection(target.attributes):
            message = f"{rule.name!r} has a target for {name} already"
            problems.append(Problem(line, clause, message, "keep one of the two"))
        joined.append(target)
    return tuple(joined)
