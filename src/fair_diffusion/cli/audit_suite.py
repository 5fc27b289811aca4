"""The part of `fair-diffusion audit` that generates: a model, a list of occupations, a work folder to go on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.usage import instructed
from fair_diffusion.policy import Policy

if TYPE_CHECKING:
    from fair_diffusion.audit.sources.findings import Findings

IMAGES, AT_MOST = 250, 2_500
"""Images per occupation; and at most, where precision decides."""


def drawn_and_read(
    *,
    model: str,
    suite: str,
    images: int | None,
    until: float | None,
    work: Path | None,
    prompt: str,
    instruct: str | None,
    policy_file: Path | None,
    method: str | None,
    steps: int,
    seed: int,
    perceiver: str | None,
    attributes: list[str] | None,
    scratch: Path,
) -> Findings:
    """Draw what the work folder lacks, and audit all of it. Arguments are the options of the verb."""
    from fair_diffusion.audit.sources.findings import Findings
    from fair_diffusion.audit.sources.run import read_run
    from fair_diffusion.audit.sources.suite import Suite, check_work, draw_suite, read_occupations
    from fair_diffusion.audit.sources.target import about_reader
    from fair_diffusion.perception.perceiver import open_perceiver

    if work is None:
        raise ValueError("name --out or --work: what is drawn must be kept somewhere")
    if until is not None and not 0 < until <= 50:
        raise ValueError(f"--until is {until}; give points, such as 5 for intervals under ±5 points")
    rules = instructed(instruct, policy_file)
    if method not in (None, "none") and rules == Policy():
        raise ValueError(f"--method {method} needs --instruct or --policy")
    fields = read_occupations(suite)
    said = instruct or (policy_file.read_text(encoding="utf-8") if policy_file else "")
    plan = Suite(
        model=model,
        prompt=prompt,
        policy=said,
        method="none" if rules == Policy() else method,
        steps=steps,
        seed=seed,
    )
    half_width = None if until is None else until / 100
    size: dict[str, Any] = {"images": images or (IMAGES if until is None else AT_MOST), "until": half_width}
    check_work(work, plan, list(fields), **size)  # before a model is loaded, which takes long
    reader = open_perceiver(perceiver) if perceiver else None
    from fair_diffusion.pipeline import FairPipeline

    pipe = FairPipeline.from_pretrained(model)
    with counting("drawing") as progress:
        uncertain = draw_suite(
            pipe,
            plan,
            list(fields),
            work,
            **size,
            options={} if rules == Policy() else {"policy": rules},
            perceiver=reader,
            attributes=attributes,
            progress=progress,
        )
    with counting("reading") as progress:
        findings = read_run(
            work,
            reader,
            perceiver_name=perceiver,
            scratch=scratch,
            attributes=attributes,
            concepts={plan.prompt_for(name): name for name in fields},
            progress=progress,
        )
    notes = list(findings.study.notes)
    if uncertain:
        notes.append(
            f"{len(uncertain)} of {len(fields)} did not get under ±{until:g} points: {', '.join(uncertain[:8])}"
        )
    study = replace(
        findings.study,
        title=f"{model}, {len(fields)} occupations",
        unit="occupation",
        fields={name: field for name, field in fields.items() if field},
        notes=notes,
    )
    return about_reader(Findings(study, findings.images), reader)
