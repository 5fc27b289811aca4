"""The pages that there are, in the order in which they are linked, and who may open them."""

from __future__ import annotations

from dataclasses import dataclass

from fair_diffusion.service.keys import CLIENT, OPERATOR, RATER


@dataclass(frozen=True)
class Entry:
    """A page that is linked from every page.

    Attributes:
        path: below the studio.
        title: what it is called.
        said: what it is for, in one sentence.
        roles: who may open it.
    """

    path: str
    title: str
    said: str
    roles: tuple[str, ...] = (OPERATOR,)


ALL = (CLIENT, OPERATOR, RATER)
ENTRIES = (
    Entry("instruct", "Instruct", "Say what to draw and whom it should show, and look at it.", (OPERATOR, CLIENT)),
    Entry("label", "Label", "Say what people see in pictures, and learn how far readers err.", (OPERATOR, RATER)),
    Entry("streams", "Streams", "What all images of a rule show so far, and what calls for a look."),
    Entry("policies", "Policies", "Which proportions hold for whom, since when, and why."),
    Entry("audits", "Audits", "Count whom a model, a folder of pictures or a table shows."),
    Entry("card", "System card", "One page for everybody who asks how this works and how well."),
)
"""Each has a file of its name in `pages/`, and an icon of its name in `templates/icons.html.j2`."""


@dataclass(frozen=True)
class Link:
    """An entry, and whether the page is it or below it."""

    entry: Entry
    current: bool


def links(role: str, path: str) -> list[Link]:
    """The pages that somebody of a role may open.

    Args:
        role: of the key.
        path: of the page that is shown, below the studio.
    """
    return [Link(each, path.split("/")[0] == each.path) for each in ENTRIES if role in each.roles]
