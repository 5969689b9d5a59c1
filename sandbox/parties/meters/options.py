"""How the service collects and posts: what tests and people may set, kept in the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from sandbox.exchange import BadRequest
from sandbox.parties.meters.visit import Limits
from sandbox.store import Shelf

KEY = "collecting"
LONGEST = 86_400.0
CHOICES: Mapping[str, tuple[str, ...]] = {
    "check_receiver": ("sometimes", "always", "never"),
    "same_address": ("disturb", "wait"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Seconds that a collection takes, and what happens around it."""

    collection_seconds: float = 0.3
    paused: bool = False
    retries: int = 0
    retry_seconds: float = 30.0
    late_seconds: float = 7200.0
    check_receiver: str = "sometimes"
    same_address: str = "disturb"
    clock_minimum: int = 10
    clock_maximum: int = 600

    @property
    def limits(self) -> Limits:
        """Give the thresholds for adjusting the time."""
        return Limits(self.clock_minimum, self.clock_maximum)

    def shown(self) -> dict[str, Any]:
        """Give them as JSON shows them."""
        return asdict(self)


def options(shelf: Shelf) -> Options:
    """Give the options as they are set now."""
    # The store gives decimals where floats were kept.
    kept: dict[str, Any] = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in shelf.changes(KEY).items()
    }
    return Options(**kept)


def change(shelf: Shelf, given: Mapping[str, Any]) -> None:
    """Set some of them; null sets one back; raises BadRequest."""
    usual = {field.name: field.default for field in fields(Options)}
    unknown = sorted(given.keys() - usual.keys())
    if unknown:
        raise BadRequest(f"Not understood: {', '.join(unknown)}. Known: {', '.join(usual)}.")
    shelf.change(KEY, {name: _checked(name, value, usual[name]) for name, value in given.items()})


def _checked(name: str, value: Any, usual: Any) -> Any:
    if value is None:
        return usual
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise BadRequest(f"{name} must be one of {', '.join(CHOICES[name])}.")
        return value
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false.")
        return value
    return _number(name, value, usual)


def _number(name: str, value: Any, usual: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} must be a number.") from None
    if not 0 <= number <= LONGEST:
        raise BadRequest(f"{name} must be from 0 to {LONGEST:g}.")
    return int(number) if isinstance(usual, int) else number
