"""The format of a policy file as JSON Schema (draft 2020-12), for editors and other programs.

A schema cannot check that shares sum to 100 % or that rules agree; reading the file does (`Policy.from_file`). Where a
policy defines attributes of its own, the schema does not know their names either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fair_diffusion.policy.attributes import KINDS, READY, STANDS, Attribute, built_in
from fair_diffusion.policy.definitions import FLAGS, LISTS, TEXTS
from fair_diffusion.policy.file import LONGEST_WORD
from fair_diffusion.policy.group_nodes import GROUP_LISTS, LONGEST, MOST_GROUPS, SENTENCES
from fair_diffusion.policy.target import UNIFORM_WORDS

_SHARE: dict[str, Any] = {
    "description": "Percent ('50%'), a fraction ('1/3'), a decimal from 0 to 1, or a word ('half', 'none').",
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "minLength": 1}],
}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": ["string", "integer"], "minLength": 1}}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_OF_ATTRIBUTE = {
    "label": "Its name for people.",
    "note": "What is perceived, and by whom.",
    "caution": "What to know before use.",
    "sources": "Where the groups come from.",
    "guideline": "What raters are told, one sentence each.",
    "called": 'Further names for it in sentences ("glasses uniform").',
    "ignore": "Phrases that hold such words without stating anything.",
    "sensitive": "Whether people are discriminated by it.",
    "ordered": "Whether its groups have an order.",
    "peoples": 'Whether words for a people ("Kenyan") state it.',
    "stating_names": "Whether the names of its groups state them in a prompt.",
}
"""What the keys of a definition say."""
_OF_GROUP = {
    "phrases": "Descriptions; the first one steers, and CLIP reads by them.",
    "called": "Further words for it in sentences.",
    "written": "Further words for it in tables and labels.",
    "nouns": 'Words by which a prompt states it: the person ("woman").',
    "adjectives": 'Likewise: what the person is ("bespectacled").',
    "pronouns": 'Likewise: words for the person ("she").',
    "features": 'Likewise: what the person has or wears ("glasses").',
    "qualifiers": 'Likewise: what things can be, too ("black").',
}
"""What the lists of words of a group say."""
_NAME = "^[a-z][a-z0-9_]{0,39}$"
_OWN = {"anyOf": [{"required": ["attributes"]}, {"required": ["include"]}]}


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    known, some = built_in(), {"type": "string", "pattern": _NAME}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fair-diffusion policy",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "rules"],
        "properties": {
            "version": {"const": 1, "description": "The version of this format."},
            "include": {
                **_TEXTS,
                "description": f"Definitions of attributes: {', '.join(READY)}, or YAML files beside this one.",
            },
            "attributes": {
                "type": "object",
                "description": "Definitions of attributes; one with the name of a known attribute refines it.",
                "minProperties": 1,
                "additionalProperties": False,
                "patternProperties": {_NAME: {"$ref": "#/$defs/attribute"}},
            },
            "rules": {"type": "array", "minItems": 1, "description": "Which targets hold for which prompts."},
            "exemptions": {
                **_TEXTS,
                "description": "A prompt that holds one of these is left alone by every rule.",
            },
            "hold": {"description": "The attributes that steered images keep where no target asks for them; else all."},
            "words": {
                "type": "object",
                "description": "Words for groups in other languages, such as {de: {woman: weibliche}}.",
                "additionalProperties": False,
                "patternProperties": {"^[a-z]{2,3}$": {"type": "object"}},
            },
        },
        "if": _OWN,
        "then": {"properties": _asked("own_rule", some, {"type": "object", "additionalProperties": _word()})},
        "else": {"properties": _asked("rule", {"enum": list(known)}, _words())},
        "$defs": {
            "share": _SHARE,
            "attribute": _attribute(),
            "rule": _rule("targets", "combination"),
            "targets": _targets({name: _groups(each) for name, each in known.items()}),
            "combination": _combination({name: {"enum": list(each.group_names)} for name, each in known.items()}),
            "own_rule": _rule("own_targets", "own_combination"),
            "own_targets": {**_targets({}), "patternProperties": {_NAME: _one_target({})}},
            "own_combination": {**_combination({}), "patternProperties": {_NAME: _TEXT}},
        },
    }


def _asked(rule: str, name: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """What depends on the attributes that there are: rules, held attributes and words."""
    return {
        "rules": {"items": {"$ref": f"#/$defs/{rule}"}},
        "hold": {"anyOf": [{"const": "none"}, {"type": "array", "items": name}]},
        "words": {"patternProperties": {"^[a-z]{2,3}$": words}},
    }


def _attribute() -> dict[str, Any]:
    """One definition."""
    short = {"type": "array", "items": {"type": ["string", "integer"], "minLength": 1, "maxLength": LONGEST}}
    group = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "share": {"$ref": "#/$defs/share"},
            "adjective": {**_TEXT, "description": "The words beside a concept in a prompt."},
            "words": {"type": "object", "additionalProperties": _TEXT, "description": "The same, by language."},
            "years": {
                "type": "array",
                "description": "For ages: the first and the last year.",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 2,
                "maxItems": 2,
            },
            **{name: {**short, "description": _OF_GROUP[name]} for name in GROUP_LISTS},
        },
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["groups"],
        "properties": {
            **{name: {**_TEXT, "description": _OF_ATTRIBUTE[name]} for name in TEXTS},
            **{name: {**(_TEXTS if name in SENTENCES else short), **_about(name)} for name in LISTS},
            **{key: {"type": "boolean", "description": _OF_ATTRIBUTE[key]} for key in FLAGS},
            "stands": {"enum": list(STANDS), "description": "Where the words for a group stand in a prompt."},
            "groups": {
                "type": "object",
                "description": f"Groups; by {', '.join(KINDS)} a prompt states one itself.",
                "minProperties": 2,
                "maxProperties": MOST_GROUPS,
                "additionalProperties": group,
            },
        },
    }


def _about(name: str) -> dict[str, str]:
    """The description of a list of a definition; one of words that state a group is that of a group."""
    return {"description": _OF_ATTRIBUTE.get(name) or _OF_GROUP[name]}


def _rule(targets: str, combination: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["concepts"]}, {"required": ["every"]}],
        "anyOf": [{"required": ["targets"]}, {"required": ["joint"]}],
        "dependentRequired": {"except": ["every"]},
        "properties": {
            "name": {**_TEXT, "description": "Its name in records and ledgers; its concepts if there is none."},
            "concepts": {**_TEXTS, "minItems": 1, "description": "Occupations that it covers."},
            "every": {"enum": ["occupation", "person"], "description": "Instead of concepts: it covers all of them."},
            "except": {**_TEXTS, "description": "Occupations that 'every' does not cover."},
            "targets": {"description": "Shares by attribute, each on its own.", "$ref": f"#/$defs/{targets}"},
            "joint": {
                "type": "array",
                "description": "Shares of combinations of groups.",
                "minItems": 1,
                "items": {"$ref": f"#/$defs/{combination}"},
            },
            "exemptions": {
                **_TEXTS,
                "description": "A prompt that holds one of these is left alone by this rule.",
            },
        },
    }


def _groups(attribute: Attribute) -> dict[str, Any]:
    """The target of a known attribute."""
    shares = {key: {"$ref": "#/$defs/share"} for key in attribute.group_names}
    return _one_target({"additionalProperties": False, "properties": shares})


def _one_target(shares: Mapping[str, Any]) -> dict[str, Any]:
    own = {"additionalProperties": {"$ref": "#/$defs/share"}, **shares}
    return {"anyOf": [{"enum": sorted(UNIFORM_WORDS)}, {"type": "object", "minProperties": 1, **own}]}


def _targets(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": dict(properties)}


def _word() -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST_WORD}


def _words() -> dict[str, Any]:
    groups = dict.fromkeys(built_in().group_names, _word())
    return {"type": "object", "additionalProperties": False, "properties": groups}


def _combination(groups: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 3,
        "additionalProperties": False,
        "required": ["share"],
        "properties": {**groups, "share": {"$ref": "#/$defs/share"}},
    }


if __name__ == "__main__":  # python -m fair_diffusion.policy.schema > docs/policy.schema.json
    print(json.dumps(policy_schema(), indent=2))
