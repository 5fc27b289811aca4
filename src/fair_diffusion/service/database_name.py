"""How a URL is shown to people: without its password."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?<=://)([^/@:]*):[^@]*@")


def shown_url(url: str) -> str:
    """The URL with stars for its password. A path stays as it is."""
    return _SECRET.sub(r"\1:***@", url)
