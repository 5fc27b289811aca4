"""The model hub during one loading: each model is asked about once, and the answer is kept.

If the hub gives no answer, cached files count and it is not asked again, since every attempt takes `PATIENCE` seconds.
If something cannot be had, a `ValueError` of one line names it and the mend. Exports `Hub`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
PATIENCE = 10
"""Seconds to wait for the hub's first answer."""


class Hub:
    """The answers of the hub so far; one object for each loading."""

    def __init__(self) -> None:
        self._held: dict[str, list[str]] = {}
        self._fetched: dict[tuple[str, str], Path] = {}
        self._silence = ""

    def holds(self, model: str, *, asked: str = "") -> list[str] | None:
        """The files of a model; None if the hub gives no answer.

        Args:
            model: OWNER/NAME.
            asked: what the user named, if that is more than the model.

        Raises:
            ValueError: the hub has no such model.
        """
        if not HUB_ID.fullmatch(model):
            raise ValueError(
                f"unknown model {asked or model!r}: there is no such folder or file, and a hub id is OWNER/NAME; "
                "`fair-diffusion models` lists what is supported"
            )
        if self._silence or model in self._held:
            return self._held.get(model)
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            found = HfApi().model_info(model, timeout=PATIENCE)
        except RepositoryNotFoundError:
            raise ValueError(
                f"the hub has no model {model!r} that you may see, nor is there such a folder; correct the name, or "
                "log in with `hf auth login` if it is private"
            ) from None
        except Exception as error:  # any failure of the network; asking again would take half a minute
            self._silence = _first_line(error)
            return None
        self._held[model] = [file.rfilename for file in found.siblings or ()]
        return self._held[model]

    def file(self, model: str, file: str, *, asked: str = "") -> Path:
        """One file of a model, downloaded or cached.

        Raises:
            ValueError: it cannot be had.
        """
        if (model, file) not in self._fetched:
            self.holds(model, asked=asked)
            self._fetched[model, file] = _fetched(model, file, asked or model, silence=self._silence)
        return self._fetched[model, file]

    def folder(self, model: str, *, files: Sequence[str]) -> Path:
        """The folder with some files of a model, downloaded or cached.

        Args:
            model: OWNER/NAME.
            files: patterns of their paths.

        Raises:
            ValueError: it cannot be had.
        """
        self.holds(model)
        from huggingface_hub import snapshot_download

        try:
            found = snapshot_download(model, allow_patterns=list(files), local_files_only=bool(self._silence))
        except Exception as error:  # any failure of the network, of the rights, or of the cache
            said = self._silence or _first_line(error)
            raise ValueError(f"{model!r} is no folder here, and the hub does not give it ({said})") from error
        return Path(found)


def _fetched(model: str, file: str, asked: str, *, silence: str) -> Path:
    """Download a file, or take it from the cache.

    Args:
        silence: why the hub gave no answer; empty if it did.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(model, file, local_files_only=bool(silence)))
    except LocalEntryNotFoundError:
        raise ValueError(
            f"{asked!r} is no file or folder here and not cached, and the hub cannot be reached; correct the name, go "
            f"online once, or name a folder that has it (the hub said: {silence or 'nothing'})"
        ) from None
    except GatedRepoError:
        raise ValueError(
            f"{model!r} needs its licence accepted: accept it on its page of the hub, then log in with `hf auth login`"
        ) from None
    except EntryNotFoundError:
        raise ValueError(f"{model!r} has no {file} on the hub; name a model that diffusers can load") from None
    except HfHubHTTPError as error:
        raise ValueError(
            f"the hub does not give {file} of {model!r} ({_first_line(error)}); try again later, or name a folder that "
            "has it"
        ) from None


def _first_line(error: Exception) -> str:
    """The first line of an error, with its class, so that it is never empty."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
