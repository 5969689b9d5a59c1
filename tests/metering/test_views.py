"""Pages about reads: who may see and do what, asking step by step, deciding, alarms, replay."""

import zlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Note
from metering.models import Batch, Meter, MeterAlarm, MeterRead, RegisterReading
from metering.views import tonight
from tests.factories.metering import DeliveryFactory, MeterFactory, MeterReadFactory

pytestmark = pytest.mark.django_db
WHY = "The customer read the meter to us."
ROLES = ("metering", "supervisor", "auditor", "export tariff", "engineer", "")
MAY_LOOK = {"metering", "supervisor", "auditor"}
MAY_ACT = {"metering", "supervisor"}


@pytest.fixture
def rafe(person):
    return person("metering")


@pytest.fixture
def desk(rafe, signed_in):
    return signed_in(rafe)


@pytest.fixture(autouse=True)
def quiet(bells):
    return bells


def read_again(read):
    return MeterRead.objects.get(pk=read.pk)


def text_of(response):
    return " ".join(response.content.decode().split())


def alarm_of(read, **fields):
    now = timezone.now()
    kind = MeterAlarm.Kind.TAMPER
    about = {"meter": read.meter, "read": read, "kind": kind, "text": "Cover opened"}
    return MeterAlarm.objects.create(**about, raised_at=now, **fields)


# ---- Who may do what -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_pages_by_role(role, person, signed_in):
    read, delivery = MeterReadFactory(status="to_check"), DeliveryFactory(body=zlib.compress(b"{}"))
    batch = Batch.objects.create(title="Night", at=timezone.now())
    client = signed_in(person(role))
    base = read.get_absolute_url()
    look = [
        "/metering/", "/metering/alarms/", "/metering/deliveries/", base,
        f"/metering/batches/{batch.pk}/", f"/metering/deliveries/{delivery.pk}/",
    ]  # fmt: skip
    act = ["/metering/ask/", f"{base}accept/", f"{base}reject/"]
    act.append(f"/metering/alarms/{alarm_of(read).pk}/")
    for url in look:
        assert client.get(url).status_code == (200 if role in MAY_LOOK else 403), url
    for url in act:
        assert client.get(url).status_code == (200 if role in MAY_ACT else 403), url
    for url in (f"{base}again/", f"{base}note/", f"{base}assign/"):
        assert client.post(url, {"text": "x"}).status_code == (302 if role in MAY_ACT else 403), url
    replayed = client.post(f"/metering/deliveries/{delivery.pk}/", {"reference": "none"})
    assert replayed.status_code == (200 if role in MAY_ACT else 403)


@pytest.mark.parametrize("role", ["metering", "supervisor"])
def test_setting_clocks_is_a_permission_of_its_own(role, person, signed_in):
    meter = MeterFactory()
    page = signed_in(person(role)).get(f"/metering/ask/?meter={meter.pk}")
    assert ("adjust_time" in page.context["form"].fields) is (role == "supervisor")


# ---- The read --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", MeterRead.Status.values)
def test_a_read_in_every_status(status, desk):
    read = MeterReadFactory(status=status)
    text = text_of(desk.get(read.get_absolute_url()))
    assert read.reference in text
    assert read.token not in text
    assert read.meter.password not in text
    assert ("Ask the meter again" in text) is (status not in MeterRead.OPEN)


def test_a_failed_read_offers_to_ask_again_first(desk):
    page = desk.get(MeterReadFactory(status="failed").get_absolute_url())
    labels = [(row["label"], row["primary"]) for row in page.context["moves"]]
    assert labels == [("Ask the meter again", True), ("Set aside", False)]


def test_register_values_stand_beside_the_last_accepted_ones(desk):
    now = timezone.now()
    before = MeterReadFactory(status="accepted")
    refused = MeterReadFactory(status="rejected", meter=before.meter)
    read = MeterReadFactory(status="to_check", meter=before.meter)
    channel = before.meter.channels.create(name="kWh Import", unit="kWh")
    for row, days, value in ((before, 10, "1000.5"), (refused, 5, "9999"), (read, 0, "1100.5")):
        at = now - timedelta(days=days)
        RegisterReading.objects.create(read=row, channel=channel, at=at, value=value)
    line = desk.get(read.get_absolute_url()).context["registers"][0]
    assert (line.before, line.value, line.advance) == ("1000.5", "1100.5", 100)
    assert round(line.a_day, 3) == 10


def test_a_read_costs_the_same_however_much_it_holds(desk):
    def queries(read):
        desk.get(read.get_absolute_url())
        with CaptureQueriesContext(
            connection,
        ) as caught:
            desk.get(read.get_absolute_url())
        return len(caught)

    small, large = MeterReadFactory(status="to_check"), MeterReadFactory(status="to_check")
    for row, count in ((small, 1), (large, 12)):
        for number in range(count):
            channel = row.meter.channels.create(name=f"Register {number}", unit="kWh")
            RegisterReading.objects.create(
                read=row, channel=channel, at=timezone.now(), value=f"{number}"
            )
            alarm_of(row, acknowledged_at=None) if number == 0 else None
            DeliveryFactory(read=row, state="stored")
            MeterReadFactory(meter=row.meter)
    assert queries(small) == queries(large) <= 40


