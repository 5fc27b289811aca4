"""Times on the terminal."""

from __future__ import annotations

from datetime import UTC, datetime


def clock_time(seconds: float | None) -> str:
    """Seconds since 1970 as date and time in UTC, with the zone; nothing for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
