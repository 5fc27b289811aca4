"""What a request may ask for: the limits of the command line, of Python and of `explain` alike. Loads no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self, TypedDict

from fair_diffusion.methods import ASSIGNED, CONTROLS, METHODS, NATURAL_FIRST, NONE, USUAL, Method, named
from fair_diffusion.policy import Attributes, Policy, built_in
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.policy.holding import attributes_in
from fair_diffusion.seeds import SEEDS

MAX_PROMPT = 32_000
MAX_IMAGES = 10_000
_SIDE = r"(?:1[6-9]|[2-9]\d|[1-9]\d\d|[1-7]\d{3}|80\d\d|81[0-8]\d|819[0-2])"
_SIZE = re.compile(rf"{_SIDE}x{_SIDE}")


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


class RequestFields(TypedDict, total=False):
    """The keyword arguments of a request, as type checkers see them: the fields of `Request` but for the prompt."""

    n: int
    seed: int
    instruct: str | None
    policy: Policy | None
    method: str | Method
    control: str | None
    steps: int | None
    guidance: float | None
    negative_prompt: str | None
    guidance_rescale: float
    repair_budget: float
    batch_size: int
    size: str | None
    file: Path | None
    loss: str | None
    hold: str | Sequence[str] | None
    lot: tuple[int, int] | None
    attributes: Attributes | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to generate. A wrong value or type is one `ValueError` that names it and the mend.

    Attributes:
        prompt: what to draw.
        n: how many images.
        seed: image i is drawn from seed + i.
        instruct: a sentence such as "firefighter: 50% woman, 50% man".
        policy: the same as rules; give one of the two, or none.
        method: a name of `methods.METHODS`, or a method object of your own.
        control: "natural-first" or "all", as the method allows; the method's usual one if None.
        steps: denoising steps; the model's usual ones if None.
        guidance: guidance scale; the model's usual one if None.
        negative_prompt: what guidance leads away from, and from where edits are measured; None: what the family takes
            for no prompt.
        guidance_rescale: how far the guided prediction gets the spread of the prompt's, 0 to 1 (see `backbones.guide`).
        repair_budget: what repairs, or rejected images, may cost, as a share of plain generation.
        batch_size: images in one batch at most.
        size: width and height of the pictures in pixels, such as "768x512"; the model's own if None.
        file: what the method learnt beforehand (safetensors), for methods that take a file.
        loss: the fairness loss, for methods that descend on one; the method's usual one if None.
        hold: the attributes that steered images keep: names, as a list or one text with commas, or "none"; if None,
            what the policy says, and every attribute that the perceiver reads where it says nothing. Attributes that a
            target asks for, or that the prompt states, are never held. Kept as a tuple.
        lot: for requests that belong together, a seed that they share and the place of this one among them, from 0.
            Groups that equal remainders of quotas tie win in turn over the places, so that they even out. If None,
            prompt and seed decide.
        attributes: the definitions that the instruction may use, such as `Attributes.named("glasses")`; the built-in
            ones if None. A policy has its own.
    """

    prompt: str
    n: int = 1
    seed: int = 0
    instruct: str | None = None
    policy: Policy | None = None
    method: str | Method = USUAL
    control: str | None = None
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    guidance_rescale: float = 0.0
    repair_budget: float = 0.25
    batch_size: int = 8
    size: str | None = None
    file: Path | None = None
    loss: str | None = None
    hold: str | Sequence[str] | None = None
    lot: tuple[int, int] | None = None
    attributes: Attributes | None = None

    def __new__(cls, **given: Any) -> Self:
        """`ValueError` naming the first keyword that is no field, and the nearest one that is."""
        check_fields(given, [field.name for field in fields(cls)])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "lot":
                object.__setattr__(self, field.name, _typed(field.name, str(field.type), getattr(self, field.name)))
        self._check_lot()
        check_prompt(self.prompt)
        if self.instruct is not None and self.policy is not None:
            raise ValueError("both an instruction and a policy are given; give one")
        if self.attributes is not None and self.policy is not None:
            raise ValueError("both attributes and a policy are given; define the attributes in the policy")
        if self.hold is not None:
            object.__setattr__(self, "hold", attributes_in(self.hold, self.definitions))
        if not 1 <= self.n <= MAX_IMAGES:
            raise ValueError(f"n is {self.n}; ask for 1 to {MAX_IMAGES} images")
        self._check_method()
        if self.steps is not None and not 1 <= self.steps <= 1000:
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
        if self.size is not None and not _SIZE.fullmatch(self.size):
            raise ValueError(
                f"size is {self.size!r}; give width and height in pixels, such as 768x512, each from 16 to 8192"
            )

    def _check_lot(self) -> None:
        """`ValueError` if the lot is no seed and place."""
        pair: Any = self.lot
        if pair is not None and not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(one, Integral) for one in pair)
            and min(pair) >= 0
        ):
            raise ValueError(f"lot is {pair!r}; give a seed and a place: two whole numbers, 0 or more")

    def _check_method(self) -> None:
        """`ValueError` if method, control, file and loss do not fit each other."""
        row = self.row
        if self.control is not None and self.control not in CONTROLS:
            raise ValueError(f"unknown control {self.control!r}; use one of {', '.join(CONTROLS)}")
        if self.control is not None and self.control not in row.controls:
            others = ", ".join(other.name for other in METHODS.values() if self.control in other.controls)
            raise ValueError(
                f"method {row.name!r} needs control {row.controls[0]!r}, or none named; control {self.control!r} goes "
                f"with {others}"
            )
        if self.file is None and row.needs_file:
            raise ValueError(f"method {row.name!r} needs a file with {row.learnt}; name it as file")
        if self.file is not None and not row.learnt:
            takers = ", ".join(other.name for other in METHODS.values() if other.learnt)
            raise ValueError(f"file is {str(self.file)!r}, which method {row.name!r} does not use; use {takers}")
        if self.loss is not None and self.loss not in row.losses:
            if not row.losses:
                takers = ", ".join(other.name for other in METHODS.values() if other.losses)
                raise ValueError(f"loss is {self.loss!r}, which method {row.name!r} does not use; use {takers}")
            raise ValueError(f"unknown loss {self.loss!r}; use one of {', '.join(row.losses)}")

    @property
    def row(self) -> Method:
        """The method, as its row of the table or as the user's own object."""
        return named(self.method)

    @property
    def definitions(self) -> Attributes:
        """The definitions of all attributes that may be asked for."""
        return self.policy.attributes if self.policy is not None else self.attributes or built_in()

    @property
    def hold_names(self) -> tuple[str, ...] | None:
        """The attributes to hold; None if the policy decides."""
        return None if self.hold is None else tuple(self.hold)

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height of the pictures; None: the model's own."""
        if self.size is None:
            return None
        width, height = self.size.split("x")
        return int(width), int(height)

    @property
    def ties(self) -> tuple[int, str, int]:
        """What decides among equal remainders of quotas: seed, text and place, as `allocation.plan` takes them."""
        return (self.seed, self.prompt, 0) if self.lot is None else (self.lot[0], "", self.lot[1])

    @property
    def plain(self) -> Request:
        """The same request, without instruction and unsteered."""
        return replace(self, method=NONE, control=None, file=None, loss=None, instruct=None, policy=None)

    @property
    def fairness_loss(self) -> str:
        """The fairness loss: the one asked for, or the method's usual one; `ASSIGNED` for methods without."""
        return self.loss or next(iter(self.row.losses), ASSIGNED)

    @property
    def assigns(self) -> bool:
        """Whether each image is assigned the groups that it should show."""
        return self.row.assigns and self.fairness_loss == ASSIGNED

    @property
    def natural_first(self) -> bool:
        """Whether images are steered mid-way and only where they need it."""
        return (self.control or self.row.controls[0]) == NATURAL_FIRST


