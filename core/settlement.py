"""Settlement periods: the half hours of a local day in the United Kingdom, and their UTC times.

A local day has 48 half hours, 46 when the clocks go forward and 50 when they go back. Period 1
starts at local midnight. Plain Python: no database, no clock.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

LONDON: Final = ZoneInfo("Europe/London")
HALF_HOUR: Final = timedelta(minutes=30)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY = timedelta(days=1)


class SettlementPeriod(NamedTuple):
    """A half hour by its local day and its number there: 1 to 46, 48 or 50."""

    day: date
    number: int


class Span(NamedTuple):
    """A stretch of time in UTC, `end` not in it."""

    start: datetime
    end: datetime

    @property
    def half_hours(self) -> int:
        """How many half hours it holds."""
        return (self.end - self.start) // HALF_HOUR

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, datetime) and self.start <= moment < self.end


# ---- Half hours of a day ----------------------------------------------------------------------


@lru_cache(maxsize=4096)
def midnight(day: date) -> datetime:
    """Return when a local day begins, in UTC."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def half_hours(day: date) -> int:
    """Return how many half hours a local day has: 46, 48 or 50."""
    return day_span(day).half_hours


def starts(day: date) -> tuple[datetime, ...]:
    """Return when each half hour of a local day begins, in UTC."""
    first = midnight(day)
    return tuple(first + number * HALF_HOUR for number in range(half_hours(day)))


def period_of(moment: datetime) -> SettlementPeriod:
    """Return the settlement period that a moment (with a zone) lies in."""
    day = local_day(moment)
    return SettlementPeriod(day, (moment - midnight(day)) // HALF_HOUR + 1)


def start_of(day: date, number: int) -> datetime:
    """Return when a settlement period begins, in UTC. Raises ValueError for one the day lacks."""
    count = half_hours(day)
    if not 1 <= number <= count:
        raise ValueError(f"{day} has settlement periods 1 to {count}, not {number}.")
    return midnight(day) + (number - 1) * HALF_HOUR


def local_day(moment: datetime) -> date:
    """Return the local day of a moment. Raises ValueError when it has no zone."""
    if moment.tzinfo is None:
        raise ValueError("The moment has no zone.")
    return moment.astimezone(LONDON).date()


@lru_cache(maxsize=64)
def labels(day: date) -> tuple[str, ...]:
    """Return what the clock shows at the start of each half hour, such as 01:30.

    Where an hour comes twice, its four half hours carry their zone: 01:30 BST, 01:30 GMT.
    """
    local = [start.astimezone(LONDON) for start in starts(day)]
    shown = [f"{moment:%H:%M}" for moment in local]
    return tuple(
        f"{text} {moment:%Z}" if shown.count(text) > 1 else text
        for text, moment in zip(shown, local, strict=True)
    )


def half_hour_number(moment: datetime) -> int:
    """Return the half hours between 1970 and a moment: where it stands in one long row of them."""
    return (moment - _EPOCH) // HALF_HOUR


# ---- Longer stretches -------------------------------------------------------------------------


def day_span(day: date) -> Span:
    """Return a local day in UTC."""
    return Span(midnight(day), midnight(day + _ONE_DAY))


def week_span(day: date) -> Span:
    """Return the week, Monday to Sunday, that a local day lies in, in UTC."""
    monday = day - timedelta(days=day.weekday())
    return span(monday, monday + timedelta(days=6))


def month_span(year: int, month: int) -> Span:
    """Return a local month in UTC."""
    return span(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def year_span(year: int) -> Span:
    """Return a local year in UTC."""
    return span(date(year, 1, 1), date(year, 12, 31))


def span(first: date, last: date) -> Span:
    """Return the local days from `first` to `last`, both included, in UTC."""
    return Span(midnight(first), midnight(last + _ONE_DAY))


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def utc_days(stretch: Span) -> tuple[date, date]:
    """Return the UTC days that a stretch touches: the first one, and the one after the last."""
    last = stretch.end - timedelta(microseconds=1)
    return stretch.start.astimezone(UTC).date(), last.astimezone(UTC).date() + _ONE_DAY
