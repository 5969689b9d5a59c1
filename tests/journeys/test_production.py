"""Journeys of the person who reports every system's production each month.

The portal runs inside the test beside the played party, so that both clocks can be moved; the
browser polls as it would beside a worker.
"""

import os
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from pts import actions
from pts.models import Batch, PartyReading, Synchronisation, System
from tests.journeys.browser import (
    HEIGHT,
    NARROW,
    PATIENCE,
    WIDE,
    Eye,
    expect,
    let_go,
    look,
    look_at_all_sides,
)
from tests.pts.conftest import desk as desk  # noqa: PLC0414 - a fixture

LONG = (
    "Wastewater treatment works of the town of Manchester-by-the-Sea, southern roof, array 2 of 3"
)
MONTH = "/pts/months/2026-11/"


@pytest.fixture(scope="module", autouse=True)
def rows_beside_the_browser():
    """Let this thread use the ORM although the browser's loop runs in it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    yield
    patch.undo()


@pytest.fixture
def page(desk, live_server, chromium):
    """A page of a browser that is signed in to the production desk."""
    context = chromium.new_context(
        base_url=live_server.url,
        viewport={"width": WIDE, "height": HEIGHT[WIDE]},
        reduced_motion="reduce",
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE)
    Eye(os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split("[")[0]).watch(context)
    sign_in(context, desk.by.user, live_server.url)
    yield context.new_page()
    problems = let_go(context)
    assert not problems, problems


def sign_in(context, person, url):
    """Give a browser the session of somebody."""
    client = Client()
    client.force_login(person)
    name = django_settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])


def open_report(page, key):
    """From the month's list to the report of a system."""
    page.goto(f"/pts/?q={key}")
    page.get_by_role("rowheader").get_by_role("link", name=str(key)).click()
    expect(page.get_by_role("heading", name="Tries left")).to_be_visible()


def enter(page, desk, key, value, *, link="Enter the reading"):
    """Enter a reading of an hour ago, as it stands on the meter."""
    open_report(page, key)
    page.get_by_role("link", name=link).click()
    at = timezone.localtime() - timedelta(hours=1)
    page.get_by_label("Lifetime total").fill(str(value))
    page.get_by_label("Day", exact=True).fill(f"{at:%Y-%m-%d}")
    page.get_by_label("Time", exact=True).fill(f"{at:%H:%M}")
    look(page, "reading")
    if page.get_by_label("I know that a new submission replaces").count():
        page.get_by_label("I know that a new submission replaces").check()
    page.get_by_role("button", name="Check and keep this reading").click()
    expect(page.get_by_role("heading", name="Checks")).to_be_visible()
    look(page, "entered")


def try_and_send(page, desk, *, note=""):
    """From a ready report through the test and the check page to the batch that has left."""
    page.get_by_role("link", name="Test it").click()
    look(page, "test")
    page.get_by_role("button", name="Test 1 system").click()
    desk.work()
    expect(page.get_by_role("status").get_by_text("received the test")).to_be_attached()
    look(page, "tested")
    page.get_by_role("link", name="See the month").click()
    page.get_by_role("link", name="Send all 1 tested").click()
    page.get_by_label("Note to MassCEC").fill(note)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Go ahead")).to_be_visible()
    look(page, "check")
    page.get_by_role("button", name="Send 1 system to MassCEC").click()
    expect(page.get_by_role("button", name="Stop, do not send")).to_be_visible()
    look(page, "sending")
    desk.send()
    expect(page.get_by_text("MassCEC has received it.").first).to_be_visible()
    expect(page.get_by_role("button", name="Stop, do not send")).to_have_count(0)
    look(page, "received")


# ---- The journeys ------------------------------------------------------------------------------


def test_a_month_from_missing_to_passed(page, desk):
    page.goto("/pts/")
    expect(page.get_by_role("heading", name="0 of 8 passed")).to_be_visible()
    look(page, "month")
    enter(page, desk, 1000, desk.plausible(1000))
    expect(page.get_by_text("The reading is fine")).to_be_visible()
    try_and_send(page, desk, note="November")
    assert Batch.objects.get(kind="real").notes == "November"
    desk.verdict("passed", 1000)
    page.goto("/pts/")
    expect(page.get_by_role("heading", name="1 of 8 passed")).to_be_visible()
    open_report(page, 1000)
    expect(page.get_by_text("Nothing: this month is reported")).to_be_visible()
    look(page, "passed")
    assert desk.theirs() == desk.tries() == (1, 0, 0)


def test_stopped_in_time_nothing_leaves(page, desk):
    desk.tested(1000)
    page.goto(MONTH)
    page.get_by_role("link", name="Send all 1 tested").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send 1 system to MassCEC").click()
    page.get_by_role("button", name="Stop, do not send").click()
    expect(page.get_by_text("Stopped: nothing was sent.").first).to_be_visible()
    look(page, "stopped")
    page.go_back()
    desk.send()
    assert desk.theirs() == desk.tries() == (0, 0, 0)
    assert desk.status() == "tested"


def test_a_correction_after_a_failure(page, desk):
    desk.submit(1000)
    desk.verdict("failed", 1000, notes="EnergyProduced is outside of what is expected")
    page.goto("/pts/?status=failed")
    expect(page.get_by_text("EnergyProduced is outside").first).to_be_visible()
    look(page, "failed")
    enter(page, desk, 1000, desk.plausible(1000) + 1, link="Correct the reading")
    try_and_send(page, desk)
    desk.verdict("passed", 1000)
    open_report(page, 1000)
    expect(page.get_by_text("Nothing: this month is reported")).to_be_visible()
    assert desk.theirs() == desk.tries() == (1, 1, 0)


