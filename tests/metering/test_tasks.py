"""The desk's tasks: batches in which one row goes wrong, and what beat starts at which hour."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import current_app
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from metering import actions, tasks
from metering.models import Delivery, MeterAlarm, MeterRead, Schedule
from tests.factories.metering import MeterFactory, MeterReadFactory
from tests.metering.conftest import document, post
from tests.metering.stock import DAY, a_meter, stored

pytestmark = pytest.mark.django_db
LONDON = ZoneInfo("Europe/London")


def found(read):
    return MeterRead.objects.get(pk=read.pk)


def ask(*meters):
    batch = actions.ask(
        meters=meters, wish=actions.Wish(), by=actions.PORTAL, now=timezone.now, title="test"
    )
    return list(batch.reads.order_by("pk"))


# ---- One row goes wrong ----------------------------------------------------------------------


@pytest.fixture
def breaks(monkeypatch):
    """Have the request of one read raise what nobody expects: breaks(read)."""
    build = actions.request_for
    broken = set()

    def request_for(read):
        if read.pk in broken:
            raise ZeroDivisionError
        return build(read)

    monkeypatch.setattr(actions, "request_for", request_for)
    return broken


def test_a_request_that_breaks_harms_no_other(paused, breaks, work):
    reads = ask(*MeterFactory.create_batch(5))
    breaks.add(reads[1].pk)
    tasks.request(reads[0].pk)
    assert [found(read).status for read in reads] == [
        "requested", "waiting", "requested", "requested", "requested",
    ]  # fmt: skip
    row = found(reads[1])
    assert (row.claim, row.due_at > timezone.now()) == (None, True)


def test_a_request_that_always_breaks_ends_with_a_person(paused, breaks, work):
    (read,) = ask(MeterFactory())
    breaks.add(read.pk)
    work(until=timezone.now() + timedelta(days=5))
    read = found(read)
    assert (read.status, read.holds_address, read.fault) == ("failed", None, "not_sent")
    assert "A fault of the portal stopped this request (ZeroDivisionError)" in read.why


def test_a_request_that_breaks_once_is_sent_later(paused, breaks, work):
    (read,) = ask(MeterFactory())
    breaks.add(read.pk)
    tasks.request(read.pk)
    breaks.clear()
    work(until=timezone.now() + timedelta(minutes=5))
    assert found(read).status == "requested"


def test_a_delivery_that_cannot_even_be_given_back_harms_no_other(monkeypatch, bells):
    reads = [MeterReadFactory(status="requested") for _ in range(4)]
    for read in reads:
        post(read, document(read))
    store, not_stored = actions.store_readings, actions._not_stored

    def storing(arrivals):
        if any(each.read.pk == reads[1].pk for each in arrivals):
            raise ZeroDivisionError
        return store(arrivals)

    def giving_back(claim, problem, now):
        raise DatabaseError("The disk is full.")

    monkeypatch.setattr(actions, "store_readings", storing)
    monkeypatch.setattr(actions, "_not_stored", giving_back)
    tasks.store(0)
    assert [found(read).status for read in reads] == [
        "accepted", "requested", "accepted", "accepted",
    ]  # fmt: skip
    left = Delivery.objects.get(read=reads[1])
    assert (left.state, left.claim is None) == ("waiting", False)
    monkeypatch.setattr(actions, "_not_stored", not_stored)
    monkeypatch.setattr(actions, "store_readings", store)
    with time_machine.travel(left.claimed_until + timedelta(seconds=1), tick=True):
        tasks.store(0)
    assert found(reads[1]).status == "accepted"


# ---- What beat starts ------------------------------------------------------------------------


def fires(name, first, last):
    """When beat starts a task between two moments, as its own settings say."""
    entry = settings.CELERY_BEAT_SCHEDULE[name]
    assert entry["task"] in current_app.tasks
    schedule = entry["schedule"]
    if isinstance(schedule, float):
        moment = first
        while moment < last:
            yield moment
            moment += timedelta(seconds=schedule)
        return
    for minute in range(int((last - first).total_seconds() // 60)):
        moment = first + timedelta(minutes=minute)
        if moment.minute in schedule.minute and moment.hour in schedule.hour:
            yield moment


def run_through(name, first, last):
    """Let beat's task run at each of its moments; when it opened reads (local time)."""
    opened = []
    for moment in fires(name, first, last):
        before = MeterRead.objects.count()
        with time_machine.travel(moment, tick=False):
            current_app.tasks[settings.CELERY_BEAT_SCHEDULE[name]["task"]]()
        if MeterRead.objects.count() > before:
            opened.append(f"{moment.astimezone(LONDON):%d %b %H:%M}")
    return opened


