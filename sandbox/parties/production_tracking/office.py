"""The office behind the API: takes submissions in, validates them, closes each window.

Nothing runs in the background: what is due is done when the next call arrives, by the clock.
"""

import threading
import time as real_time
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta

from sandbox.clock import Clock
from sandbox.parties.production_tracking.book import Book, Submission
from sandbox.parties.production_tracking.intake import Intake
from sandbox.parties.production_tracking.options import Options, options
from sandbox.parties.production_tracking.reading import PASSED, Official, Posted, apportioned
from sandbox.parties.production_tracking.sun import expected
from sandbox.parties.production_tracking.system import FIRST_KEY, System, made
from sandbox.parties.production_tracking.window import (
    Window,
    current,
    last_reported,
    month_before,
    period_of,
)
from sandbox.store import Shelf

ANCHOR, CREDENTIALS = "anchor", "credentials"


class Office:
    """Everything that the calls and the control calls ask and change."""

    def __init__(self, shelf: Shelf, usual_window: str) -> None:
        self._shelf = shelf
        self._usual_window = usual_window
        self._lock = threading.RLock()
        self.book = Book(shelf)
        self.clock = Clock(shelf)

    def forget(self) -> None:
        """Drop everything and show real time again."""
        with self._lock:
            self.book.forget()
            self.clock.reset()

    # What is so now.

    @property
    def chosen(self) -> Options:
        """Give the options as they are set now."""
        return options(self._shelf, self._usual_window)

    def now(self) -> datetime:
        """Give the local time."""
        return self.chosen.local(self.clock.now())

    def window(self) -> Window | None:
        """Give the window that is open now."""
        return current(self.now().date(), self.chosen)

    def status(self, one: Submission) -> int:
        """Give the ValidationStatus of a submission now."""
        return one.status(real_time.time(), self.clock.now().timestamp())

    @property
    def revoked(self) -> bool:
        """Has the key been revoked?"""
        return bool(self._shelf.changes(CREDENTIALS).get("revoked"))

    def revoke(self, *, revoked: bool) -> None:
        """Revoke the key, or give it back."""
        self._shelf.change(CREDENTIALS, {"revoked": revoked})

    def poll(self) -> None:
        """Count a call of GetSubmissionStatus; too many revoke the key where that is chosen."""
        chosen = self.chosen
        with self._lock:
            too_early = self.book.poll(self.clock.now().timestamp(), chosen.polls_per_minute)
        if too_early and chosen.revoke_for_polling:
            self.revoke(revoked=True)

    # Systems and their readings in production.

    def systems(self) -> dict[int, System]:
        """Give every system by its key, also those that were removed."""
        keys = range(FIRST_KEY, FIRST_KEY + self.chosen.systems)
        found = {key: made(key) for key in keys}
        for key, changes in self.book.changes().items():
            if key in found or changes.get("added"):
                kept = {name: value for name, value in changes.items() if name != "added"}
                found[key] = made(key).changed(kept)
        return found

    def last_readings(self, systems: Iterable[System]) -> dict[int, Official]:
        """Give the last reading of each system that was ever read."""
        self.close_windows()
        return self._last_readings(systems)

    def _last_readings(self, systems: Iterable[System]) -> dict[int, Official]:
        reported, later = self._reported(), self.book.readings()
        days_after = self.chosen.days_after
        given = {}
        for system in systems:
            last = later.get(system.key) or _first(system, reported, days_after)
            if last:
                given[system.key] = last
        return given

    def _reported(self) -> date:
        """Give the last period that every system has reported by itself.

        It follows the clock until the first submission is saved, and stands still from then on.
        """
        chosen = self.chosen
        kept = chosen.last_period or self._shelf.changes(ANCHOR).get("period")
        if kept:
            return date.fromisoformat(kept)
        return last_reported(self.now().date(), chosen)

    # Submissions.

    def submit(
        self, items: Sequence[Posted], batch_notes: str, *, test: bool
    ) -> list[tuple[System | None, Submission]]:
        """Take in a post of ARPost or ARPostTest; give each item with its system."""
        with self._lock:
            systems = self.systems()
            wanted = (systems[one.key] for one in items if one.key in systems)
            last = self.last_readings({system.key: system for system in wanted}.values())
            intake = self._intake(last, batch_notes, test=test)
            taken = []
            for one in items:
                system = systems.get(one.key) if one.key is not None else None
                taken.append((system, intake.take(one, system)))
            if not test and any(not one.error for _, one in taken):
                self._shelf.change(ANCHOR, {"period": self._reported().isoformat()})
            self.book.record(one for _, one in taken)
        return taken

    def _intake(self, last: dict[int, Official], batch_notes: str, *, test: bool) -> Intake:
        chosen, window = self.chosen, self.window()
        period = window.period_end.isoformat() if window else ""
        by_clock = chosen.validation_by == "clock"
        begun = self.clock.now().timestamp() if by_clock else real_time.time()
        return Intake(
            chosen=chosen,
            now=self.now(),
            window=window,
            period=period,
            due=begun + chosen.validation_seconds,
            test=test,
            batch_notes=batch_notes,
            last=last,
            tries=self.book.tries(period),
            allowed=self.book.allowances(period),
        )

    def submitted(self) -> list[Submission]:
        """Give the latest submission of each system in the window that is open, oldest first."""
        window = self.window()
        if window is None:
            return []
        tests = self.chosen.tests_in_status
        found: dict[int, Submission] = {}
        for one in reversed(self.book.submissions(window.period_end.isoformat())):
            if one.key is not None and not one.error and (tests or not one.test):
                found[one.key] = one
        return list(found.values())

    # The end of a window.

    def close_windows(self) -> None:
        """Take what has passed into production, of every window that is over."""
        with self._lock:
            today, window = self.now().date(), self.window()
            for period in self.book.unsettled():
                is_open = window is not None and window.period_end == period
                if not is_open and today >= period.replace(day=1):
                    self._close(period)

    def _close(self, period: date) -> None:
        winners = {
            one.key: one
            for one in self.book.submissions(period.isoformat())
            if one.key is not None and not one.test and not one.error and not one.invalidated
        }
        self.book.settle(period)
        passed = {
            key: one
            for key, one in winners.items()
            if one.finding == PASSED and one.due_by != "told"
        }
        systems = self.systems()
        last = self._last_readings(systems[key] for key in passed if key in systems)
        self.book.add_readings(
            (key, reading)
            for key, one in passed.items()
            for reading in _readings(one, last.get(key), period)
        )


