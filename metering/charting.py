"""What the meter page draws: a day, week, month or year of use, and the clock's drift.

Plain Python over decoded series: no database. Values stay exact; a gap stays a gap.
"""

import calendar
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

import msgspec

from core import charts, settlement
from core.charts import Chart, HeatDay, HeatMap, Row, Series, Svg
from core.settlement import HALF_HOUR, LONDON, Span
from metering.rules import Consumption

FIRST_YEAR, LAST_YEAR = 2000, 2100
_NBSP = "\N{NO-BREAK SPACE}"
_PLAIN_DAYS = 14
_SUMMER_HOUR: Final = 2  # half hours of a local day before its UTC day begins
# Neither a gap nor a value: nothing is drawn, and tables and sentences end before it.
_NOT_YET: Final = float("nan")


class Period(StrEnum):
    """How much time the page shows."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Window(NamedTuple):
    """The stretch that the page shows, with the days before and after to lead to."""

    period: Period
    first: date
    last: date

    @property
    def span(self) -> Span:
        """The same in UTC."""
        return settlement.span(self.first, self.last)

    @property
    def title(self) -> str:
        """What it is called."""
        first, last = self.first, self.last
        if self.period is Period.DAY:
            return f"{first:%A} {first.day} {first:%B} {first.year}"
        if self.period is Period.WEEK:
            return f"{first.day} {first:%B} to {last.day} {last:%B} {last.year}"
        return f"{first:%B} {first.year}" if self.period is Period.MONTH else f"{first.year}"

    @property
    def before(self) -> date:
        """A day in the stretch before this one."""
        return self.first - timedelta(days=1)

    @property
    def after(self) -> date:
        """A day in the stretch after this one."""
        return self.last + timedelta(days=1)


def window(period: Period, on: date) -> Window:
    """The day, week, month or year that a day lies in."""
    if period is Period.DAY:
        return Window(period, on, on)
    if period is Period.WEEK:
        monday = on - timedelta(days=on.weekday())
        return Window(period, monday, monday + timedelta(days=6))
    if period is Period.MONTH:
        end = calendar.monthrange(on.year, on.month)[1]
        return Window(period, on.replace(day=1), on.replace(day=end))
    return Window(period, date(on.year, 1, 1), date(on.year, 12, 31))


class Shown(NamedTuple):
    """A register with its use in the window; `down` hangs an export below the line.

    What is not here from the half hour `due` on is not missed yet. `doubts` says of half hours
    whose read is not accepted what became of it.
    """

    name: str
    unit: str
    down: bool
    use: Consumption
    due: int
    doubts: Mapping[int, str] = {}

    def is_awaited(self, place: int) -> bool:
        """Whether a half hour is still to come."""
        return place >= self.due and self.use.values[place] is None

    @property
    def expected(self) -> int:
        """How many half hours there should be by now."""
        return len(self.use.values) - sum(map(self.is_awaited, range(len(self.use.values))))


class Picture(NamedTuple):
    """A drawing with the same as a table: head of the columns, lines, what the first column is."""

    svg: Svg
    heads: tuple[str, ...]
    rows: list[Row]
    first: str
    caption: str


class Odd(NamedTuple):
    """Half hours in a row that carry the same mark."""

    register: str
    start: datetime
    end: datetime
    why: str


# ---- Use ----------------------------------------------------------------------------------------


def picture(seen: Window, shown: Sequence[Shown]) -> Picture:
    """Draw the use of the window: half hours of a day, else days or months."""
    if seen.period is Period.DAY:
        return _day(seen, shown)
    parts = _months(seen.first.year) if seen.period is Period.YEAR else _days(seen)
    return _columns(seen, shown, parts)


def _day(seen: Window, shown: Sequence[Shown]) -> Picture:
    labels = settlement.labels(seen.first)
    chart = Chart(
        key="use",
        title=f"{_names(shown)} by half hour, {seen.title}",
        labels=labels,
        series=[_series(number, one, _half_hours(one)) for number, one in enumerate(shown)],
        unit=_unit(shown),
        places=_places(shown),
        marks=_marks(shown, len(labels)),
        ticks={place: text for place, text in enumerate(labels) if not place % 6},
        end_tick="24:00",
    )
    past = _past(chart)
    rows = [
        row._replace(label=f"{number}, {row.label}")
        for number, row in enumerate(charts.rows(past), start=1)
    ]
    svg = charts.bars(msgspec.structs.replace(chart, description=charts.describe(past)))
    return Picture(svg, _heads(shown), rows, "Period, starts", f"Half hours, {seen.title}")


def _half_hours(one: Shown) -> list[Decimal | float | None]:
    return [
        _NOT_YET if one.is_awaited(place) else _exact(value, one.use.decimals)
        for place, value in enumerate(one.use.values)
    ]


def _past(chart: Chart) -> Chart:
    """The same chart without what is still to come."""
    known = [[value is not _NOT_YET for value in series.values] for series in chart.series]
    end = max((place + 1 for row in known for place, here in enumerate(row) if here), default=0)
    return msgspec.structs.replace(
        chart,
        labels=chart.labels[:end],
        series=[
            msgspec.structs.replace(
                series,
                values=[None if value is _NOT_YET else value for value in series.values[:end]],
            )
            for series in chart.series
        ],
    )


class _Part(NamedTuple):
    label: str
    span: Span


def _days(seen: Window) -> list[_Part]:
    return [
        _Part(f"{day:%a} {day.day} {day:%b}", settlement.day_span(day))
        for day in settlement.days(seen.first, seen.last)
    ]


def _months(year: int) -> list[_Part]:
    return [
        _Part(f"{date(year, month, 1):%B}", settlement.month_span(year, month))
        for month in range(1, 13)
    ]


def _columns(seen: Window, shown: Sequence[Shown], parts: Sequence[_Part]) -> Picture:
    sums = [[_sum(one, seen.span, part.span) for part in parts] for one in shown]
    every = max(1, len(parts) // _PLAIN_DAYS + 1)
    first = "Month" if seen.period is Period.YEAR else "Day"
    chart = Chart(
        key="use",
        title=f"{_names(shown)} by {first.lower()}, {seen.title}",
        labels=[part.label for part in parts],
        series=[
            _series(number, one, [each.total if each.expected else _NOT_YET for each in row])
            for number, (one, row) in enumerate(zip(shown, sums, strict=True))
        ],
        unit=_unit(shown),
        places=min(3, _places(shown)),
        marks=_part_marks(sums),
        ticks={place: _tick(part.label) for place, part in enumerate(parts) if not place % every},
    )
    past = msgspec.structs.replace(_past(chart), starts=False)
    svg = charts.columns(msgspec.structs.replace(chart, description=charts.describe(past)))
    return Picture(svg, _heads(shown), charts.rows(past), first, f"{first}s, {seen.title}")


def _tick(label: str) -> str:
    words = label.split()
    return " ".join(words[1:]) if len(words) > 1 else label[:3]


class _Sum(NamedTuple):
    total: Decimal | None
    known: int
    expected: int
    odd: int
    doubts: Counter[str]


def _sum(one: Shown, whole: Span, part: Span) -> _Sum:
    begin = (part.start - whole.start) // HALF_HOUR
    places = range(begin, begin + part.half_hours)
    known = [value for value in one.use.values[places.start : places.stop] if value is not None]
    awaited = sum(one.is_awaited(place) for place in places[max(0, one.due - begin) :])
    return _Sum(
        total=Decimal(sum(known)).scaleb(-one.use.decimals) if known else None,
        known=len(known),
        expected=part.half_hours - awaited,
        odd=sum(place in places for place in one.use.marks),
        doubts=Counter(words for place, words in one.doubts.items() if place in places),
    )


def _part_marks(sums: Sequence[Sequence[_Sum]]) -> dict[int, str]:
    """Say of each part what is missing, or how much of it is odd."""
    marks = {}
    for place, parts in enumerate(zip(*sums, strict=True)):
        worst = min(parts, key=lambda each: each.known)
        odd = sum(each.odd for each in parts)
        words = []
        if 0 < worst.known < worst.expected:
            words.append(f"{worst.known:,} of {worst.expected:,} half hours")
        if odd:
            words.append(f"{odd:,} to look at")
        words += _doubtful(_most(each.doubts for each in parts))
        if words:
            marks[place] = ", ".join(words)
    return marks


def _doubtful(counts: Mapping[str, int]) -> list[str]:
    return [
        f"{count:,} half hour{'s' if count > 1 else ''} {words}"
        for words, count in sorted(counts.items())
    ]


def doubts(shown: Sequence[Shown]) -> str:
    """Say how much of what is shown comes from reads that are not accepted; empty for nothing."""
    return " and ".join(_doubtful(_most(Counter(one.doubts.values()) for one in shown)))


def _most(counts: Iterable[Counter[str]]) -> Counter[str]:
    """The doubts of registers that were read together, not added up."""
    return reduce(or_, counts, Counter())


def _marks(shown: Sequence[Shown], count: int) -> dict[int, str]:
    """What is odd about each half hour, and that its read is not accepted."""
    found: dict[int, dict[str, None]] = {}
    for one in shown:
        said = [(place, mark.value) for place, mark in one.use.marks.items()]
        said += [(place, f"{words[:1].upper()}{words[1:]}") for place, words in one.doubts.items()]
        for place, words in said:
            if place < count:
                found.setdefault(place, {})[words] = None
    return {place: ", ".join(words) for place, words in found.items()}


def odd(seen: Window, shown: Sequence[Shown]) -> list[Odd]:
    """The marked half hours of the window, neighbours with the same mark as one."""
    found: list[Odd] = []
    for one in shown:
        for place, mark in sorted(one.use.marks.items()):
            start = seen.span.start + place * HALF_HOUR
            last = found[-1] if found else None
            if last and last.register == one.name and (last.end, last.why) == (start, mark.value):
                found[-1] = last._replace(end=start + HALF_HOUR)
            else:
                found.append(Odd(one.name, start, start + HALF_HOUR, mark.value))
    return found


def totals(shown: Sequence[Shown]) -> list[tuple[str, str, str]]:
    """Of each register its sum and how many half hours it is made of."""
    return [
        (
            one.name,
            f"{one.use.total:,f}{_NBSP}{one.unit}",
            f"{one.use.known:,} of {one.expected:,} half hours",
        )
        for one in shown
    ]


def goes_on(shown: Sequence[Shown]) -> bool:
    """Whether a part of the window is still to come."""
    return any(one.expected < len(one.use.values) for one in shown)


def heat(seen: Window, one: Shown) -> Picture:
    """Draw a year of half hours of one register."""
    starts = [
        (day, (settlement.midnight(day) - seen.span.start) // HALF_HOUR, settlement.half_hours(day))
        for day in settlement.days(seen.first, seen.last)
    ]
    starts = [each for each in starts if not _is_to_come(one, each[1], each[2])]
    scale = 10.0**one.use.decimals
    values = [None if value is None else value / scale for value in one.use.values]
    drawn = HeatMap(
        key=f"heat{1 + one.down}",
        title=f"{one.name} of every half hour in {seen.first.year}",
        days=[HeatDay(day, values[begin : begin + count]) for day, begin, count in starts],
        unit=one.unit,
        places=min(3, one.use.decimals),
    )
    heads = (*_heads([one]), "Half hours missing")
    return Picture(
        charts.heat_map(drawn),
        heads,
        charts.heat_rows(drawn),
        "Month",
        f"{one.name} in the months of {seen.first.year}",
    )


def _is_to_come(one: Shown, begin: int, count: int) -> bool:
    """Whether nothing of a day is here, nor expected but for an hour of summer time."""
    empty = not any(value is not None for value in one.use.values[begin : begin + count])
    return empty and begin + _SUMMER_HOUR >= one.due


def _series(number: int, one: Shown, values: Sequence[Decimal | float | None]) -> Series:
    return Series(
        name=one.name, values=values, fill=f"fill-{1 if number == 0 else 2}", down=one.down
    )


def _exact(value: int | None, decimals: int) -> Decimal | None:
    return None if value is None else Decimal(value).scaleb(-decimals)


def _names(shown: Sequence[Shown]) -> str:
    return " and ".join(one.name for one in shown)


def _unit(shown: Sequence[Shown]) -> str:
    units = {one.unit for one in shown}
    return units.pop() if len(units) == 1 else ""


def _places(shown: Sequence[Shown]) -> int:
    return max((one.use.decimals for one in shown), default=0)


def _heads(shown: Sequence[Shown]) -> tuple[str, ...]:
    return tuple(one.name if one.unit in one.name else f"{one.name} {one.unit}" for one in shown)


# ---- The clock ----------------------------------------------------------------------------------


class Offset(NamedTuple):
    """How far a meter's clock was off when it was read, and what became of setting it."""

    at: datetime
    seconds: int
    adjustment: str


