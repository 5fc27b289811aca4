"""LoRAs in a loaded diffusers pipeline: which are there, which act, and how one is added beside them.

Exports `check_peft`, `present`, `adding` and `act`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def check_peft(what: str = "a LoRA") -> None:
    """`ValueError` with the mend if peft, which diffusers needs for LoRAs, is not installed."""
    from diffusers.utils import is_peft_available

    if not is_peft_available():
        raise ValueError(f"{what} needs peft; install it: pip install 'fair-diffusion[lora]'")


def present(pipeline: Any) -> set[str]:
    """The names of all LoRAs that are loaded, whether they act or not."""
    return {name for names in pipeline.get_list_adapters().values() for name in names}


@contextmanager
def adding(pipeline: Any, *, keep: bool) -> Iterator[list[str]]:
    """LoRAs may be added inside; gives the names of those that acted before.

    On leaving what was added is taken out, and those act that did: unless they are to be kept and nothing went wrong.
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
            act(pipeline, acted)  # peft warns where what acts is deleted
            pipeline.delete_adapters(sorted(added))


def act(pipeline: Any, names: Sequence[str]) -> None:
    """Let these LoRAs act and no others, each at the weight that it has: full where nobody changed it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    networks = [getattr(pipeline, part) for part in pipeline.get_list_adapters()]
    layers: list[Any] = [part for network in networks for part in network.modules() if isinstance(part, BaseTunerLayer)]
    weights = [dict(layer.scaling) for layer in layers]
    pipeline.set_adapters(list(names))  # which also puts all weights to full
    for layer, own in zip(layers, weights, strict=True):
        layer.scaling.update(own)
