from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.report.contact_sheet import SheetRow, contact_sheet, group_of

BLUE, ORANGE, GREY, BLACK = (0, 114, 178), (230, 159, 0), (140, 140, 140), (26, 26, 26)


def pixels(image: Image.Image, colour: tuple[int, int, int]) -> int:
    values: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    return int((values == np.array(colour)).all(axis=-1).sum())


def row(labels: list[str], marks: list[bool] | None = None, size: tuple[int, int] = (32, 32)) -> SheetRow:
    images = [Image.new("RGB", size, "#ff00ff") for _ in labels]
    return SheetRow(title="title\nwoman 1 of 2", images=images, labels=labels, marks=marks)


@pytest.mark.parametrize(
    ("label", "group"),
    [
        ("woman 0.98", "woman"),
        ("woman × dark 1.00", "woman × dark"),
        ("man 98%", "man"),
        ("man", "man"),
        ("over 60", "over 60"),
        ("over 60 0.71", "over 60"),
        ("", "unknown"),
        ("unknown", "unknown"),
        ("unknown 0.40", "unknown"),
    ],
)
def test_group_of_a_label(label: str, group: str) -> None:
    assert group_of(label) == group


def test_the_sheet_shows_every_image_in_full() -> None:
    sheet = contact_sheet([row(["woman 0.98"] * 20)])
    # The badge with the group's letter covers a corner of each 96 × 96 picture.
    assert pixels(sheet, (255, 0, 255)) >= 20 * (96 * 96 - 20 * 14)


def test_lines_wrap_at_the_number_of_columns() -> None:
    one, two = contact_sheet([row(["man"] * 4)], columns=4), contact_sheet([row(["man"] * 5)], columns=4)
    assert one.width == two.width
    assert two.height > one.height + 96


def test_groups_keep_their_colours_whatever_the_labels() -> None:
    for labels in (["woman 0.9", "man 0.9"], ["man 0.9", "man 0.8"]):
        sheet = contact_sheet([row(labels)], groups=["woman", "man", "androgynous"])
        assert pixels(sheet, BLUE) > 1000
        assert (pixels(sheet, ORANGE) > 1000) == ("woman 0.9" in labels)


def test_unread_images_are_grey() -> None:
    assert pixels(contact_sheet([row(["man 0.9", ""])]), GREY) > 1000
    assert pixels(contact_sheet([row(["man 0.9"])]), GREY) < 50


def test_marked_images_have_a_dark_corner() -> None:
    plain, marked = contact_sheet([row(["man", "man"])]), contact_sheet([row(["man", "man"], [True, False])])
    assert pixels(marked, BLACK) > pixels(plain, BLACK) + 300


def test_many_joint_groups_and_odd_images_fit() -> None:
    labels = [f"{a} × {b} 0.5" for a in ("woman", "man", "androgynous") for b in ("dark", "medium", "mild")]
    sheet = contact_sheet([row(labels, size=(20, 50)), row([], size=(1, 1))], footer="note " * 100)
    assert sheet.width == contact_sheet([row(labels)]).width
    values = np.asarray(sheet)
    assert (values[:, -20:] == 255).all()
    assert (values[-20:] == 255).all()


def test_the_sheet_is_written_and_repeatable(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    sheet = contact_sheet([row(["woman", "man"])], path)
    with Image.open(path) as written:
        assert np.array_equal(np.asarray(written), np.asarray(sheet))
    assert np.array_equal(np.asarray(contact_sheet([row(["woman", "man"])])), np.asarray(sheet))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="there are no images"):
        contact_sheet([])
    with pytest.raises(ValueError, match="columns is 17: give 1 to 16"):
        contact_sheet([row(["man"])], columns=17)
    with pytest.raises(ValueError, match="has 1 images and 2 marks: give one per image"):
        contact_sheet([row(["man"], [True, False])])


@pytest.mark.parametrize("size", [(2048, 4), (4, 2048), (2048, 8), (1, 1)])
def test_pictures_of_any_shape_have_their_tile(size: tuple[int, int]) -> None:
    sheet = contact_sheet(
        [SheetRow(title="t", images=[Image.new("RGB", size, "red")], labels=["woman 1.00"], marks=[False])]
    )
    reds = sum(count for count, colour in sheet.getcolors(1 << 24) or [] if colour == (255, 0, 0))
    assert reds > 0


def test_one_word_without_end_takes_no_longer_than_a_short_one() -> None:
    row = SheetRow(title="x" * 32_000, images=[Image.new("RGB", (8, 8))], labels=["y" * 32_000])
    assert contact_sheet([row]).width < 1_000
