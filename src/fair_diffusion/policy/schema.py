"""The format of a policy file as JSON Schema (draft 2020-12), for editors and other programs.

A schema cannot check that shares sum to 100 % or that rules agree; reading the file does (`Policy.from_file`).
"""

from __future__ import annotations

import json
from typing import Any

from fair_diffusion.policy.attributes import built_in
from fair_diffusion.policy.file import LONGEST_WORD
from fair_diffusion.policy.target import UNIFORM_WORDS

_SHARE: dict[str, Any] = {
    "description": "Percent ('50%'), a fraction ('1/3'), a decimal from 0 to 1, or a word ('half', 'none').",
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "minLength": 1}],
}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": ["string", "integer"], "minLength": 1}}


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fair-diffusion policy",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "rules"],
        "properties": {
            "version": {"const": 1},
            "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
            "exemptions": {
                **_TEXTS,
                "description": "A prompt that holds one of these is left alone by every rule.",
            },
            "hold": {
                "description": "The attributes that steered images keep where no target asks for them; else all.",
                "anyOf": [{"const": "none"}, {"type": "array", "items": {"enum": list(built_in())}}],
            },
            "words": {
                "type": "object",
                "description": "Words for groups in other languages, such as {de: {woman: weibliche}}.",
                "additionalProperties": False,
                "patternProperties": {"^[a-z]{2,3}$": _words()},
            },
        },
        "$defs": {"share": _SHARE, "rule": _rule(), "targets": _targets(), "combination": _combination()},
    }


def _rule() -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["concepts"]}, {"required": ["every"]}],
        "anyOf": [{"required": ["targets"]}, {"required": ["joint"]}],
        "dependentRequired": {"except": ["every"]},
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "concepts": {**_TEXTS, "minItems": 1},
            "every": {"enum": ["occupation", "person"]},
            "except": {**_TEXTS, "description": "Occupations that 'every' does not cover."},
            "targets": {"$ref": "#/$defs/targets"},
            "joint": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/combination"}},
            "exemptions": {
                **_TEXTS,
                "description": "A prompt that holds one of these is left alone by this rule.",
            },
        },
    }


def _targets() -> dict[str, Any]:
    share = {"$ref": "#/$defs/share"}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            name: {
                "anyOf": [
                    {"enum": sorted(UNIFORM_WORDS)},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": False,
                        "properties": dict.fromkeys(attribute.group_names, share),
                    },
                ]
            }
            for name, attribute in built_in().items()
        },
    }


def _words() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_WORD}
    return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(built_in().group_names, text)}


def _combination() -> dict[str, Any]:
    groups = {name: {"enum": list(attribute.group_names)} for name, attribute in built_in().items()}
    return {
        "type": "object",
        "minProperties": 3,
        "additionalProperties": False,
        "required": ["share"],
        "properties": {**groups, "share": {"$ref": "#/$defs/share"}},
    }


if __name__ == "__main__":  # python -m fair_diffusion.policy.schema > docs/policy.schema.json
    print(json.dumps(policy_schema(), indent=2))
