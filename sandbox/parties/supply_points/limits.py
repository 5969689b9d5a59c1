"""The gateway's two limits, really counted: a spike arrest per minute and a quota per month.

The minute is the last sixty seconds, the month that of the calendar in UTC, both by the party's
own clock. A refused call counts in neither. The month's count outlasts a restart.
"""

import threading
from collections import Counter, deque
from datetime import datetime
from math import ceil
from typing import Any

from sandbox.clock import Clock
from sandbox.parties.supply_points.options import Options
from sandbox.store import Shelf

MINUTE = 60.0
MONTH_KEY = "month "
SPIKE, QUOTA = "SpikeArrestViolation", "QuotaViolation"


class Limits:
    """Counts calls, and refuses those above a limit."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf, self._clock = shelf, clock
        self._lock = threading.Lock()
        self._latest: deque[float] = deque()
        self._months: dict[str, int] = {}
        self._refused: Counter[str] = Counter()

    def take(self, options: Options) -> str | None:
        """Count one call; name the violation instead when it is above a limit."""
        with self._lock:
            now = self._clock.now()
            violation = self._violation(now, options)
            if violation:
                self._refused[violation] += 1
            else:
                self._latest.append(now.timestamp())
                key = _month(now)
                self._months[key] = self._shelf.count_call(key)
        return violation

    def _violation(self, now: datetime, options: Options) -> str | None:
        if self._in_minute(now) >= options.per_minute:
            return SPIKE
        return QUOTA if self._in_month(now) >= options.per_month else None

    def _in_minute(self, now: datetime) -> int:
        moment, latest = now.timestamp(), self._latest
        if latest and latest[-1] > moment:
            latest.clear()  # The clock was set back.
        while latest and latest[0] <= moment - MINUTE:
            latest.popleft()
        return len(latest)

    def _in_month(self, now: datetime) -> int:
        key = _month(now)
        if key not in self._months:
            self._months[key] = self._shelf.calls(key)
        return self._months[key]

    def wait(self, violation: str) -> int:
        """Give the whole seconds until another call is let through."""
        with self._lock:
            now = self._clock.now()
            if violation == QUOTA:
                return ceil((_next_month(now) - now).total_seconds())
            held = self._in_minute(now)
            return ceil(self._latest[0] + MINUTE - now.timestamp()) if held else int(MINUTE)

    def shown(self, options: Options) -> dict[str, Any]:
        """Give both counts with their limits."""
        with self._lock:
            now = self._clock.now()
            minute, month = self._in_minute(now), self._in_month(now)
            return {
                "minute": {"limit": options.per_minute, "used": minute},
                "month": {
                    "name": _month(now).removeprefix(MONTH_KEY),
                    "limit": options.per_month,
                    "used": month,
                    "left": max(0, options.per_month - month),
                },
                "refused": {name: self._refused[name] for name in (SPIKE, QUOTA)},
            }

    def forget(self) -> None:
        """Count from nothing again."""
        with self._lock:
            for key in {*self._months, _month(self._clock.now())}:
                self._shelf.forget(key)
            self._latest.clear()
            self._months.clear()
            self._refused.clear()


def _month(now: datetime) -> str:
    return f"{MONTH_KEY}{now:%Y-%m}"


def _next_month(now: datetime) -> datetime:
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    years, month = divmod(start.month, 12)
    return start.replace(year=start.year + years, month=month + 1)
