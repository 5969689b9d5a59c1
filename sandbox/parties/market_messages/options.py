"""How the service checks and answers where its document is silent: switches kept in the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from sandbox.exchange import BadRequest
from sandbox.store import Shelf

KEY = "switches"
CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "details_form": ("objects", "fields", "nested", "texts", "text"),
    "details_key": ("details", "errors", "detail"),
    "request_id_key": ("request_id", "requestId", "Request ID", "requestID"),
    "scenario_key": ("scenario", "scenario_id", "scenarioId", "Scenario ID"),
    "scenario_form": ("code", "number", "title"),
    "status_form": ("text", "number"),
    "wrong_key_status": (401, 403),
    "retry_after": ("seconds", "date", "none"),
    "required": ("printed", "deciding"),
}
BOUNDS: Mapping[str, tuple[float, float]] = {
    "calls_per_minute": (0, 1_000_000),
    "minute_seconds": (0.01, 3600),
    "largest_body": (1, 64_000_000),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The switches; `calls_per_minute` 0 is no limit, and tests may shorten its minute."""

    details_form: str = "objects"
    details_key: str = "details"
    request_id_key: str = "request_id"
    scenario_key: str = "scenario"
    scenario_form: str = "code"
    status_form: str = "text"
    wrong_key_status: int = 401
    retry_after: str = "seconds"
    required: str = "printed"
    calls_per_minute: int = 0
    minute_seconds: float = 60.0
    largest_body: int = 40_000_000
    strict_blocks: bool = False
    refuse_unknown_codes: bool = False
    refuse_unknown_fields: bool = False
    check_photos: bool = True

    def shown(self) -> dict[str, Any]:
        """Give them as JSON shows them."""
        return asdict(self)


def options(shelf: Shelf) -> Options:
    """Give the switches as they are set now."""
    # The store gives decimals where floats were kept.
    kept: dict[str, Any] = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in shelf.changes(KEY).items()
    }
    return Options(**kept)


def change(shelf: Shelf, given: Mapping[str, Any]) -> None:
    """Set some of them; null sets one back; raises BadRequest, and then sets none."""
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
            choices = ", ".join(str(choice) for choice in CHOICES[name])
            raise BadRequest(f"{name} must be one of {choices}.")
        return value
    if name in BOUNDS:
        return _number(name, value, usual)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false.")
    return value


def _number(name: str, value: Any, usual: float) -> float:
    least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequest(f"{name} must be a number.")
    if not least <= value <= most or (isinstance(usual, int) and value != int(value)):
        raise BadRequest(f"{name} must be from {least:g} to {most:g}.")
    return int(value) if isinstance(usual, int) else float(value)
