"""The models of one worker: loaded when a job needs them; the least recently used ones go when memory is short.

A LoRA that requests may ask for is a model of its own to them, "pocket+anime": it has its own streams and batches. It
shares the network, which stays loaded, and acts only while its jobs are drawn.
"""

from __future__ import annotations

import copy
import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fair_diffusion.models import loras
from fair_diffusion.models.loading import add_loras
from fair_diffusion.service.batch_cost import measured
from fair_diffusion.service.served_model import ServedModel
from fair_diffusion.service.worker_kind import kind_of

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

LOG = logging.getLogger("fair_diffusion.worker")


@dataclass(kw_only=True)
class _Base:
    """A model and what may be put on it.

    Attributes:
        load: loads it.
        named: the files of the LoRAs that requests may ask for, by name.
        pipe: it; None if it is not in memory.
        bytes: of its weights.
        used: when it was last at work.
        adapters: by the name of each LoRA, what it is called in the network.
        always: the LoRAs that always act.
    """

    load: Callable[[], FairPipeline]
    named: Mapping[str, Path]
    pipe: FairPipeline | None = None
    bytes: int = 0
    used: float = 0.0
    adapters: dict[str, str] = field(default_factory=dict)
    always: list[str] = field(default_factory=list)


class Models:
    """The models of a worker. `open` loads each of them once, to know what it is.

    Args:
        loads: one function for each model.
        named: for each model the LoRAs that requests may ask for, by name; none if not given.
        memory: bytes of weights that may be in memory at once; None: all stay.
    """

    def __init__(
        self,
        loads: Sequence[Callable[[], FairPipeline]],
        *,
        named: Sequence[Mapping[str, Path]] | None = None,
        memory: float | None = None,
    ) -> None:
        of_each = [{}] * len(loads) if named is None else named
        self._bases = [_Base(load=load, named=own) for load, own in zip(loads, of_each, strict=True)]
        self._memory = memory
        self._served: dict[str, tuple[ServedModel, _Base, str | None]] = {}

    @property
    def served(self) -> list[ServedModel]:
        """What requests may ask for."""
        return [model for model, _, _ in self._served.values()]

    def open(self, batch: int, *, measure: bool = True) -> None:
        """Load each model once, and find how many images of it go into one batch.

        Args:
            batch: images in one batch at most.
            measure: let the model draw some steps, and cap the batch where a larger one does not pay.

        Raises:
            ValueError: two models have one name.
        """
        for base in self._bases:
            pipe = self._load(base)
            cost = measured(pipe, batch, memory=self._memory) if measure else None
            model = ServedModel.of(pipe)
            if cost is not None:
                steps = {str(size): round(seconds, 6) for size, seconds in cost.seconds.items()}
                model = replace(model, batch=cost.best, image_step=steps)
                told = ", ".join(f"{size}: {1000 * seconds:.1f} ms" for size, seconds in cost.seconds.items())
                LOG.info(
                    "%s: a step costs an image, by the size of the batch, %s; batches of %s at most; peak %.0f MiB",
                    *(model.name, told, cost.best, cost.peak / 2**20),
                )
            else:
                model = replace(model, batch=batch)
            for name in (None, *base.adapters):
                variant = model if name is None else replace(model, name=f"{model.name}+{name}")
                if variant.name in self._served:
                    raise ValueError(f"two models are called {variant.name!r}; rename the folder of one of them")
                self._served[variant.name] = variant, base, name

    def take(self, kind: str) -> tuple[ServedModel, FairPipeline]:
        """The model for jobs of a kind, ready to draw: loaded if it is not, and with its LoRA, if it has one."""
        model, base, lora = next(each for each in self._served.values() if kind_of(each[0].name) == kind)
        pipe = base.pipe or self._load(base)
        base.used = time.monotonic()
        if base.adapters:
            acting = [*base.always, *([base.adapters[lora]] if lora else [])]
            _act(pipe, acting)
        if lora is None:
            return model, pipe
        variant = copy.copy(pipe)
        variant.name, variant.projections = f"{pipe.name}+{lora}", {}  # the LoRA may read text otherwise
        return model, variant

    def _load(self, base: _Base) -> FairPipeline:
        """Load a model, after others had to go if their weights and its own are more than memory may hold."""
        self._free(base.bytes)  # 0 before it was first loaded
        pipe = base.pipe = base.load()
        base.used, base.bytes = time.monotonic(), _bytes(pipe)
        self._free(0)
        if base.named:
            pipeline: Any = pipe.backbone.pipeline
            base.always = list(pipeline.get_active_adapters()) if loras.present(pipeline) else []
            added = add_loras(pipeline, {str(file): file for file in base.named.values()})
            base.adapters = dict(zip(base.named, added, strict=True))
            _act(pipe, base.always)
        return pipe

    def _free(self, more: int) -> None:
        """Let the least recently used models go until `more` bytes fit in beside the others. The newest one stays."""
        here = sorted((base for base in self._bases if base.pipe is not None), key=lambda base: base.used)
        keep = 0 if more else 1
        while self._memory is not None and len(here) > keep and sum(b.bytes for b in here) + more > self._memory:
            base = here.pop(0)
            LOG.info("a model of %.0f MiB leaves memory", base.bytes / 2**20)
            base.pipe, base.adapters, base.always = None, dict.fromkeys(base.adapters, ""), []
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _bytes(pipe: FairPipeline) -> int:
    """Bytes of all weights of a model."""
    parts = getattr(getattr(pipe.backbone, "pipeline", None), "components", {}).values()
    modules = [part for part in parts if isinstance(part, torch.nn.Module)]
    return sum(weight.numel() * weight.element_size() for module in modules for weight in module.parameters())


def _act(pipe: FairPipeline, adapters: Sequence[str]) -> None:
    """Let these LoRAs act and no others."""
    pipeline: Any = pipe.backbone.pipeline
    if adapters:
        pipeline.enable_lora()
        loras.act(pipeline, adapters)
    else:
        pipeline.disable_lora()
