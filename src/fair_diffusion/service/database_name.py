"""How a URL is shown to people: without its passwords."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?<=://)([^/@:]*):[^@]*@")
_IN_QUERY = re.compile(r"(?<=[?&])([^=&#]*(?:pass|secret|token|key)[^=&#]*)=[^&#]*", re.IGNORECASE)


def shown_url(url: str) -> str:
    """The URL with stars for its password, and for what its query says of passwords, keys and tokens.

    A path stays as it is."""
    return _IN_QUERY.sub(r"\1=***", _SECRET.sub(r"\1:***@", url))
