"""What `fair-diffusion audit-suite` draws: a list of occupations, in a work folder to go on from.

An `Order` says what is to be drawn, and is checked before the model is loaded; `drawn` draws it and audits all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Instruction, Loading, Sampling, Steering
from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.scaling import Scale, loading_words, policy_words
from fair_diffusion.cli.usage import INTERRUPTED, MODEL, check_requests, instructed
from fair_diffusion.files import guarded
from fair_diffusion.files.text import is_there, public
from fair_diffusion.methods import NONE

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.readers.findings import Findings
    from fair_diffusion.runs.suite import Suite

IMAGES, AT_MOST = 250, 2_500
"""Images per occupation; and at most, where precision decides."""
TELLING = ("perceiver", "judge", "calibration", "dtype", "lora", "textual_inversion", "config")
"""Options of loading on which images or their readings depend, beyond rounding."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be drawn, and where it is kept.

    Attributes:
        suite: what every occupation is asked for.
        options: further arguments of the pipeline: the policy, and what changes images by rounding only.
        fields: the occupations with their fields.
        work: the folder that keeps what is drawn.
        images: per occupation, or with `until` at most.
        until: half the width, in share, that every interval of an occupation is to be under; None for no limit.
        usual: the settings of the suite that were not given: the model says what is usual for it.
        policy: the words of the policy, for workers (`scale.campaign.policy_of`); empty if there is none.
    """

    suite: Suite
    options: Mapping[str, Any]
    fields: Mapping[str, str]
    work: Path
    images: int
    until: float | None
    usual: tuple[str, ...]
    policy: Mapping[str, Any]

    @property
    def size(self) -> dict[str, Any]:
        """How many, as `draw_suite` and `check_work` take it."""
        return {"images": self.images, "until": self.until}


def order(
    *,
    suite: str,
    prompt: str,
    images: int | None,
    until: float | None,
    work: Path | None,
    seed: int,
    instruction: Instruction,
    steering: Steering,
    sampling: Sampling,
    loading: Loading,
) -> Order:
    """The order that these options of the verb make; `ValueError` for what is wrong or does not fit the work folder."""
    from fair_diffusion.runs.occupations import read_occupations
    from fair_diffusion.runs.suite import Suite, check_work

    if work is None:
        raise ValueError("name --out or --work: what is drawn must be kept somewhere")
    if until is not None and not 0 < until < 50:
        raise ValueError(f"--until is {until:g}; give points between 0 and 50, such as 5 for intervals under ±5 points")
    rules = instructed(instruction)
    plain = not rules.rules
    if plain and steering.get("method", NONE) != NONE:
        raise ValueError(f"--method {steering['method']} needs --instruct or --policy")
    told: dict[str, Any] = {**steering, **sampling, **({"method": NONE} if plain else {})}
    batch = {name: told.pop(name) for name in ("batch_size",) if name in told}
    policy = guarded.text(instruction["policy"]) if "policy" in instruction else instruction.get("instruct", "")
    own = "".join(f"\n# {name} as {digest}" for name, digest in rules.attributes.own.items())
    plan = Suite(
        model=public(str(loading.get("model", MODEL))),
        prompt=prompt,
        policy=policy + own,
        seed=seed,
        loaded={name: _told(value, name) for name, value in loading.items() if name in TELLING},
        **told,
    )
    fields = read_occupations(suite)
    check_requests([plan.prompt_for(name) for name in fields], {"seed": seed, **told, **batch})
    found = Order(
        suite=plan,
        options=batch if plain else {"policy": rules, **batch},
        fields=fields,
        work=work,
        images=images or (IMAGES if until is None else AT_MOST),
        until=None if until is None else until / 100,
        usual=tuple({"steps", "guidance"} - told.keys()),
        policy={} if plain else policy_words(instruction),
    )
    check_work(work, plan, list(fields), **found.size, undecided=found.usual)
    return found


def _told(value: Any, name: str = "") -> Any:
    """An option of loading as a work folder keeps it: files and folders by their names and hashes."""
    if isinstance(value, (list, tuple)):
        return [_told(one) for one in value]
    if name == "calibration":
        from fair_diffusion.perception.calibration import Calibration

        return Calibration.load(Path(value)).version
    if not isinstance(value, str) or public(value) == value:
        return value
    from fair_diffusion.models.fingerprint import of_folder
    from fair_diffusion.models.provenance import sha256

    places = [Path(part) for part in value.rpartition(":")[2].split(",") if is_there(part)]
    return " ".join([public(value), *(of_folder(path) if path.is_dir() else sha256(path) for path in places)])


def drawn(order: Order, pipe: FairPipeline, *, attributes: list[str] | None, scratch: Path) -> Findings:
    """Draw what the work folder lacks, and audit all of it by the word of the model's judge."""
    from fair_diffusion.runs.suite import draw_suite

    usual = {name: value for name, value in pipe.with_usual({}).items() if name in order.usual}
    suite, fields = replace(order.suite, **usual), order.fields
    with going_on(), counting("drawing") as progress:
        uncertain = draw_suite(
            pipe,
            suite,
            list(fields),
            order.work,
            **order.size,
            options=order.options,
            attributes=attributes,
            progress=progress,
        )
    return audited(order, uncertain, attributes=attributes, scratch=scratch)


def drawn_by_workers(
    order: Order, scale: Scale, loading: Loading, *, attributes: list[str] | None, scratch: Path
) -> Findings:
    """The same, where other processes draw: this one loads no model."""
    from fair_diffusion.scale.suites import SuiteCampaign

    campaign = SuiteCampaign(
        order.suite,
        list(order.fields),
        order.work,
        **order.size,
        attributes=attributes,
        usual=order.usual,
        policy=order.policy,
        options={name: value for name, value in order.options.items() if name != "policy"},
        loading=loading_words(loading),
        store=scale.store,
    )
    with going_on(), counting("drawing") as progress:
        scale.draw(campaign, progress)
    return audited(order, campaign.parts.uncertain, attributes=attributes, scratch=scratch)


@contextmanager
def going_on() -> Iterator[None]:
    """Say after an interrupt that what is drawn is kept."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from what is drawn", err=True)
        raise typer.Exit(INTERRUPTED) from None


def audited(order: Order, uncertain: Sequence[str], *, attributes: list[str] | None, scratch: Path) -> Findings:
    """Audit all that the work folder holds; `uncertain` are the occupations whose intervals stayed too wide."""
    from fair_diffusion.readers.run import read_run

    suite, fields = order.suite, order.fields
    with going_on(), counting("reading") as progress:
        findings = read_run(
            order.work,
            scratch=scratch,
            attributes=attributes,
            concepts={suite.prompt_for(name): name for name in fields},
            progress=progress,
        )
    notes = list(findings.study.notes)
    if uncertain:
        points = f"±{100 * (order.until or 0):g} points"
        notes.append(f"{len(uncertain)} of {len(fields)} did not get under {points}: {', '.join(uncertain[:8])}")
    study = replace(
        findings.study,
        title=f"{suite.model}, {len(fields)} occupations",
        unit="occupation",
        fields={name: field for name, field in fields.items() if field},
        notes=notes,
    )
    return replace(findings, study=study)
