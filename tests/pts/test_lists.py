"""The month, systems, home, inbox and search: tabs, filters, bulk actions, CSV, queries."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import desks
from pts import actions, lists
from pts.models import PartyReading, Report, System, Window
from tests.factories.pts import PartyReadingFactory, ReportFactory, SystemFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(desk, signed_in):
    return signed_in(desk.by.user)


def text_of(response):
    return " ".join(response.content.decode().split())


def keys(response):
    return [row.record.system.fk_system for row in response.context["table"].paginated_rows]


# ---- The month ---------------------------------------------------------------------------------


def test_the_month_shows_progress_window_tabs_and_what_can_be_done(desk, browser):
    desk.tested(1000)
    desk.enter(1001)
    desk.submit(1002)
    desk.verdict("passed", 1002)
    page = browser.get("/pts/")
    text = text_of(page)
    for said in (
        "Production, November 2026", "1 of 8 passed", "Test all 1 ready", "Send all 1 tested",
        "5 missing", "closes Sat 5 Dec 2026, 23:59 EST", "6 Dec, 04:59", "in London",
        "Take readings from meters", "Import readings", "December 2026",
        "1 passed, 0 validating, 1 tested, 1 ready, 0 to look at, 0 failed, 5 missing",
    ):  # fmt: skip
        assert said in text, said
    tabs = {tab["label"]: tab["count"] for tab in page.context["tabs"]}
    assert tabs == {
        "All": 8, "To look at": 0, "Failed": 0, "Missing": 5, "Ready": 1, "Tested": 1,
        "Validating": 0, "Passed": 1,
    }  # fmt: skip
    assert keys(browser.get("/pts/?status=tested")) == [1000]


def test_before_the_window_the_month_says_when_it_opens(desk, browser):
    text = text_of(browser.get("/pts/months/2026-12/"))
    assert "This window opens on Sunday 27 December 2026" in text
    assert "Nothing can be entered, tested or sent before" in text
    assert "Import readings" not in text


def test_on_the_last_day_and_after_the_close(desk, signed_in):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    closes = desk.window.closes_at
    desk.travel(closes - timedelta(hours=5))
    assert "Last day: 4" in text_of(signed_in(desk.by.user).get("/pts/"))
    desk.travel(closes + timedelta(hours=1))
    actions.keep_windows(now=timezone.now)
    text = text_of(signed_in(desk.by.user).get("/pts/"))
    assert "Closed: 1 of 8 passed" in text
    assert "its close was reported by e-mail" in text
    assert "Test all" not in text


def test_search_and_filters(desk, browser):
    desk.enter(1003)
    report = desk.report(1003)
    for text in ("1003", report.reference, report.system.system_id, report.system.name):
        assert 1003 in keys(browser.get("/pts/", {"q": text})), text
    assert keys(browser.get("/pts/?source=typed")) == [1003]
    actions.enter(
        report=desk.report(1004), reading=desk.reading(1004, value=1), by=desk.by, now=timezone.now
    )
    assert keys(browser.get("/pts/?odd=blocked")) == [1004]


def test_columns_can_be_sorted(desk, browser):
    desk.enter(1003)
    desk.enter(1005)
    assert keys(browser.get("/pts/?sort=-system"))[0] == 1007
    for name in ("last_value", "meter_value", "produced"):
        row = {key: getattr(desk.report(key), name, None) or last(key) for key in (1003, 1005)}
        up = sorted(row, key=row.get)
        shown = [keys(browser.get(f"/pts/?sort={sign}{name}")) for sign in ("", "-")]
        both = [[key for key in each if key in row] for each in shown]
        assert both == [up, up[::-1]], name
        if name != "last_value":  # what has no value comes last both ways
            assert [set(each[:2]) for each in shown] == [{1003, 1005}] * 2
    for name in ("name", "status"):
        assert len(keys(browser.get(f"/pts/?sort={name}"))) == 8


def last(key):
    return PartyReading.objects.filter(system__fk_system=key).latest("meter_at").meter_value


def test_bulk_actions(desk, browser):
    desk.enter(1000)
    desk.tested(1001)
    rows = [desk.report(key).pk for key in (1000, 1001)]
    to_test = browser.post("/pts/", {"row": rows, "do": "test"})
    assert to_test["Location"].startswith("/pts/months/2026-11/test/?row=")
    assert browser.get(to_test["Location"]).context["count"] == 1
    to_send = browser.post("/pts/", {"row": rows, "do": "send"})
    assert to_send["Location"].startswith("/pts/months/2026-11/submit/?row=")
    browser.post("/pts/", {"row": rows, "do": "assign"})
    assert desk.report(1000).assigned_to == desk.by.user
    sent = browser.post("/pts/", {"row": rows, "do": "csv"})
    assert len(b"".join(sent.streaming_content).splitlines()) == 3


def test_who_only_reads_is_offered_no_bulk_action_but_the_download(desk, person, signed_in):
    page = signed_in(person("auditor")).get("/pts/")
    assert [entry["value"] for entry in page.context["bulk"]] == ["csv"]
    assert "Test all" not in text_of(page)
    assert "Import readings" not in text_of(page)


def test_the_csv_holds_the_result_and_no_formula(desk, browser):
    System.objects.filter(fk_system=1000).update(name="=2+2")
    desk.submit(1000)
    desk.verdict("passed", 1000)
    sent = b"".join(browser.get("/pts/?as=csv&status=passed").streaming_content).decode("utf-8-sig")
    (line,) = csv.DictReader(io.StringIO(sent))
    assert (line["system"], line["status"], line["valid tries"]) == ("1000", "Passed", "1")
    assert not line["name"].startswith("=")
    assert line["read at (UTC)"].endswith("+00:00")


@pytest.mark.parametrize("address", ["/pts/", "/pts/systems/"])
def test_a_list_costs_the_same_however_long_it_is(address, desk, browser):
    def queries():
        browser.get(address)
        with CaptureQueriesContext(connection) as caught:
            browser.get(address)
        return len(caught)

    few = queries()
    for number in range(2000, 2030):
        system = SystemFactory(fk_system=number)
        ReportFactory(system=system, window=desk.window)
        PartyReadingFactory(system=system)
    assert queries() == few <= 30


def test_without_any_window_or_system(browser):
    Report.objects.all().delete()
    Window.objects.all().delete()
    assert "No reporting window yet" in text_of(browser.get("/pts/"))
    System.objects.all().exclude(party_readings__isnull=False).delete()
    assert browser.get("/pts/windows/").status_code == 200


# ---- Systems -----------------------------------------------------------------------------------


def test_the_list_of_systems(desk, browser):
    System.objects.filter(fk_system=1000).update(trouble="No permit", mpan="1129383838383")
    System.objects.filter(fk_system=1001).update(active=False, gone_at=timezone.now())
    page = browser.get("/pts/systems/")
    tabs = {tab["label"]: tab["count"] for tab in page.context["tabs"]}
    assert tabs == {"All": 8, "Active": 6, "With an error": 1, "Gone": 1}
    assert "No permit" in text_of(page)
    assert "Synchronise now" in text_of(page)
    for text in ("1000", "1129383838383", System.objects.get(fk_system=1000).system_id):
        assert len(browser.get("/pts/systems/", {"q": text}).context["table"].rows) >= 1
    sent = b"".join(browser.get("/pts/systems/?as=csv").streaming_content).decode()
    assert len(sent.splitlines()) == 9


# ---- Home --------------------------------------------------------------------------------------


def test_the_tile_counts_who_needs_a_person(desk):
    desk.submit(1000)
    desk.verdict("failed", 1000)
    with CaptureQueriesContext(connection) as caught:
        tile = lists.tile(desk.by.user)
    assert len(caught) <= 2
    assert tile.big == 1
    assert tile.foot.startswith("0 of 8 passed, November 2026 closes in")


def test_the_inbox_puts_the_undecided_first(desk):
    desk.submit(1000)
    desk.submit(1001)
    desk.verdict("failed", 1001)
    desk.travel(desk.window.closes_at - timedelta(hours=3))
    titles = [group.title for group in lists.inbox(desk.by.user, only_mine=False)]
    assert titles == ["Production: failed", "Production: missing, the window closes soon"]
    desk.travel(desk.window.closes_at + timedelta(hours=1))
    actions.keep_windows(now=timezone.now)
    groups = lists.inbox(desk.by.user, only_mine=False)
    assert groups[0].title == "Production: undecided at the window’s close"
    assert [item.reference for item in groups[0].items] == [
        Report.objects.get(system__fk_system=1000).reference
    ]
    assert lists.inbox(desk.by.user, only_mine=True) == []


def test_search_from_the_top_bar(desk, browser):
    report = desk.report(1003)
    hits = lists.search(report.reference, desk.by.user)
    assert [hit.url for hit in hits] == [report.get_absolute_url()]
    assert report.reference in text_of(browser.get("/search/", {"q": "1003"}))
    assert desks.desk("pts").label == "Production"
