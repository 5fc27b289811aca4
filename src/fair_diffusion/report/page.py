"""Self-contained pages, without network and script.

Text is escaped, and the page's own content policy forbids scripts and all styles but its own. Exports `environment` and
`rendered`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fair_diffusion.report.headline import percent, short, spoken

if TYPE_CHECKING:
    from jinja2 import Environment

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Signs that command a terminal that shows the file, or turn the order of its letters."""


def environment(*packages: str) -> Environment:
    """The templates of some packages and of this one, with the filters that all of them use.

    Args:
        packages: import names of packages with a folder `templates`; their templates come first.
    """
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
    """Render a page.

    Args:
        templates: from `environment`.
        name: the template. It inserts the variable `style` and allows it by `style_hash`.
        styles: templates of the style sheets, which are joined.
        context: all other variables.
    """
    style = "\n".join(templates.get_template(sheet).render() for sheet in styles)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made: str = templates.get_template(name).render(**context, style=style, style_hash=digest)
    # A file name may hold bytes that are not valid text.
    return _CONTROL.sub("\ufffd", made.encode("utf-8", "backslashreplace").decode())
