"""A process that uses a ledger beside test_ledger.py: `python ledger_worker.py VERB FILE PARENT`.

PARENT is the id of the process that starts it. The worker ends when that process is gone, however it was killed.
"""

from __future__ import annotations

import os
import sys
import time
from threading import Thread

from fair_diffusion.allocation.ledger import Ledger, Turn
from fair_diffusion.policy.target import Cell, uniform

TARGET = uniform("skin_tone")


def reserve(ledger: Ledger) -> tuple[Turn, list[Cell]]:
    """A turn for one image, and the cell that the image must show."""
    turn = ledger.reserve(rule="nurse", target=TARGET, n=1, model="pocket")
    return turn, [cell for cell, quota in zip(TARGET.shares, turn.quotas, strict=True) if quota]


def serve(ledger: Ledger, images: int) -> None:
    """Reserve and settle one image after the other; print a line for each settled image."""
    for _ in range(images):
        turn, asked = reserve(ledger)
        assert ledger.settle(turn, assigned=asked, perceived=asked, judged=asked)
        print("settled", flush=True)


def end_with(parent: int) -> None:
    """End this process when `parent` is no longer its parent.

    A pipe that closes would not do: other processes may have inherited it. `os._exit` also ends a blocked `print`."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)


def main(verb: str, file: str, parent: str) -> None:
    """Wait for a line on standard input, so that several processes begin at once; then do what `verb` says."""
    Thread(target=end_with, args=(int(parent),), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.readline()
    ledger = Ledger(file)
    if verb == "serve":
        serve(ledger, 50)
    elif verb == "endless":
        serve(ledger, 1_000_000)
    elif verb == "reserve":
        reserve(ledger)
        print("reserved", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
