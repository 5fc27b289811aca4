"""What a request may ask for: limits that hold for the command line, Python and `explain` alike. Loads no model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fair_diffusion.seeds import SEEDS

METHODS = (
    "switch",
    "semantic",
    "prompt",
    "hint",
    "embedding",
    "bottleneck",
    "edit",
    "rejection",
    "latents",
    "distribution",
    "none",
)
UNASSIGNED = ("hint", "embedding", "edit", "distribution")
"""Methods that act on every image alike: they assign no group to any."""
READING = ("switch", "semantic", "prompt", "hint", "embedding")
"""Methods that act through the text that the model reads."""
FILES = {
    "bottleneck": "a vector for each group",
    "edit": "edited weights or a LoRA",
    "distribution": "heads that read the middle of the network",
}
"""Methods that take a safetensors file of what was learnt beforehand; the third may do without."""
CONTROLS = ("natural-first", "all")
ASSIGNED = "assigned"
LOSSES = (ASSIGNED, "mean", "confident")
"""What "latents" descends on: `steering.fairness_loss`. Only the first assigns groups to images."""
MAX_PROMPT = 32_000
MAX_IMAGES = 10_000


def check_prompt(prompt: str) -> None:
    """`ValueError` with the mend if `prompt` is empty, too long or no text."""
    if not prompt.strip():
        raise ValueError("the prompt is empty; say what to draw")
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"the prompt has {len(prompt)} characters; shorten it to {MAX_PROMPT}")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise ValueError("the prompt holds bytes that are no text; write it as UTF-8")


def check_negative(prompt: str | None) -> None:
    """`ValueError` with the mend if a negative prompt is too long or no text; it may be empty."""
    if prompt and prompt.strip():
        try:
            check_prompt(prompt)
        except ValueError as error:
            raise ValueError(f"the negative prompt: {error}") from None


def check_seed(seed: int) -> None:
    """`ValueError` with the mend if `seed` is out of range."""
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed is {seed}; use 0 to {SEEDS - 1}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to generate. `ValueError` naming the first value that cannot be served, and the mend.

    method, control: see `FairPipeline`. guidance: the model's usual scale if None. negative_prompt: what guidance leads
    away from, and from where edits are measured; None: what the family takes for no prompt. guidance_rescale: how far
    the guided prediction gets the spread of the prompt's, 0 to 1 (see `backbones.loop`). repair_budget: what repairs,
    or rejected images, may cost, as a share of plain generation. file: what the method learnt beforehand, as `FILES`
    says. loss: one of `LOSSES`, for "latents".
    """

    prompt: str
    n: int = 1
    seed: int = 0
    method: str = "switch"
    control: str = "natural-first"
    steps: int = 25
    guidance: float | None = None
    negative_prompt: str | None = None
    guidance_rescale: float = 0.0
    repair_budget: float = 0.25
    batch_size: int = 8
    file: Path | None = None
    loss: str = ASSIGNED

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        if not 1 <= self.n <= MAX_IMAGES:
            raise ValueError(f"n is {self.n}; ask for 1 to {MAX_IMAGES} images")
        named = (("method", self.method, METHODS), ("control", self.control, CONTROLS), ("loss", self.loss, LOSSES))
        for what, value, known in named:
            if value not in known:
                raise ValueError(f"unknown {what} {value!r}; use one of {', '.join(known)}")
        if self.method == "switch" and self.control == "all":
            raise ValueError("method 'switch' needs control 'natural-first'; to change all images use method 'prompt'")
        if self.file is None and self.method in ("bottleneck", "edit"):
            raise ValueError(f"method {self.method!r} needs a file with {FILES[self.method]}; name it as file")
        if self.file is not None and self.method not in FILES:
            raise ValueError(
                f"file is {str(self.file)!r}, which method {self.method!r} does not use; use {', '.join(FILES)}"
            )
        if self.loss != ASSIGNED and self.method != "latents":
            raise ValueError(f"loss is {self.loss!r}, which method {self.method!r} does not use; use 'latents'")
        if not 1 <= self.steps <= 1000:
            raise ValueError(f"steps is {self.steps}; use 1 to 1000")
        if self.guidance is not None and not 0 <= self.guidance <= 100:  # also false for NaN
            raise ValueError(f"guidance is {self.guidance}; use 0 to 100")
        check_negative(self.negative_prompt)
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale is {self.guidance_rescale}; use 0 to 1")
        if not 0 <= self.repair_budget <= 100:
            raise ValueError(f"repair_budget is {self.repair_budget}; use 0 to 100 times the cost of plain generation")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; use 1 or more")
        check_seed(self.seed)

    @property
    def plain(self) -> Request:
        """The same request, unsteered."""
        return replace(self, method="none", file=None, loss=ASSIGNED)

    @property
    def assigns(self) -> bool:
        """Whether each image is assigned the groups that it should show."""
        return self.method != "none" and self.method not in UNASSIGNED and self.loss == ASSIGNED

    @property
    def natural_first(self) -> bool:
        """Whether images are steered mid-way and only where they need it."""
        return self.control == "natural-first" and self.method in ("switch", "semantic")