# ---- Deciding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "name", "status"),
    [
        ("to_check", "accept", "accepted"),
        ("to_check", "reject", "rejected"),
        ("failed", "set_aside", "cancelled"),
    ],
)
def test_a_decision_needs_a_reason_and_keeps_it(first, name, status, desk):
    read = MeterReadFactory(status=first)
    url = f"{read.get_absolute_url()}{name}/"
    stood = desk.get(url).context["form"].initial["stood"]
    assert "Write your reason" in text_of(desk.post(url, {"reason": " ", "stood": stood}))
    assert read_again(read).status == first
    page = desk.post(url, {"reason": WHY, "stood": stood}, follow=True)
    assert read_again(read).status == status
    assert WHY in text_of(page)


def test_two_people_cannot_both_decide(desk):
    read = MeterReadFactory(status="to_check")
    base = read.get_absolute_url()
    stood = desk.get(f"{base}accept/").context["form"].initial["stood"]
    desk.post(f"{base}accept/", {"reason": WHY, "stood": stood})
    page = desk.post(f"{base}accept/", {"reason": WHY, "stood": stood}, follow=True)
    assert "has changed meanwhile" in text_of(page)
    page = desk.post(f"{base}reject/", {"reason": WHY, "stood": stood}, follow=True)
    assert "has changed since you looked" in text_of(page)
    assert read_again(read).status == "accepted"


def test_a_result_that_came_after_the_look_stops_the_decision(desk):
    read = MeterReadFactory(status="to_check")
    url = f"{read.get_absolute_url()}accept/"
    stood = desk.get(url).context["form"].initial["stood"]
    MeterRead.objects.filter(pk=read.pk).update(versions=2)
    assert "has changed since" in text_of(
        desk.post(url, {"reason": WHY, "stood": stood}, follow=True)
    )
    assert read_again(read).status == "to_check"


def test_cancel_is_a_post(desk):
    read = MeterReadFactory(status="waiting")
    url = f"{read.get_absolute_url()}cancel/"
    desk.get(url)
    assert read_again(read).status == "waiting"
    desk.post(url)
    assert read_again(read).status == "cancelled"


def test_strangers_are_told_on_the_page_of_the_read(desk):
    read = MeterReadFactory(status="requested")
    assert "not about this read" not in text_of(desk.get(read.get_absolute_url()))
    MeterRead.objects.update(strangers=2)
    assert "Kept under" in text_of(desk.get(read.get_absolute_url()))
    MeterRead.objects.update(strangers=1200)
    said = text_of(desk.get(read.get_absolute_url()))
    assert "1,200 came to its address with another reference" in said
    assert "The first 5 are kept under" in said


def test_asking_again_links_the_reads_and_an_open_one_is_not_asked(desk):
    read = MeterReadFactory(status="failed")
    url = f"{read.get_absolute_url()}again/"
    desk.post(url)
    assert read_again(read).asked_again.count() == 1
    waiting = MeterReadFactory(status="waiting")
    assert "being asked already" in text_of(
        desk.post(f"{waiting.get_absolute_url()}again/", follow=True)
    )
    assert waiting.asked_again.count() == 0


def test_notes_and_assignment(desk, rafe):
    read = MeterReadFactory(status="to_check")
    base = read.get_absolute_url()
    desk.post(f"{base}note/", {"text": "Rang the fitter."})
    desk.post(f"{base}assign/", {"person": rafe.pk})
    assert Note.objects.filter(reference=read.reference).count() == 2
    assert read_again(read).assigned_to == rafe


# ---- Asking ----------------------------------------------------------------------------------

SAID = {"survey_days": "3", "survey_date": "2026-01-05", "priority": "2"}


def test_asking_one_meter_step_by_step_and_only_once(desk, rafe):
    meter = MeterFactory()
    url = f"/metering/ask/?meter={meter.pk}"
    check = desk.post(url, SAID)
    assert "3 days from 5 January 2026" in text_of(check)
    assert not MeterRead.objects.exists()
    sent = {**SAID, "token": check.context["token"]}
    first, second = desk.post(url, sent), desk.post(url, sent)
    batch = Batch.objects.get()
    assert first.url == second.url == batch.get_absolute_url()
    read = batch.reads.get()
    assert (read.meter, batch.by, read.survey_days, read.priority) == (meter, rafe, 3, 2)
    assert "0 of 1" in text_of(desk.get(batch.get_absolute_url()))


