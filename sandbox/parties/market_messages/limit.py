"""The limit of calls a minute (clause 3.5), really counted, over the last sixty seconds."""

import threading
import time
from collections import deque
from collections.abc import Callable
from math import ceil


class Limit:
    """The calls let through lately; those beyond the limit are refused and not counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._passed: deque[float] = deque()

    def wait(self, most: int, window: float) -> int | None:
        """Count one call; None when it may pass, else the whole seconds until the next may."""
        now = self._clock()
        with self._lock:
            while self._passed and self._passed[0] <= now - window:
                self._passed.popleft()
            if most and len(self._passed) >= most:
                return max(1, ceil(self._passed[-most] + window - now))
            self._passed.append(now)
        return None

    def forget(self) -> None:
        """Begin a new count."""
        with self._lock:
            self._passed.clear()
