"""What other desks may read: accepted readings alone, whatever else is stored."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import settlement
from core.settlement import Span
from core.workflow import actor_for
from metering import actions, service
from metering.models import MeterAlarm, MeterChange
from tests.metering.stock import MIDNIGHT, a_meter, stored

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
ONE_DAY = Span(MIDNIGHT, MIDNIGHT + DAY)


def values(meter, span=ONE_DAY, register="kWh Import"):
    return service.consumption(meter.pk, register, span).half_hours


def test_an_accepted_day_leaves_with_its_use():
    meter = a_meter()
    stored(meter, [f"{100 + n}.5" for n in range(49)])
    found = service.consumption(meter.pk, "kWh Import", ONE_DAY)
    assert found.half_hours == (Decimal("1.0"),) * 48
    assert (found.total, found.known, found.unit, found.is_whole) == (48, 48, "kWh", True)


@pytest.mark.parametrize("status", ["to_check", "rejected"])
def test_readings_of_reads_that_are_not_accepted_do_not_leave(status):
    meter = a_meter()
    stored(meter, [str(100 + n) for n in range(49)], status=status)
    assert values(meter) == (None,) * 48


def test_within_one_day_only_the_slots_of_accepted_reads_leave():
    meter = a_meter()
    stored(meter, [str(100 + n) for n in range(24)])
    stored(
        meter, [str(500 + n) for n in range(25)], first=MIDNIGHT + DAY / 2, status="rejected", end=2
    )
    assert values(meter) == (Decimal(1),) * 23 + (None,) * 25


@pytest.mark.parametrize("other", ["100", "900"])
def test_a_rejected_read_does_not_hide_what_an_accepted_one_said(other):
    """The later result took the slots over, with the same values or with others."""
    meter = a_meter()
    stored(meter, [str(100 + n) for n in range(49)], end=1)
    stored(meter, [str(int(other) + n) for n in range(49)], status="rejected", end=2)
    assert values(meter) == (Decimal(1),) * 48


def test_of_two_accepted_results_the_later_one_counts():
    meter = a_meter()
    stored(meter, [str(100 + n) for n in range(49)], end=1)
    stored(meter, [str(100 + 2 * n) for n in range(49)], end=2)
    assert set(values(meter)) == {Decimal(2)}


def test_a_read_that_is_rejected_later_takes_its_readings_back(person):
    meter = a_meter()
    read = stored(meter, [str(100 + n) for n in range(49)])
    assert None not in values(meter)
    by = actor_for(person(permissions=["metering.decide_meterread"]))
    actions.reject(read=read, reason="Wrong meter", by=by, now=lambda: MIDNIGHT)
    assert set(values(meter)) == {None}


def test_values_of_a_period_type_are_taken_as_they_are():
    meter = a_meter(survey="period")
    stored(meter, ["0.250"] * 48)
    assert values(meter) == (Decimal("0.250"),) * 48


def test_a_local_day_of_50_half_hours_is_whole():
    meter = a_meter(survey="period")
    start = settlement.midnight(date(2026, 10, 25))
    stored(meter, ["1"] * 50, first=start)
    found = service.consumption(meter.pk, "kWh Import", settlement.day_span(date(2026, 10, 25)))
    assert (len(found.half_hours), found.total) == (50, 50)


def test_what_is_odd_is_marked_and_left_out(person):
    meter = a_meter()
    texts = [str(100 + n) for n in range(49)]
    texts[10] = "50"
    stored(meter, texts)
    found = service.consumption(meter.pk, "kWh Import", ONE_DAY)
    assert found.half_hours[9] is None
    assert found.marks[0] == service.Mark(MIDNIGHT + 9 * HALF_HOUR, "Register backwards")
    at = MIDNIGHT + 10 * HALF_HOUR
    MeterChange.objects.create(meter=meter, at=at, note="Changed", by=person())
    found = service.consumption(meter.pk, "kWh Import", ONE_DAY)
    assert {mark.why for mark in found.marks} == {"Meter change"}


def test_a_year_costs_as_many_queries_as_a_day():
    meter = a_meter()
    stored(meter, [str(100 + n) for n in range(48 * 40)])

    def queries(span):
        with CaptureQueriesContext(connection) as seen:
            service.consumption(meter.pk, "kWh Import", span)
        return len(seen)

    year = Span(MIDNIGHT, MIDNIGHT + 365 * DAY)
    assert queries(year) == queries(ONE_DAY) <= 8


# ---- Register values -------------------------------------------------------------------------


def test_the_last_accepted_value_at_a_moment():
    meter = a_meter()
    for day, (value, status) in enumerate(
        [("100.00", "accepted"), ("200.50", "accepted"), ("999.00", "to_check")]
    ):
        stored(meter, [], register=value, read_at=MIDNIGHT + day * DAY, status=status)
    found = service.register_value_at(meter.pk, "kWh Import", MIDNIGHT + 5 * DAY)
    assert (found.value, found.text, found.at) == (Decimal("200.5"), "200.50", MIDNIGHT + DAY)
    assert found.reference.startswith("MTR-")
    found = service.register_value_at(meter.pk, "kWh Import", MIDNIGHT + DAY - HALF_HOUR)
    assert found.text == "100.00"
    assert service.register_value_at(meter.pk, "kWh Import", MIDNIGHT - HALF_HOUR) is None
    assert service.register_value_at(meter.pk, "kWh Export", MIDNIGHT + 5 * DAY) is None


def test_many_registers_at_once_say_what_each_says_alone():
    first, second = a_meter(serial_number="A1"), a_meter()
    other = a_meter(mpan=first.mpan, serial_number="B2")
    for meter, name, value in (
        (first, "kWh Import", "100.50"),
        (other, "kWh Import", "700.00"),
        (other, "kWh Export", "300.00"),
        (second, "kWh Import", "200.00"),
        (second, "kWh Export", "no number"),
    ):
        stored(meter, [], name=name, register=value, read_at=MIDNIGHT)
    stored(first, [], register="999.00", read_at=MIDNIGHT + DAY, status="to_check")
    stored(second, [], register="201.00", read_at=MIDNIGHT + 3 * DAY)
    asked = {(mpan, name) for mpan in (first.mpan, second.mpan, "0") for name in
             ("kWh Import", "kWh Export")}  # fmt: skip
    moment = MIDNIGHT + 2 * DAY
    found = service.register_values_at(asked, moment)
    assert found == {
        (first.mpan, "kWh Import"): service.register_value_at(first.pk, "kWh Import", moment),
        (first.mpan, "kWh Export"): service.register_value_at(other.pk, "kWh Export", moment),
        (second.mpan, "kWh Import"): service.register_value_at(second.pk, "kWh Import", moment),
    }
    first.active = False
    first.save()
    found = service.register_values_at({(first.mpan, "kWh Import")}, moment)
    assert found[first.mpan, "kWh Import"].text == "700.00"


def test_many_registers_cost_two_queries():
    meters = [a_meter() for _ in range(12)]
    for meter in meters:
        stored(meter, [], register="100.00", read_at=MIDNIGHT)
    for some in (meters[:1], meters):
        asked = {(meter.mpan, "kWh Import") for meter in some}
        with CaptureQueriesContext(connection) as seen:
            assert len(service.register_values_at(asked, MIDNIGHT + DAY)) == len(some)
        assert len(seen) == 2
    assert service.register_values_at(set(), MIDNIGHT) == {}


# ---- Asking wrongly, and what is missing -----------------------------------------------------


def test_stretches_that_are_none_are_refused():
    meter = a_meter()
    stored(meter, ["1"])
    for span in (
        Span(MIDNIGHT, MIDNIGHT),
        Span(MIDNIGHT, MIDNIGHT + timedelta(minutes=31)),
        Span(MIDNIGHT.replace(tzinfo=None), MIDNIGHT.replace(tzinfo=None) + DAY),
        Span(MIDNIGHT, MIDNIGHT + 900 * DAY),
    ):
        with pytest.raises(ValueError, match="A stretch"):
            service.consumption(meter.pk, "kWh Import", span)
    with pytest.raises(service.UnknownRegister):
        service.consumption(meter.pk, "kWh Nothing", ONE_DAY)
    with pytest.raises(service.UnknownRegister):
        service.missing(0, ONE_DAY, now=MIDNIGHT)


def test_meters_of_a_supply_point_without_their_passwords():
    meter = a_meter(password="planted-9f31")
    stored(meter, ["1"])
    (found,) = service.meters_of(f" {meter.mpan[:2]} {meter.mpan[2:]}")
    assert (found.meter, found.serial_number, found.registers) == (
        meter.pk, meter.serial_number, ("kWh Import",),
    )  # fmt: skip
    assert "planted" not in repr(found)
    assert service.meters_of("123") == ()


def test_missing_names_the_gap_and_whose_side_it_lies_on():
    meter = a_meter()
    stored(meter, [str(n) for n in range(20)])
    now = MIDNIGHT + 5 * DAY
    (gap,) = service.missing(meter.pk, ONE_DAY, now=now)
    assert (gap.start, gap.end) == (MIDNIGHT + 20 * HALF_HOUR, MIDNIGHT + DAY)
    assert (gap.cause, gap.tries) == ("No answer from the meter", 1)
    assert service.missing(meter.pk, ONE_DAY, now=MIDNIGHT + DAY / 2) == ()
    assert not MeterAlarm.objects.exists()


@pytest.mark.parametrize("whole", [True, False])
def test_a_stretch_that_ends_within_a_day_misses_nothing_that_is_there(whole):
    meter = a_meter()
    stored(meter, [str(n) for n in range(96 if whole else 70)])
    now = MIDNIGHT + 5 * DAY
    for start, end in ((0, 70), (5, 60), (48, 50)):
        span = Span(MIDNIGHT + start * HALF_HOUR, MIDNIGHT + end * HALF_HOUR)
        assert service.missing(meter.pk, span, now=now) == (), (start, end)
    (gap, *rest) = service.missing(meter.pk, Span(MIDNIGHT, MIDNIGHT + 98 * HALF_HOUR), now=now)
    assert (gap.start, rest) == (MIDNIGHT + (96 if whole else 70) * HALF_HOUR, [])
