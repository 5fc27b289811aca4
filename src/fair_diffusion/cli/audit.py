"""`fair-diffusion audit`: proportions, with intervals, of anything that shows or counts people."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli import model_options as options
from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, usage_errors
from fair_diffusion.perception.opening import NAMES

if TYPE_CHECKING:
    import pyarrow as pa

    from fair_diffusion.audit.numbers import Numbers
    from fair_diffusion.audit.study import Study
    from fair_diffusion.cli.audit_subject import Subject
    from fair_diffusion.readers.kid_reference import KidReference

PAGE = "report.html"


def audit(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(help="a run, a study, a folder of images, a CSV of counts, or a dataset with captions"),
    ] = None,
    perceiver: Annotated[
        str | None,
        typer.Option(
            help=f"who reads the images: {', '.join(NAMES)}; with --model: who may steer (for all models but pocket)"
        ),
    ] = None,
    concepts: Annotated[Path | None, typer.Option(help="a table file,concept[,source] for a folder of images")] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="shares to compare with: counts, a study or a run, as PATH or PATH:SOURCE; or a source of TARGET"
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help='count only this, such as gender or "gender × skin_tone"; repeatable')
    ] = None,
    human_labels: Annotated[
        Path | None,
        typer.Option(help="a table file,attribute,group[,rater] of some of the images, beside the perceiver"),
    ] = None,
    quality_reference: Annotated[
        Path | None, typer.Option(help="a folder of pictures to measure quality by: KID over the reader's features")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a new folder for the study, with its report as a page")] = None,
    model: Annotated[
        str | None, typer.Option(help="generate with this model (`fair-diffusion models`) instead of reading TARGET")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="with --model: who reads what is audited, of other weights than the perceiver")
    ] = None,
    suite: Annotated[str, typer.Option(help="with --model: occupations, or a file of your own")] = "occupations",
    images: Annotated[
        int | None, typer.Option("-n", "--images", min=1, help="with --model: per occupation; 250 if not given")
    ] = None,
    until: Annotated[
        float | None, typer.Option(help="with --model: stop when every interval is under ± this many points")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="with --model: keeps what is drawn, and goes on from there; OUT.work if not given"),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="with --model: the prompt, {} for the occupation")
    ] = "a photo of the face of a {}",
    instruct: Annotated[str | None, typer.Option(help='with --model: such as "every occupation: half women"')] = None,
    policy: Annotated[Path | None, typer.Option(help="with --model: a policy file (YAML)")] = None,
    method: Annotated[str | None, typer.Option(help="with --model: the method of an instruction")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="with --model: denoising steps; as usual for the model")
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="with --model: guidance scale; as usual for the model")] = None,
    seed: Annotated[int, typer.Option(help="with --model: image i of an occupation uses seed + i")] = 0,
    dtype: options.Dtype = None,
    device: options.Device = None,
    offload: options.Offload = None,
    vae_slicing: options.VaeSlicing = False,
    vae_tiling: options.VaeTiling = False,
    attention: options.Attention = None,
    compile: options.Compile = False,
    lora: options.Lora = None,
    textual_inversion: options.TextualInversion = None,
    config: options.Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Count the groups that TARGET shows for each concept, say how sure that is, and how far from target or reference.

    Exit code 3 if a share is outside its target's tolerance with 95 % confidence; 2 for wrong usage."""
    with usage_errors(), TemporaryDirectory() as folder:
        from fair_diffusion.audit.numbers import numbers
        from fair_diffusion.cli.audit_options import MODEL, check_options
        from fair_diffusion.cli.audit_subject import Subject
        from fair_diffusion.cli.audit_suite import order
        from fair_diffusion.files.new_folder import check_new
        from fair_diffusion.perception.human import HumanLabels
        from fair_diffusion.readers.human_labels import check_labels, with_labels
        from fair_diffusion.readers.reference import find_reference, with_reference
        from fair_diffusion.readers.target import kind_of_target

        if (target is None) == (model is None):
            raise ValueError("give a TARGET to read, or --model to generate with; one of them")
        check_options(given(context), MODEL if target is None else kind_of_target(target, named=concepts is not None))
        if out is not None:
            check_new(out)
        scratch, attributes = Path(folder), attribute or None
        own = target is not None
        compared = find_reference(reference, scratch=scratch, own_sources=own) if reference else None
        labels = HumanLabels.load(human_labels) if human_labels else None
        if target is not None:
            subject = Subject.target(
                target, perceiver=perceiver, concepts=concepts, attributes=attributes, scratch=scratch
            )
        elif model is not None:
            roles = options.given(context)
            asked = order(
                model=model,
                suite=suite,
                images=images,
                until=until,
                work=work or (out.with_name(out.name + ".work") if out else None),
                prompt=prompt,
                instruct=instruct,
                policy=policy,
                method=method,
                steps=steps,
                guidance=guidance,
                seed=seed,
                loading=roles,
            )
            subject = Subject.model(model, asked, options=roles, attributes=attributes, scratch=scratch)
        if labels and human_labels and subject.groups:
            check_labels(labels, subject.groups, table=human_labels.name)
        kid_reference = measure_by(quality_reference, subject) if quality_reference else None
        try:
            findings = subject.findings()
        except KeyboardInterrupt:
            if model is None:
                raise
            typer.echo("interrupted; the same command goes on from what is drawn", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if labels and human_labels:
            findings = with_labels(findings, labels, table=human_labels.name)
        if kid_reference:
            with counting("measuring quality") as progress:
                findings = kid_reference.measured(findings, subject.pictures, progress=progress)
        study, data = with_reference(findings.study, compared) if compared is not None else (findings.study, None)
        found = numbers(study, images=findings.images, reference=data)
        if out is not None:
            write(study, found, findings.images, out)
    if as_json:
        typer.echo(json.dumps(found.plain(), allow_nan=False))
    else:
        from fair_diffusion.cli.study_table import show

        show(found)
        if out is not None:
            typer.echo(f"see {out / PAGE}")
    if missed(found):
        raise typer.Exit(MISSED)


def given(context: typer.Context) -> set[str]:
    """The names of the parameters that the command line gave, rather than a default."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }


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
    from fair_diffusion.audit.folder import save_study
    from fair_diffusion.report.line_tables import write_lines
    from fair_diffusion.report.report import report

    page = report(found)
    save_study(study, out, images)
    write_lines(found, out)
    (out / PAGE).write_text(page, encoding="utf-8")


def missed(found: Numbers) -> bool:
    """Whether a share misses its target: of what was instructed, or of all that has a target if nothing was."""
    instructed = {source.name for source in found.study.sources if source.kind == "instructed"}
    return any(
        line.verdict == "misses" and not line.assumed and (not instructed or line.source in instructed)
        for line in found.lines
        if line.source != found.reference
    )
