"""Work folders: what is drawn over several calls, beside a file with the settings that all of it shares.

A call with the same settings goes on from what the folder holds. A call with other settings is refused, so that one
folder never mixes images that were made differently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter

from fair_diffusion.files.durable import PART
from fair_diffusion.files.new_folder import check_new
from fair_diffusion.files.schema import EXACT, DamagedFile, read_json
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.runs.format import FORMAT, SETTINGS

Settings = Mapping[str, Any]
"""Settings by name, as plain data. A setting that is missing counts as None."""
_SETTINGS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, JsonValue], config=EXACT)


@dataclass(frozen=True, kw_only=True)
class WorkFolder:
    """A work folder, which need not exist yet.

    Attributes:
        path: the folder.
        file: the name of the file of settings.
        format: the newest format of that file that this version reads.
        kind: what the folder holds, for messages: "suite", "comparison".
    """

    path: Path
    file: str
    format: int
    kind: str

    def check(self, settings: Settings, *, undecided: Collection[str] = ()) -> None:
        """Check that `claim` would accept these settings; nothing is left behind.

        Args:
            settings: what a call wants to draw with.
            undecided: settings that are not compared, because they are not known yet.

        Raises:
            ValueError: a setting differs, the file of settings is damaged or has a newer format, the folder holds
                something else, or it cannot be written.
        """
        if self.agrees(settings, undecided=undecided):
            return
        if self.path.is_dir() and any(not path.name.startswith(PART) for path in self.path.iterdir()):
            raise ValueError(
                f"{self.path} is no work folder: it is not empty and holds no {self.kind}; name another one"
            )
        check_new(self.path)

    def claim(self, settings: Settings) -> None:
        """Write the settings into a new folder, or check that an old one has the same.

        It is called when the first result is there, so that a call that draws nothing leaves no folder.

        Raises:
            ValueError: as for `check`.
        """
        self.check(settings)
        self.join(settings)

    def join(self, settings: Settings) -> None:
        """As `claim`, for one of several processes at once: the folder is not looked at, but for its settings.

        Raises:
            ValueError: a setting differs, or the file of settings is damaged or has a newer format.
        """
        if not self.agrees(settings):
            self.path.mkdir(parents=True, exist_ok=True)
            with whole_file(self._file) as part:
                text = json.dumps({"format": self.format, **settings}, indent=2)
                part.write_text(text + "\n", encoding="utf-8")
            self.agrees(settings)  # another worker may have written others

    def agrees(self, settings: Settings, *, undecided: Collection[str] = ()) -> bool:
        """Whether the folder has settings, which are then the same ones. Nothing is made to find out.

        Raises:
            ValueError: a setting differs, or the file of settings is damaged or has a newer format.
        """
        before = self.settings()
        if before is None:
            return False
        now = json.loads(json.dumps(settings))
        name = changed(_without(before, undecided), _without(now, undecided))
        if name is not None:
            raise ValueError(
                f"{self.path} was drawn with {name} {before.get(name)!r}, not {now.get(name)!r}; name another work "
                "folder, or ask for the same"
            )
        return True

    def settings(self) -> dict[str, Any] | None:
        """The settings in the folder; None if it has none yet.

        Raises:
            ValueError: the file of settings is damaged or has a newer format.
        """
        if not self._file.is_file():
            return None
        try:
            settings = read_json(self._file, _SETTINGS, self.format)
        except DamagedFile as error:
            raise DamagedFile(f"{error}; draw again in another work folder") from error
        settings.pop("format", None)
        return settings

    @property
    def _file(self) -> Path:
        return self.path / self.file


def suite_folder(path: Path) -> WorkFolder:
    """A folder as the work folder of a suite."""
    return WorkFolder(path=path, file=SETTINGS, format=FORMAT, kind="suite")


def changed(before: Settings, now: Settings) -> str | None:
    """The name of the first setting that differs, or None. Both hold what JSON can hold: lists, and no tuples."""
    return next((name for name in {**before, **now} if before.get(name) != now.get(name)), None)


def slug(text: str) -> str:
    """The text as a readable part of a file name. Different texts may have the same one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]


def _without(settings: Settings, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}
