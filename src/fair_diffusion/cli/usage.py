"""What the verbs share: exit codes, wrong usage as one clear line for each mistake, and what shared options ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Defining, Instruction, Loading
from fair_diffusion.policy import Attributes, Policy

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

MISSED, INTERRUPTED = 3, 130
"""Exit codes: what was asked for is not met; ended from the keyboard."""
MODEL = "pocket"
"""The model that is loaded if none is named."""


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a `ValueError` or `OSError` of the library into its message and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            say(f"{error.filename} cannot be used ({error.strerror}); name another, or mend that", err=True)
        else:
            say(str(error), err=True)
        raise typer.Exit(2) from error


def instructed(instruction: Instruction) -> Policy:
    """The policy that --instruct or --policy says; empty without either. `ValueError` for both or a wrong one."""
    if "instruct" in instruction and "policy" in instruction:
        raise ValueError("both --instruct and --policy are given; give one")
    if "policy" in instruction:
        if "define" in instruction:
            raise ValueError("both --define and --policy are given; define the attributes in the policy")
        return warned(Policy.from_file(instruction["policy"]))
    own = defined(instruction)
    if "instruct" in instruction:
        return warned(Policy.from_sentence(instruction["instruct"], own))
    return Policy(attributes=own) if own else Policy()


def defined(options: Defining) -> Attributes | None:
    """The built-in attributes with those of --define; None without it. `ValueError` for a wrong one."""
    return Attributes.named(*options["define"]) if "define" in options else None


def instructed_attributes(instruction: Instruction) -> Attributes | None:
    """The attributes that an instruction may ask for: with those of --define, or of the policy that stands alone."""
    if "policy" in instruction and not {"instruct", "define"} & instruction.keys():
        return Policy.from_file(instruction["policy"]).attributes
    return defined(instruction)


def warned(policy: Policy) -> Policy:
    """The same policy, after its warnings are told on standard error."""
    for warning in policy.warnings:
        say(f"warning: {warning}", err=True)
    return policy


def check_requests(prompts: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Check all that can be checked of requests before a model is loaded.

    Args:
        prompts: what is to be drawn.
        settings: fields of `Request` for all prompts.

    Raises:
        ValueError: a field cannot be served, or its file does not hold what the method takes.
    """
    from fair_diffusion.request import Request

    requests = [Request(prompt=prompt, **settings) for prompt in prompts]
    if requests and requests[0].file is not None:
        from fair_diffusion.steering import check_file

        check_file(requests[0].row, requests[0].file)


def loaded(options: Loading) -> FairPipeline:
    """The model that the options name, with its readers. `ValueError` if it cannot be loaded."""
    from fair_diffusion.cli.progress import loading
    from fair_diffusion.pipeline import FairPipeline

    named: dict[str, Any] = {"model": MODEL, **options}
    model = named.pop("model")
    with loading(model):
        return FairPipeline.from_pretrained(model, **named)
