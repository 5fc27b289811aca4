"""A calibration: what people's labels say of the errors of readers, as plain data with a version, and its file.

`calibrating` makes one from labels. Its version is a hash of its content, so the same labels give the same version, and
a result can name what it was made with. Nothing is stored of the images, and no prompt: concepts that the vocabulary
does not know are counted together.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from fair_diffusion.files.schema import DamagedFile, read_json
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.reader_calibration import ReaderCalibration
from fair_diffusion.policy import Attribute, Attributes

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver

FORMAT = 2
"""Format of a file of a calibration."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibrations of some readers. `format` is that of the file."""

    readers: Sequence[ReaderCalibration]
    format: int = field(default=FORMAT, compare=False)

    def __post_init__(self) -> None:
        named = Counter((each.model, each.reader, each.attribute) for each in self.readers)
        if twice := [name for name, times in named.items() if times > 1]:
            raise ValueError(f"{' '.join(twice[0])} is calibrated twice; keep one")

    @cached_property
    def version(self) -> str:
        """A hash of the content, 12 letters."""
        content = json.dumps([each.plain() for each in self.readers], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def find(self, reader: str, model: str, attribute: Attribute) -> ReaderCalibration | None:
        """How a reader of the images of a model errs on an attribute, as it is defined; None if nothing is known."""
        for each in self.readers:
            if (each.reader, each.model, each.attribute) == (reader, model, attribute.name):
                return each if each.definition == attribute.digest else None
        return None

    def check_for(self, model: str, readers: Mapping[str, Perceiver] | None = None) -> None:
        """`ValueError` if it knows nothing of the images of `model`, or of these readers.

        Args:
            model: the model that is to draw by it.
            readers: the readers of its images, by "perceiver" and "judge". Nothing is said of those without a
                fingerprint here; their readings are taken for those of the labels.
        """
        models = sorted({each.model for each in self.readers})
        if model not in models:
            raise ValueError(
                f"calibration {self.version} is of labels of images of {', '.join(models) or 'no model'}, and tells "
                f"nothing of {model!r}; calibrate with labels of its images"
            )

        from fair_diffusion.models.fingerprint import of_reader

        told = [each for each in self.readers if each.model == model and each.fingerprint]
        own = {
            role: of_reader(reader) for role, reader in (readers or {}).items() if any(role == e.reader for e in told)
        }
        for each in told:
            if own.get(each.reader, each.fingerprint) != each.fingerprint:
                raise ValueError(
                    f"calibration {self.version} is of another {each.reader} of {model!r} ({_short(each.fingerprint)}) "
                    f"than this one ({_short(own[each.reader])}): its weights, number type, groups or words differ; "
                    "load that reader, or label images that this one has read and calibrate again"
                )

    def replacing(
        self, confusions: Sequence[Confusion], reader: str, model: str, defined: Attributes
    ) -> list[Confusion]:
        """The confusion matrices of a reader, with those that people's labels of its images give in their place.

        Args:
            confusions: those that are known otherwise.
            reader: the name of the reader.
            model: the model whose images it reads.
            defined: the attributes; labels of one by another definition tell nothing.
        """
        own = [each for name in defined if (each := self.find(reader, model, defined[name])) is not None]
        made = [one for each in own if (one := each.confusion(self.version)) is not None]
        anew = {one.attribute for one in made}
        return [*(one for one in confusions if one.attribute not in anew), *made]

    def save(self, path: Path) -> bool:
        """Write the file, whole or not at all. False, and nothing is written, if it holds this version already.

        Raises:
            ValueError: there is another file of this name.
            OSError: it cannot be written.
        """
        if self.replaced_in(path) == self.version:
            return False
        with whole_file(path) as part:
            part.write_text(self.text, encoding="utf-8")
        return True

    @classmethod
    def replaced_in(cls, path: Path) -> str | None:
        """The version of the calibration that a new one at `path` would replace; None if nothing is there.

        Raises:
            ValueError: there is something else, which no calibration replaces.
        """
        if not (path.exists() or path.is_symlink()):
            return None
        try:
            return cls.load(path).version
        except ValueError as error:
            raise ValueError(
                f"there is no calibration in {path} that a new one may replace ({error}); write the new one to another "
                "file, or move this one away first"
            ) from error

    @property
    def text(self) -> str:
        """The content of its file."""
        return json.dumps(self.plain(), indent=1) + "\n"

    def plain(self) -> dict[str, Any]:
        """As plain data, as the file has it."""
        return {"format": FORMAT, "version": self.version, "readers": [each.plain() for each in self.readers]}

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """The calibration in a file.

        Raises:
            ValueError: it holds none, or one of a newer format, or its content is not that of its version.
        """
        found = read_json(path, _FILE, FORMAT)
        made = cls(readers=found.readers)
        if made.version != found.version:
            raise DamagedFile(
                f"{path} was changed by hand: its content has the version {made.version}; calibrate again"
            )
        return made


@dataclass(frozen=True, kw_only=True)
class _File:
    """The content of a file."""

    version: str
    readers: list[ReaderCalibration]
    format: int = FORMAT


_FILE = TypeAdapter(_File)


def _short(fingerprint: str) -> str:
    """Its class and the first digits, for people."""
    return fingerprint[: fingerprint.find("sha256 ") + 19]
