"""What decides about a monthly reading: facts in, checks and a verdict out.

Follows MassCEC's PTS Monthly Automated Reporting text. Plain Python: no database, no clock, no
network. Energy in kWh, capacity in kW, moments with a zone, days in the party's zone.
"""

import calendar
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple

import msgspec

# Share of a year's production by month, per cent.
MONTH_SHARES: Final[tuple[Decimal, ...]] = tuple(
    Decimal(share)
    for share in (
        "5.6",
        "6.5",
        "8.5",
        "9.5",
        "10.7",
        "10.8",
        "11.7",
        "10.7",
        "9.1",
        "7.2",
        "5.1",
        "4.6",
    )
)
YEARLY_YIELD: Final = Decimal(1100)  # kWh per kW and year, where there is no estimate of ours
VALID_TRIES: Final = 2
FAILED_TRIES: Final = 3

Result = Literal["fine", "look", "block"]
TITLES: Final[dict[str, str]] = {
    "value": "A reading",
    "window": "Reporting window",
    "future": "Not in the future",
    "after_last": "After the last reading",
    "not_below": "Not below the last value",
    "possible": "Possible with its capacity",
    "plausible": "Plausible for the time",
    "months": "No month missed",
}
_TENTH = Decimal("0.1")
_HOUR = timedelta(hours=1)


