"""The meter pages: charts with gaps and marks, forms, the work list of what is missing."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import settlement
from core.models import Note
from core.settlement import Span
from core.workflow import PORTAL, NotAllowed, actor_for, move
from metering import actions, missing, tasks
from metering.models import Meter, MeterAlarm, MeterChange, MeterRead, RegisterKind
from tests.factories.metering import MeterFactory, MeterReadFactory, MeterTypeFactory
from tests.metering.stock import DAY, MIDNIGHT, a_meter, stored

pytestmark = pytest.mark.django_db
PASSWORD = "planted-77-secret"


@pytest.fixture
def rafe(person):
    return person("metering")


@pytest.fixture
def desk(rafe, signed_in):
    return signed_in(rafe)


def text_of(response):
    return " ".join(response.content.decode().split())


def page(desk, meter, **query):
    response = desk.get(meter.get_absolute_url(), query)
    assert response.status_code == 200
    return response


def today_midnight():
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


# ---- One meter -------------------------------------------------------------------------------


def test_a_meter_without_anything_has_a_page(desk):
    said = text_of(page(desk, MeterFactory(password=PASSWORD)))
    assert "No half hours here" in said
    assert "Never asked" in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("day", "count"), [("2026-03-29", 46), ("2026-01-12", 48), ("2026-10-25", 50)]
)
def test_a_day_has_its_own_number_of_half_hours(desk, day, count):
    meter = a_meter(survey="period")
    start = settlement.midnight(date.fromisoformat(day))
    stored(meter, ["0.5"] * 120, first=start - DAY)
    picture = page(desk, meter, on=day).context["picture"]
    assert len(picture.rows) == count
    assert {row.cells for row in picture.rows} == {("0.5",)}
    assert picture.svg.count('class="fill-1"') == count


def test_gaps_are_hatched_and_never_zero(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 10)
    stored(meter, ["1"] * 10, first=MIDNIGHT + timedelta(hours=10))
    response = page(desk, meter, on="2026-01-12")
    picture = response.context["picture"]
    assert [row.cells[0] for row in picture.rows].count("–") == 28
    assert "no readings, 05:00 to 10:00" in picture.svg
    assert "url(#use-gap)" in picture.svg
    assert "20 of 48 half hours" in text_of(response)


@pytest.mark.parametrize("period", ["day", "week", "month", "year"])
def test_every_period_with_its_neighbours_in_the_address(desk, period):
    meter = a_meter(survey="period")
    stored(meter, ["0.5"] * 48 * 40)
    response = page(desk, meter, period=period, on="2026-01-20")
    said = text_of(response)
    seen = response.context["seen"]
    assert seen.title in said
    assert f"period={period}" in response.context["before_url"]
    assert f"on={seen.after}" in response.context["after_url"]
    assert len(response.context["heats"]) == (1 if period == "year" else 0)
    assert "<details" in said


@pytest.mark.parametrize("query", ["period=nonsense&on=x", "on=0001-01-01", "on=9999-12-31"])
def test_nonsense_in_the_address_shows_the_newest_day(desk, query):
    meter = a_meter(survey="period")
    stored(meter, ["0.5"] * 48)
    response = desk.get(f"{meter.get_absolute_url()}?{query}")
    assert response.context["seen"].title == "Monday 12 January 2026"


def test_import_stands_up_and_export_hangs_down(desk):
    meter = a_meter(survey="period")
    for name, direction in (("kWh Export", "export"), ("kWh Import", "import")):
        RegisterKind.objects.create(
            meter_type=meter.meter_type, name=name, unit="kWh", direction=direction
        )
        stored(meter, ["0.5"] * 48, name=name)
    stored(meter, ["9"] * 48, name="kvarh Q1")
    response = page(desk, meter, on="2026-01-12")
    assert [(one.name, one.down) for one in response.context["shown"]] == [
        ("kWh Import", False), ("kWh Export", True),
    ]  # fmt: skip
    alone = page(desk, meter, on="2026-01-12", register="kvarh Q1")
    assert [one.name for one in alone.context["shown"]] == ["kvarh Q1"]


def test_what_is_odd_is_marked(desk, person):
    meter = a_meter()
    texts = [str(100 + n) for n in range(49)]
    texts[10] = "50"
    stored(meter, texts)
    said = text_of(page(desk, meter, on="2026-01-12"))
    assert "Register backwards" in said
    MeterChange.objects.create(meter=meter, at=MIDNIGHT + DAY / 4, note="New one", by=person())
    said = text_of(page(desk, meter, on="2026-01-12"))
    assert "Meter change" in said
    assert "New one" in said


# ---- What is still to come, and what is not accepted -----------------------------------------

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)  # two days after the first reading


@pytest.fixture
def noon():
    with time_machine.travel(NOON, tick=False):
        yield NOON


@pytest.mark.parametrize(("period", "last"), [("week", "Tue 13 Jan"), ("month", "Tue 13 Jan")])
def test_days_to_come_are_neither_hatched_nor_missing(period, last, desk, noon):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 96)
    response = page(desk, meter, period=period, on="2026-01-13")
    picture = response.context["picture"]
    assert picture.rows[-1].label == last
    assert "Wed 14 Jan" not in picture.svg.partition("<rect")[0]
    assert not re.search(r"url\(#use-gap\)[^<]*<title>[^<]*(1[4-9]|2\d|3\d) Jan", picture.svg)
    assert "nan" not in picture.svg
    said = text_of(response)
    assert "96 of 96" in said if period == "week" else "96 of 624" in said
    assert "still to come is left empty" in said


def test_months_and_heat_to_come_are_left_out(desk, noon):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 96)
    response = page(desk, meter, period="year", on="2026-01-13")
    picture, (heat,) = response.context["picture"], response.context["heats"]
    assert [row.label for row in picture.rows] == ["January"]
    assert [row.label for row in heat.rows] == ["Jan 2026"]
    assert picture.rows[0].mark == "96 of 624 half hours"
    assert "url(#use-gap)" not in picture.svg.partition("</defs>")[2]


@pytest.mark.parametrize(("kind", "count"), [("cumulative", 47), ("period", 48)])
def test_the_last_half_hour_of_totals_comes_with_the_next_day(kind, count, desk, noon):
    meter = a_meter(survey=kind)
    stored(meter, [str(100 + n) for n in range(96)])
    response = page(desk, meter, on="2026-01-13")
    assert len(response.context["picture"].rows) == count
    assert "url(#use-gap)" not in response.context["picture"].svg.partition("</defs>")[2]
    assert f"{count} of {count} half hours" in text_of(response)


def test_a_day_that_is_over_ends_where_it_ends(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 96)
    response = page(desk, meter, period="month", on="2026-01-13")
    assert len(response.context["picture"].rows) == 31
    assert "still to come" not in text_of(response)


def test_values_of_reads_that_are_not_accepted_are_marked(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 48)
    stored(meter, ["1"] * 48, first=MIDNIGHT + DAY, status="to_check")
    stored(meter, ["1"] * 24, first=MIDNIGHT + 2 * DAY, status="rejected")
    response = page(desk, meter, period="week", on="2026-01-12")
    marks = {row.label: row.mark for row in response.context["picture"].rows}
    assert marks["Mon 12 Jan"] == ""
    assert marks["Tue 13 Jan"] == "48 half hours not accepted yet"
    assert marks["Wed 14 Jan"] == "24 of 48 half hours, 24 half hours rejected"
    said = text_of(response)
    assert "48 half hours not accepted yet and 24 half hours rejected: these values are" in said
    day = page(desk, meter, on="2026-01-13").context["picture"]
    assert {row.mark for row in day.rows} == {"Not accepted yet"}
    assert "1 kWh, Not accepted yet</title>" in day.svg.replace("\N{NO-BREAK SPACE}", " ")
    assert "do not leave for billing" not in text_of(page(desk, meter, on="2026-01-12"))


def test_registers_that_were_read_together_are_not_added_up(desk):
    meter = a_meter(survey="period")
    for name in ("kWh Import", "kWh Export"):
        stored(meter, ["1"] * 48, status="to_check", name=name)
    response = page(desk, meter, period="week", on="2026-01-12")
    assert response.context["doubts"] == "48 half hours not accepted yet"
    assert response.context["picture"].rows[0].mark == "48 half hours not accepted yet"


def test_a_half_hour_taken_over_by_a_read_to_check_is_marked_alone(desk):
    meter = a_meter(survey="period")
    stored(meter, ["1"] * 48)
    stored(meter, ["2"], status="to_check", end=2000)
    marks = [row.mark for row in page(desk, meter, on="2026-01-12").context["picture"].rows]
    assert marks == ["Not accepted yet", *[""] * 47]


def test_a_drawing_is_kept_until_a_fact_of_it_changes(desk, person):
    meter = a_meter(survey="period")
    read = stored(meter, ["1"] * 48)

    def year():
        return page(desk, meter, period="year", on="2026-01-12")

    def drawn_again(response):
        return any(each.name == "metering/meter_use.html" for each in response.templates)

    assert drawn_again(year())
    again = year()
    assert not drawn_again(again)
    assert "48 of " in text_of(again)
    by = actor_for(person("supervisor"))
    actions.reject(read=read, reason="Wrong meter", by=by, now=timezone.now)
    assert "48 half hours rejected" in text_of(year())
    stored(meter, ["2"] * 48, first=MIDNIGHT + DAY)
    assert "96 of " in text_of(year())
    actions.record_meter_change(
        meter=meter, at=MIDNIGHT + DAY, note="New", serial_number="", by=by, now=timezone.now
    )
    assert drawn_again(year())
    assert not drawn_again(year())
    Meter.objects.filter(pk=meter.pk).update(capacity_kw="0.1")
    assert "To look at" in text_of(year())


# ---- Beside the half hours -------------------------------------------------------------------


def side_of(response):
    return [(line.value, line.why) for line in response.context["side"]]


def test_overruled_values_are_told_once_whatever_the_order(desk):
    meter = a_meter(survey="period")
    stored(meter, ["2"], end=2000)
    for end in (0, 100, 200):
        stored(meter, ["1"], end=end)
    response = page(desk, meter, on="2026-01-12")
    assert side_of(response) == [("1", "A later result says 2")]
    # What was overruled has won since: it is not told any more.
    stored(meter, ["1"], end=3000)
    assert side_of(page(desk, meter, on="2026-01-12")) == [("2", "A later result says 1")]


def test_readings_at_odd_times_are_told_once(desk):
    meter = a_meter(survey="period")
    for end in (0, 100):
        stored(meter, ["5", "6"], first=MIDNIGHT + timedelta(minutes=7), end=end)
    response = page(desk, meter, on="2026-01-12")
    assert side_of(response) == [("5", "Not on a half hour"), ("6", "Not on a half hour")]
    assert "Readings beside the half hours" in text_of(response)
    assert side_of(page(desk, meter, on="2026-01-20")) == []


# ---- What leads on ---------------------------------------------------------------------------


def test_an_alarm_leads_to_its_acknowledgement(desk, auditor, signed_in):
    meter = a_meter()
    alarm = MeterAlarm.objects.create(meter=meter, kind="gap", text="Gone", raised_at=MIDNIGHT)
    url = f"/metering/alarms/{alarm.pk}/"
    assert url in text_of(page(desk, meter))
    assert url not in text_of(page(signed_in(auditor), meter))
    desk.post(url, {"note": "The meter is dead."})
    assert url not in text_of(page(desk, meter))
    assert "Gone" in text_of(desk.get("/metering/alarms/"))


def test_the_newest_collections_and_the_way_to_all_of_them(desk):
    meter, other = a_meter(), a_meter()
    MeterReadFactory(meter=other)
    for _ in range(13):
        MeterReadFactory(meter=meter)
    said = text_of(page(desk, meter))
    assert f"/metering/?meter={meter.pk}" in said
    assert "all 13" in said
    listed = desk.get(f"/metering/?meter={meter.pk}")
    assert listed.context["table"].rows.__len__() == 13
    assert [chip["label"] for chip in listed.context["chips"]] == [f"Meter: {meter.serial_number}"]


def test_clock_events_alarms_and_registers_are_shown(desk):
    meter = a_meter()
    events = ["Terminal cover opened", "Power restored"]
    first = stored(meter, ["1"], register="0100.50", clock_offset=-200, status_events=events)
    stored(
        meter, ["2"], first=MIDNIGHT + DAY, clock_offset=4, time_adjustment="SUCCESS",
        status="rejected",
    )  # fmt: skip
    MeterAlarm.objects.create(
        meter=meter, read=first, kind="clock", text="Clock is slow", raised_at=MIDNIGHT
    )
    response = page(desk, meter)
    said = text_of(response)
    for text in ("0100.50", "Clock set", "Clock is slow", *events, first.reference, "Rejected"):
        assert text in said, text
    assert [event["tamper"] for event in response.context["events"]] == [True, False]


def test_the_page_costs_a_constant_number_of_queries(desk):
    meter = a_meter()
    stored(meter, [str(n) for n in range(48)], register="1", clock_offset=1)

    def queries(**query):
        with CaptureQueriesContext(connection) as seen:
            page(desk, meter, **query)
        return len(seen)

    queries()
    few = queries(period="day", on="2026-01-12")
    for n in range(1, 12):
        stored(
            meter, [str(48 * n + k) for k in range(96)], first=MIDNIGHT + n * DAY, register="9",
            clock_offset=n, status_events=["Power restored"], status="rejected",
        )  # fmt: skip
    assert queries(period="year", on="2026-01-12") == few
    assert few < 30


def test_who_may_not_see_or_change_meters(signed_in, person, nobody):
    meter = MeterFactory()
    assert signed_in(nobody).get(meter.get_absolute_url()).status_code == 403
    reader = signed_in(person(permissions=["metering.view_meter"]))
    assert reader.get(meter.get_absolute_url()).status_code == 200
    for url in ("meters/add/", "meters/import/", f"meters/{meter.pk}/particulars/",
                f"meters/{meter.pk}/change/"):  # fmt: skip
        assert reader.get(f"/metering/{url}").status_code == 403, url
    assert reader.post("/metering/gaps/", {"row": meter.pk}).status_code == 403


# ---- The list --------------------------------------------------------------------------------


def test_the_list_finds_meters_and_never_tells_a_password(desk):
    meter = MeterFactory(password=PASSWORD, group="north")
    MeterFactory()
    for text in (meter.mpan, meter.serial_number, meter.remote_address):
        response = desk.get("/metering/meters/", {"q": text})
        assert [row.record.pk for row in response.context["table"].paginated_rows] == [meter.pk]
    assert PASSWORD not in text_of(desk.get("/metering/meters/"))
    sent = b"".join(desk.get("/metering/meters/?as=csv").streaming_content).decode()
    assert meter.serial_number in sent
    assert PASSWORD not in sent


# ---- Forms -----------------------------------------------------------------------------------


def particulars(meter, **changes):
    fields = {
        "mpan": meter.mpan, "serial_number": meter.serial_number,
        "meter_type": meter.meter_type_id, "remote_address": meter.remote_address,
        "coms_settings": "", "outstation_address": "1", "password": "", "priority": 5,
        "group": "", "capacity_kw": "", "active": "on",
    }  # fmt: skip
    return {**fields, **changes}


def test_a_meter_is_added_with_its_address_as_the_service_wants_it(desk):
    like = MeterFactory.build(meter_type=MeterTypeFactory())
    posted = particulars(
        like, remote_address="+44 7711 000 001", coms_settings="7e1", password="pw9"
    )
    response = desk.post("/metering/meters/add/", posted)
    meter = Meter.objects.get()
    assert response["Location"] == meter.get_absolute_url()
    assert (meter.remote_address, meter.coms_settings, meter.password) == (
        "07711000001", "7E1", "pw9",
    )  # fmt: skip
    assert Note.objects.get().text == "Added."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mpan": "1234567890123"}, "The last digit does not fit"),
        ({"remote_address": "300.1.1.1:80"}, "Write a UK phone number"),
        ({"coms_settings": "9E1"}, "Write data bits"),
        ({"remote_address": "10.2.34.4:3400", "coms_settings": "7E1"}, "Leave this empty"),
        ({"priority": 0}, "greater than or equal to 1"),
    ],
)
def test_what_the_service_would_refuse_is_refused(desk, changes, sentence):
    like = MeterFactory.build(meter_type=MeterTypeFactory())
    response = desk.post("/metering/meters/add/", particulars(like, **changes))
    assert sentence in text_of(response)
    assert not Meter.objects.exists()


def test_a_password_is_kept_replaced_and_forgotten_but_never_shown(desk):
    meter = MeterFactory(password=PASSWORD)
    url = f"/metering/meters/{meter.pk}/particulars/"
    assert PASSWORD not in text_of(desk.get(url))
    for posted, expected in (
        ({"group": "north"}, PASSWORD),
        ({"password": "another-1"}, "another-1"),
        ({"forget_password": "on"}, ""),
    ):
        desk.post(url, particulars(meter, **posted))
        meter.refresh_from_db()
        assert meter.password == expected
    told = " ".join(Note.objects.values_list("text", flat=True))
    assert "Password: changed." in told
    assert "Collection group: nothing became north." in told
    assert not any(secret in told for secret in (PASSWORD, "another-1"))


def test_a_password_typed_with_a_mistake_elsewhere_is_not_sent_back(desk):
    meter = MeterFactory()
    url = f"/metering/meters/{meter.pk}/particulars/"
    response = desk.post(url, particulars(meter, password=PASSWORD, mpan="1"))
    assert PASSWORD not in text_of(response)


def test_two_meters_with_one_mpan_and_serial_number(desk):
    meter, other = MeterFactory(), MeterFactory()
    posted = particulars(other, mpan=meter.mpan, serial_number=meter.serial_number)
    for url in ("add/", f"{other.pk}/particulars/"):
        assert "already" in text_of(desk.post(f"/metering/meters/{url}", posted))


def test_a_meter_change_is_recorded_with_the_new_serial_number(desk):
    meter = MeterFactory(serial_number="OLD1")
    url = f"/metering/meters/{meter.pk}/change/"
    response = desk.post(url, {"at": "2026-01-12T10:30", "serial_number": "NEW2", "note": "Faulty"})
    assert response.status_code == 302
    meter.refresh_from_db()
    assert (meter.serial_number, meter.changes.get().note) == ("NEW2", "Faulty")
    response = desk.post(url, {"at": "2099-01-12T10:30", "note": "Soon"})
    assert "still to come" in text_of(response)


# ---- What is missing -------------------------------------------------------------------------


def holed(days=3, status="accepted", **fields):
    """A meter that has the first of its last days."""
    start = today_midnight() - days * DAY
    meter = a_meter(survey="period", added_at=start, **fields)
    stored(meter, ["1"] * 48, first=start, status=status)
    return meter


def test_the_work_list_names_meters_with_their_gaps(desk):
    meter, whole = holed(days=6), holed(days=1)
    response = desk.get("/metering/gaps/")
    rows = [row.record for row in response.context["table"].paginated_rows]
    assert meter.pk in [row.pk for row in rows]
    assert whole.pk not in [row.pk for row in rows]
    (row,) = [row for row in rows if row.pk == meter.pk]
    assert row.kinds == ("missing", "stale")
    assert set(row.causes) <= {"Not asked", "No answer from the meter"}
    for query, found in (("cause=SERVICE", False), ("kind=late", False), ("kind=stale", True),
                         (f"q={meter.serial_number}", True), ("cause=bogus&kind=x", True)):  # fmt: skip
        listed = [r.record.pk for r in desk.get(f"/metering/gaps/?{query}").context["table"].rows]
        assert (meter.pk in listed) is found, query


def test_a_late_result_is_on_the_work_list(desk):
    read = MeterReadFactory(status="requested")
    MeterRead.objects.filter(pk=read.pk).update(due_by=timezone.now() - timedelta(hours=1))
    (found,) = missing.standings([read.meter], now=timezone.now())
    assert "late" in found.kinds
    assert "Late" in text_of(desk.get("/metering/gaps/?kind=late"))


def test_missing_days_are_asked_for_at_once_and_once(desk, bells):
    meter = holed(days=6)
    response = desk.post("/metering/gaps/", {"row": [meter.pk], "do": "ask"}, follow=True)
    assert "1 meter is asked for missing days" in text_of(response)
    read = MeterRead.objects.get(status="waiting")
    assert read.survey_date == (today_midnight() - 5 * DAY).date()
    assert 4 <= read.survey_days <= 5
    desk.post("/metering/gaps/", {"row": [meter.pk], "do": "ask"})
    assert MeterRead.objects.filter(status="waiting").count() == 1


def test_the_night_asks_for_what_is_missing_one_read_an_address(bells):
    one = holed(days=6, remote_address="10.0.0.1:1")
    two = holed(days=6, remote_address="10.0.0.1:1")
    three = holed(days=6, active=False)
    tasks.fill_gaps()
    asked = MeterRead.objects.filter(status="waiting")
    assert asked.count() == 1
    assert asked.get().meter_id in (one.pk, two.pk)
    assert three.reads.count() == 1


def test_after_the_last_try_a_person_is_told_once(bells, person):
    meter = a_meter(survey="period", added_at=today_midnight() - 3 * DAY)
    first = (today_midnight() - 3 * DAY).date()
    for n in range(missing.LIMITS.tries):
        MeterReadFactory(
            meter=meter, status="failed", survey_days=3, survey_date=first,
            created_at=today_midnight() - (6 - n) * timedelta(hours=1), outcome="ERROR: NO CARRIER",
        )  # fmt: skip
    for _ in range(2):
        filled = actions.fill_gaps(now=timezone.now)
        assert filled.asked == 0
    alarm = MeterAlarm.objects.get()
    assert (alarm.kind, alarm.read) == ("gap", None)
    assert "asked for 4 times: no answer from the meter" in alarm.text


def test_asking_for_missing_days_needs_the_role(person):
    with pytest.raises(NotAllowed):
        actions.ask_missing(meters=[holed()], by=actor_for(person()), now=timezone.now)
    assert actions.ask_missing(meters=[], by=PORTAL, now=timezone.now).asked == 0


def test_the_work_list_costs_a_constant_number_of_queries(desk):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            desk.get("/metering/gaps/")
        return len(seen)

    holed(days=6)
    queries()
    few = queries()
    for _ in range(5):
        holed(days=6)
    assert queries() == few


@pytest.mark.parametrize("sort", ["reference", "-since", "since", "newest", "-tries", "bogus"])
def test_the_work_list_can_be_sorted(desk, sort):
    holed(days=6)
    late = MeterReadFactory(status="requested", meter__added_at=timezone.now())
    MeterRead.objects.filter(pk=late.pk).update(due_by=timezone.now() - timedelta(hours=1))
    response = desk.get(f"/metering/gaps/?sort={sort}")
    assert len(response.context["table"].rows) == 2


def test_a_refusal_is_told_apart_from_a_service_that_was_down(rafe):
    for fault, side in (
        ("refused", "Refused by the service"), ("service", "The service was down"),
        ("not_sent", "Our request never went"), ("meter", "No answer from the meter"),
    ):  # fmt: skip
        start = today_midnight() - 3 * DAY
        meter = a_meter(survey="period", added_at=start)
        read = MeterReadFactory(
            meter=meter, status="failed", fault=fault, survey_days=3, survey_date=start.date()
        )
        (one,) = missing.standings([meter], now=timezone.now())
        assert one.causes == (side,)
        # Set aside is not taken back: it was tried.
        by = actor_for(rafe)
        actions.set_aside(read=read, reason="Enough.", by=by, now=timezone.now)
        (one,) = missing.standings([meter], now=timezone.now())
        assert (one.causes, one.tries) == ((side,), 1)


def test_a_cancelled_read_was_no_try():
    start = today_midnight() - 3 * DAY
    meter = a_meter(survey="period", added_at=start)
    MeterReadFactory(meter=meter, status="cancelled", survey_days=3, survey_date=start.date())
    (one,) = missing.standings([meter], now=timezone.now())
    assert (one.causes, one.tries) == (("Not asked",), 0)


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        (["1"] * 144, True),
        (["0001.50"] * 144, True),
        # None of these is a plain number: what the database counts as whole leaves them out.
        (["1e0"] * 48 + ["1"] * 96, True),
        (["1"] * 143, False),
    ],
)
def test_whole_days_are_found_whole_however_they_are_written(values, whole):
    meter = a_meter(survey="period", added_at=today_midnight() - 3 * DAY)
    stored(meter, values, first=today_midnight() - 3 * DAY)
    span = Span(today_midnight() - 3 * DAY, today_midnight())
    (one,) = missing.standings([meter], now=timezone.now(), span=span)
    assert (one.half_hours == 0) is whole
    assert one.newest == (today_midnight() - DAY).date()


def test_a_register_with_a_hole_beside_one_that_is_whole():
    start = today_midnight() - 3 * DAY
    meter = a_meter(survey="period", added_at=start)
    stored(meter, ["1"] * 144, first=start)
    stored(meter, ["1"] * 100, first=start, name="kWh Export")
    span = Span(start, today_midnight())
    (one,) = missing.standings([meter], now=timezone.now(), span=span)
    assert one.half_hours == 44
    assert one.gaps[0].start == start + timedelta(minutes=30 * 100)


def test_a_dead_meter_is_one_alarm_however_long_it_lasts(bells):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    meter = a_meter(survey="period", added_at=start)
    for night in range(2, 30):
        at = start + night * DAY + timedelta(hours=7)
        with time_machine.travel(at, tick=False):
            actions.fill_gaps(now=timezone.now)
        for read in MeterRead.objects.filter(status="waiting"):
            with transaction.atomic():
                move(read, "fail", by=PORTAL, now=at, fault="meter")
    alarm = MeterAlarm.objects.get()
    assert alarm.meter == meter
    assert alarm.gap_end > alarm.gap_start + 15 * DAY
