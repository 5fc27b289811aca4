"""The options --upstream and --upstream-model: another server draws, and this one keeps the proportions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.options import LoadingModels

if TYPE_CHECKING:
    from fair_diffusion.perception.perceiver import Perceiver
    from fair_diffusion.service.served_model import ServedModel
    from fair_diffusion.service.upstream import Upstream

KEY = "FAIR_DIFFUSION_UPSTREAM_KEY"
"""The environment variable that holds the key of the upstream server."""
UpstreamUrl = Annotated[
    str | None,
    typer.Option(
        help="address of another server of the OpenAI images contract, such as https://api.example.com/v1: it draws, "
        f"and no model is loaded here; its key stands in {KEY}",
        metavar="URL",
    ),
]
UpstreamModel = Annotated[str | None, typer.Option(help="the name of the model there", metavar="NAME")]


def check_readers(loading: LoadingModels) -> None:
    """`ValueError` with the mend if the options name no readers, or more than readers."""
    needless = [name for name in loading if name not in ("perceiver", "judge")]
    if needless:
        option = "--" + needless[0].replace("_", "-")
        raise ValueError(f"{option} is given, but the upstream server draws, and no model is loaded; leave it out")
    for role, why in (("perceiver", "decides which images are drawn again"), ("judge", "scores")):
        if role not in loading:
            raise ValueError(f"--upstream needs --{role}, who {why} (docs/reference/perceivers.md)")


def readers_of(loading: LoadingModels, name: str | None) -> tuple[ServedModel, Perceiver, Perceiver]:
    """The model of an upstream server as requests know it, and its perceiver and judge."""
    from fair_diffusion.perception.roles import open_roles
    from fair_diffusion.service.proxy_worker import UNNAMED, served

    check_readers(loading)
    perceiver, judge = open_roles(loading["perceiver"], loading["judge"], model=name or UNNAMED)
    return served(name, perceiver, judge), perceiver, judge


def opened_upstream(url: str, name: str | None, timeout: float, *, at_once: int) -> Upstream:
    """The upstream server, with the key that the environment holds. `ValueError` if the address is none."""
    from fair_diffusion.service.upstream import Upstream

    return Upstream(url, key=os.environ.get(KEY), model=name, timeout=timeout, at_once=at_once)
