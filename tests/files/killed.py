"""Kill a process at every step that it takes in the file system, one after another, and look at what is left.

    python killed.py WHAT FOLDER        prints how many steps there are, or what is wrong after one of them
    python killed.py full FOLDER        writes more than the disk holds; prints the error and what is left

A step is an event of Python's audit hooks: a file is opened, made, renamed or removed. The process ends there without
any clean-up, as if it were killed. `WHAT` is one of `WRITERS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.files.whole_file import whole_file

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.listdir", "os.scandir")
CONTENT = {"a.txt": "a" * 5000, "b/c.txt": "c", "result.json": "{}"}


def write_folder(at: Path) -> None:
    with new_folder(at / "out") as part:
        for name, text in CONTENT.items():
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text(text)


def write_existing(at: Path) -> None:
    (at / "out").mkdir()
    write_folder(at)


def write_file(at: Path) -> None:
    with whole_file(at / "file.txt") as part:
        part.write_text("new")


def folder_is_whole(at: Path) -> bool:
    out = at / "out"
    there = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    return not there or there == CONTENT


def file_is_whole(at: Path) -> bool:
    return (at / "file.txt").read_text() in ("old", "new")


WRITERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], bool]]] = {
    "folder": (write_folder, folder_is_whole),
    "existing": (write_existing, folder_is_whole),
    "file": (write_file, file_is_whole),
}


def killed_at(step: int, write: Callable[[Path], None], at: Path) -> bool:
    """Whether a process that is killed at this step did not come to its end."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event: str, _: object) -> None:
            if event in STEPS:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)

        sys.addaudithook(count)
        write(at)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def main(what: str, folder: Path) -> str:
    """What is wrong, or the number of steps."""
    write, whole = WRITERS[what]
    step = 0
    while True:
        at = folder / str(step)
        at.mkdir()
        (at / "file.txt").write_text("old")
        killed = killed_at(step, write, at)
        others = [path for path in at.iterdir() if path.name not in ("out", "file.txt") and path.name[0] != "."]
        if not whole(at) or others:
            return f"after step {step}: {sorted(map(str, at.rglob('*')))}"
        if not killed:
            return f"{step} steps"
        step += 1


def full(folder: Path) -> str:
    """The error of writing 1 MiB to a folder, and what is left in it."""
    try:
        with new_folder(folder / "out") as part:
            (part / "a.txt").write_bytes(bytes(2**20))
    except ValueError as error:
        return f"{error}\n{sorted(folder.iterdir())}"
    return "it has room"


if __name__ == "__main__":
    print(full(Path(sys.argv[2])) if sys.argv[1] == "full" else main(sys.argv[1], Path(sys.argv[2])))
