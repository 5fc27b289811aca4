"""What the perceiver `faces` reads of drawn faces: how many, how often as they were drawn, and how long it takes.

python -m benchmarks.faces        write benchmarks/faces.md anew
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fair_diffusion.audit.corrections import corrected
from fair_diffusion.audit.folder import load_study
from fair_diffusion.perception.faces import FacePerceiver
from recipes.faces import EACH, LOOKS, SIZE, WOMEN, draw, faces, write

PAGE = Path(__file__).with_suffix(".md")


def looks() -> list[str]:
    """For each look and group the faces that were drawn, found, read, and read as drawn; and the time of one."""
    reader = FacePerceiver.load()
    drawn = [(face, draw(face)) for _, face in faces()]
    reader.read([picture for _, picture in drawn[:1]])  # the networks are opened
    start = time.perf_counter()
    read = reader.read([picture for _, picture in drawn])
    seconds = (time.perf_counter() - start) / len(drawn)
    lines = ["| look | drawn as | faces | found | gender read | as drawn |", "|---|---|---|---|---|---|"]
    for look in LOOKS:
        for group in ("woman", "man"):
            those = [k for k, (face, _) in enumerate(drawn) if (face.look, face.group) == (look, group)]
            labels = [read["gender"][k].label for k in those]
            found = sum(read["gender"][k].confidence > 0 for k in those)
            known = sum(label is not None for label in labels)
            lines.append(f"| {look} | {group} | {len(those)} | {found} | {known} | {labels.count(group)} |")
    all_read = sum(one.label is not None for one in read["gender"])
    lines += ["", f"Gender was read in {all_read} of {len(drawn)} ({100 * all_read / len(drawn):.0f} %), "]
    lines[-1] += f"in {seconds:.3f} s for a face of {SIZE}×{SIZE} pixels."
    return lines


def shares() -> list[str]:
    """For each concept the share of women as drawn, as read, and as corrected by what all faces were drawn as."""
    lines = ["| concept | drawn as women | read as women | unread | women, corrected |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "faces", Path(scratch) / "audit"
        write(folder)
        options = ["--perceiver", "faces", "--human-labels", str(folder.with_suffix(".csv")), "--out", str(out)]
        subprocess.run([sys.executable, "-m", "fair_diffusion.cli", "audit", str(folder), *options], check=True)
        study = load_study(out)
    (confusion,) = study.confusions
    for tally in study.tallies:
        if tally.attribute == "gender":
            women = corrected(tally, confusion)[confusion.groups.index("woman")]
            told = (WOMEN[tally.concept] / EACH, women.share, tally.unknown / EACH)
            interval = f"{women.corrected:.0%} ({women.low:.0%} to {women.high:.0%})"
            lines.append(f"| {tally.concept} | {' | '.join(f'{share:.0%}' for share in told)} | {interval} |")
    return lines


def main() -> None:
    """Measure, and write the page."""
    made = "Made by `python -m benchmarks.faces`: the faces of `recipes/faces.py`, one thread."
    head = ["# Faces on drawings", "", made, ""]
    PAGE.write_text("\n".join([*head, *looks(), "", *shares()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
