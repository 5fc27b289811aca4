"""Briefs: what a steering method is told about a request.

The file of a method defines

    guide(images: Sequence[Aimed]) -> Guide                   how a batch of images is guided
    used_prompt(brief: Brief, assigned: Assignment) -> str    optional: the prompt of a steered image
    check_file(path: Path) -> object                          for methods with a file: `ValueError` if it is wrong
    check_targets(path: Path, targets: Sequence[Target])      optional: `ValueError` too if the file lacks their groups

A batch may hold images of several requests, each with its own brief. All of them have the same steps, guidance and
method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from fair_diffusion.backbones import Backbone, Conditioning
from fair_diffusion.methods import named
from fair_diffusion.models.cards import Card, card_named
from fair_diffusion.policy import Attributes, Target, built_in
from fair_diffusion.request import Request
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.cost import Cost

T = TypeVar("T")
TEXTS = 256
"""Encoded prompts that are kept; beyond that, all are encoded anew."""

Projection = tuple[Tensor, Cost]
"""A projection of text embeddings, and the cost of learning it."""


@dataclass(frozen=True, eq=False)
class Brief:
    """What steering methods are told about one request.

    Attributes:
        backbone: the model.
        request: what is asked for.
        start: the character of the prompt at which the concept begins; None if the prompt does not name it.
        card: the usual strengths and the window of the model.
        targets: the targets of the rule that fires; empty if none does.
        projections: cache of text projections, keyed by the groups that each makes alike, and their definitions.
        texts: cache of encoded prompts, shared by the requests that are drawn together; None: no prompt.
        learnt: seconds that learning from text took once, by what was learnt; methods add to it.
        words: the policy's words for groups in other languages, by language and group.
        held: the attributes that steered images keep.
        definitions: the definitions of all attributes.
    """

    backbone: Backbone
    request: Request
    start: int | None = None
    card: Card = field(default_factory=lambda: card_named("pocket"))
    targets: Sequence[Target] = ()
    projections: dict[str, Projection] = field(default_factory=dict)
    texts: dict[str | None, Conditioning] = field(default_factory=dict)
    learnt: dict[str, float] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    held: Sequence[str] = ()
    definitions: Attributes = field(default_factory=built_in)
    _files: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what the request asks for.

        Raises:
            ValueError: it needs the empty prompt, and the empty prompt is never evaluated.
        """
        asked = {"negative prompt": self.request.negative_prompt, "guidance rescale": self.request.guidance_rescale}
        useless = next((name for name, value in asked.items() if value), None)
        if useless and self.backbone.distilled:
            raise ValueError(
                f"a {useless} means nothing to a model that is distilled or draws without text; leave it out"
            )
        if useless and self.guidance <= 1:
            raise ValueError(
                f"a {useless} does nothing at guidance {self.guidance:g}; use a scale above 1, or leave it out"
            )

    @property
    def guidance(self) -> float:
        """The guidance scale: the request's, or the model's usual one."""
        return self.card.guidance if self.request.guidance is None else self.request.guidance

    @property
    def attributes(self) -> list[str]:
        """The attributes of all targets, each once."""
        return list(dict.fromkeys(name for target in self.targets for name in target.attributes))

    @property
    def steps(self) -> int:
        """The denoising steps: the request's, or the model's usual ones."""
        return self.card.steps if self.request.steps is None else self.request.steps

    @property
    def times(self) -> int:
        """The number of times that a run visits; some samplers visit more than `steps`."""
        return self.backbone.visits(self.steps)

    @property
    def reads_text(self) -> bool:
        """Whether the prompt is encoded: by a model that reads text, or for a method that cannot do without."""
        return self.backbone.reads_text or named(self.request.method).reads_text

    @cached_property
    def plain(self) -> Conditioning:
        """One row: the prompt. It is the empty prompt if neither the model nor the method reads text."""
        return self.encode([self.request.prompt]) if self.reads_text else self.backbone.empty()

    @cached_property
    def empty(self) -> Conditioning:
        """One row: the negative prompt, or what the model's family uses as the empty prompt."""
        negative = self.request.negative_prompt
        if negative is None and None not in self.texts:
            self.texts[None] = self.backbone.empty()
        return self.texts[None] if negative is None else self.encode([negative])

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """One row for each prompt; prompts that were encoded before come from the cache."""
        if len(self.texts) > TEXTS:
            self.texts.clear()
        if new := [prompt for prompt in dict.fromkeys(prompts) if prompt not in self.texts]:
            rows = self.backbone.encode(new)
            self.texts.update({prompt: rows[[k]] for k, prompt in enumerate(new)})
        return Conditioning.cat([self.texts[prompt] for prompt in prompts])

    def loaded(self, load: Callable[[Path], T]) -> T:
        """What `load` makes of the request's file. The file is read once.

        Raises:
            ValueError: the request has no file.
        """
        if self.request.file is None:
            raise ValueError(f"method {named(self.request.method).name!r} needs a file; name it as file")
        if load not in self._files:
            self._files[load] = load(self.request.file)
        content: T = self._files[load]
        return content


class Aimed(NamedTuple):
    """One image of a batch: the brief of its request, and its own aim."""

    brief: Brief
    aim: Aim
