"""Half hours of local days, and the UTC times that belong to them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import settlement
from core.settlement import SettlementPeriod

SPRING, AUTUMN, PLAIN = date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 28)
DAYS = st.dates(date(2000, 1, 1), date(2060, 12, 31))
MOMENTS = st.datetimes(
    datetime(2000, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC), allow_imaginary=False
)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "count"),
    [(PLAIN, 48), (SPRING, 46), (AUTUMN, 50), (date(2025, 3, 30), 46), (date(2025, 10, 26), 50)],
)
def test_a_day_has_46_48_or_50_half_hours(day, count):
    assert settlement.half_hours(day) == count
    assert len(settlement.starts(day)) == len(settlement.labels(day)) == count


@pytest.mark.parametrize(
    ("day", "number", "start"),
    [
        (PLAIN, 1, utc(2026, 11, 28)),
        (PLAIN, 48, utc(2026, 11, 28, 23, 30)),
        (date(2026, 7, 1), 1, utc(2026, 6, 30, 23)),
        (SPRING, 2, utc(2026, 3, 29, 0, 30)),
        (SPRING, 3, utc(2026, 3, 29, 1)),
        (SPRING, 46, utc(2026, 3, 29, 22, 30)),
        (AUTUMN, 1, utc(2026, 10, 24, 23)),
        (AUTUMN, 4, utc(2026, 10, 25, 0, 30)),
        (AUTUMN, 5, utc(2026, 10, 25, 1)),
        (AUTUMN, 50, utc(2026, 10, 25, 23, 30)),
    ],
)
def test_periods_begin_where_they_should(day, number, start):
    assert settlement.start_of(day, number) == start
    assert settlement.period_of(start) == SettlementPeriod(day, number)


def test_the_hour_that_is_left_out_and_the_one_that_comes_twice():
    assert settlement.labels(SPRING)[:4] == ("00:00", "00:30", "02:00", "02:30")
    assert settlement.labels(AUTUMN)[1:7] == (
        "00:30",
        "01:00 BST",
        "01:30 BST",
        "01:00 GMT",
        "01:30 GMT",
        "02:00",
    )
    assert settlement.labels(PLAIN)[-1] == "23:30"


@pytest.mark.parametrize(("day", "number"), [(PLAIN, 0), (PLAIN, 49), (SPRING, 47), (AUTUMN, 51)])
def test_a_period_that_the_day_lacks_is_refused(day, number):
    with pytest.raises(ValueError, match="settlement periods 1 to"):
        settlement.start_of(day, number)


def test_a_moment_needs_a_zone():
    with pytest.raises(ValueError, match="no zone"):
        settlement.period_of(datetime(2026, 11, 28))


@pytest.mark.parametrize(
    ("found", "start", "end", "count"),
    [
        (settlement.day_span(SPRING), utc(2026, 3, 29), utc(2026, 3, 29, 23), 46),
        (settlement.week_span(SPRING), utc(2026, 3, 23), utc(2026, 3, 29, 23), 334),
        (settlement.week_span(date(2026, 10, 19)), utc(2026, 10, 18, 23), utc(2026, 10, 26), 338),
        (settlement.month_span(2026, 10), utc(2026, 9, 30, 23), utc(2026, 11, 1), 1490),
        (settlement.month_span(2026, 3), utc(2026, 3, 1), utc(2026, 3, 31, 23), 1486),
        (settlement.month_span(2024, 2), utc(2024, 2, 1), utc(2024, 3, 1), 29 * 48),
        (settlement.year_span(2026), utc(2026, 1, 1), utc(2027, 1, 1), 365 * 48),
    ],
)
def test_longer_stretches_follow_local_midnights(found, start, end, count):
    assert found == (start, end)
    assert found.half_hours == count
    assert start in found
    assert end not in found


@pytest.mark.parametrize(
    ("stretch", "first", "after"),
    [
        (settlement.day_span(PLAIN), PLAIN, date(2026, 11, 29)),
        (settlement.day_span(date(2026, 7, 1)), date(2026, 6, 30), date(2026, 7, 2)),
        (settlement.day_span(AUTUMN), date(2026, 10, 24), date(2026, 10, 26)),
    ],
)
def test_utc_days_of_a_stretch(stretch, first, after):
    assert settlement.utc_days(stretch) == (first, after)


def test_half_hours_stand_in_one_long_row():
    assert settlement.half_hour_number(utc(1970, 1, 2, 0, 30)) == 49
    assert settlement.half_hour_number(utc(1970, 1, 2, 0, 59, 59)) == 49


@given(MOMENTS)
def test_every_moment_lies_in_its_own_period(moment):
    start = settlement.start_of(*settlement.period_of(moment))
    assert start <= moment < start + settlement.HALF_HOUR


@given(DAYS)
def test_days_follow_each_other_without_hole_or_overlap(day):
    following = day + timedelta(days=1)
    assert settlement.day_span(day).end == settlement.day_span(following).start
    assert settlement.half_hours(day) in {46, 48, 50}
    numbers = [settlement.half_hour_number(start) for start in settlement.starts(day)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    periods = [settlement.period_of(start) for start in settlement.starts(day)]
    assert periods == [(day, number + 1) for number in range(len(numbers))]
    assert len(set(settlement.labels(day))) == len(numbers)


@given(st.integers(2000, 2060))
def test_a_year_has_one_short_and_one_long_day(year):
    counts = [
        settlement.half_hours(day) for day in settlement.days(date(year, 1, 1), date(year, 12, 31))
    ]
    assert counts.count(46) == counts.count(50) == 1
    assert sum(counts) == settlement.year_span(year).half_hours
    months = [settlement.month_span(year, month) for month in range(1, 13)]
    assert all(a.end == b.start for a, b in pairwise(months))
