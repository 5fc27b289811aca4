"""Instruct a deployed text-to-image model on fairness, and measure what it then draws."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Policy
    from fair_diffusion.result import Record, Result

__version__: str
__all__ = ["FairPipeline", "Policy", "Record", "Result", "__version__"]


def __getattr__(name: str) -> Any:
    # The model libraries take seconds to import; `explain` must not wait for them.
    import importlib
    from importlib.metadata import version

    if name == "__version__":
        return version("fair-diffusion")
    homes = {"FairPipeline": "pipeline", "Policy": "policy", "Record": "result", "Result": "result"}
    if name not in homes:
        raise AttributeError(f"module 'fair_diffusion' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fair_diffusion.{homes[name]}"), name)
