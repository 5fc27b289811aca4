"""What to label next: the stream of which labels tell least, for what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from fair_diffusion.report.headline import percent, plural, units
from fair_diffusion.studio.flows import TOLERANCE, Flow, title_of
from fair_diffusion.studio.view import ends


def label_next(flows: Sequence[Flow]) -> str | None:
    """Where labels are wanted most, as a sentence.

    First the largest stream that nobody has labelled. Then the one with the widest interval of people's share of a
    group, divided by the share that is asked: five points are much of 10 %, and little of 50 %.

    Returns:
        None if there is no stream of one attribute with images, or if all these intervals are as narrow as the band
        around a target.
    """
    alone = [flow for flow in flows if len(flow.attributes) == 1 and flow.all_images]
    if bare := [flow for flow in alone if not flow.labels]:
        flow = max(bare, key=lambda one: len(one.all_images))
        return f"nobody has labelled {_called(flow)}, of which {units(len(flow.all_images), 'image')} are kept"
    wide = [
        (_half(group.people[1]) / group.target, flow, group)
        for flow in alone
        for group in flow.groups
        if group.people and group.target and _half(group.people[1]) > TOLERANCE
    ]
    if not wide:
        return None
    _, flow, group = max(wide, key=lambda one: one[0])
    assert group.people is not None
    return (
        f"{_called(flow)}: as people see it, {ends(group.people[1])} are {plural(group.name)}, and "
        f"{percent(group.target, 0)} are asked"
    )


def _called(flow: Flow) -> str:
    return f"{title_of(flow)} of “{flow.rule}” on {flow.model}"


def _half(interval: tuple[float, float]) -> float:
    low, high = interval
    return (high - low) / 2
