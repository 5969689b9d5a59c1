"""Which outcome scenario a job leads to.

The document promises a scenario id and prints none: these numbers and names are the sandbox's own.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Scenario(IntEnum):
    """What the service will tell the industry."""

    ABORTED = 1
    ISOLATOR_FITTED = 2
    DE_AND_RE_ENERGISED = 3
    LEFT_DE_ENERGISED = 4
    RE_ENERGISED = 5
    NOTHING_CHANGED = 6

    @property
    def code(self) -> str:
        """Give it as a code, such as SC02."""
        return f"SC{self:02}"

    @property
    def title(self) -> str:
        """Give it as words."""
        return self.name.replace("_", " ").capitalize()


def scenario_of(message: Mapping[str, Any]) -> Scenario:
    """Derive the scenario of a message that was found good.

    A supply that was left off comes first: whatever else happened, the industry must know.
    """
    done = message.get("job_execution") or {}
    off, on = done.get("site_de_energised"), done.get("site_re_energised")
    if off and not on:
        return Scenario.LEFT_DE_ENERGISED
    if message["job_completion"]["outcome"].casefold() == "aborted":
        return Scenario.ABORTED
    if done.get("isolator_fitted"):
        return Scenario.ISOLATOR_FITTED
    if on:
        return Scenario.DE_AND_RE_ENERGISED if off else Scenario.RE_ENERGISED
    return Scenario.NOTHING_CHANGED
