"""The worker's side of an audit: what was sent or drawn becomes a study, and the study a report.

Pictures are read by the judge of the worker's model. Drawings are jobs of their own, which any worker may draw; the
audit waits for them and counts what their judge read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fair_diffusion.files.csv_rows import inner_path
from fair_diffusion.service import uploads
from fair_diffusion.service.alone import done_alone, end
from fair_diffusion.service.audit_body import COUNTS, PICTURES, AuditBody
from fair_diffusion.service.drawing_study import Drawn, drawing_study
from fair_diffusion.service.job import DONE, Job, UnknownJobError
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.tools import Tools, again

if TYPE_CHECKING:
    from fair_diffusion.audit.numbers import Numbers
    from fair_diffusion.readers.findings import Findings

WAIT = 0.5
"""Seconds between two looks at drawings that are not over."""
HEADLINES = 4
"""Sentences of the report that a list of audits shows."""


def audits(job: Job) -> bool:
    """Whether a job audits."""
    return job.kind.startswith("audit ")


class Audit:
    """Does one job, which was just claimed.

    Args:
        tools: of the worker.
        job: the job.
    """

    def __init__(self, tools: Tools, job: Job) -> None:
        self._tools, self._job = tools, job
        tools.holding.add(job)

    def do(self) -> None:
        """Audit until the job has ended or is given back."""
        done_alone(self._tools, self._job, self._done)

    def _done(self) -> None:
        body = AuditBody.of(self._job.body)
        with TemporaryDirectory(prefix="fair-diffusion-audit-") as folder:
            try:
                self._report(body, Path(folder))
            except ValueError as error:  # its message may name a file of ours
                raise ValueError(str(error).replace(f"{folder}/", "")) from None

    def _report(self, body: AuditBody, folder: Path) -> None:
        from fair_diffusion.audit.numbers import numbers
        from fair_diffusion.report.report import report

        findings = self._findings(body, folder)
        study = replace(findings.study, title=body.title, audited=date.today().isoformat())
        found = numbers(study, images=findings.images)
        tools, job = self._tools, self._job
        page = report(found).encode()
        put = partial(tools.images.put, page, media="text/html", key=job.key, job=job.id, kept=tools.kept)
        result = {"report": again(put), "said": _said(found), "missed": found.missed}
        kept = replace(body, text="", pictures=[]).stored()  # nothing that was sent is kept
        if end(tools, job, DONE, result=result, body=kept) and body.upload:
            hashes = [digest for _, digest in body.pictures]
            uploads.forget(tools.images, hashes, key=job.key, upload=body.upload)

    def _findings(self, body: AuditBody, folder: Path) -> Findings:
        from fair_diffusion.readers.counts import read_counts
        from fair_diffusion.readers.target import read_target

        if body.subject == COUNTS:
            table = folder / "counts.csv"
            table.write_text(body.text, encoding="utf-8")
            return read_counts(table)
        if body.subject == PICTURES:
            self._unpack(body, folder / "pictures")
            (folder / "scratch").mkdir()
            judge = self._tools.pipe.judge
            return read_target(
                folder / "pictures", scratch=folder / "scratch", reader=judge, progress=lambda *_: self._check()
            )
        return drawing_study(self._tools, self._drawings(body), folder)

    def _unpack(self, body: AuditBody, into: Path) -> None:
        for name, digest in body.pictures:
            self._check()
            path = into / inner_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._tools.images.get(digest, key=uploads.owner(self._job.key, body.upload))[0])

    def _drawings(self, body: AuditBody) -> Sequence[Drawn]:
        """The drawings, once all of them are over."""
        jobs = Jobs(self._tools.claims.database)
        found = list[Drawn]()
        for k, (concept, name) in enumerate(body.drawings):
            job = self._over(jobs, name)
            plain = self._over(jobs, job.body["plain"]) if job is not None and job.body.get("plain") else None
            if job is not None and (job.result or {}).get("images"):
                found.append(Drawn(concept, job, plain))
            self._tools.claims.progress(self._job, {"step": k + 1, "steps": len(body.drawings)})
        if not found:
            raise ValueError("none of the images could be drawn; look at the drawings, and start the audit again")
        return found

    def _over(self, jobs: Jobs, name: str) -> Job | None:
        """A job, once it is over; None if it is forgotten."""
        while True:
            self._check()
            try:
                job = jobs.get(name)
            except UnknownJobError:
                return None
            if job.over:
                return job
            time.sleep(WAIT)

    def _check(self) -> None:
        """`KeyboardInterrupt` if nobody waits for the audit any more, or the worker's time is over."""
        if self._tools.vain(self._job):
            raise KeyboardInterrupt


def _said(found: Numbers) -> list[str]:
    """The first sentences of a report."""
    from fair_diffusion.report.headline import headlines

    unit: Any = found.study.unit
    told = headlines(found.lines, found.deviations, found.relations, unit=unit, reference=found.reference)
    return [one.lead for one in told][:HEADLINES]
