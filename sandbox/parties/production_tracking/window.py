"""Reporting windows: from the last days of a month to the first days of the next, local dates.

A window is known by the last day of the month that it reports, its `period_end`.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.parties.production_tracking.options import Options

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Both dates are within the window."""

    first: date
    last: date
    period_end: date

    def holds(self, day: date) -> bool:
        """Is a date within the window?"""
        return self.first <= day <= self.last


def month_end(day: date) -> date:
    """Give the last day of a date's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def month_before(period_end: date) -> date:
    """Give the last day of the month before."""
    return period_end.replace(day=1) - DAY


def month_after(period_end: date) -> date:
    """Give the last day of the month after."""
    return month_end(period_end + DAY)


def period_of(day: date, days_after: int) -> date:
    """Give the period that a reading of this date belongs to."""
    return month_before(day) if day.day <= days_after else month_end(day)


def latest(day: date, chosen: Options) -> Window:
    """Give the window that opened last by the rule, open or closed on this date."""
    this = _window(month_end(day), chosen)
    return this if this.first <= day else _window(month_before(day), chosen)


def _window(period_end: date, chosen: Options) -> Window:
    """Give the window of a month; with `always` it stays open until the next one opens."""
    back = timedelta(days=chosen.days_before - 1)
    last = period_end + timedelta(days=chosen.days_after)
    if chosen.window == "always":
        last = month_after(period_end) - back - DAY
    return Window(period_end - back, last, period_end)


def current(day: date, chosen: Options) -> Window | None:
    """Give the window that is open on this date; None when there is none."""
    if chosen.window == "closed":
        return None
    if chosen.window_first and chosen.window_last:
        first, last = map(date.fromisoformat, (chosen.window_first, chosen.window_last))
        named = Window(first, last, period_of(first, chosen.days_after))
        if named.holds(day):
            return named
    rule = latest(day, chosen)
    return rule if rule.holds(day) else None


def last_reported(day: date, chosen: Options) -> date:
    """Give the end of the last period whose window is over on this date."""
    rule = latest(day, chosen)
    window = current(day, chosen) or (rule if rule.holds(day) else None)
    return month_before(window.period_end) if window else rule.period_end
