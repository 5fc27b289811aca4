"""`fair-diffusion audit-suite`: a model draws a list of occupations, and what it draws is audited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fair_diffusion.cli.auditing import Subject, run
from fair_diffusion.cli.options import Auditing, Instruction, Loading, Sampling, Scaling, Steering, grouped
from fair_diffusion.cli.scaling import Scale
from fair_diffusion.cli.suite_order import order
from fair_diffusion.cli.usage import instructed_attributes, loaded, usage_errors


@grouped
def audit_suite(
    instruction: Instruction,
    steering: Steering,
    sampling: Sampling,
    loading: Loading,
    auditing: Auditing,
    scaling: Scaling,
    suite: Annotated[
        str, typer.Option(help="occupations, equisteer, pocket, or a file of occupations")
    ] = "occupations",
    prompt: Annotated[str, typer.Option(help="the prompt, {} for the occupation")] = "a photo of the face of a {}",
    images: Annotated[
        int | None,
        typer.Option("-n", "--images", min=1, help="per occupation; 250 if not given, with --until 2500 at most"),
    ] = None,
    until: Annotated[
        float | None, typer.Option(help="stop an occupation when its intervals are under ± this many points")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="a folder that keeps what is drawn, to go on from; OUT.work if not given"),
    ] = None,
    seed: Annotated[int, typer.Option(help="image i of an occupation uses seed + i")] = 0,
) -> None:
    """Draw images of each occupation, count the groups that they show, say how sure that is, and how far from a target.

    The judge of the model reads what is audited. Exit code 3 if a share is outside its target's tolerance with 95 %
    confidence; 2 for wrong usage; 130 if interrupted: what is drawn is kept, and the same command goes on."""

    def opened(scratch: Path) -> Subject:
        out = auditing.get("out")
        asked = order(
            suite=suite,
            prompt=prompt,
            images=images,
            until=until,
            work=work or (out.with_name(out.name + ".work") if out else None),
            seed=seed,
            instruction=instruction,
            steering=steering,
            sampling=sampling,
            loading=loading,
        )
        counted = auditing.get("attribute")
        if (scale := Scale.of(scaling, loading)) is not None:
            reads = "human_labels" in auditing or "quality_reference" in auditing
            return Subject.suite_by_workers(
                asked, scale, loading, reads=reads, attributes=counted, defined=own, scratch=scratch
            )
        by = loading.get("judge")
        return Subject.suite(asked, loaded(loading), by=by, attributes=counted, defined=own, scratch=scratch)

    with usage_errors():
        own = instructed_attributes(instruction)
    run(auditing, opened, defined=own)
