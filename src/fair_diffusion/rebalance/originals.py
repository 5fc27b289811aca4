"""The images that are to be rebalanced: what there is in a folder, and what each is a picture of.

the same prompt for all            only the pictures that are one
a table `file,prompt`              only the files that it names
the record inside a PNG            what `fair-diffusion generate` wrote
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from fair_diffusion.files.csv_rows import CsvErrors, inner_path, read_csv
from fair_diffusion.files.pictures import ENDINGS, open_picture
from fair_diffusion.files.text import printable
from fair_diffusion.readers.folder import listed
from fair_diffusion.request import MAX_IMAGES, check_prompt
from fair_diffusion.runs.format import SHEET
from fair_diffusion.runs.records import is_twin, png_record


@dataclass(frozen=True, slots=True)
class Original:
    """An image as it was found, not yet opened: its name below the folder, its file, and its prompt."""

    name: str
    path: Path
    prompt: str

    def open(self) -> Image.Image:
        """The picture, upright and RGB. `BrokenPicture` says why it cannot be read."""
        return open_picture(self.path, self.name)


@dataclass(frozen=True)
class Originals:
    """The images of a folder, in order of their names; files that were left out, and why; and notes."""

    images: list[Original]
    broken: list[str]
    notes: list[str]


def find_originals(
    folder: Path, *, prompt: str | None = None, prompts: Mapping[str, str] | None = None, n: int | None = None
) -> Originals:
    """The images below `folder` with their prompts; `n`: the first so many of them.

    `ValueError` if there are none, if one has no prompt, or if more than `MAX_IMAGES` have the same."""
    if prompt is not None and prompts is not None:
        raise ValueError("both a prompt and a table of prompts are given; give one")
    if n is not None and n < 1:
        raise ValueError(f"n is {n}: take at least 1 image")
    if prompt is not None:
        check_prompt(prompt)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one that holds images")
    listing = listed(folder, None if prompts is None else {name: (said, "") for name, said in prompts.items()})
    found, broken, notes = [], list(listing.broken), list(listing.notes)
    sheets, twins = [], 0
    for picture in listing.pictures:
        file = PurePosixPath(picture.name).name
        if printable(picture.name) != picture.name:
            broken.append(f"{printable(picture.name)}: a name with signs that cannot be printed; rename it")
        elif file == SHEET:
            sheets.append(picture.name)
        elif is_twin(folder / picture.name):
            twins += 1
        else:
            found.append(Original(picture.name, folder / picture.name, ""))
    if sheets:
        notes.append(f"{', '.join(sheets)} left out: a run's own overview is no image of it")
    if twins:
        notes.append(f"the {twins} plain twins of a run were left out")
    if not found:
        raise ValueError(f"no images in {folder}; it needs files that end in {', '.join(sorted(ENDINGS))}")
    if n is not None and n < len(found):
        notes.append(f"the first {n} of {len(found)} images were taken")
        found = found[:n]
    images = [_prompted(image, prompt, prompts) for image in found]
    for text, count in Counter(image.prompt for image in images).items():
        if count > MAX_IMAGES:
            raise ValueError(
                f"{count} images of {text!r}, more than {MAX_IMAGES} of one prompt; take the first so many with -n, "
                "or rebalance them from several folders"
            )
    return Originals(images, broken, notes)


def read_prompts(path: Path) -> dict[str, str]:
    """The table `file,prompt` in `path`. `ValueError` names every line that is wrong."""
    found: dict[str, str] = {}
    errors = CsvErrors(path)
    for line, row in read_csv(path, required=("file", "prompt")):
        try:
            name = inner_path(row["file"])
            check_prompt(row["prompt"])
        except ValueError as error:
            errors.add(line, str(error))
            continue
        if name in found:
            errors.add(line, f"{name!r} stands there twice; keep one")
        found[name] = row["prompt"]
    errors.check()
    if not found:
        raise ValueError(f"{path} names no files; give one line per image")
    return found


def _prompted(image: Original, prompt: str | None, prompts: Mapping[str, str] | None) -> Original:
    if prompts is not None:
        return replace(image, prompt=prompts[image.name])
    record = png_record(image.path) if prompt is None and image.path.suffix.lower() == ".png" else None
    said = prompt or (record or {}).get("prompt")
    if not isinstance(said, str) or not said.strip():
        raise ValueError(
            f"{image.name} does not say what it is a picture of; give one prompt for all images, "
            "or a table with the columns file and prompt"
        )
    check_prompt(said)
    return replace(image, prompt=said)
