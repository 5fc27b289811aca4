"""The contact sheet: blocks of labelled images, one above the other, in one picture.

Every group has a colour that colour-blind people can tell apart (Okabe and Ito 2008), and letters, so that colour is
never the only sign. Images at the same place in two blocks should come from the same seed.
"""

import itertools
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

from fair_diffusion.audit.table import JOINT
from fair_diffusion.files.whole_file import whole_file

UNKNOWN = "unknown"

_OKABE_ITO = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_UNKNOWN_COLOUR = "#8C8C8C"
_INK, _QUIET, _PAPER, _RULE = "#1A1A1A", "#5A5A5A", "#FFFFFF", "#D9D9D9"

_SIDE = 96
_FRAME = 4
_GAP = 12
_MARGIN = 24
_BADGE = 18
_LARGEST_LINE = 16
_LONGEST_NAME = 80
"""Letters of a group's name in the legend."""
_LONGEST_TEXT = 2_000
"""Letters of a text that are drawn."""

# A point or a percent sign is needed: the group "over 60" has a number in its name.
_CONFIDENCE = re.compile(r"\s+(\d*\.\d+|\d+ ?%)\s*$")

_Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One block of a contact sheet.

    Attributes:
        title: text above the images. The first line is bold; the next lines (shares, intervals) are plain.
        images: the images in the order of their seeds.
        labels: one text per image, a group with or without a confidence, such as "woman 0.98". An empty text or
            "unknown" stands for an image that could not be read.
        marks: for each image whether to mark it as steered; None for no marks.
    """

    title: str
    images: Sequence[Image.Image]
    labels: Sequence[str]
    marks: Sequence[bool] | None = None


def contact_sheet(
    rows: Sequence[SheetRow],
    path: str | Path | None = None,
    *,
    groups: Sequence[str] | None = None,
    footer: str = "",
    columns: int = 8,
) -> Image.Image:
    """Draw blocks of labelled images, a legend and a note.

    Args:
        rows: the blocks, from top to bottom.
        path: file to write the picture to, or None; its suffix decides the format.
        groups: the groups in an order that fixes their colours, so that colours are the same on all sheets. Default:
            the groups that the labels name, in alphabetical order.
        footer: a note at the bottom, such as the reader of the labels.
        columns: images per line, 1 to 16. With eight, labels are readable at the width of a web page.

    Returns:
        The picture.

    Raises:
        ValueError: no rows or images, labels or marks that do not fit the images, or columns out of range.
    """
    _check(rows, columns)
    shown = {group_of(label) for row in rows for label in row.labels}
    order = [group for group in groups or () if group != UNKNOWN]
    order += sorted(shown - {*order, UNKNOWN})
    letters = _letters(order)
    pens = {group: (_OKABE_ITO[k % len(_OKABE_ITO)], letters[group]) for k, group in enumerate(order)}
    pens[UNKNOWN] = (_UNKNOWN_COLOUR, "?")

    columns = min(columns, max(len(row.images) for row in rows))
    width = max(_MARGIN * 2 + columns * (_SIDE + 2 * _FRAME + _GAP) - _GAP, 480)
    sheet = _Sheet(width)
    for row in rows:
        sheet.block(row, pens, columns)
    legend = {group: pen for group, pen in pens.items() if group in shown}
    sheet.legend(legend, marked=any(any(row.marks or ()) for row in rows))
    sheet.note(footer)
    picture = sheet.finished()
    if path is not None:
        kind = Image.registered_extensions().get(Path(path).suffix.lower())
        if kind is None:
            raise ValueError(f"{path} has no ending of a kind of picture; write it as in 'sheet.png'")
        with whole_file(Path(path)) as part:
            picture.save(part, kind)
    return picture


def group_of(label: str) -> str:
    """The group of a label: the label without its confidence."""
    return _CONFIDENCE.sub("", label).strip() or UNKNOWN


class _Sheet:
    """A picture that grows downwards: each method draws one part below the previous one."""

    def __init__(self, width: int) -> None:
        self.width, self.y = width, _MARGIN
        self.canvas = Image.new("RGB", (width, 256), _PAPER)
        self.draw = ImageDraw.Draw(self.canvas)

    def block(self, row: SheetRow, pens: dict[str, tuple[str, str]], columns: int) -> None:
        title, *details = row.title.split("\n")
        self.text(title, _font(16, bold=True), _INK)
        for detail in details:
            self.text(detail, _font(13), _QUIET)
        self.y += 10
        font, pitch = _font(12), _SIDE + 2 * _FRAME + _GAP
        marks = row.marks or [False] * len(row.images)
        for start in range(0, len(row.images), columns):  # pictures may lie in files: a line at a time is opened
            part = slice(start, start + columns)
            line = list(zip(row.images[part], row.labels[part], marks[part], strict=True))
            captions = [_wrap(label or UNKNOWN, font, pitch - 6) for _, label, _ in line]
            lines = max(len(caption) for caption in captions)
            self.room(_SIDE + 2 * _FRAME + 4 + 15 * lines + 10)
            for column, ((image, label, marked), caption) in enumerate(zip(line, captions, strict=True)):
                x = _MARGIN + column * pitch
                colour, letters = pens[group_of(label)]
                self.tile(image, x, colour, letters, marked)
                for k, text in enumerate(caption):
                    at = (x + _FRAME + _SIDE / 2, self.y + _SIDE + 2 * _FRAME + 4 + 15 * k)
                    self.draw.text(at, text, _INK, font, anchor="ma")
            self.y += _SIDE + 2 * _FRAME + 4 + 15 * lines + 10
        self.y += 14

    def tile(self, image: Image.Image, x: int, colour: str, letters: str, marked: bool) -> None:
        outer = _SIDE + 2 * _FRAME
        self.draw.rectangle((x, self.y, x + outer - 1, self.y + outer - 1), fill=colour)
        image, side = image.convert("RGB"), (_SIDE, _SIDE)
        if max(image.size) > _SIDE * min(image.size):  # so long that less than a row of pixels would be left
            image = image.resize((max(1, min(_SIDE, image.width)), max(1, min(_SIDE, image.height))))
        fitted = ImageOps.pad(image, side, Image.Resampling.LANCZOS, color=_PAPER)
        self.canvas.paste(fitted, (x + _FRAME, self.y + _FRAME))
        self.badge(x, self.y, colour, letters)
        if marked:
            self.mark(x + outer, self.y)

    def badge(self, x: int, y: int, colour: str, letters: str) -> int:
        """Draw a group's letters on its colour, and return the width in pixels."""
        font = _font(12, bold=True)
        wide = max(_BADGE, int(font.getlength(letters)) + 8)
        self.draw.rectangle((x, y, x + wide - 1, y + _BADGE - 1), fill=colour)
        self.draw.text((x + wide / 2, y + _BADGE / 2), letters, _readable_on(colour), font, anchor="mm")
        return wide

    def mark(self, right: int, top: int) -> None:
        """Draw a black folded corner with a white edge, which is visible on any picture."""
        self.draw.polygon([(right - 25, top), (right - 1, top), (right - 1, top + 24)], fill=_PAPER)
        self.draw.polygon([(right - 22, top), (right - 1, top), (right - 1, top + 21)], fill=_INK)

    def legend(self, pens: dict[str, tuple[str, str]], *, marked: bool) -> None:
        self.room(2)
        self.draw.line((_MARGIN, self.y, self.width - _MARGIN, self.y), fill=_RULE)
        self.y += 12
        font, x = _font(13), _MARGIN
        for text, pen in [*((name[:_LONGEST_NAME], pen) for name, pen in pens.items()), *[("steered", None)] * marked]:
            needed = 40 + int(font.getlength(text))
            if x > _MARGIN and x + needed > self.width - _MARGIN:
                x, self.y = _MARGIN, self.y + 26
            self.room(26)
            if pen is None:
                self.mark(x + 22, self.y)
                x += 22
            else:
                x += self.badge(x, self.y, *pen)
            self.draw.text((x + 7, self.y + _BADGE / 2), text, _INK, font, anchor="lm")
            x += 7 + int(font.getlength(text)) + 22
        self.y += 30

    def note(self, text: str) -> None:
        for line in text.split("\n") if text else []:
            self.text(line, _font(12), _QUIET)

    def text(self, text: str, font: _Font, colour: str) -> None:
        height = int(font.size * 1.4)
        for line in _wrap(text, font, self.width - 2 * _MARGIN):
            self.room(height)
            self.draw.text((_MARGIN, self.y), line, colour, font)
            self.y += height

    def room(self, height: int) -> None:
        """Make the canvas reach at least `height` pixels below the current line."""
        if self.y + height + _MARGIN > self.canvas.height:
            taller = Image.new("RGB", (self.width, 2 * (self.y + height + _MARGIN)), _PAPER)
            taller.paste(self.canvas)
            self.canvas, self.draw = taller, ImageDraw.Draw(taller)

    def finished(self) -> Image.Image:
        return self.canvas.crop((0, 0, self.width, self.y + _MARGIN))


