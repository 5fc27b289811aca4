"""A model together with the readers of its images: what `FairPipeline` is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fair_diffusion.files.text import public
from fair_diffusion.models.hub import Hub
from fair_diffusion.models.options import LoadingOptions
from fair_diffusion.perception.roles import Named, open_roles


def assembled(model: Any, perceiver: Named | None, judge: Named | None, loading: LoadingOptions) -> dict[str, Any]:
    """Load a model and open its readers.

    Args:
        model: "pocket", or what `models.loading.load` takes.
        perceiver: who steers; None for the pocket model, which brings its own, or "pocket:FILE" with further heads.
        judge: who scores; None for the pocket model, or "judge:FILE".
        loading: the options of loading.

    Returns:
        The arguments of `FairPipeline`.

    Raises:
        ValueError: in one line, what cannot be had.
    """
    from fair_diffusion.models.loading import load, name_of, provenance
    from fair_diffusion.models.weights import check_model

    hub = Hub()
    if model == "pocket":
        for role, own in ((perceiver, "pocket:"), (judge, "judge:")):
            if role is not None and not (isinstance(role, str) and role.startswith(own)):
                raise ValueError("the model 'pocket' brings its perceiver and its judge; name none")
        return _pocket(loading, hub, str(perceiver or "pocket"), str(judge or "judge"))
    named = isinstance(model, (str, Path))
    if not named and not hasattr(model, "config"):
        raise ValueError(f"model is {model!r}; give a hub id, a folder, a .safetensors file, or a diffusers pipeline")
    name = str(model) if named else name_of(model)
    if named:
        check_model(name, hub)
    steers, scores = open_roles(perceiver, judge, model=name)
    pipeline = load(model, **loading, hub=hub)
    return {
        "pipeline": pipeline,
        "name": public(name),
        "perceiver": steers,
        "judge": scores,
        "weights": provenance(pipeline, model, **_additions(loading), config=loading.get("config"), hub=hub),
        "confusions": getattr(scores, "confusions", ()),
    }


def _pocket(loading: LoadingOptions, hub: Hub, perceiver: str, judge: str) -> dict[str, Any]:
    """The pocket model with its own readers and card."""
    from fair_diffusion.models import pocket
    from fair_diffusion.models.cards import card_named
    from fair_diffusion.models.loading import added, lay_out, load
    from fair_diffusion.models.provenance import sha256
    from fair_diffusion.perception import early
    from fair_diffusion.perception.opening import open_perceiver

    pipeline, scores = pocket.load(), open_perceiver(judge)
    lay_out(pipeline)
    return {
        "pipeline": load(pipeline, **loading, hub=hub),
        "name": "pocket",
        "perceiver": open_perceiver(perceiver),
        "judge": scores,
        "early": early.load(),
        "card": card_named("pocket"),
        "weights": ", ".join([f"sha256 {sha256(pocket.UNET)}", *added(**_additions(loading), hub=hub)]),
        "confusions": getattr(scores, "confusions", ()),
    }


def _additions(loading: LoadingOptions) -> dict[str, Any]:
    return {"lora": loading.get("lora") or (), "textual_inversion": loading.get("textual_inversion") or ()}