@pytest.fixture
def tasks_known(bells):
    current_app.loader.import_default_modules()
    return bells


def nightly(hour, every="night"):
    MeterFactory(group="north")
    return Schedule.objects.create(group="north", every=every, hour=hour)


@pytest.mark.parametrize(
    ("hour", "first", "expected"),
    [
        (2, datetime(2026, 7, 1, tzinfo=UTC), ["01 Jul 02:00", "02 Jul 02:00"]),
        # There is no hour from 01:00 to 02:00 on 29 March.
        (1, datetime(2026, 3, 28, tzinfo=UTC), ["28 Mar 01:00", "29 Mar 02:00"]),
        # It comes twice on 25 October.
        (1, datetime(2026, 10, 25, tzinfo=UTC), ["25 Oct 01:00", "26 Oct 01:00"]),
        (0, datetime(2026, 10, 24, 23, tzinfo=UTC), ["25 Oct 00:00", "26 Oct 00:00"]),
    ],
)
def test_a_group_is_read_once_a_night_at_its_hour(hour, first, expected, tasks_known):
    nightly(hour)
    assert run_through("metering.schedule", first, first + timedelta(hours=47)) == expected


def test_a_group_is_read_on_the_first_of_each_month_whatever_its_length(tasks_known):
    nightly(3, every="month")
    first = datetime(2026, 1, 30, tzinfo=UTC)
    for start, expected in (
        (first, ["01 Feb 03:00"]),
        (datetime(2026, 2, 27, tzinfo=UTC), ["01 Mar 03:00"]),
        (datetime(2026, 7, 30, 12, tzinfo=UTC), ["01 Aug 03:00"]),
    ):
        assert run_through("metering.schedule", start, start + timedelta(days=4)) == expected
    assert Schedule.objects.get().last_run_on.isoformat() == "2026-08-01"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-07-01"])
def test_the_night_asks_for_what_is_missing_once_the_day_is_over(day, tasks_known):
    """Once a day, after the hour from which the day before is expected; also as clocks change."""
    day = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    meter = a_meter(survey="period", added_at=day - 2 * DAY)
    stored(meter, ["1"] * 48, first=day - 2 * DAY)
    (opened,) = run_through("metering.fill_gaps", day, day + DAY)
    assert opened.endswith(f"{(day + timedelta(hours=6, minutes=15)).astimezone(LONDON):%H:%M}")
    read = meter.reads.get(status="waiting")
    assert (read.survey_date, read.survey_days) == ((day - DAY).date(), 1)


# ---- What is too old to be asked for ---------------------------------------------------------


def test_what_a_meter_keeps_no_more_is_told_once(tasks_known):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    meter = a_meter(survey="period", added_at=start)
    stored(meter, ["1"] * 48 * 3, first=start)
    stored(meter, ["1"] * 48 * 200, first=start + 30 * DAY)
    run_through("metering.fill_gaps", start + 88 * DAY, start + 99 * DAY)
    alarm = MeterAlarm.objects.get()
    assert (alarm.kind, alarm.meter, alarm.read) == ("gap", meter, None)
    assert "missing from 4 Jan 2026 00:00 on. The meter keeps 90 days" in alarm.text
    alarm.acknowledged_at = start + 99 * DAY
    alarm.save()
    run_through("metering.fill_gaps", start + 99 * DAY, start + 125 * DAY)
    assert MeterAlarm.objects.count() == 1


def test_a_second_old_gap_is_told_as_well(tasks_known):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    meter = a_meter(survey="period", added_at=start)
    for first in (0, 4, 10):
        stored(meter, ["1"] * 48 * (3 if first < 10 else 150), first=start + first * DAY)
    run_through("metering.fill_gaps", start + 90 * DAY, start + 105 * DAY)
    texts = sorted(MeterAlarm.objects.values_list("text", flat=True))
    assert [text.split(" on.")[0][-17:] for text in texts] == [
        " 4 Jan 2026 00:00",
        " 8 Jan 2026 00:00",
    ]


def test_what_used_up_its_tries_is_not_told_twice(tasks_known):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    meter = a_meter(survey="period", added_at=start)
    stored(meter, ["1"] * 48 * 150, first=start + 2 * DAY)
    for number in range(4):
        MeterReadFactory(
            meter=meter, status="failed", fault="meter", survey_days=2, survey_date=start.date(),
            created_at=start + (3 + number) * DAY,
        )  # fmt: skip
    run_through("metering.fill_gaps", start + 80 * DAY, start + 100 * DAY)
    (alarm,) = MeterAlarm.objects.all()
    assert "asked for 4 times: no answer from the meter" in alarm.text
