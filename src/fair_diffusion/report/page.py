"""Pages that need nothing else, neither network nor script: text is escaped, and the page's own policy forbids any
script, and any style but its own. Exports `environment` and `rendered`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fair_diffusion.report.headline import percent, short, spoken

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(*packages: str) -> Environment:
    """Templates of these packages and of the audit, with the filters that all of them use."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "fair_diffusion.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, place=lambda value: f"{value:.1f}", short=short, spoken=spoken)
    return made


def rendered(templates: Environment, name: str, styles: Sequence[str], context: Mapping[str, Any]) -> str:
    """The template `name`, which puts in `style` and allows it by `style_hash`, with these style sheets."""
    style = "\n".join(templates.get_template(sheet).render() for sheet in styles)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made: str = templates.get_template(name).render(**context, style=style, style_hash=digest)
    # A file name may hold bytes that are no text.
    return made.encode("utf-8", "backslashreplace").decode()
