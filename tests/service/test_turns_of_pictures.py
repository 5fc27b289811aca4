"""Turns of images that are drawn already: of the groups that show, as far as the stream leaves a choice."""

from __future__ import annotations

from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.streams import Counted

HALF = uniform("gender")
WOMAN, MAN = ("woman",), ("man",)


def test_what_shows_goes_first_wherever_the_stream_leaves_a_choice(database: Database) -> None:
    claims, jobs, shown = Claims(database, "one"), Jobs(database), []
    cells = list(HALF.shares)
    for natural in (MAN, MAN, WOMAN, WOMAN, None, None, MAN):
        jobs.put("draw", {})
        (job,) = claims.claim(["draw"])
        turn = claims.reserve(job, rule="nurse", target=HALF, n=1, model="other", natural=[natural])
        (cell,) = [cell for cell, quota in zip(cells, turn.quotas, strict=True) if quota]
        assert claims.reserve(job, rule="nurse", target=HALF, n=1, model="other", natural=[WOMAN]).quotas == turn.quotas
        claims.end(job, counted=[Counted(turn, [cell], [cell], [cell])])
        shown.append(cell)
    assert shown[:4] == [MAN, WOMAN, WOMAN, MAN]
    assert sorted(shown[4:6]) == [MAN, WOMAN]
    assert shown[6] == MAN


def test_images_of_one_turn_are_of_what_shows_as_far_as_the_target_allows(database: Database) -> None:
    claims, jobs = Claims(database, "one"), Jobs(database)
    for natural, women in (([MAN] * 3, 1), ([WOMAN] * 3, 2), ([WOMAN, WOMAN, None], 2)):
        jobs.put("draw", {})
        (job,) = claims.claim(["draw"])
        turn = claims.reserve(job, rule=str(natural), target=HALF, n=3, model="other", natural=natural)
        assert turn.quotas == [women, 3 - women, 0]
        claims.end(job)
