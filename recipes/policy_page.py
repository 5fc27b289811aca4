"""docs/reference/policy-file.md: every key of a policy file, from its JSON Schema.

python -m recipes.policy_page        write the page anew
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fair_diffusion.policy.schema import policy_schema

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "reference" / "policy-file.md"
COMMAND = "python -m recipes.policy_page"
HEAD = f"""# The policy file, key by key

Every key that a policy file may have, with what it takes. [Policies](policy.md) explains them, and
[write a policy](../how-to/write-a-policy.md) makes one. The same as JSON Schema, for editors and other programs:
[policy.schema.json](../policy.schema.json). This page is made from it by `{COMMAND}`.

```sh
fair-diffusion explain "a photo of two surgeons" --policy docs/policy.yaml   # every mistake is told with its line
```

The schema cannot say that shares must sum to a whole or that rules must not contradict; reading the file does.

A whole example:

```yaml
{{example}}```
"""
PARTS = {
    "The file": (),
    "A rule": ("$defs", "rule"),
    "A combination, below `joint`": ("$defs", "combination"),
    "A definition, below `attributes`": ("$defs", "attribute"),
    "A group, below `groups`": ("$defs", "attribute", "properties", "groups", "additionalProperties"),
}
"""The objects of a policy file, with where the schema has them."""


def page() -> str:
    """The text of the page."""
    schema = policy_schema()
    example = (DOCS / "policy.yaml").read_text(encoding="utf-8").partition("\n")[2]
    parts = [
        HEAD.replace("{example}", example),
        f"<!-- set, not measured -->\n**A share**: {schema['$defs']['share']['description']}\n",
    ]
    for title, path in PARTS.items():
        part: Any = schema
        for key in path:
            part = part[key]
        lines = [f"## {title}", "", "| key | takes | |", "|---|---|---|", *_rows(schema, part)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[str]:
    for key, value in part["properties"].items():
        # The kinds of hold, rules and words depend on the attributes that there are.
        merged = {**schema["else"]["properties"].get(key, {}), **value} if part is schema else value
        needed = ", needed" if key in part.get("required", ()) else ""
        yield f"| `{key}` | {_takes(merged)}{needed} | {value.get('description', '')} |"


def _takes(value: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "$ref" in value:
        return {"share": "a share", "targets": "shares by attribute"}.get(value["$ref"].rpartition("/")[2], "an object")
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_takes(one) for one in value["anyOf"]))
    if value.get("type") == "array":
        item = value.get("items", {})
        return "a list" if "$ref" in item else f"a list of {_plural(item)}"
    return {"boolean": "yes or no", "string": "a text", "object": "a mapping"}.get(str(value.get("type")), "a value")


def _plural(item: Mapping[str, Any]) -> str:
    if "enum" in item:
        return "names of attributes"
    if item.get("type") == "integer":
        return "whole numbers"
    return "words" if "maxLength" in item else "texts"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
