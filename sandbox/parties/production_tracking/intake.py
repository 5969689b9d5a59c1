"""One post being taken in, item by item: refused, or validated and counted."""

from dataclasses import dataclass
from datetime import datetime

from sandbox.parties.production_tracking.book import Submission
from sandbox.parties.production_tracking.options import Options
from sandbox.parties.production_tracking.reading import (
    FAILED,
    FAILED_LIMIT,
    PASSED,
    VALID_LIMIT,
    Official,
    Posted,
    apportioned,
    finding,
    refusal,
)
from sandbox.parties.production_tracking.system import System
from sandbox.parties.production_tracking.window import Window


@dataclass(frozen=True, slots=True)
class Finding:
    """What validation finds, and the energy of the period."""

    verdict: int = FAILED
    notes: str = ""
    energy: float = 0.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What is so while one post is taken in; `tries` grows with each item."""

    chosen: Options
    now: datetime
    window: Window | None
    period: str
    due: float
    test: bool
    batch_notes: str
    last: dict[int, Official]
    tries: dict[int, tuple[int, int]]
    allowed: dict[int, tuple[int, int]]

    def take(self, one: Posted, system: System | None) -> Submission:
        """Refuse or validate one item."""
        error = refusal(one, system, self.window, self.now) or self._limit(one.key)
        found = Finding() if error or system is None else self._found(one, system)
        counted = system is not None and self._counts(error, found.verdict)
        if counted:
            self._count(one.key, found.verdict)
        told = system is not None and system.does("stays")
        return Submission(
            key=one.key,
            period=self.period,
            value=one.value,
            moment=one.moment.isoformat() if one.moment else one.said_moment,
            received=self.now.isoformat(timespec="seconds"),
            notes=one.notes,
            batch_notes=self.batch_notes,
            test=self.test,
            error=error,
            counted=counted,
            finding=found.verdict,
            validation_notes=found.notes,
            due=0.0 if error else self.due,
            due_by="real" if error else "told" if told else self.chosen.validation_by,
            energy=found.energy,
            estimated=found.estimated,
        )

    def _found(self, one: Posted, system: System) -> Finding:
        if one.value is None or one.moment is None or self.window is None:
            return Finding()
        last = self.last.get(system.key)
        verdict, notes = finding(system, last, one.value, one.moment)
        spread = apportioned(last, self.window.period_end, one.value)
        return Finding(verdict, notes, spread[-1][2], len(spread) > 1)

    def _limit(self, key: int | None) -> str:
        """Say which limit forbids a further try; empty when none does."""
        if key is None or (self.test and not self.chosen.tests_count):
            return ""
        valid, failed = self.tries.get(key, (0, 0))
        more_valid, more_failed = self.allowed.get(key, (0, 0))
        if valid >= self.chosen.max_valid + more_valid:
            return VALID_LIMIT.format(self.chosen.max_valid + more_valid)
        if failed >= self.chosen.max_failed + more_failed:
            return FAILED_LIMIT.format(self.chosen.max_failed + more_failed)
        return ""

    def _counts(self, error: str, verdict: int) -> bool:
        """Does this try count? Refused items and failed tests do where that is chosen."""
        if self.test and not (self.chosen.tests_count and verdict == FAILED):
            return False
        return not error or self.chosen.errors_count

    def _count(self, key: int | None, verdict: int) -> None:
        if key is not None:
            valid, failed = self.tries.get(key, (0, 0))
            self.tries[key] = (valid + (verdict == PASSED), failed + (verdict == FAILED))