class Month(NamedTuple):
    """A calendar month of the party."""

    year: int
    number: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return calendar.monthrange(self.year, self.number)[1]

    @property
    def last(self) -> date:
        """Its last day."""
        return date(self.year, self.number, self.days)

    def plus(self, months: int) -> "Month":
        """The month so many months later."""
        count = self.year * 12 + self.number - 1 + months
        return Month(count // 12, count % 12 + 1)

    def __str__(self) -> str:
        return f"{calendar.month_name[self.number]} {self.year}"


def month_of(day: date) -> Month:
    """The month of a day."""
    return Month(day.year, day.month)


# ---- The reporting window ----------------------------------------------------------------------


class WindowRule(msgspec.Struct, frozen=True):
    """When windows open: the last days of the month, up to a day of the next one."""

    last_days: int = 5
    until_day: int = 5


class Window(msgspec.Struct, frozen=True):
    """One reporting window; `closes` is the first moment after it."""

    month: Month
    opens: datetime
    closes: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies inside."""
        return self.opens <= moment < self.closes

    @property
    def last_day(self) -> date:
        """Its last day in the party's zone."""
        return (self.closes - timedelta(seconds=1)).date()


def window_of(
    month: Month,
    rule: WindowRule,
    zone: tzinfo,
    *,
    own_days: tuple[date, date] | None = None,
) -> Window:
    """The window that reports a month; `own_days` are first and last day of an overridden one."""
    first, last = own_days or (
        month.last - timedelta(days=rule.last_days - 1),
        month.plus(1).first + timedelta(days=rule.until_day - 1),
    )
    return Window(month, _midnight(first, zone), _midnight(last + timedelta(days=1), zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)


def window_at(
    moment: datetime,
    rule: WindowRule,
    zone: tzinfo,
    overridden: Mapping[Month, tuple[date, date]],
) -> Window:
    """The window that is open at a moment, else the next one to open."""
    here = month_of(moment.astimezone(zone).date())
    windows = [
        window_of(month, rule, zone, own_days=overridden.get(month))
        for month in (here.plus(step) for step in (-2, -1, 0, 1, 2))
    ]
    coming = [window for window in windows if moment < window.closes]
    return min(coming, key=lambda window: (not window.holds(moment), window.opens))


# ---- Plausibility ------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True):
    """A lifetime total that is known: by the party's records, or ours."""

    value: Decimal
    at: datetime


class Change(msgspec.Struct, frozen=True):
    """A meter replacement: what the old one showed last, and the new one first."""

    at: datetime
    final_value: Decimal
    first_value: Decimal


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a system. `reported_to` is the last month that the party has."""

    capacity: Decimal | None
    yearly_estimate: Decimal | None
    last: Known | None
    reported_to: Month | None = None
    changes: tuple[Change, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """Between which parts of the expected energy a reading is plausible, and the year's profile."""

    low: Decimal = Decimal("0.3")
    high: Decimal = Decimal("1.7")
    shares: tuple[Decimal, ...] = MONTH_SHARES


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule applied: its result and a sentence for staff."""

    code: str
    title: str
    result: Result
    sentence: str


class Share(msgspec.Struct, frozen=True):
    """What a month gets of an energy that covers several."""

    month: Month
    energy: Decimal


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks come to; energies in kWh, None where they cannot be known."""

    result: Result
    checks: tuple[Check, ...]
    produced: Decimal | None = None
    expected: Decimal | None = None
    spread: tuple[Share, ...] = ()

    @property
    def why(self) -> str:
        """The sentences that keep it from being fine."""
        return " ".join(check.sentence for check in self.checks if check.result != "fine")


def check(
    facts: Facts,
    reading: Known,
    *,
    window: Window,
    now: datetime,
    limits: Limits,
    zone: tzinfo,
) -> Verdict:
    """Check one reading before anything leaves.

    "Only readings with a valid date within the window will be accepted", "Validation will occur".
    Block: outside the window, in the future, not after or below the last, more than capacity ×
    hours. Look: implausible, nothing to compare with, a missed month.
    """
    produced = energy_since(facts, reading)
    expected = expected_energy(facts, reading.at, limits=limits, zone=zone)
    missed = months_missed(facts, window)
    shares = spread(produced, (*missed, window.month), limits) if missed else ()
    checks = (
        _in_window(reading, window, now, zone),
        _in_past(reading, now),
        *_against_last(facts, reading, produced, zone),
        _plausible(produced, expected, limits),
        _no_month_missed(missed, shares),
    )
    return Verdict(
        result=worst(checks),
        checks=checks,
        produced=produced,
        expected=expected,
        spread=shares,
    )


def worst(checks: Sequence[Check]) -> Result:
    """What all checks together come to."""
    results = {each.result for each in checks}
    return "block" if "block" in results else "look" if "look" in results else "fine"


def _said(code: str, result: Result, sentence: str) -> Check:
    return Check(code=code, title=TITLES[code], result=result, sentence=sentence)


def _in_window(reading: Known, window: Window, now: datetime, zone: tzinfo) -> Check:
    opens, last = f"{window.opens:%-d %B %Y}", f"{window.last_day:%-d %B %Y}"
    if not window.holds(now):
        return _said("window", "block", f"The window for {window.month} opens on {opens}.")
    if not window.holds(reading.at):
        day = f"{reading.at.astimezone(zone):%-d %B %Y}"
        return _said(
            "window", "block", f"The reading is of {day}; the window goes from {opens} to {last}."
        )
    return _said("window", "fine", f"Read inside the window, which closes after {last}.")


def _in_past(reading: Known, now: datetime) -> Check:
    if reading.at > now:
        return _said("future", "block", "The time of the reading has not come yet.")
    return _said("future", "fine", "The time of the reading is past.")


def _against_last(
    facts: Facts, reading: Known, produced: Decimal | None, zone: tzinfo
) -> Iterator[Check]:
    if facts.last is None or produced is None:
        yield _said("not_below", "look", "No earlier reading is known: nothing to compare it with.")
        return
    then = f"{facts.last.at.astimezone(zone):%-d %B %Y %H:%M}"
    if reading.at <= facts.last.at:
        yield _said("after_last", "block", f"The last known reading is later: {then}.")
        return
    yield _said("after_last", "fine", f"The last known reading is of {then}.")
    yield _not_below(facts.last, reading, produced)
    yield _possible(facts, reading.at - facts.last.at, produced)


def _not_below(last: Known, reading: Known, produced: Decimal) -> Check:
    totals = (_figure(reading.value), _figure(last.value))
    if totals[0] == totals[1]:
        totals = (_exact(reading.value), _exact(last.value))
    figures = f"{totals[0]} kWh after {totals[1]} kWh"
    if produced < 0:
        return _said(
            "not_below",
            "block",
            f"The total goes back: {figures}. If the meter was replaced, record that first.",
        )
    return _said("not_below", "fine", f"The total grows: {figures}.")


def _possible(facts: Facts, length: timedelta, produced: Decimal) -> Check:
    if facts.capacity is None or facts.capacity <= 0:
        return _said("possible", "look", "The capacity is not known, so the most is not either.")
    most = facts.capacity * Decimal(str(length / _HOUR))
    could = f"{_exact(facts.capacity)} kW could make at most {_figure(most)} kWh"
    sums = f"{_figure(produced)} kWh; {could}"
    if produced > most:
        return _said("possible", "block", f"More than the system can make: {sums}.")
    return _said("possible", "fine", f"Within what the system can make: {sums}.")


def _plausible(produced: Decimal | None, expected: Decimal | None, limits: Limits) -> Check:
    if produced is None or not expected:
        return _said("plausible", "look", "What to expect is not known: no estimate to compare.")
    ratio = produced / expected
    figures = f"{_figure(produced)} kWh where about {_figure(expected)} kWh are expected"
    if not limits.low <= ratio <= limits.high:
        word = "Little" if ratio < limits.low else "Much"
        return _said("plausible", "look", f"{word} for the time of the year: {figures}.")
    return _said("plausible", "fine", f"As expected: {figures}.")


def _no_month_missed(missed: Sequence[Month], shares: Sequence[Share]) -> Check:
    if not missed:
        return _said("months", "fine", "The month before was reported.")
    names = ", ".join(str(month) for month in missed)
    parts = "; ".join(f"{share.month}: {_figure(share.energy)} kWh" for share in shares)
    figures = f" MassCEC spreads the energy over the gap, about {parts}." if shares else ""
    return _said("months", "look", f"Not reported: {names}.{figures}")


def energy_since(facts: Facts, reading: Known) -> Decimal | None:
    """Energy from the last known reading to this one, across meter replacements; kWh."""
    if facts.last is None:
        return None
    value, energy = facts.last.value, Decimal(0)
    for change in sorted(facts.changes, key=lambda each: each.at):
        if facts.last.at < change.at <= reading.at:
            energy += change.final_value - value
            value = change.first_value
    return energy + reading.value - value


def expected_energy(
    facts: Facts, until: datetime, *, limits: Limits, zone: tzinfo
) -> Decimal | None:
    """The estimate for the time since the last reading, month by month and day by day; kWh."""
    yearly = yearly_estimate(facts)
    if facts.last is None or yearly is None or until <= facts.last.at:
        return None
    start, end = (at.astimezone(zone).replace(tzinfo=None) for at in (facts.last.at, until))
    return sum(
        (
            yearly * limits.shares[month.number - 1] / 100 * part
            for month, part in _parts(start, end)
        ),
        Decimal(0),
    )


def yearly_estimate(facts: Facts) -> Decimal | None:
    """Our estimate of a year's energy, else the usual yield of the capacity; kWh."""
    if facts.yearly_estimate is not None:
        return facts.yearly_estimate
    return facts.capacity * YEARLY_YIELD if facts.capacity else None


def _parts(start: datetime, end: datetime) -> Iterator[tuple[Month, Decimal]]:
    """Each month of a stretch with the part of it that the stretch covers."""
    month = month_of(start.date())
    while (begins := datetime.combine(month.first, time.min)) < end:
        ends = datetime.combine(month.plus(1).first, time.min)
        covered = min(end, ends) - max(start, begins)
        yield month, Decimal(str(covered / (ends - begins)))
        month = month.plus(1)


def months_missed(facts: Facts, window: Window) -> tuple[Month, ...]:
    """The months before the window's own that the party has no reading for, oldest first."""
    if facts.reported_to is None:
        return ()
    missed = []
    month = facts.reported_to.plus(1)
    while month < window.month:
        missed.append(month)
        month = month.plus(1)
    return tuple(missed)


def spread(produced: Decimal | None, months: Sequence[Month], limits: Limits) -> tuple[Share, ...]:
    """Spread an energy over months by the year's profile, to 0.1 kWh; the sum stays exact."""
    if produced is None or not months:
        return ()
    weights = [limits.shares[month.number - 1] for month in months]
    total, left = sum(weights), produced
    shares = []
    for month, weight in zip(months[:-1], weights[:-1], strict=True):
        part = _tenths(produced * weight / total)
        shares.append(Share(month, part))
        left -= part
    return (*shares, Share(months[-1], left))


def _tenths(value: Decimal) -> Decimal:
    return value.quantize(_TENTH, ROUND_HALF_UP)


def _figure(energy: Decimal) -> str:
    """An energy to a tenth for a sentence: "131,856.4"."""
    return _exact(_tenths(energy) + 0)  # no negative nought


def _exact(number: Decimal) -> str:
    """A number without zeros at its end: "10.586"."""
    return f"{number.normalize():,f}"


# ---- Tries -------------------------------------------------------------------------------------


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """What a system has used in a window. The help desk may grant more of either kind."""

    valid: int = 0
    failed: int = 0
    undecided: int = 0
    more_valid: int = 0
    more_failed: int = 0

    @property
    def valid_left(self) -> int:
        """Valid submissions left; an undecided one may become valid."""
        return max(0, VALID_TRIES + self.more_valid - self.valid - self.undecided)

    @property
    def failed_left(self) -> int:
        """Failures left; an undecided one may fail."""
        return max(0, FAILED_TRIES + self.more_failed - self.failed - self.undecided)

    @property
    def may_submit(self) -> bool:
        """Whether one more submission can exceed neither limit."""
        return self.valid_left > 0 and self.failed_left > 0

    @property
    def sentence(self) -> str:
        """What is left, for people."""
        waiting = f", {self.undecided} undecided" if self.undecided else ""
        return f"{self.valid_left} valid and {self.failed_left} failed tries left{waiting}"
