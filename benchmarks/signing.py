"""What signing a picture costs: milliseconds and bytes, by format and size. The certificate is made for this.

python -m benchmarks.signing        write benchmarks/signing.md anew
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from PIL import Image

from benchmarks.certificates import certificate
from fair_diffusion.files.signature import Signature
from fair_diffusion.service.picture_file import MEDIA, picture_file

PAGE = Path(__file__).with_suffix(".md")
REPEATS = 20


def main() -> None:
    """Measure, and write the page."""
    lines = [
        "# Signing",
        "",
        f"Made by `python -m benchmarks.signing`: noise as a picture, the median of {REPEATS} signatures, one thread.",
        "",
        "| format | side in pixels | ms | bytes more |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        signature = Signature.of(*certificate(Path(folder)))
    for format, media in MEDIA.items():
        for side in (64, 512, 1024):
            plain = picture_file(Image.effect_noise((side, side), 60).convert("RGB"), {}, format=format, compression=90)
            taken = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                signed = signature.signed(plain, media, model="pocket")
                taken.append(time.perf_counter() - start)
            lines.append(f"| {format} | {side} | {median(taken) * 1000:.1f} | {len(signed) - len(plain)} |")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
