"""The study of a drawing: the errors of the judge that read its images, not of the one that is loaded later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fair_diffusion.audit.study import Study
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.policy import Policy
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import result_of
from fair_diffusion.service.drawing_study import INSTRUCTED, Drawn, drawing_study
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Job
from fair_diffusion.service.jobs import Jobs

THEN = Confusion(attribute="gender", groups=["woman", "man"], counts=[[8, 2, 0], [1, 9, 0]], measured_on="then")
NOW = replace(THEN, measured_on="now")
BODY = DrawBody(prompt="a photo of a nurse", n=2, seed=1, steps=2, guidance=2.0, method="prompt")


def _job(database: Database, judged: str, *, method: str = "prompt", **kept: Any) -> Job:
    """A job whose two images read so, and that keeps so much."""
    asked, _ = Jobs(database).put("draw pocket", replace(BODY, method=method).stored(), key="key_1", images=2)
    claims = Claims(database, "w")
    (held,) = claims.claim(["draw pocket"])
    images = [
        {
            "file": f"{k}" * 64,
            "judged": {"gender": judged},
            "assigned": {"gender": group},
            "confidence": {"gender": 0.9},
        }
        for k, group in enumerate(("woman", "man"))
    ]
    claims.end(held, result={"images": images, **kept})
    return Jobs(database).get(asked.id)


def _found(database: Database, folder: Path, drawn: Sequence[Drawn], policy: Policy) -> Study:
    pipe = SimpleNamespace(judge_confusions=lambda _: [NOW])
    tools: Any = SimpleNamespace(
        pipe=pipe, policy_for=lambda _: policy, model="pocket", images=Images(database, folder / "images")
    )
    return drawing_study(tools, drawn, folder).study


def _study(database: Database, folder: Path, **kept: Any) -> list[Confusion]:
    """The judge's errors in the study of a job that keeps so much."""
    drawn = [Drawn("nurse", _job(database, "woman", **kept), None)]
    return list(_found(database, folder, drawn, Policy()).confusions)


def test_each_of_several_ways_is_a_source_beside_the_plain_twins(database: Database, tmp_path: Path) -> None:
    plain, switched, pushed = (
        _job(database, judged, method=method)
        for judged, method in (("woman", "none"), ("woman", "switch"), ("man", "semantic"))
    )
    drawn = [Drawn("nurse", switched, plain), Drawn("nurse", pushed, None)]
    study = _found(database, tmp_path, drawn, Policy.from_sentence("nurse: half women, half men"))
    assert [(one.name, one.kind, one.asked) for one in study.sources] == [
        ("plain", "plain", False),
        ("switch", "instructed", True),
        ("semantic", "instructed", True),
    ]
    counts = {one.source: one.counts["man"] for one in study.tallies if one.attribute == "gender"}
    assert counts == {"plain": 0, "switch": 0, "semantic": 2}
    assert [(one.source, one.counts["man"]) for one in study.quotas] == [("switch", 1), ("semantic", 1)]


def test_the_errors_are_those_that_the_job_keeps(database: Database, tmp_path: Path) -> None:
    assert _study(database, tmp_path, confusions=[asdict(THEN)]) == [replace(THEN, sources=[INSTRUCTED])]
    assert _study(database, tmp_path, confusions=[]) == []
    assert _study(database, tmp_path) == [replace(NOW, sources=[INSTRUCTED])]  # of a job that is older


def test_a_job_keeps_the_errors_of_its_judge() -> None:
    result: Any = SimpleNamespace(
        **{"records": [], "images": [], "rule": None, "reason": "", "notes": [], "seconds": 1.0},
        **{"confusions": [THEN], "readers": {"judge": "Reader, sha256 1"}},
    )
    told = result_of(result, [], [], SimpleNamespace(rule=None))  # type: ignore[arg-type]
    assert told["confusions"] == [asdict(THEN)]
    assert told["readers"] == {"judge": "Reader, sha256 1"}
