"""The address of an upstream server."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit


def checked_url(url: str) -> str:
    """The address of an upstream server without a slash at its end. `ValueError` with the mend if it is none."""
    mend = "give it as in https://api.example.com/v1"
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise ValueError(f"the upstream server is no address; {mend}") from None
    if parts.username or parts.password:
        raise ValueError(f"the upstream server's address holds a password; {mend}, and its key in the environment")
    if parts.scheme not in ("http", "https") or not named or parts.query or parts.fragment:
        raise ValueError(f"the upstream server is {url!r}; {mend}")
    return url.rstrip("/")


def within(server: str, url: str) -> str | None:
    """The whole of an address that a server named, which may be relative; None if it is of another server, or none."""
    try:
        found = urljoin(f"{server}/", url)
        return found if _server(found) == _server(server) else None
    except ValueError:
        return None


def _server(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
