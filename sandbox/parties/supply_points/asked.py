"""What a look-up asks for: exactly one kind of filter, within the specification's lengths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.parties.supply_points.tables import ADDRESS, KINDS

# What the gateway takes for an attack; the control page names the same words.
THREAT = re.compile(
    r"</?[a-z!]|javascript:|--|'\s*or\s|\bunion\s+select\b|\bdrop\s+table\b|/\*", re.I
)
THREATS = "<script>, javascript:, --, ' or 1=1, union select, drop table, /*"


class Empty(ValueError):
    """No filter was sent."""


class Unclear(ValueError):
    """More than one kind of filter was sent, or a text that is too long."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One look-up: the kind of filter, its text, and the details of an address."""

    kind: str
    text: str
    details: Mapping[str, str]


def is_threat(query: Mapping[str, str]) -> bool:
    """Does the gateway take any value for an attack?"""
    return any(THREAT.search(value) for value in query.values())


def asked(query: Mapping[str, str]) -> Asked:
    """Read the filters; raises Empty without one, Unclear with more than one kind.

    Address details go with a postcode alone. Names that the specification lacks are passed over.
    """
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    kinds = [name for name in KINDS if name in given]
    details = {name: given[name] for name in ADDRESS if name in given}
    if not kinds:
        raise Empty
    if len(kinds) > 1 or (details and kinds != ["postcode"]):
        raise Unclear
    lengths = {**KINDS, **ADDRESS}
    if any(len(value) > lengths[name] for name, value in given.items() if name in lengths):
        raise Unclear
    return Asked(kinds[0], given[kinds[0]], details)
