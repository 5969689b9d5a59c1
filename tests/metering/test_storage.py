"""Readings in the database: the same rows whatever the order, doubling and splitting of results."""

import hashlib
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import queue, settlement
from metering import actions, days, messages
from metering.models import (
    STORE,
    Channel,
    Day,
    Delivery,
    MeterRead,
    RegisterReading,
    SideReading,
)
from metering.readings import Arrival, store_readings
from tests.core.racing import race
from tests.factories.metering import MeterFactory, MeterReadFactory
from tests.metering.conftest import document, post, survey

pytestmark = pytest.mark.django_db
ONE_DATABASE = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
START = datetime(2026, 3, 28, tzinfo=UTC)  # the clocks go forward on the 29th
REGISTERS = ("kWh Import", "kWh Export")

# ---- Results made by chance ---------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        ["0", "700", "700.0", "0700", "-3.50", "1e3", "12345678901234567890.123456789"]
    ),
    st.from_regex(r"\A(0|[1-9][0-9]{0,6})(\.[0-9]{1,4})?\Z"),
)
PLACES = st.tuples(
    st.sampled_from(REGISTERS), st.integers(0, 143), st.sampled_from([0] * 9 + [432])
)
READINGS = st.dictionaries(
    PLACES, st.tuples(TEXTS, st.sampled_from([None, None, 0, 4])), max_size=30
)
RESULTS = st.lists(st.tuples(st.integers(0, 2), READINGS), min_size=1, max_size=4)
RESULTS_IN_TURN = st.lists(READINGS, min_size=1, max_size=4).map(lambda each: list(enumerate(each)))


def moment(place):
    return START + timedelta(minutes=30 * place[1], seconds=place[2])


def written(ended, readings):
    """A result document that says these readings; the same for every meter."""
    series = defaultdict(list)
    for place, (text, flags) in readings.items():
        said = {"timestamp": f"{moment(place):%Y-%m-%dT%H:%M:%SZ}", "value": text}
        series[place[0]].append(said | ({} if flags is None else {"statusFlags": flags}))
    surveys = [{"name": name, "units": "kWh", "readings": said} for name, said in series.items()]
    return json.dumps(
        {
            "requestReference": "r",
            "result": "SUCCESS",
            "collectionEndTime": f"2026-04-02T00:0{ended}:00Z",
            "surveyData": surveys,
        }
    ).encode()


def store(read, body):
    delivery = Delivery(sha256=hashlib.sha256(body).hexdigest(), received_at=timezone.now())
    with transaction.atomic():
        (kept,) = store_readings([Arrival(read, delivery, messages.read_result(body))])
        return kept


def stored(bodies):
    """A new meter after these documents in this order: its days, and what stands beside them."""
    read = MeterReadFactory()
    for body in bodies:
        store(read, body)
    return state(read.meter)


def state(meter):
    rows = {
        (row.channel.name, row.day): bytes(row.slots)
        for row in Day.objects.filter(channel__meter=meter).select_related("channel")
    }
    beside = defaultdict(list)
    aside = set()
    for row in SideReading.objects.filter(channel__meter=meter).select_related("channel"):
        source = days.Source(row.collection_end, bytes.fromhex(row.digest))
        if row.why == "off_grid":
            aside.add((row.channel.name, row.at, row.value, row.flags, source))
            continue
        midnight = row.at.replace(hour=0, minute=0)
        slot = (row.at - midnight) // timedelta(minutes=30)
        flags = int(row.flags) if row.flags else None
        lost = days.Overruled(slot, row.value, flags, source)
        beside[row.channel.name, row.at.date()].append(lost)
    settled = {key: days.settle(lost, rows[key]) for key, lost in beside.items()}
    return rows, {key: lost for key, lost in settled.items() if lost}, aside


def said(found):
    """The same without naming the documents that said it."""
    rows, lost, aside = found
    return (
        {key: {n: each[:2] for n, each in days.decode(row).items()} for key, row in rows.items()},
        {key: {each[:3] for each in row} for key, row in lost.items()},
        {each[:4] for each in aside},
    )


@ONE_DATABASE
@given(RESULTS, st.randoms(use_true_random=False))
def test_order_and_doubling_of_results_change_nothing(results, luck):
    bodies = [written(*each) for each in results]
    shuffled = luck.sample(bodies, len(bodies)) + luck.choices(bodies, k=2)
    assert stored(bodies) == stored(luck.sample(shuffled, len(shuffled)))


@ONE_DATABASE
@given(RESULTS_IN_TURN, st.randoms(use_true_random=False))
def test_splitting_results_changes_nothing(results, luck):
    whole = [written(*each) for each in results]
    pieces = []
    for ended, readings in results:
        cut = luck.randint(0, len(readings))
        rows = luck.sample(list(readings.items()), len(readings))
        pieces += [written(ended, dict(part)) for part in (rows[:cut], rows[cut:]) if part]
    expected = said(stored(whole))
    assert said(stored(luck.sample(pieces, len(pieces)))) == expected
    assert said(stored(luck.sample(pieces + whole, len(pieces + whole)))) == expected