def check_fields(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """`ValueError` naming the first keyword that is not known, and the nearest one that is."""
    names = tuple(known)
    for name in given:
        if name not in names:
            raise ValueError(f"unknown argument {name!r}; {_mend(name, names)}")


def _mend(name: str, known: tuple[str, ...]) -> str:
    """What to use instead of an unknown keyword, which may be one of diffusers'."""
    if (ours := _OF_DIFFUSERS.get(name)) in known:
        return f"it is called {ours!r} here"
    if name == "generator" and "seed" in known:
        return "give seed=0: image i is drawn from seed + i"
    if name in ("height", "width") and "size" in known:
        return 'give size="768x512", width and height in pixels'
    if name in ("revision", "variant", "cache_dir", "token") and "dtype" in known:
        return "download the model first (hf download takes such options), and give its folder"
    return suggestion(name, known)


_OF_DIFFUSERS = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "num_images_per_prompt": "n",
    "callback_on_step_end": "on_step",
    "callback": "on_step",
    "torch_dtype": "dtype",
}
"""Keywords of diffusers' pipelines, and what we call the same."""


_KINDS: Mapping[str, tuple[tuple[type, ...], Callable[[Any], Any], str]] = {
    "str": ((str,), str, "text"),
    "int": ((Integral,), int, "a whole number"),
    "float": ((Real,), float, "a number"),
    "Path": ((Path, str), Path, "a path"),
    "Policy": ((Policy,), lambda policy: policy, "a Policy, such as Policy.from_file(PATH)"),
    "str | Sequence[str]": ((str, list, tuple), lambda names: names, "names of attributes, or 'none'"),
    "Attributes": ((Attributes,), lambda attributes: attributes, "Attributes, such as Attributes.named('glasses')"),
    "str | Method": ((str, Method), lambda method: method, "the name of a method, or a Method"),
}
"""For each type of a field: what is taken for it, how it is kept, and what messages call it."""


def _typed(name: str, annotation: str, value: Any) -> Any:
    """The value as the type of its field. `ValueError` naming field and value if it is of another type."""
    if value is None and annotation.endswith(" | None"):
        return None
    taken, kept, said = _KINDS[annotation.removesuffix(" | None")]
    if name == "prompt" and isinstance(value, list | tuple):
        said = "one text, and several prompts as requests to FairPipeline.many"
    if not isinstance(value, taken) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; give {said}")
    try:
        return kept(value)
    except OverflowError:
        raise ValueError(f"{name} is too large; give {said} in the usual range") from None
