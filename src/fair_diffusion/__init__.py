"""Instruct a deployed text-to-image model on fairness, and measure what it then draws.

The flow is in `pipeline`, top to bottom: a request is matched with a policy, quotas are planned, and control draws.

    pipeline       FairPipeline: requests in, results out
    request        what may be asked for
    result         what comes out: images, records and the audit, as plain data
    methods        the table of steering methods
    seeds          the range of seeds
    policy         what a person says: instructions, policy files, targets, and which rule a prompt triggers
    allocation     how many images show each group: quotas, assignments, and the ledger across requests
    models         weights: where they are, how they are loaded and changed, the cards, and the pocket model
    backbones      one adapter for each family of models, and the denoising loop
    steering       one file for each method, and what a method is told
    control        which images are steered and made again, and the one loop that draws
    perception     who reads pictures: perceivers, early readers and judges
    statistics     pure functions on numbers: intervals, deviations, tests, corrections
    audit          tallies and studies: what is counted, and all numbers that follow from it
    readers        what can be audited: one file for each kind of target
    runs           runs on disk: their format, and suites of many runs
    report         a study as one page
    compare        all ways to meet a target, on one table
    rebalance      existing images, the fewest of them moved
    service        what a service of many requests shares: jobs, the ledger, keys, policies, images, labels
    scale          suites and comparisons that many workers draw, on one machine or on many
    studio         the pages for people: instruct, look, judge, correct
    files          files and folders that are written whole or not at all, tables, pictures, text
    cli            the command `fair-diffusion`: one file for each verb

docs/explanation/architecture.md tells what each package may import.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Ledger
    from fair_diffusion.control.strengths import Strengths
    from fair_diffusion.methods import Method
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Policy
    from fair_diffusion.request import Request
    from fair_diffusion.result import Record, Result

__version__: str
__all__ = [
    "FairPipeline",
    "Ledger",
    "Method",
    "Policy",
    "Record",
    "Request",
    "Result",
    "Strengths",
    "__version__",
]

_HOMES = {
    "FairPipeline": "pipeline",
    "Ledger": "allocation.ledger",
    "Method": "methods",
    "Policy": "policy",
    "Record": "result",
    "Request": "request",
    "Result": "result",
    "Strengths": "control.strengths",
}


def __getattr__(name: str) -> Any:
    # The model libraries take seconds to import; `explain` must not wait for them.
    import importlib
    from importlib.metadata import version

    if name == "__version__":
        return version("fair-diffusion")
    if name not in _HOMES:
        raise AttributeError(f"module 'fair_diffusion' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fair_diffusion.{_HOMES[name]}"), name)
