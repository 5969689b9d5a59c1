"""A clock that tests can move: the time by which a party works, always in UTC."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.exchange import BadRequest
from sandbox.store import Shelf

KEY = "clock"
FIRST_YEAR, LAST_YEAR = 2000, 2100
LONGEST_MOVE = 315_576_000.0
FORM = "%Y-%m-%dT%H:%M:%SZ"


def written(moment: datetime) -> str:
    """Write a moment as the sandbox shows it."""
    return moment.astimezone(UTC).strftime(FORM)


def read(text: object, name: str) -> datetime:
    """Read a moment in ISO 8601, taken as UTC where it names no zone; raises BadRequest."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise BadRequest(f"{name} must be a time such as 2026-03-29T01:00:00Z.") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise BadRequest(f"{name} must be from {FIRST_YEAR} to {LAST_YEAR}.")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


class Clock:
    """Real time, moved by an offset, or standing still; kept over a restart."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        kept = shelf.changes(KEY)
        self._offset = timedelta(seconds=float(kept.get("offset") or 0))
        self._stopped_at = read(kept["stopped_at"], KEY) if kept.get("stopped_at") else None

    def now(self) -> datetime:
        """Give the time by this clock."""
        with self._lock:
            return self._stopped_at or datetime.now(UTC) + self._offset

    @property
    def stands_still(self) -> bool:
        """Is it stopped?"""
        return self._stopped_at is not None

    def move(self, fields: dict[str, Any]) -> None:
        """Set it (`now`), move it (`forward` seconds), stop or start it (`stopped`)."""
        unknown = fields.keys() - {"now", "forward", "stopped"}
        if unknown or not fields:
            raise BadRequest("Send now (a time), forward (seconds) or stopped (true or false).")
        now = read(fields["now"], "now") if "now" in fields else self.now()
        now += timedelta(seconds=_seconds(fields.get("forward", 0)))
        read(now.isoformat(), "The time after the move")
        self._keep(now, stopped=bool(fields.get("stopped", self.stands_still)))

    def _keep(self, now: datetime, *, stopped: bool) -> None:
        with self._lock:
            self._offset = now - datetime.now(UTC)
            self._stopped_at = now if stopped else None
        kept = {
            "offset": self._offset.total_seconds(),
            "stopped_at": now.isoformat() if stopped else None,
        }
        self._shelf.change(KEY, kept)

    def reset(self) -> None:
        """Show real time again."""
        with self._lock:
            self._offset, self._stopped_at = timedelta(), None
        self._shelf.forget(KEY)

    def shown(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        offset = round(self._offset.total_seconds(), 3)
        return {"now": written(self.now()), "offset": offset, "stopped": self.stands_still}


def _seconds(given: Any) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        raise BadRequest("forward must be a number of seconds.") from None
    if not abs(seconds) <= LONGEST_MOVE:
        raise BadRequest("forward must be within ten years.")
    return seconds
