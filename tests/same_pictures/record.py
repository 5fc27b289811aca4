"""Record anew what every case draws: `python tests/same_pictures/record.py`, or some cases by name.

Only where a change of the pictures is meant. Look at the difference of recorded.json before it is committed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cases import CASES
from recording import PICTURES, RECORDED, drawn, machine, strip


def record(names: list[str]) -> None:
    """Draw the named cases, or all of them, and write their fingerprints and pictures."""
    if unknown := set(names) - {case.name for case in CASES}:
        raise ValueError(f"unknown cases {', '.join(sorted(unknown))}; use {', '.join(case.name for case in CASES)}")
    kept: dict[str, Any] = json.loads(RECORDED.read_text()) if names else {"machine": machine(), "cases": {}}
    if kept["machine"] != machine():
        raise ValueError("the other cases were recorded on another machine; record all of them, without names")
    PICTURES.mkdir(exist_ok=True)
    for case in CASES:
        if names and case.name not in names:
            continue
        start = time.process_time()
        with TemporaryDirectory() as folder:
            fingerprint, pictures = drawn(case, Path(folder))
        kept["cases"][case.name] = fingerprint
        strip(pictures).save(PICTURES / f"{case.name}.png", optimize=True)
        print(f"{case.name}: {len(pictures)} images, {time.process_time() - start:.1f} s of the processor", flush=True)
    kept["cases"] = {case.name: kept["cases"][case.name] for case in CASES}
    RECORDED.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    record(sys.argv[1:])
