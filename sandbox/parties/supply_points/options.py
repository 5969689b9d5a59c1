"""How gateway and service answer: what tests and people may set, kept in the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sandbox.exchange import BadRequest
from sandbox.store import Shelf

KEY = "options"
CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "envelope": ("classic", "newer"),
    "unit": ("GWh", "kWh"),
    "key_fault": ("FailedToResolveAPIKey", "InvalidApiKey"),
    "quota_status": (500, 429),
}
MOST = {"per_minute": 1_000_000, "per_month": 1_000_000_000, "answer_after_ms": 5_000}


@dataclass(frozen=True, slots=True)
class Options:
    """Envelope, unit, error of a wrong key, status of a used-up quota, limits, and delay."""

    envelope: str = "classic"
    unit: str = "GWh"
    key_fault: str = "FailedToResolveAPIKey"
    quota_status: int = 500
    per_minute: int = 6_000
    per_month: int = 1_000_000
    answer_after_ms: int = 0

    def shown(self) -> dict[str, Any]:
        """Give them as JSON shows them."""
        return asdict(self)


class OptionsKept:
    """The options as they are set now; read from memory, kept in the store."""

    def __init__(self, shelf: Shelf, usual: Options) -> None:
        self._shelf, self._usual = shelf, usual
        self.now = replace(usual, **shelf.changes(KEY))

    def change(self, given: Mapping[str, Any]) -> None:
        """Set some of them; null or an empty text sets one back; raises BadRequest."""
        known = [field.name for field in fields(Options)]
        unknown = sorted(given.keys() - set(known))
        if unknown:
            raise BadRequest(f"Not understood: {', '.join(unknown)}. Known: {', '.join(known)}.")
        changes = {name: self._checked(name, value) for name, value in given.items()}
        self._shelf.change(KEY, changes)
        self.now = replace(self.now, **changes)

    def _checked(self, name: str, value: Any) -> Any:
        if value in (None, ""):
            return getattr(self._usual, name)
        if name in MOST:
            return whole(name, value, MOST[name])
        chosen = {str(choice): choice for choice in CHOICES[name]}.get(str(value))
        if chosen is None:
            raise BadRequest(f"{name} must be one of {', '.join(map(str, CHOICES[name]))}.")
        return chosen

    def forget(self) -> None:
        """Set all of them back."""
        self._shelf.forget(KEY)
        self.now = self._usual


def whole(name: str, value: Any, most: int) -> int:
    """Read a whole number from 0 to `most`; raises BadRequest."""
    text = "" if isinstance(value, bool) else str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise BadRequest(f"{name} must be a whole number from 0 to {most}.")
    return int(text)
