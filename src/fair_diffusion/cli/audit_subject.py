"""What `fair-diffusion audit` is about: a target that is read, or a model that draws first. Exports `Subject`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.audit_suite import Order, drawn
from fair_diffusion.cli.progress import counting, loading

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver
    from fair_diffusion.readers.findings import Findings


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`findings` audits it. `reader`, called `by`, reads its pictures (None: its records or counts tell), `groups` are
    those that it may find (None: not known before), and the pictures lie in `pictures`."""

    findings: Callable[[], Findings]
    reader: Perceiver | None
    by: str | None
    groups: Mapping[str, Sequence[str]] | None
    pictures: Path

    @classmethod
    def target(
        cls, target: Path, *, perceiver: str | None, concepts: Path | None, attributes: list[str] | None, scratch: Path
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
                    progress=progress,
                )

        groups = reader.groups if reader else None
        return cls(findings=findings, reader=reader, by=perceiver, groups=groups, pictures=target)

    @classmethod
    def model(
        cls, model: str, order: Order, *, options: Mapping[str, Any], attributes: list[str] | None, scratch: Path
    ) -> Subject:
        """What `model`, loaded with these options, draws by `order`. `ValueError` if it cannot be loaded."""
        from fair_diffusion.pipeline import FairPipeline

        with loading(model):
            pipe = FairPipeline.from_pretrained(model, **options)
        return cls(
            findings=lambda: drawn(order, pipe, attributes=attributes, scratch=scratch),
            reader=pipe.judge,
            by=options.get("judge"),
            groups=_recorded(pipe.judge),
            pictures=order.work,
        )


def _recorded(judge: Perceiver) -> dict[str, Sequence[str]]:
    """The groups that records of what `judge` reads count: all that an attribute of ours has, whichever it knows."""
    from fair_diffusion.policy import ATTRIBUTES

    return {
        name: ATTRIBUTES[name].group_names if name in ATTRIBUTES else groups for name, groups in judge.groups.items()
    }
