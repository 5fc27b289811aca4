"""One name for all spellings of a prompt, a concept or a source that `policy.spelling` compares as the same."""

from __future__ import annotations

from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.spelling import plain
from fair_diffusion.policy.words import phrase

SHOWN = 5
"""How many names a note shows."""
_ARTICLES = ("a", "an", "the")


class Spellings:
    """The names of one table or folder; the first spelling that occurs is the name."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.others: dict[str, str] = {}

    def one(self, text: str) -> str:
        """The name of `text`."""
        name = self.names.setdefault(_compared(text), text)
        if name != text:
            self.others[text] = name
        return name

    def notes(self, what: str) -> list[str]:
        """A note on the names that were counted as another."""
        shown = [f"{other[:40]!r} with {name[:40]!r}" for other, name in self.others.items()]
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        return [f"{what} counted together: {', '.join(shown[:SHOWN])}{more}"] if shown else []


def _compared(text: str) -> str:
    """A name as it is compared. An article before an occupation and blanks in it do not matter: "a fire fighter"."""
    article, *rest = words = phrase(text)[:10] or ("",)
    if article in _ARTICLES and tuple(rest) in known():
        words = tuple(rest)
    return "".join(words) if words in known() else plain(text)
