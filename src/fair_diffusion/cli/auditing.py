"""What `fair-diffusion audit` and `audit-suite` share: one subject, compared, written and printed.

Exports `Subject`, and `run`, which audits one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Auditing, Loading
from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.scaling import Scale
from fair_diffusion.cli.suite_order import Order, drawn, drawn_by_workers
from fair_diffusion.cli.usage import MISSED, usage_errors
from fair_diffusion.files.text import public

if TYPE_CHECKING:
    import pyarrow as pa

    from fair_diffusion.audit.numbers import Numbers
    from fair_diffusion.audit.study import Study
    from fair_diffusion.perception.perceiver import Perceiver
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Attributes
    from fair_diffusion.readers.findings import Findings
    from fair_diffusion.readers.kid_reference import KidReference

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is audited: a target that is read, or a suite that a model draws first.

    Attributes:
        findings: audits it.
        reader: reads its pictures; None if its records or counts tell.
        by: what the reader is called.
        groups: those that it may find, by attribute; None if they are not known before.
        pictures: the folder of its pictures.
    """

    findings: Callable[[], Findings]
    reader: Perceiver | None
    by: str | None
    groups: Mapping[str, Sequence[str]] | None
    pictures: Path

    @classmethod
    def target(
        cls,
        target: Path,
        *,
        perceiver: str | None,
        concepts: Path | None,
        attributes: list[str] | None,
        defined: Attributes | None,
        scratch: Path,
    ) -> Subject:
        """What lies in `target`. `ValueError` if there is no such perceiver."""
        from fair_diffusion.perception.opening import open_perceiver
        from fair_diffusion.readers.target import read_target

        reader = open_perceiver(perceiver) if perceiver else None

        def findings() -> Findings:
            with counting("reading") as progress:
                return read_target(
                    target,
                    scratch=scratch,
                    perceiver=perceiver,
                    reader=reader,
                    concepts=concepts,
                    attributes=attributes,
                    defined=defined,
                    progress=progress,
                )

        groups = reader.groups if reader else None
        return cls(findings=findings, reader=reader, by=perceiver and public(perceiver), groups=groups, pictures=target)

    @classmethod
    def suite(
        cls,
        order: Order,
        pipe: FairPipeline,
        *,
        by: str | None,
        attributes: list[str] | None,
        defined: Attributes | None,
        scratch: Path,
    ) -> Subject:
        """What `pipe`, whose judge is called `by`, draws by `order`."""
        return cls(
            findings=lambda: drawn(order, pipe, attributes=attributes, scratch=scratch),
            reader=pipe.judge,
            by=by and public(by),
            groups=_recorded(pipe.judge, defined),
            pictures=order.work,
        )

    @classmethod
    def suite_by_workers(
        cls,
        order: Order,
        scale: Scale,
        loading: Loading,
        *,
        reads: bool,
        attributes: list[str] | None,
        defined: Attributes | None,
        scratch: Path,
    ) -> Subject:
        """What workers draw by `order`; `reads` says whether the judge itself is needed here."""
        from fair_diffusion.perception.opening import open_perceiver

        by = loading.get("judge")
        judge = open_perceiver(by or "judge") if reads else None
        return cls(
            findings=lambda: drawn_by_workers(order, scale, loading, attributes=attributes, scratch=scratch),
            reader=judge,
            by=by and public(by),
            groups=_recorded(judge, defined) if judge else None,
            pictures=order.work,
        )


def run(
    asked: Auditing,
    opened: Callable[[Path], Subject],
    *,
    own_sources: bool = False,
    defined: Attributes | None = None,
) -> None:
    """Audit one subject: compare it as asked, write it, print it, and exit with code 3 if it misses a target.

    Args:
        asked: the options that both verbs have.
        opened: makes the subject, given a folder for pictures that have no file of their own.
        own_sources: whether the reference may be a source of the subject itself.
        defined: the definitions of the attributes that labels and the reference may name; the built-in ones if None.
    """
    with usage_errors(), TemporaryDirectory() as folder:
        from fair_diffusion.audit.numbers import numbers
        from fair_diffusion.files.new_folder import check_new
        from fair_diffusion.perception.human import HumanLabels
        from fair_diffusion.readers.human_labels import check_labels, with_labels
        from fair_diffusion.readers.reference import find_reference, with_reference

        scratch, out, table = Path(folder), asked.get("out"), asked.get("human_labels")
        if out is not None:
            check_new(out)
        named = asked.get("reference")
        compared = None
        if named:
            compared = find_reference(named, scratch=scratch, own_sources=own_sources, defined=defined)
        labels = HumanLabels.load(table, defined) if table else None
        subject = opened(scratch)
        if labels and table and subject.groups:
            check_labels(labels, subject.groups, table=table.name)
        kid_reference = measure_by(asked["quality_reference"], subject) if "quality_reference" in asked else None
        findings = subject.findings()
        if labels and table:
            findings = with_labels(findings, labels, table=table.name)
        if kid_reference:
            with counting("measuring quality") as progress:
                findings = kid_reference.measured(findings, subject.pictures, progress=progress)
        today = replace(findings.study, audited=findings.study.audited or date.today().isoformat())
        study, data = with_reference(today, compared) if compared is not None else (today, None)
        found = numbers(study, images=findings.images, reference=data)
        if out is not None:
            write(study, found, findings.images, out)
    if asked.get("as_json"):
        say_json(found.plain())
    else:
        from fair_diffusion.cli.study_table import show

        show(found)
        if out is not None:
            say(f"see {out / PAGE}")
    if found.missed:
        raise typer.Exit(MISSED)


def measure_by(pictures: Path, subject: Subject) -> KidReference:
    """The pictures that quality is measured by, as the reader of `subject` sees them; as the judge does if it has none.

    `ValueError` if they are too few or the reader has no features."""
    from fair_diffusion.perception.opening import open_perceiver
    from fair_diffusion.readers.kid_reference import KidReference

    with counting("looking at the reference") as progress:
        return KidReference.of(
            pictures, subject.reader or open_perceiver("judge"), by=subject.by or "judge", progress=progress
        )


def write(study: Study, found: Numbers, images: pa.Table | None, out: Path) -> None:
    """The study with the rows of its images, and its numbers as a report and as tables, into a new folder."""
    from fair_diffusion.audit.folder import write_study
    from fair_diffusion.files.new_folder import new_folder
    from fair_diffusion.report.line_tables import write_lines
    from fair_diffusion.report.report import report

    page = report(found)
    with new_folder(out) as part:
        write_study(study, part, images)
        write_lines(found, part)
        (part / PAGE).write_text(page, encoding="utf-8")


def _recorded(judge: Perceiver, defined: Attributes | None) -> dict[str, Sequence[str]]:
    """The groups that records of what `judge` reads count: all that a defined attribute has, whichever it knows."""
    from fair_diffusion.policy.attributes import every_group

    return {name: every_group(name, groups, defined) for name, groups in judge.groups.items()}
