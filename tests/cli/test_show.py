"""A result on the terminal: the table and the last lines, word by word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit_examples import GROUPS, TARGET, result

from fair_diffusion.audit.table import audit_rows
from fair_diffusion.cli.generate import tell
from fair_diffusion.cli.show import outcome
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.result import Result

JUDGE = Confusion(
    attribute="gender",
    groups=GROUPS,
    counts=[[400, 24, 0, 0], [0, 432, 0, 0], [0, 0, 104, 0]],
    measured_on="held-out drawings",
)


def drawn(women: int, men: int, unread: int = 0, *, quota: list[int] | None = None, steered: int = 0) -> Result:
    """A result with these labels of the judge, of 16 women and 16 men asked for unless `quota` says otherwise."""
    labels: list[str | None] = [*["woman"] * women, *["man"] * men, *[None] * unread]
    quota = quota or [16, 16, 0]
    made = result(labels, prompt="a photo of a firefighter")
    records = [
        replace(
            record, strength=float(k < steered), control="natural-first", perceived=record.judged, plain_evaluations=40
        )
        for k, record in enumerate(made.records)
    ]
    audit = audit_rows(labels, attribute="gender", groups=GROUPS, target=TARGET, quota=quota)
    return replace(made, records=records, audit=audit, perceived_audit=audit, requested=len(labels), confusions=[])


def plain(women: int, men: int) -> Result:
    labels: list[str | None] = [*["woman"] * women, *["man"] * men]
    made = result(labels, prompt="a photo of a firefighter", instructed=False)
    audit = audit_rows(labels, attribute="gender", groups=GROUPS, target=TARGET)
    return replace(made, audit=audit, perceived_audit=audit, seconds=26.4)


def said(made: Result) -> str:
    return outcome(made, made.plain, cost="plain", seconds="29 s")


def test_the_last_lines_say_what_was_delivered_done_and_spent(capsys: pytest.CaptureFixture[str]) -> None:
    made = replace(drawn(16, 16, steered=15), plain=plain(1, 31), confusions=[JUDGE])
    tell(made, Path("out/demo"), verbose=False)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        "a photo of a firefighter: because",
        "note: about a photo of a firefighter",
        " gender   asked   drawn   plain   people would see",
        " ─────────────────────────────────────────────────",
        " woman       16      16       1           16 to 19",
        " man         16      16      31           13 to 16",
        "16 of 32 women, as asked (plain: 1 of 32). 15 images steered, 17 untouched, none",
        "missed. 1.0× the cost of plain, 29 s with the plain twins. See",
        "out/demo/contact-sheet.png",
    ]


def test_what_differs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(drawn(15, 17)).startswith("15 of 32 women, 16 asked, within 5 points. No image steered, 32 untouched")
    assert said(drawn(14, 18)).startswith("14 of 32 women, 16 asked. ")
    assert said(replace(drawn(14, 18), confusions=[JUDGE])).startswith(
        "14 of 32 women, 16 asked; cannot tell: the difference is within the errors of the judge. "
    )
    assert said(drawn(12, 16, 4)).startswith("12 of 32 women, 16 asked; cannot tell: 4 images could not be read. ")
    assert said(drawn(8, 0, quota=[8, 0, 0])).startswith("8 of 8 women, as asked. ")
    tell(drawn(12, 16, 4), Path("out"), verbose=False)
    table = capsys.readouterr().out
    assert "possible" in table
    assert "12 to 16" in table
    assert "could not be read" in table


def test_more_than_two_groups_are_told_together() -> None:
    labels: list[str | None] = [*["woman"] * 3, *["man"] * 2, "androgynous"]
    rows = audit_rows(labels, attribute="gender", groups=GROUPS, target=[1 / 3] * 3, quota=[2, 2, 2])
    made = replace(result(labels), audit=rows, perceived_audit=rows)
    records = [replace(record, perceived=record.judged) for record in made.records]
    made = replace(made, records=records)  # both readers agree
    assert said(made).startswith("5 of 6 images as asked by gender. ")
    labels = ["woman", "man", "androgynous"]
    rows = audit_rows(labels, attribute="gender", groups=GROUPS, target=[1 / 3] * 3, quota=[1] * 3)
    made = replace(result(labels), audit=rows, perceived_audit=rows)
    assert said(made).startswith("3 of 3 images as asked by gender. ")


@pytest.mark.parametrize(
    ("women", "men", "words"),
    [
        (0, 8, "0 of 8 women, 50\u00a0% asked: misses. "),
        (10, 6, "10 of 16 women, 50\u00a0% asked; cannot tell: 16 images are too few to say what the process gives. "),
        (500, 500, "500 of 1,000 women, 50\u00a0% asked: meets. "),
    ],
)
def test_without_quotas_the_process_is_judged(women: int, men: int, words: str) -> None:
    labels: list[str | None] = [*["woman"] * women, *["man"] * men]
    rows = audit_rows(labels, attribute="gender", groups=GROUPS, target=TARGET)
    made = replace(result(labels), audit=rows, perceived_audit=rows)
    assert said(made).startswith(words)
    assert made.missed == ("misses" in words)


def test_the_verdict_is_on_these_images_and_giving_up_alone_is_no_miss() -> None:
    exact = drawn(16, 16)
    assert (exact.verdict, exact.audit[0].verdict) == ("meets", "cannot tell")
    gave_up = replace(exact, records=[replace(record, missed=record.index < 2) for record in exact.records])
    assert (gave_up.verdict, gave_up.counts()["missed"]) == ("meets", 2)
    assert "2 missed" in said(gave_up)
    summary: dict[str, Any] = exact.summary()
    assert summary["verdict"] == "meets"
    assert summary["delivered"][0]["groups"][0] == {
        **{"group": "woman", "quota": 16, "count": 16, "low": 16, "high": 16},
        **{"shared_low": None, "shared_high": None},
    }


def test_verbose_tells_the_process_and_how_far_shared_errors_go(capsys: pytest.CaptureFixture[str]) -> None:
    tell(replace(drawn(16, 16), confusions=[JUDGE]), Path("out"), verbose=True)
    shown = capsys.readouterr().out
    assert "the process, with 95 % intervals" in shown
    assert "33%–67%" in shown
    assert "if the judge made the very same errors as the perceiver, people would see 15 to" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
