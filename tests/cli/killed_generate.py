"""Kill `generate --ledger` at many moments, one after another, and count: `python killed_generate.py FOLDER`.

All of them share one ledger. A moment is an event of Python's audit hooks (a file is opened, made, renamed or removed,
a database is opened) or a step of denoising. The process ends there without any clean-up. Prints one line for each of
them: how it ended, images in its folder, and images that the ledger counts for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

torch.set_num_threads(1)  # threads do not live on in the child of a fork

from fair_diffusion.allocation.ledger import Ledger  # noqa: E402
from fair_diffusion.backbones import loop  # noqa: E402
from fair_diffusion.cli import app, generate  # noqa: E402
from fair_diffusion.pipeline import FairPipeline  # noqa: E402

MOMENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect")
N = 2


def counted(ledger: Path) -> int:
    """The images that the ledger counts."""
    return sum(row.asked for row in Ledger(ledger).rows())


def generate_killed_at(moment: int, folder: Path) -> int:
    """The exit code of a process that is killed there: 9, or its own if it was faster."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = [moment]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event in MOMENTS and "site-packages" not in str(arguments) and ".py" not in str(arguments):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

    advance = loop.advance

    def counted_advance(*given: Any, **more: Any) -> Any:
        count("open", ())
        return advance(*given, **more)

    loop.advance = counted_advance
    sys.addaudithook(count)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    asked = (
        "a photo of a nurse",
        "--instruct",
        "nurse: half women",
        "--method",
        "prompt",
        "-n",
        str(N),
        "--steps",
        "1",
    )
    try:
        app(["generate", *asked, "--ledger", str(folder.parent / "ledger"), "--out", str(folder)])
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    os._exit(1)


def main(at: Path, stride: int) -> None:
    """Kill at moment 0, `stride`, …, until one comes to its end."""
    pipe = FairPipeline.from_pretrained("pocket")
    vars(generate)["loaded"] = lambda options: pipe
    Ledger(at / "ledger")
    pipe("a photo of a nurse", instruct="nurse: half women", method="prompt", n=1, steps=1)  # what is imported late
    moment, before, code = 0, 0, 9
    while code == 9:
        code = generate_killed_at(moment, at / f"out-{moment}")
        now = counted(at / "ledger")
        print(code, len(list((at / f"out-{moment}").glob("image-*.png"))), now - before, flush=True)
        before, moment = now, moment + stride


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