def drift(offsets: Iterable[Offset]) -> Picture | None:
    """Draw the clock's offset over time; with one read there is nothing to draw."""
    rows = sorted(offsets)
    if len(rows) < 2:
        return None
    begin, end = rows[0].at, rows[-1].at
    whole = max(timedelta(seconds=1), end - begin)
    chart = Chart(
        key="drift",
        title="The meter's clock against ours",
        labels=[_stamp(row.at) for row in rows],
        series=[Series(name="offset", values=[row.seconds for row in rows])],
        unit="s",
        places=0,
        marks={place: row.adjustment for place, row in enumerate(rows) if row.adjustment},
        positions=[0.02 + 0.96 * ((row.at - begin) / whole) for row in rows],
        ticks={place: f"{row.at:%d %b}" for place, row in _some(rows)},
    )
    return Picture(
        charts.line(chart),
        ("Offset s",),
        charts.rows(chart)[::-1],
        "Read",
        "The clock at each read",
    )


def _some(rows: Sequence[Offset]) -> list[tuple[int, Offset]]:
    """The first and the last read, and one in the middle of time."""
    middle = rows[0].at + (rows[-1].at - rows[0].at) / 2
    near = min(range(len(rows)), key=lambda place: abs(rows[place].at - middle))
    return [(place, rows[place]) for place in sorted({0, near, len(rows) - 1})]


def _stamp(moment: datetime) -> str:
    local = moment.astimezone(LONDON)
    return f"{local.day} {local:%b %Y %H:%M}"