def test_the_last_valid_try(page, desk):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    enter(page, desk, 1000, desk.plausible(1000) + 1, link="Replace the passed reading")
    page.get_by_role("link", name="Test it").click()
    page.get_by_role("button", name="Test 1 system").click()
    desk.work()
    page.goto(f"{MONTH}submit/?all=1")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Last try: after this")).to_be_visible()
    expect(page.get_by_text("so the pass may be lost")).to_be_visible()
    look_at_all_sides(page, "last try")
    page.get_by_role("button", name="Send 1 system to MassCEC").click()
    desk.send()
    desk.verdict("passed", 1000)
    open_report(page, 1000)
    expect(page.get_by_text("No further submission is possible")).to_be_visible()
    look(page, "no try left")
    assert desk.theirs() == desk.tries() == (2, 0, 0)


def test_a_missed_month(page, desk):
    PartyReading.objects.filter(system__fk_system=1000).delete()
    last = desk.party.system(1000)["last"]["MeterValue"]
    desk.party.system(1000, last_value=last - 8000, last_date="2026-08-31T23:59:00")
    desk.synchronise()
    enter(page, desk, 1000, desk.plausible(1000))
    expect(page.get_by_role("heading", name="Months that this reading covers")).to_be_visible()
    for month in ("September 2026", "October 2026", "November 2026"):
        expect(page.get_by_role("rowheader", name=month)).to_be_visible()
    page.get_by_role("link", name="Accept the reading with a reason").click()
    look(page, "accept")
    page.get_by_label("Your reason").fill("Nobody could get onto the roof in autumn")
    page.get_by_role("button", name="Accept this reading").click()
    expect(page.get_by_text("Accepted. Test it at MassCEC next.")).to_be_visible()
    try_and_send(page, desk)
    desk.verdict("passed", 1000)
    assert desk.status() == "passed"


# ---- Every page --------------------------------------------------------------------------------


@pytest.fixture
def stock(desk):
    """A report in every status, and names that are as long as they come."""
    System.objects.filter(fk_system=1001).update(name=LONG, trouble=LONG)
    desk.submit(1000)
    desk.verdict("passed", 1000)
    desk.submit(1001)
    desk.verdict("failed", 1001, notes=f"EnergyProduced is outside of what is expected. {LONG}")
    desk.submit(1002)
    desk.tested(1003)
    desk.enter(1004)
    for key, value in ((1005, 1), (1006, desk.plausible(1006, "least") + 1)):
        actions.enter(
            report=desk.report(key),
            reading=desk.reading(key, value=value),
            by=desk.by,
            now=timezone.now,
        )
    desk.party.system(1000, capacity=99)
    desk.party.system(5000, name=LONG, capacity=12)
    actions.synchronise(by=desk.by, now=timezone.now)
    desk.work()
    return desk


def test_every_page_from_all_sides(page, stock, live_server):
    desk = stock
    sign_in(page.context, desk.boss.user, live_server.url)
    batch = Batch.objects.filter(kind="real").first()
    addresses = {
        "month": "/pts/",
        "coming month": "/pts/months/2026-12/",
        "list of nothing": "/pts/?q=nothing-is-called-this",
        "passed": desk.report(1000).get_absolute_url(),
        "failed": desk.report(1001).get_absolute_url(),
        "blocked": desk.report(1005).get_absolute_url(),
        "missing": desk.report(1007).get_absolute_url(),
        "replace": f"{desk.report(1000).get_absolute_url()}reading/",
        "take back": f"{desk.report(1006).get_absolute_url()}take_back/",
        "exception": f"{desk.report(1001).get_absolute_url()}exception/",
        "test": f"{MONTH}test/?all=1",
        "submit": f"{MONTH}submit/?all=1",
        "batch": f"/pts/batches/{batch.pk}/",
        "systems": "/pts/systems/",
        "system": "/pts/systems/1001/",
        "system of ours": "/pts/systems/1001/particulars/",
        "meter replacement": "/pts/systems/1001/meter/",
        "synchronisation": f"/pts/synchronisations/{Synchronisation.objects.first().pk}/",
        "windows": "/pts/windows/",
        "window": "/pts/months/2026-12/window/",
        "import": f"{MONTH}import/",
        "meters": f"{MONTH}meters/",
    }
    for name, address in addresses.items():
        page.goto(address)
        look_at_all_sides(page, name)


def test_importing_a_file(page, stock):
    desk = stock
    there = timezone.localtime() - timedelta(hours=7)
    rows = [
        "FK_SYSTEM,VALUE,DATE",
        f"1007,{desk.plausible(1007)},{there:%Y-%m-%d %H:%M}",
        f"1001,{desk.plausible(1001)},{there:%Y-%m-%d %H:%M}",
        f"1000,{desk.plausible(1000)},{there:%Y-%m-%d %H:%M}",
        "77,5,2026-11-29",
    ]
    page.goto(f"{MONTH}import/")
    page.get_by_label("File of readings").set_input_files(
        {"name": "readings.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
    )
    page.get_by_role("button", name="Read this file").click()
    expect(page.get_by_role("heading", name="Check this import")).to_be_visible()
    look_at_all_sides(page, "import check")
    page.set_viewport_size({"width": NARROW, "height": HEIGHT[NARROW]})
    page.get_by_role("button", name="Enter 2 readings").click()
    expect(page.get_by_text("2 entered")).to_be_visible()
    assert desk.status(1007) == "ready"
