"""Policies: attributes, targets, instructions and policy files, and the rule that a prompt triggers."""

from fair_diffusion.policy.attributes import Attribute, Attributes, Group, built_in
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.matching import Losing, Match, Stated, match
from fair_diffusion.policy.rules import Policy, Rule
from fair_diffusion.policy.target import Assignment, Cell, Target

__all__ = [
    "Assignment",
    "Attribute",
    "Attributes",
    "Cell",
    "Group",
    "Losing",
    "Match",
    "Policy",
    "PolicyError",
    "Problem",
    "Rule",
    "Stated",
    "Target",
    "built_in",
    "match",
]
