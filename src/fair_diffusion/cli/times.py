"""Times on the terminal."""

from __future__ import annotations

from datetime import datetime


def clock_time(seconds: float | None) -> str:
    """Seconds since 1970 as local date and time; nothing for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
