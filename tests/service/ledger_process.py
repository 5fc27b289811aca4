"""A process that takes and counts 50 images of one stream, beside others: `python ledger_process.py URL`."""

from __future__ import annotations

import sys

from fair_diffusion.policy.target import uniform
from fair_diffusion.service.database import Database
from fair_diffusion.service.ledger import DatabaseLedger

TARGET = uniform("skin_tone")


def main(url: str) -> None:
    """Wait for a line on standard input, so that several processes begin at once; then work."""
    ledger = DatabaseLedger(Database(url))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(50):
        turn = ledger.reserve(rule="nurse", target=TARGET, n=1, model="pocket")
        shown = [cell for cell, quota in zip(TARGET.shares, turn.quotas, strict=True) if quota]
        assert ledger.settle(turn, assigned=shown, perceived=shown, judged=shown)


if __name__ == "__main__":
    main(*sys.argv[1:])
