"""File names, prompts and captions from outside, made safe to show."""

from __future__ import annotations

import os
import re
from pathlib import Path, PureWindowsPath

_FOLDERS = re.compile(r"""(?<![\w./<~])~?/(?:[^/\s'"][^/\0\n'"]*/)+""")
"""The folders of an absolute path in a text, with the last slash."""


def printable(text: str) -> str:
    """`text` with every invisible character written as an escape: safe to print and to store."""
    if text.isprintable():  # nearly all texts; an audit has hundreds of thousands
        return text
    decoded = text.encode("utf-8", "surrogatepass" if _lone(text) else "surrogateescape")
    text = decoded.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def public(text: str) -> str:
    """What a user named, without the folders that it lies in: they may tell the user's name.

    Args:
        text: a file, a folder, or a name on the model hub, which stays as it is; with a kind and a comma, as
            perceivers are named, each part by itself: "clip:FOLDER,FILE".
    """
    kind, colon, rest = text.partition(":")
    if colon and kind.isidentifier() and len(kind) > 1:
        return f"{kind}:{','.join(map(_last_part, rest.split(',')))}"
    return _last_part(text)


def absolute(text: str) -> str:
    """What a user named, with the absolute paths of files that are there; with a kind and commas as for `public`."""
    head, colon, rest = text.rpartition(":")
    parts = (str(Path(part).absolute()) if is_there(part) else part for part in rest.split(","))
    return head + colon + ",".join(parts)


def without_folders(text: str) -> str:
    """A message in which files are called by the last parts of their absolute paths."""
    return _FOLDERS.sub("", text)


def _last_part(text: str) -> str:
    """The last part of a path; a name that is none stays as it is."""
    windows = PureWindowsPath(text)
    if "\\" in text and (windows.drive or windows.root):
        return windows.name
    if not (text.startswith(("/", "~", ".")) or is_there(text)):
        return text
    path = Path(os.path.abspath(Path(text)))  # noqa: PTH100  (a link keeps its own name)
    if path.parent.name == "snapshots":  # of the hub's cache
        return path.parent.parent.name.removeprefix("models--").replace("--", "/")
    return path.name or text


def is_there(text: str) -> bool:
    """Whether a text names a file or folder."""
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _lone(text: str) -> bool:
    """Whether a text holds surrogates that stand for no bytes of a file name, as JSON may."""
    return any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in text)