def _font(size: int, *, bold: bool = False) -> _Font:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def _wrap(text: str, font: _Font, width: float) -> list[str]:
    """Break a text at spaces into lines of at most `width` pixels; an ellipsis ends a longer word."""
    lines = [""]
    for word in text[:_LONGEST_TEXT].split():
        if font.getlength(word) > width:
            fits = bisect_right(range(1, len(word)), width, key=lambda k: font.getlength(word[:k] + "…"))
            word = word[:fits] + "…"
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _letters(groups: Sequence[str]) -> dict[str, str]:
    """Letters for each group: the initials of its parts, with a number if another group has the same initials."""
    signs: dict[str, str] = {}
    for group in groups:
        initials = "".join(part.strip()[:1] for part in group.split(JOINT.strip())).upper()
        candidates = itertools.chain([initials], (f"{initials}{k}" for k in itertools.count(2)))
        signs[group] = next(sign for sign in candidates if sign not in signs.values())
    return signs


def _readable_on(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else _PAPER


def _check(rows: Sequence[SheetRow], columns: int) -> None:
    if not 1 <= columns <= _LARGEST_LINE:
        raise ValueError(f"columns is {columns}: give 1 to {_LARGEST_LINE} images per line")
    if not any(row.images for row in rows):
        raise ValueError("there are no images: give at least one row with an image")
    for row in rows:
        for name, values in (("labels", row.labels), ("marks", row.marks)):
            if values is not None and len(values) != len(row.images):
                counts = f"{len(row.images)} images and {len(values)} {name}"
                raise ValueError(f"row {row.title!r} has {counts}: give one per image")
