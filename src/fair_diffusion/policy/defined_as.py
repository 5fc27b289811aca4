"""By what a definition of an attribute is known, so that nobody takes labels of one for labels of another.

It is its hash, as in records and ledgers. The built-in ones have none there, and are known as built in: so they go on
as they are where a later version knows more words for a group.
"""

from __future__ import annotations

import re

from fair_diffusion.policy.attributes import Attribute, built_in

BUILT_IN = "built-in"
_OWN = re.compile(r"; (\S+) as ([0-9a-f]{16})(?=;|$)")


def defined_as(attribute: Attribute) -> str:
    """By what a definition is known: its hash, or that it is built in. Texts that only tell about it change nothing."""
    known = built_in().get(attribute.name)
    return BUILT_IN if known is not None and known.digest == attribute.digest else attribute.digest


def defined_in(key: str, attribute: str) -> str:
    """The same for an attribute of a target, by the key of the target (`Target.key`)."""
    found = dict(_OWN.findall(key)).get(attribute, BUILT_IN)
    known = built_in().get(attribute)
    return BUILT_IN if known is not None and known.digest == found else found
