"""Pages that fill a month: import, meters, windows; systems, and synchronising."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import StatusChange
from metering.models import RegisterReading
from pts import actions, known
from pts.models import PartyReading, Report, Synchronisation, System, Window
from tests.factories.metering import MeterFactory, MeterReadFactory

pytestmark = pytest.mark.django_db
MONTH = "/pts/months/2026-11/"
MPAN = "1129383838383"


@pytest.fixture
def browser(desk, signed_in):
    return signed_in(desk.by.user)


@pytest.fixture
def boss(desk, signed_in):
    return signed_in(desk.boss.user)


def text_of(response):
    return " ".join(response.content.decode().split())


# ---- Import ------------------------------------------------------------------------------------


def sheet(desk, *rows):
    there = (timezone.now() - timedelta(hours=1)).astimezone(known.zone())
    lines = ["FK_SYSTEM,VALUE,DATE,NOTE"]
    lines += [f"{key},{value},{there:%Y-%m-%d %H:%M},{note}" for key, value, note in rows]
    return SimpleUploadedFile("readings.csv", "\n".join(lines).encode())


def test_a_file_is_shown_first_and_entered_once(desk, browser):
    file = sheet(
        desk,
        (1000, desk.plausible(1000), "Roof <i>swept</i>"),
        (1001, 1, ""),
        (99, 5, ""),
        ("1002", "many", ""),
    )
    page = browser.post(f"{MONTH}import/", {"file": file})
    text = text_of(page)
    assert "1 fine, 1 to look at" in text
    assert "this is none of the systems that the portal knows" in text
    assert "Enter 2 readings" in text
    assert [row["report"].system.fk_system for row in page.context["rows"]] == [1001, 1000]
    assert not Report.objects.exclude(status="missing").exists()
    answers = {"readings": page.context["signed"]}
    done = browser.post(f"{MONTH}import/confirm/", answers, follow=True)
    assert "2 entered: 1 fine, 1 to look at." in text_of(done)
    assert (desk.status(1000), desk.status(1001)) == ("ready", "look")
    assert desk.report(1000).source == "csv"
    moves = StatusChange.objects.count()
    again = browser.post(f"{MONTH}import/confirm/", answers, follow=True)
    assert "Nothing was entered" in text_of(again)
    assert StatusChange.objects.count() == moves


def test_what_stands_already_and_what_has_passed_is_said(desk, browser):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    desk.enter(1001)
    file = sheet(desk, (1000, 5, ""), (1001, desk.plausible(1001) + 1, ""))
    page = browser.post(f"{MONTH}import/", {"file": file})
    text = text_of(page)
    assert "1 reading is replaced" in text
    assert "instead of" in text
    assert "may lose the pass" in text
    assert page.context["count"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"a,b\n1,2", "The first line lacks the column FK_SYSTEM or SYSTEM_ID"),
        (b"\0\1\2", "This is not a CSV file"),
    ],
)
def test_files_that_are_no_list(content, said, desk, browser):
    file = SimpleUploadedFile("readings.csv", content)
    assert said in text_of(browser.post(f"{MONTH}import/", {"file": file}))


def test_what_was_shown_to_another_or_changed_is_not_entered(desk, browser, boss):
    page = browser.post(f"{MONTH}import/", {"file": sheet(desk, (1000, 5000, ""))})
    signed = page.context["signed"]
    for client, text in ((boss, signed), (browser, signed + "x"), (browser, "")):
        said = client.post(f"{MONTH}import/confirm/", {"readings": text}, follow=True)
        assert "too old" in text_of(said)
    assert browser.get(f"{MONTH}import/confirm/").status_code == 405
    assert desk.status() == "missing"


def test_outside_the_window_nothing_is_imported(desk, signed_in):
    file = sheet(desk, (1000, 5000, ""))
    desk.travel(desk.window.closes_at + timedelta(hours=1))
    page = signed_in(desk.by.user).post(f"{MONTH}import/", {"file": file})
    assert "The window for November 2026 has closed" in text_of(page)


# ---- From meters -------------------------------------------------------------------------------


def test_readings_are_taken_from_meters_after_a_preview(desk, browser):
    page = text_of(browser.get(f"{MONTH}meters/"))
    assert "Nothing to take" in page
    meter = MeterFactory(mpan=MPAN)
    channel = meter.channels.create(name="kWh Export", unit="kWh")
    read = MeterReadFactory(meter=meter, status="accepted")
    at = timezone.now() - timedelta(hours=2)
    value = desk.plausible(1000)
    RegisterReading.objects.create(read=read, channel=channel, at=at, value=value)
    System.objects.filter(fk_system=1000).update(mpan=MPAN, register="kWh Export")
    page = browser.get(f"{MONTH}meters/")
    assert "Enter 1 reading" in text_of(page)
    assert desk.status() == "missing"
    done = browser.post(f"{MONTH}meters/", follow=True)
    assert "1 entered: 1 fine" in text_of(done)
    assert (desk.status(), desk.report().source) == ("ready", "meter")
    assert "Nothing to take" in text_of(browser.get(f"{MONTH}meters/"))


def link(desk, *keys):
    """Link systems to registers that were read two hours ago."""
    at = timezone.now() - timedelta(hours=2)
    for key in keys:
        meter = MeterFactory()
        read = MeterReadFactory(meter=meter, status="accepted")
        channel = meter.channels.create(name="Solar", unit="MWh")
        value = desk.plausible(key) / 1000
        RegisterReading.objects.create(read=read, channel=channel, at=at, value=value)
        System.objects.filter(fk_system=key).update(mpan=meter.mpan, register="Solar")


def test_a_preview_writes_nothing_and_costs_the_same_for_one_and_for_all(desk, browser):
    counts = []
    for keys in ((1000,), range(1001, 1008)):
        link(desk, *keys)
        with CaptureQueriesContext(connection) as seen:
            page = browser.get(f"{MONTH}meters/")
        counts.append(len(seen))
        # The session may be kept; nothing of the desk is written.
        words = ("INSERT", "UPDATE", "DELETE", "SAVEPOINT")
        assert not [q["sql"] for q in seen if q["sql"].startswith(words) and "pts_" in q["sql"]]
    assert page.context["count"] == 8
    assert counts[0] == counts[1], counts
    browser.post(f"{MONTH}meters/")
    assert set(Report.objects.values_list("status", "source")) == {("ready", "meter")}


# ---- Windows -----------------------------------------------------------------------------------


def test_the_calendar_shows_every_window_in_both_zones(desk, browser):
    page = text_of(browser.get("/pts/windows/"))
    for said in ("December 2026", "Sun 27 Dec 2026, 00:00 EST", "in London", "the last 5 days"):
        assert said in page, said
    assert "Change" not in page.split("<table")[1]


def test_a_window_is_changed_with_a_reason(desk, boss):
    url = "/pts/months/2026-12/window/"
    assert "America/New_York" in text_of(boss.get(url))
    days = {"first": "2026-12-20", "last": "2027-01-08"}
    assert "Write why this window differs" in text_of(boss.post(url, days))
    page = boss.post(url, {**days, "reason": "E-mail of 1 December"}, follow=True)
    assert "E-mail of 1 December" in text_of(page)
    window = Window.objects.get(month="2026-12-01")
    assert window.overridden
    assert str(known.shape_of(window).last_day) == "2027-01-08"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-12-20", "2026-12-10", "The last day is before the first"),
        ("2026-12-20", "2027-06-10", "more than two months"),
        ("2026-12-01", "2027-01-05", "overlap with the window for November 2026"),
        ("2026-10-01", "2026-10-05", "These days are past"),
    ],
)
def test_days_that_cannot_be(first, last, said, desk, boss):
    days = {"first": first, "last": last, "reason": "x"}
    assert said in text_of(boss.post("/pts/months/2026-12/window/", days))
    assert not Window.objects.filter(overridden=True).exists()


# ---- Systems -----------------------------------------------------------------------------------


def test_a_system_shows_its_history_and_chart(desk, browser):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    page = browser.get("/pts/systems/1000/")
    text = text_of(page)
    for said in (
        "Energy by month",
        "Reports",
        "November 2026",
        "Passed",
        "Last readings at MassCEC",
    ):
        assert said in text, said
    chart = {row.label: row.cells for row in page.context["picture"]["rows"]}
    assert chart["November 2026"][0] != "–"


def test_a_gap_is_spread_in_the_chart(desk, browser):
    system = System.objects.get(fk_system=1000)
    PartyReading.objects.filter(system=system).delete()
    for month, energy in ((6, 1000), (9, 3150)):
        day = timezone.now().date().replace(month=month, day=28)
        PartyReading.objects.create(
            system=system, meter_value=energy, meter_at=timezone.now(), meter_date=f"{day}",
            period_end=day, energy_produced=energy, read_at=timezone.now(),
        )  # fmt: skip
    picture = browser.get("/pts/systems/1000/").context["picture"]
    rows = {row.label: row for row in picture["rows"]}
    parts = [rows[f"{name} 2026"] for name in ("July", "August", "September")]
    assert {row.mark for row in parts} == {"Spread over a gap"}
    cells = [Decimal(row.cells[0].replace(",", "")) for row in parts]
    assert sum(cells) == 3150


def test_a_system_costs_the_same_however_much_it_holds(desk, browser):
    def queries():
        browser.get("/pts/systems/1000/")
        with CaptureQueriesContext(connection) as caught:
            browser.get("/pts/systems/1000/")
        return len(caught)

    few = queries()
    for _ in range(3):
        desk.enter(1000)
        desk.test(1000)
    assert queries() == few <= 30


def test_what_is_ours_is_changed(desk, browser):
    url = "/pts/systems/1000/particulars/"
    said = {
        "yearly_estimate": "12000",
        "meter_notes": "Behind the boiler",
        "mpan": "",
        "register": "",
    }
    assert "Write which register" in text_of(browser.post(url, {**said, "mpan": MPAN}))
    assert "Write the MPAN" in text_of(browser.post(url, {**said, "register": "kWh Export"}))
    assert (
        "the last digit does not fit"
        in text_of(browser.post(url, {**said, "mpan": "1129383838384", "register": "x"})).lower()
    )
    page = browser.post(url, {**said, "mpan": MPAN, "register": "kWh Export"}, follow=True)
    for text in ("12,000", "our estimate", "Behind the boiler", MPAN, "kWh Export"):
        assert text in text_of(page), text


def test_a_meter_replacement_frees_a_lower_total(desk, browser):
    last = PartyReading.objects.filter(system__fk_system=1000).last()
    energy = desk.plausible(1000) - last.meter_value
    desk.enter(1000, value=energy)
    assert desk.report().is_blocked
    at = timezone.localtime() - timedelta(hours=6)
    said = {
        "day": f"{at:%Y-%m-%d}", "clock": f"{at:%H:%M}", "final_value": last.meter_value,
        "first_value": "0", "note": "Display broken",
    }  # fmt: skip
    page = browser.post("/pts/systems/1000/meter/", said, follow=True)
    assert "Display broken" in text_of(page)
    assert not desk.report().is_blocked
    page = browser.post("/pts/systems/1000/meter/", said)
    assert "recorded already" in text_of(page)


# ---- Synchronising -----------------------------------------------------------------------------


def test_differences_are_shown_before_a_person_applies_them(desk, browser):
    desk.party.system(1000, capacity=99)
    desk.party.system(1001, active=False)
    desk.party.system(5000, name="New roof <b>", capacity=12)
    asked = browser.post("/pts/synchronisations/")
    page = browser.get(asked["Location"])
    assert "MassCEC is being asked" in text_of(page)
    assert 'hx-trigger="every 2s"' in text_of(page)
    desk.work()
    page = text_of(browser.get(asked["Location"]))
    for said in ("New: 1", "New roof &lt;b&gt;", "Changed: 1", "becomes <strong>99.000", "Gone: 1"):
        assert said in page, said
    assert not System.objects.filter(fk_system=5000).exists()
    assert "Nothing was done" in text_of(browser.post(asked["Location"], {"do": "x"}, follow=True))
    done = browser.post(asked["Location"], {"do": "apply"}, follow=True)
    assert "Applied" in text_of(done)
    assert System.objects.get(fk_system=1000).capacity == 99
    assert not System.objects.get(fk_system=1001).active
    assert desk.report(5000).status == "missing"
    again = browser.post(asked["Location"], {"do": "apply"}, follow=True)
    assert "applied, dropped or replaced already" in text_of(again)


def test_differences_can_be_dropped(desk, browser):
    desk.party.system(1000, capacity=99)
    actions.synchronise(by=desk.by, now=timezone.now)
    desk.work()
    row = Synchronisation.objects.first()
    page = browser.post(f"/pts/synchronisations/{row.pk}/", {"do": "drop"}, follow=True)
    assert "the systems stay as they are" in text_of(page)
    assert System.objects.get(fk_system=1000).capacity != 99


def test_who_may_not_change_systems_applies_nothing(desk, person, signed_in):
    desk.party.system(1000, capacity=99)
    actions.synchronise(by=desk.by, now=timezone.now)
    desk.work()
    url = f"/pts/synchronisations/{Synchronisation.objects.first().pk}/"
    client = signed_in(person("auditor"))
    assert "Apply to our systems" not in text_of(client.get(url))
    assert client.post(url, {"do": "apply"}).status_code == 403
