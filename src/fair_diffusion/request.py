"""What a request may ask for: limits that hold for the command line, Python and `explain` alike. Loads no model."""

from __future__ import annotations

METHODS = ("semantic", "prompt", "none")
MAX_PROMPT = 32_000
MAX_IMAGES = 10_000
SEEDS = 2**53
"""Seeds are below this: whole numbers that JSON readers keep exactly."""


def check_prompt(prompt: str) -> None:
    """`ValueError` with the mend if `prompt` is empty, too long or no text."""
    if not prompt.strip():
        raise ValueError("the prompt is empty; say what to draw")
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"the prompt has {len(prompt)} characters; shorten it to {MAX_PROMPT}")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise ValueError("the prompt holds bytes that are no text; write it as UTF-8")


def check_seed(seed: int) -> None:
    """`ValueError` with the mend if `seed` is out of range."""
    if not 0 <= seed < SEEDS:
        raise ValueError(f"seed is {seed}; use 0 to {SEEDS - 1}")


def check_request(prompt: str, *, n: int, method: str, steps: int, guidance: float | None, seed: int) -> None:
    """`ValueError` naming the first argument that cannot be served, and the mend."""
    check_prompt(prompt)
    if not 1 <= n <= MAX_IMAGES:
        raise ValueError(f"n is {n}; ask for 1 to {MAX_IMAGES} images")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; use one of {', '.join(METHODS)}")
    if not 1 <= steps <= 1000:
        raise ValueError(f"steps is {steps}; use 1 to 1000")
    if guidance is not None and not 0 <= guidance <= 100:  # also false for NaN
        raise ValueError(f"guidance is {guidance}; use 0 to 100")
    check_seed(seed)
