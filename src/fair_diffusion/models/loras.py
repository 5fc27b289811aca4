"""LoRAs in a loaded diffusers pipeline: which are loaded, which act, and how one is added beside them.

Exports `check_peft`, `present`, `adding` and `act`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def check_peft(what: str = "a LoRA") -> None:
    """Check that peft is installed, which diffusers needs for LoRAs.

    Raises:
        ValueError: it is not installed.
    """
    from diffusers.utils import is_peft_available

    if not is_peft_available():
        raise ValueError(f"{what} needs peft; install it: pip install 'fair-diffusion[lora]'")


def present(pipeline: Any) -> set[str]:
    """The names of all loaded LoRAs, whether they act or not."""
    return {name for names in pipeline.get_list_adapters().values() for name in names}


@contextmanager
def adding(pipeline: Any, *, keep: bool) -> Iterator[list[str]]:
    """Allow adding LoRAs inside the block. It gives the names of the LoRAs that acted before.

    On leaving, the added LoRAs are removed and the earlier ones act again, unless `keep` is True and the block
    succeeded.
    """
    before = present(pipeline)
    acted = list(pipeline.get_active_adapters()) if before else []
    kept = False
    try:
        yield acted
        kept = keep
    finally:
        if not kept and not before:
            pipeline.unload_lora_weights()
        elif not kept and (added := present(pipeline) - before):
            act(pipeline, acted)  # peft warns if an acting LoRA is deleted
            pipeline.delete_adapters(sorted(added))


def act(pipeline: Any, names: Sequence[str]) -> None:
    """Let these LoRAs act and no others. Each keeps its weight, which is full if nobody changed it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    networks = [getattr(pipeline, part) for part in pipeline.get_list_adapters()]
    layers: list[Any] = [part for network in networks for part in network.modules() if isinstance(part, BaseTunerLayer)]
    weights = [dict(layer.scaling) for layer in layers]
    pipeline.set_adapters(list(names))  # this also sets all weights to full
    for layer, own in zip(layers, weights, strict=True):
        layer.scaling.update(own)