def _first(system: System, reported: date, days_after: int) -> Official | None:
    """Give the reading that a system has without any submission; None when it was never read."""
    if not system.read:
        return None
    period_end = system.last_period(reported)
    moment = system.last_moment or system.read_at(period_end)
    if system.last_moment:
        period_end = period_of(moment.date(), days_after)
    before = system.read_at(month_before(period_end))
    value = system.total(moment) if system.last_value is None else system.last_value
    hour = time(7 + system.key % 11, system.key % 60)
    day = moment.date() + timedelta(days=1 + system.key % 3)
    return Official(
        period_end=period_end,
        value=value,
        moment=moment,
        reported=datetime.combine(day, hour),
        energy=round(system.yields * expected(system.built, before, moment), 1),
    )


def _readings(one: Submission, last: Official | None, period: date) -> Iterable[Official]:
    """Give the readings that a passed submission becomes: its month, and the months missed."""
    spread = apportioned(last, period, one.value or 0.0)
    for period_end, value, energy in spread:
        own = period_end == period
        moment = datetime.combine(period_end, time(23, 59))
        yield Official(
            period_end=period_end,
            value=value,
            moment=datetime.fromisoformat(one.moment) if own else moment,
            reported=datetime.fromisoformat(one.received),
            energy=energy,
            estimated=len(spread) > 1,
            notes=one.notes if own else "Extrapolated",
        )