@ONE_DATABASE
@given(READINGS)
def test_values_come_back_exactly_as_sent(readings):
    rows, lost, aside = stored([written(0, readings)])
    found = {}
    for (name, day), packed in rows.items():
        midnight = datetime.combine(day, datetime.min.time(), UTC)
        for slot, each in days.decode(packed).items():
            found[name, midnight + timedelta(minutes=30 * slot)] = (each.text, each.flags)
    for name, at, text, flags, _ in aside:
        found[name, at] = (text, int(flags) if flags else None)
    assert found == {(place[0], moment(place)): each for place, each in readings.items()}
    assert lost == {}


def test_repeating_a_result_gains_nothing():
    read, body = (
        MeterReadFactory(),
        written(0, {(REGISTERS[0], n, 0): ("1.5", None) for n in range(90)}),
    )
    assert store(read, body).gained == 90
    before = state(read.meter)
    assert (store(read, body).gained, store(read, body).overruled) == (0, 0)
    assert state(read.meter) == before


# ---- Clock changes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 46), (date(2026, 10, 25), 50), (date(2026, 7, 1), 48)]
)
def test_a_local_day_has_its_own_number_of_half_hours(day, count):
    span = settlement.day_span(day)
    assert span.half_hours == count
    read = MeterReadFactory()
    values = [f"{500 + n}.25" for n in range(count)]
    content = {
        "requestReference": "r",
        "collectionEndTime": "2026-12-01T00:00:00Z",
        "surveyData": [survey(values, span.start)],
    }
    store(read, json.dumps(content).encode())
    first, end = settlement.utc_days(span)
    rows = Day.objects.filter(channel__meter=read.meter, day__gte=first, day__lt=end)
    series = days.series(((row.day, bytes(row.slots)) for row in rows), first, end)
    skipped = (span.start - datetime.combine(first, datetime.min.time(), UTC)) // timedelta(
        minutes=30
    )
    local = series.values[skipped : skipped + count]
    assert local == [50025 + 100 * n for n in range(count)]
    assert series.values.count(None) == len(series.values) - count


# ---- At once ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("existing", [False, True], ids=["new days", "days that exist"])
def test_overlapping_days_stored_at_once_end_the_same(existing):
    for turn in range(4):
        bodies = [
            written(
                ended % 3,
                {(name, n, 0): (f"{ended}.{n}", None) for name in REGISTERS for n in range(144)},
            )
            for ended in range(4)
        ]
        before = [written(0, {(REGISTERS[0], n, 0): ("9", None) for n in range(turn, 100)})]
        meter = MeterFactory()
        reads = [MeterReadFactory(meter=meter) for _ in bodies]
        if existing:
            store(reads[0], before[0])

        def storing(read, body):
            return lambda: store(read, body)

        results = race(*[storing(*each) for each in zip(reads, bodies, strict=True)])
        assert not [each for each in results if isinstance(each, Exception)], results
        assert state(meter) == stored([*before, *bodies] if existing else bodies)


@pytest.mark.django_db(transaction=True)
def test_two_workers_store_two_results_of_one_read_at_once():
    for _ in range(4):
        read = MeterReadFactory(status="requested")
        values = [f"{1000 + n}.000" for n in range(48)]
        other = [*values[:20], "1020.5", *values[21:]]
        for minute, each in enumerate((values, other)):
            content = document(
                read, surveyData=[survey(each)], collectionEndTime=f"2026-05-02T00:0{minute}:00Z"
            )
            assert post(read, content).status_code == 200
        pks = Delivery.objects.filter(read=read).values_list("pk", flat=True)
        claims = [queue.claim(STORE, pk, now=timezone.now()) for pk in pks]

        def storing(claim):
            return lambda: actions.store(claims=[claim], now=timezone.now)

        race(*[storing(claim) for claim in claims])
        for delivery in Delivery.objects.filter(read=read, state="waiting"):
            Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
            claim = queue.claim(STORE, delivery.pk, now=timezone.now())
            actions.store(claims=[claim], now=timezone.now)
        found = MeterRead.objects.get(pk=read.pk)
        assert (found.status, found.versions) == ("to_check", 2)
        (packed,) = Day.objects.filter(channel__meter=read.meter).values_list("slots", flat=True)
        assert days.texts(bytes(packed)) == other
        assert RegisterReading.objects.filter(read=read).count() == 1
        assert SideReading.objects.filter(channel__meter=read.meter).count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_body_posted_eight_times_at_once_is_one_delivery():
    read = MeterReadFactory(status="requested")
    content = document(read)
    results = race(*[lambda: post(read, content, client=Client()).status_code] * 8)
    assert results == [200] * 8
    assert Delivery.objects.count() == 1


# ---- Queries ----------------------------------------------------------------------------------------


def test_a_month_of_eight_registers_takes_few_statements():
    read = MeterReadFactory()
    series = [
        survey([f"{n}.{number}" for n in range(48 * 31)], START, f"register {number}")
        for number in range(8)
    ]
    content = {"requestReference": "r", "collectionEndTime": "2026-05-02T00:00:00Z"}
    body = json.dumps({**content, "surveyData": series}).encode()
    with CaptureQueriesContext(connection) as captured:
        assert store(read, body).readings == 11_904
    assert len(captured) <= 16, [row["sql"][:80] for row in captured.captured_queries]
    assert Day.objects.count() == 8 * 31
    assert Channel.objects.count() == 8
