"""What asks a command to end: Ctrl-C, and in the same way the signal that service managers and batch systems send."""

from __future__ import annotations

import signal
import threading


def interruptible() -> None:
    """Take SIGTERM as Ctrl-C: what is finished is kept, and the exit code is 130."""
    if threading.current_thread() is threading.main_thread():  # Python takes signals there only
        signal.signal(signal.SIGTERM, signal.default_int_handler)
