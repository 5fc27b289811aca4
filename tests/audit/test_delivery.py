"""Deliveries: what these images show beside what was asked for, with unread images and readers that err."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fair_diffusion.audit.delivery import DIFFER, WITHIN_ERRORS, Delivery, delivery
from fair_diffusion.audit.transfer import DISAGREE, UNREAD, doubt
from fair_diffusion.perception.confusion import Confusion

JUDGE = Confusion(
    attribute="gender", groups=["woman", "man"], counts=[[400, 24, 0], [0, 432, 0]], measured_on="drawings"
)
PERCEIVER = Confusion(
    attribute="gender", groups=["woman", "man"], counts=[[400, 20, 4], [2, 430, 0]], measured_on="drawings"
)


def of(women: int, men: int, unread: int = 0, *, asked: tuple[int, int] = (16, 16), **told: Any) -> Delivery:
    quotas = {"woman": asked[0], "man": asked[1]}
    return delivery("gender", quotas, {"woman": women, "man": men}, unread=unread, **told)


def test_images_as_asked_are_as_asked() -> None:
    assert (of(16, 16).verdict, of(16, 16).exact, of(16, 16).reason) == ("meets", True, None)
    assert (of(1, 0, asked=(1, 0)).verdict, of(8, 8, asked=(8, 8)).verdict) == ("meets", "meets")
    assert (of(15, 17).verdict, of(15, 17).exact) == ("meets", False)  # one of 32 is within 5 points
    assert (of(14, 18).verdict, of(7, 9, asked=(8, 8)).verdict) == ("misses", "misses")


def test_unread_images_may_show_anything_but_for_those_given_up() -> None:
    found = of(400, 400, 200, asked=(500, 500))
    assert (found.verdict, found.reason) == ("cannot tell", "200 images could not be read")
    assert [(one.low, one.high) for one in found.groups] == [(400, 600), (400, 600)]
    assert of(300, 500, 200, asked=(600, 400)).verdict == "misses"  # 500 at most where 600 were asked for
    assert of(495, 495, 10, asked=(500, 500)).verdict == "meets"
    assert of(0, 0, 2, asked=(1, 1)).verdict == "cannot tell"
    assert of(0, 0, 2, asked=(1, 1), given_up=2).verdict == "misses"


def test_a_group_that_unread_images_may_make_too_many_is_open() -> None:
    asked = {"light": 10, "medium": 10, "dark": 10}
    found = delivery("skin_tone", asked, {"light": 10, "medium": 9, "dark": 9}, unread=2)
    assert (found.verdict, found.reason) == ("cannot tell", "2 images could not be read")  # 12 of 10 are too many
    assert delivery("skin_tone", asked, {"light": 10, "medium": 10, "dark": 9}, unread=1).verdict == "meets"


def test_what_people_would_see_decides_where_the_judge_errs_as_known() -> None:
    found = of(16, 16, confusion=JUDGE)
    assert (found.verdict, found.corrected) == ("meets", True)
    (women, men) = found.groups
    assert (women.low, men.high) == (16, 16)
    assert 18 <= women.high <= 20
    near = of(14, 18, confusion=JUDGE)
    assert (near.verdict, near.reason) == ("cannot tell", WITHIN_ERRORS)
    assert of(8, 24, confusion=JUDGE).verdict == "misses"
    # As many as asked by the judge, whose errors hide that people would see more than 5 points too many.
    hidden = replace(JUDGE, counts=[[800, 200, 0], [0, 1000, 0]])
    assert of(1000, 1000, asked=(1000, 1000), confusion=hidden).verdict == "misses"


def test_errors_that_both_readers_make_are_wider() -> None:
    alone = of(16, 16, confusion=JUDGE)
    assert alone.groups[0].shared_low is None
    found = of(16, 16, confusion=JUDGE, looked_at=60).groups[0]
    assert found.shared_low is not None
    assert found.shared_high is not None
    assert found.shared_low <= found.low
    assert found.shared_high >= found.high


def test_readers_that_disagree_more_than_their_errors_explain() -> None:
    counts = {"woman": 500, "man": 500}
    assert doubt(counts, 0, JUDGE, other=PERCEIVER, differ=60) is None
    assert doubt(counts, 0, JUDGE, other=PERCEIVER, differ=167) == DISAGREE
    assert doubt(counts, 0, JUDGE, other=None, differ=167) is None
    assert doubt(counts, 100, JUDGE) == UNREAD
    told: dict[str, Any] = {"asked": (500, 500), "confusion": JUDGE, "other": PERCEIVER}
    found = of(500, 500, **told, disputed={"woman": 100, "man": 67})
    assert (found.verdict, found.reason, found.corrected) == ("cannot tell", DISAGREE, False)
    assert [(one.low, one.high) for one in found.groups] == [(400, 567), (433, 600)]
    assert of(200, 800, **told, disputed={"woman": 100, "man": 67}).verdict == "misses"  # 267 women at most


def test_the_word_of_a_judge_whose_errors_are_unknown_is_no_miss_alone() -> None:
    # A request of one image, as requests with a ledger are: the perceiver reads what was assigned, the judge does not.
    one = of(0, 1, asked=(1, 0), disputed={"man": 1})
    assert (one.verdict, one.reason) == ("cannot tell", DIFFER.format("1 image"))
    assert [(group.low, group.high) for group in one.groups] == [(0, 1), (0, 1)]
    assert of(0, 1, asked=(1, 0), disputed={}).verdict == "misses"  # both readers see a man
    assert of(0, 1, asked=(1, 0)).verdict == "misses"  # there is no other reader
    assert of(0, 4, asked=(4, 0), disputed={"man": 3}).verdict == "misses"  # one of four is a man to both
    assert of(4, 0, asked=(4, 0), disputed={"woman": 1}).verdict == "meets"


def test_an_unread_image_is_open_once() -> None:
    found = of(2, 1, 1, asked=(2, 2), disputed={None: 1})
    assert [(group.low, group.high) for group in found.groups] == [(2, 3), (1, 2)]
    assert found.reason == "1 image could not be read"


def test_a_matrix_of_other_groups_corrects_nothing() -> None:
    quotas = {"woman × light": 2, "man × light": 2}
    found = delivery("gender × skin_tone", quotas, {"woman × light": 2, "man × light": 2}, confusion=JUDGE)
    assert (found.corrected, found.verdict) == (False, "meets")


def test_fewer_images_than_asked_and_mistakes() -> None:
    assert of(16, 0).reason == "16 of 32 images were drawn"
    with pytest.raises(ValueError, match="give both for the same groups"):
        delivery("gender", {"woman": 1}, {"man": 1})
    with pytest.raises(ValueError, match="no images of gender"):
        of(0, 0, asked=(0, 0))
