"""What the processes of test_ledger.py do: `python ledger_worker.py VERB FILE`."""

from __future__ import annotations

import sys

from fair_diffusion.allocation.ledger import Ledger, Turn
from fair_diffusion.policy.target import Cell, uniform

TARGET = uniform("skin_tone")


def reserve(ledger: Ledger) -> tuple[Turn, list[Cell]]:
    """The next image, and the cell that it is to show."""
    turn = ledger.reserve(rule="nurse", target=TARGET, n=1, model="pocket")
    return turn, [cell for cell, quota in zip(TARGET.shares, turn.quotas, strict=True) if quota]


def serve(ledger: Ledger, images: int) -> None:
    """Reserve and settle one image after the other; a line for each one that is settled."""
    for _ in range(images):
        turn, asked = reserve(ledger)
        assert ledger.settle(turn, assigned=asked, perceived=asked, judged=asked)
        print("settled", flush=True)


def main(verb: str, file: str) -> None:
    """All verbs wait for a line on standard input, so that several processes begin at once."""
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
