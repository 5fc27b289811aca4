"""The languages other than English in which occupations are known, and what can be put into such a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.rules import Policy
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.words import Phrase

NAMES = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "zh": "Chinese",
    "ja": "Japanese",
    "ar": "Arabic",
}


def language(words: Phrase) -> str:
    """The language of a phrase for an occupation; "en" if it is unknown."""
    entry = known().get(words)
    return entry.language if entry else "en"


def translated(policy: Policy, targets: Sequence[Target], language: str) -> tuple[Mapping[str, str], str]:
    """The policy's words for groups in `language`, and what is to be told of them."""
    found = policy.words.get(language, {})
    needed = {group for target in targets for cell, share in target.shares.items() if share for group in cell}
    if missing := sorted(needed - found.keys()):
        told = f"the prompt is in {NAMES[language]}, and the policy has no word in it for {', '.join(missing)}"
        return found, f"{told}: a method that changes the prompt adds English words at its end"
    return found, f"the prompt is in {NAMES[language]}, and the policy has words for it"
