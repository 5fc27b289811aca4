"""The originals of a rebalancing: the images of a folder, each with its prompt. The prompt comes from one of three:

one prompt for all            all pictures in the folder
a table `file,prompt`         the files that it names
the picture itself            the record or prompt in it, or the caption or `metadata.csv` beside it (`own_prompts`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from fair_diffusion.files.csv_rows import CsvErrors, inner_path
from fair_diffusion.files.guarded import InnerFile, Readable, content
from fair_diffusion.files.pictures import MAX_BYTES, open_picture
from fair_diffusion.files.tables import FILE, read_table
from fair_diffusion.files.text import printable
from fair_diffusion.readers.caption_text import CAPTIONS
from fair_diffusion.readers.folder import listed, no_images
from fair_diffusion.readers.own_prompts import own_prompt, prompts_beside
from fair_diffusion.request import MAX_IMAGES, check_prompt
from fair_diffusion.runs.format import SHEET
from fair_diffusion.runs.records import is_twin, png_record


@dataclass(frozen=True, slots=True)
class Original:
    """An image of the folder, not yet opened.

    Attributes:
        name: its name below the folder.
        path: its file.
        prompt: its prompt.
    """

    name: str
    path: Readable
    prompt: str

    def open(self) -> Image.Image:
        """The picture, upright and RGB.

        Raises:
            BrokenPicture: it cannot be read.
        """
        return open_picture(self.path, self.name)

    def copied(self, folder: Path) -> Original:
        """Copy the file into `folder`, under the same name; the original of the copy.

        Raises:
            ValueError: it is not opened, or is too large to be read; the message says why.
            OSError: it is not there, or cannot be read or written.
        """
        data, place = content(self.path, MAX_BYTES), folder / self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return replace(self, path=place)


@dataclass(frozen=True)
class Originals:
    """The images of a folder.

    Attributes:
        images: the images, in order of their names.
        broken: a line for each file that was left out.
        notes: remarks on the folder.
        rest: the files that are no pictures, or are left out as broken.
    """

    images: list[Original]
    broken: list[str]
    notes: list[str]
    rest: list[InnerFile] = field(default_factory=list)


def find_originals(
    folder: Path, *, prompt: str | None = None, prompts: Mapping[str, str] | None = None, n: int | None = None
) -> Originals:
    """Find the images below a folder, and their prompts.

    Args:
        folder: the folder.
        prompt: the prompt of all images.
        prompts: the prompt of each file.
        n: the number of images to take; all if None.

    Raises:
        ValueError: there are no images, one has no prompt, or more than `MAX_IMAGES` have the same prompt.
    """
    if prompt is not None and prompts is not None:
        raise ValueError("both a prompt and a table of prompts are given; give one")
    if n is not None and n < 1:
        raise ValueError(f"n is {n}: take at least 1 image")
    if prompt is not None:
        check_prompt(prompt)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one that holds images")
    table = None if prompts is None else {name: (said, "") for name, said in prompts.items()}
    listing = listed(folder, table, naming=False)
    originals, broken, notes = [], list(listing.broken), list(listing.notes)
    sheets, twins = [], 0
    for picture in listing.pictures:
        file = InnerFile(folder, picture.name)
        if printable(picture.name) != picture.name:
            broken.append(f"{printable(picture.name)}: a name with signs that cannot be printed; rename it")
        elif file.name == SHEET:
            sheets.append(picture.name)
        elif is_twin(file):
            twins += 1
        else:
            originals.append(Original(picture.name, file, ""))
    if sheets:
        notes.append(f"{', '.join(sheets)} left out: a run's own overview is no image of it")
    if twins:
        notes.append(f"the {twins} plain twins of a run were left out")
    if not originals:
        raise ValueError(no_images(folder, listing))
    if n is not None and n < len(originals):
        notes.append(f"the first {n} of {len(originals)} images were taken")
        originals = originals[:n]
    beside = prompts_beside(folder)[0] if prompt is None and prompts is None else {}
    images = [_prompted(image, prompt, prompts, beside) for image in originals]
    for text, count in Counter(image.prompt for image in images).items():
        if count > MAX_IMAGES:
            raise ValueError(
                f"{count} images of {text!r}, more than {MAX_IMAGES} of one prompt; take the first so many with -n, "
                "or rebalance them from several folders"
            )
    return Originals(images, broken, notes, listing.rest)


def read_prompts(path: Path) -> dict[str, str]:
    """Read a table `file,prompt`.

    Raises:
        ValueError: a line is wrong; the message names all of them. Or the table is empty.
    """
    by_file: dict[str, str] = {}
    errors = CsvErrors(path)
    for line, row in read_table(path, required=("file", "prompt"), also={"file": FILE, "prompt": CAPTIONS}):
        try:
            name = inner_path(row["file"])
            check_prompt(row["prompt"])
        except ValueError as error:
            errors.add(line, str(error))
            continue
        if name in by_file:
            errors.add(line, f"{name!r} stands there twice; keep one")
        by_file[name] = row["prompt"]
    errors.check()
    if not by_file:
        raise ValueError(f"{path} names no files; give one line per image")
    return by_file


def _prompted(
    image: Original, prompt: str | None, prompts: Mapping[str, str] | None, beside: Mapping[str, str]
) -> Original:
    if prompts is not None:
        return replace(image, prompt=prompts[image.name])
    record = png_record(image.path) if prompt is None and image.name.lower().endswith(".png") else None
    said = prompt or (record or {}).get("prompt") or beside.get(image.name)
    if not said and isinstance(image.path, InnerFile):
        said = own_prompt(image.path)
    if not isinstance(said, str) or not said.strip():
        raise ValueError(
            f"{image.name} does not say what it is a picture of; give one prompt for all images, "
            "or a table with the columns file and prompt"
        )
    check_prompt(said)
    return replace(image, prompt=said)
