"""How the system reports, validates and counts: what people may set, kept in the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.exchange import BadRequest
from sandbox.store import Shelf

KEY = "options"
MOST = 86_400.0
MOST_SYSTEMS = 20_000
CHOICES: Mapping[str, tuple[str, ...]] = {
    "window": ("dates", "always", "closed"),
    "time_zone": ("America/New_York", "UTC-4"),
    "validation_by": ("real", "clock", "told"),
    "post_reply": ("items", "empty"),
    "test_reply": ("items", "empty"),
}
DATES = frozenset({"window_first", "window_last", "last_period"})
LIMITS: Mapping[str, tuple[float, float]] = {
    "systems": (0, MOST_SYSTEMS),
    "days_before": (1, 28),
    "days_after": (0, 22),
    "max_valid": (0, 1000),
    "max_failed": (0, 1000),
    "polls_per_minute": (1, 1000),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What `/control/production-tracking/options` shows."""

    systems: int = 300
    # dates: by the two day counts. always: each window stays open until the next one opens.
    # closed: none is open, and what was submitted is settled.
    window: str = "dates"
    days_before: int = 5
    days_after: int = 5
    # A window of its own, beside the rule; both or none.
    window_first: str = ""
    window_last: str = ""
    # The period that all systems have reported; it follows the clock while this is empty.
    last_period: str = ""
    time_zone: str = "America/New_York"
    # Seconds of real time or of the party's clock; told: until a verdict is given by hand.
    validation_by: str = "real"
    validation_seconds: float = 2.0
    max_valid: int = 2
    max_failed: int = 3
    # Do items that are refused, and tests that fail, count as failed tries?
    errors_count: bool = False
    tests_count: bool = False
    post_reply: str = "items"
    test_reply: str = "items"
    tests_in_status: bool = False
    polls_per_minute: int = 1
    revoke_for_polling: bool = False

    def local(self, moment: datetime) -> datetime:
        """Give a moment as its local time without a zone, as every time in the API is written."""
        return moment.astimezone(self._zone).replace(tzinfo=None)

    @property
    def _zone(self) -> tzinfo:
        if self.time_zone == "UTC-4":
            return timezone(timedelta(hours=-4))
        return ZoneInfo(self.time_zone)

    def shown(self) -> dict[str, Any]:
        """Give them as JSON shows them."""
        return asdict(self)


def options(shelf: Shelf, usual_window: str) -> Options:
    """Give the options as they are set now."""
    # The store gives decimals where floats were kept.
    kept: dict[str, Any] = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in shelf.changes(KEY).items()
        if value is not None
    }
    return Options(**{"window": usual_window, **kept})


def change(shelf: Shelf, given: Mapping[str, Any]) -> None:
    """Set some of them; null sets one back; raises BadRequest."""
    usual = {field.name: field.default for field in fields(Options)}
    unknown = sorted(given.keys() - usual.keys())
    if unknown:
        raise BadRequest(f"Not understood: {', '.join(unknown)}. Known: {', '.join(usual)}.")
    shelf.change(KEY, {name: _checked(name, value, usual[name]) for name, value in given.items()})


def _checked(name: str, value: Any, usual: Any) -> Any:
    if value is None:
        return None
    if name in CHOICES:
        return _chosen(name, value)
    if name in DATES:
        return _date(name, value)
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false.")
        return value
    return _number(name, value, usual)


def _chosen(name: str, value: object) -> object:
    if value not in CHOICES[name]:
        raise BadRequest(f"{name} must be one of {', '.join(CHOICES[name])}.")
    return value


def _date(name: str, value: object) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat() if value else ""
    except ValueError:
        raise BadRequest(f"{name} must be a date such as 2026-11-10.") from None


def _number(name: str, value: Any, usual: float) -> float:
    least, most = LIMITS.get(name, (0, MOST))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} must be a number.") from None
    if not least <= number <= most:
        raise BadRequest(f"{name} must be from {least:g} to {most:g}.")
    return int(number) if isinstance(usual, int) else number