def test_what_was_not_shown_is_not_asked(desk):
    url = f"/metering/ask/?meter={MeterFactory().pk}"
    token = desk.post(url, SAID).context["token"]
    page = desk.post(url, {**SAID, "survey_days": "300", "token": token}, follow=True)
    assert "not what you looked at" in text_of(page)
    assert not Batch.objects.exists()


def test_asking_a_group_tonight(desk):
    mine = MeterFactory.create_batch(3, group="homes")
    MeterFactory(group="homes", active=False), MeterFactory(group="shops")
    said = {"group": "homes", "survey_days": "0", "tonight": "on"}
    token = desk.post("/metering/ask/", said).context["token"]
    desk.post("/metering/ask/", {**said, "token": token})
    reads = MeterRead.objects.all()
    assert {read.meter for read in reads} == set(mine)
    assert {timezone.localtime(read.delay_until).hour for read in reads} == {1}
    assert all(read.delay_until > timezone.now() for read in reads)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"survey_days": "401"}, "less than or equal to 400"),
        ({"survey_days": "0", "survey_date": "2026-01-05"}, "Write how many days"),
        ({"survey_days": "1", "survey_date": "2999-01-05"}, "still to come"),
        ({"survey_days": "1", "priority": "0"}, "greater than or equal to 1"),
    ],
)
def test_wrong_wishes_are_told(said, told, desk):
    page = desk.post(f"/metering/ask/?meter={MeterFactory().pk}", said)
    assert told in text_of(page)
    assert "token" not in page.context


def test_tonight_is_the_next_one_o_clock():
    for moment, expected in (
        ("2026-11-20T23:30:00+00:00", "2026-11-21 01:00"),
        ("2026-11-20T00:30:00+00:00", "2026-11-20 01:00"),
        ("2026-07-20T22:30:00+00:00", "2026-07-21 01:00"),
    ):
        found = tonight(timezone.datetime.fromisoformat(moment))
        assert f"{timezone.localtime(found):%Y-%m-%d %H:%M}" == expected


def test_progress_survives_a_reload_and_stops_asking(desk):
    batch = Batch.objects.create(title="Night", at=timezone.now())
    for status in ("accepted", "to_check", "failed", "requested", "waiting"):
        MeterReadFactory(status=status, batch=batch)
    url = batch.get_absolute_url()
    for _ in range(2):
        counts = desk.get(url).context["counts"]
        assert (counts["done"], counts["failed"], counts["waiting"]) == (2, 1, 2)
    part = desk.get(url, headers={"hx-request": "true"}).content.decode()
    assert "<html" not in part
    assert "every 2s" in part
    Batch.objects.exclude(pk=batch.pk).delete()
    MeterRead.objects.filter(status__in=MeterRead.OPEN).delete()
    assert "every 2s" not in desk.get(url).content.decode()


# ---- Alarms and deliveries -------------------------------------------------------------------


def test_an_alarm_is_acknowledged_once_with_a_note(desk, rafe):
    alarm = alarm_of(MeterReadFactory(status="to_check"))
    url = f"/metering/alarms/{alarm.pk}/"
    desk.post(url, {"note": ""})
    assert MeterAlarm.objects.get().acknowledged_at is None
    desk.post(url, {"note": "Sent a fitter."})
    found = MeterAlarm.objects.get()
    assert (found.acknowledged_by, found.note) == (rafe, "Sent a fitter.")
    assert "acknowledged this alarm already" in text_of(desk.post(url, {"note": "x"}, follow=True))


def test_what_was_kept_aside_can_be_replayed(desk):
    read = MeterReadFactory(status="requested")
    delivery = DeliveryFactory(body=zlib.compress(b'{"mpan": "none of ours"}'), their_reference="x")
    url = f"/metering/deliveries/{delivery.pk}/"
    page = desk.get(url)
    assert "none of ours" in text_of(page)
    assert page["Cache-Control"] == "no-store"
    assert "no read with this reference" in text_of(desk.post(url, {"reference": "MTR-0"}))
    desk.post(url, {"reference": read.reference.lower()})
    delivery.refresh_from_db()
    assert (delivery.read, delivery.state) == (read, "waiting")
    assert "form" not in desk.get(url).context or desk.get(url).context["form"] is None


def test_an_unreadable_document_is_shown_as_it_was_kept(desk):
    delivery = DeliveryFactory(state="unreadable", unreadable="<b>no JSON</b>", body=b"")
    text = text_of(desk.get(f"/metering/deliveries/{delivery.pk}/"))
    assert "&lt;b&gt;no JSON" in text
    assert "Replay" not in text


def test_no_page_shows_a_password(desk):
    read = MeterReadFactory(status="to_check")
    password = Meter.objects.get(pk=read.meter_id).password
    for url in ("/metering/", read.get_absolute_url(), f"/metering/ask/?meter={read.meter_id}"):
        assert password not in text_of(desk.get(url))
