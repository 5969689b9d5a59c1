"""The metering desk in a browser: import, asking, results that arrive, gaps, decisions, alarms."""

import re
from dataclasses import dataclass, field

import pytest

from tests.journeys.browser import NARROW, expect, eye, look, look_at_all_sides
from tests.journeys.pages import navigations, sign_in

CLEAN = "Clean: a house with solar panels"
SLOW_CLOCK = "Clock 4,000 s slow"
HOLES = "filled when asked again"
NO_ANSWER = "Never connects"
ARRIVES = 60_000  # milliseconds that a result may take to come by itself
REASON = "The readings fit those before; the clock is set at the next visit."
LONG = "Northern-industrial-estate-half-hourly-1"


def rafe(window, town, **how):
    """A window of the member of the desk, signed in."""
    return sign_in(window("Rafe", **how), town, "rafe")


def asked(town, purpose, days, *statuses):
    """Have a meter of the sandbox asked, wait until it stands so; the read."""
    meter = town.clerk.ask("add_meter", shown=town.meters.meter(purpose))
    who = town.people["rafe"][0]
    reference = town.clerk.ask("ask_meter", meter=meter, days=days, who=who)
    return wait_for_read(town, reference, *statuses) | {"key": meter}


def wait_for_read(town, reference, *statuses):
    """Wait until a read has one of these statuses; what is known of it then."""
    return town.wait_for(reference, *statuses, what="read")


# ---- Meters from a file --------------------------------------------------------------------------


def test_meters_come_from_a_file(town, window, tmp_path):
    """The preview names what is wrong with which row and hides passwords; then once, all or none."""
    shown = town.meters.meter("Clean: a shop")
    good = f"{shown['mpan']},{shown['meterType']},{shown['remoteAddress']},Pass-4711,1,M-1"
    rows = (
        "MPAN,METER_TYPE,REMOTE_ADDRESS,PASSWORD,SURVEY_DAYS,SERIAL_NUMBER,COLOUR",
        f"{good},blue",
        f"1234567890123,{shown['meterType']},07700900999,,,M-2,red",
        f"{shown['mpan']},STEAM_ENGINE,07700900999,,,M-3,red",
    )
    file = tmp_path / "meters.csv"
    file.write_text("\n".join(rows))
    page = rafe(window, town)
    page.goto("/metering/meters/")
    page.get_by_role("link", name="Import meters").click()
    look_at_all_sides(page, "import")
    page.get_by_role("button", name="Read this file").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "import without a file")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Read this file").click()
    expect(page.get_by_role("heading", name="2 rows left out")).to_be_visible()
    expect(page.get_by_text("COLOUR")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("none of the types.*M-3"))).to_be_visible()
    assert "Pass-4711" not in page.content()
    look_at_all_sides(page, "preview")
    assert town.clerk.ask("meters", mpan=shown["mpan"]) == []
    page.get_by_role("button", name="Import 1 meter").click()
    expect(page.get_by_text("1 meter added")).to_be_visible()
    look(page, "imported")
    (meter,) = town.clerk.ask("meters", mpan=shown["mpan"])
    assert meter == [shown["meterType"], shown["remoteAddress"], "M-1", True]
    page.go_back()
    page.get_by_role("button", name="Import 1 meter").click()
    expect(page.get_by_text("was imported already")).to_be_visible()
    assert len(town.clerk.ask("meters", mpan=shown["mpan"])) == 1


# ---- Asking --------------------------------------------------------------------------------------


def test_a_meter_is_asked_and_its_result_arrives_by_itself(town, window):
    """Form, check page, progress that moves without a reload, and the half hours of a day."""
    shown = town.meters.meter(CLEAN)
    key = town.clerk.ask("add_meter", shown=shown)
    town.meters.collecting(paused=True)
    page = rafe(window, town)
    page.goto(f"/metering/ask/?meter={key}")
    page.get_by_label("Days of half hours").fill("3")
    look(page, "what to ask")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("3 days up to yesterday")).to_be_visible()
    look(page, "check")
    page.get_by_role("button", name="Ask 1 meter").click()
    expect(page.get_by_text("0 of 1").first).to_be_visible()
    look(page, "asked")
    went = navigations(page)
    town.meters.collecting(paused=False)
    through = page.get_by_role("heading", name="All of them are through")
    expect(through).to_be_visible(timeout=ARRIVES)
    expect(page.get_by_text("1 of 1").first).to_be_visible()
    assert went == [], "the page was loaded again"
    look(page, "through")
    ((reference, status),) = town.clerk.ask("reads_of", meter=key)
    assert status == "accepted"
    page.goto(town.clerk.ask("read", reference=reference)["meter"])
    chart = page.locator("svg.chart").first
    expect(chart).to_be_visible()
    expect(chart.locator("title").first).to_contain_text("by half hour")
    assert chart.locator("rect.fill-1").count() >= 40
    assert chart.locator("rect.fill-2").count() >= 1
    page.get_by_text("Show as a table").first.click()
    expect(page.get_by_role("row", name=re.compile("^47, 23:00"))).to_be_visible()
    look(page, "day")


def test_a_double_click_asks_once(town, window):
    """The check page's token is good for one batch; back and pressed again leads to the same one."""
    key = town.clerk.ask("add_meter", shown=town.meters.meter("a dairy with solar panels"))
    page = rafe(window, town)
    page.goto(f"/metering/ask/?meter={key}")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Ask 1 meter").dblclick(no_wait_after=True)
    page.wait_for_url("**/batches/**")
    page.go_back()
    page.get_by_role("button", name="Ask 1 meter").click()
    expect(page.get_by_text("asked already")).to_be_visible()
    assert len(town.clerk.ask("reads_of", meter=key)) == 1


# ---- Deciding ------------------------------------------------------------------------------------


def test_an_odd_read_is_accepted_with_a_reason_and_its_alarm_acknowledged(town, window):
    """What does not pass stands above the reason; two clicks decide once; the alarm needs a note."""
    read = asked(town, SLOW_CLOCK, 2, "to_check")
    page = rafe(window, town)
    page.goto(read["page"])
    expect(page.locator(".case-head").get_by_text("To check")).to_be_visible()
    look(page, "to check")
    page.get_by_role("link", name="Accept the readings").click()
    expect(page.get_by_role("heading", name="What does not pass")).to_be_visible()
    page.get_by_role("button", name="Accept the readings").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "without a reason")
    page.get_by_label("Your reason").fill(REASON)
    page.get_by_role("button", name="Accept the readings").dblclick(no_wait_after=True)
    expect(page.locator(".case-head").get_by_text("Accepted", exact=True)).to_be_visible()
    expect(page.get_by_text(REASON).first).to_be_visible()
    look(page, "accepted")
    found = town.clerk.ask("read", reference=read["reference"])
    assert found["moves"].count("accept") == 1

    page.get_by_role("link", name="Acknowledge").first.click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "alarm without a note")
    page.get_by_role("textbox").fill("The clock is set on 3 December.")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Acknowledged.", exact=True)).to_be_visible()
    look(page, "alarms")
    page.goto(read["meter"])
    expect(page.get_by_text("The clock is set on 3 December.")).to_be_visible()


def test_failed_reads_are_set_aside_until_nothing_waits(town, window):
    """One by its page, the others in the list; each needs a reason and leaves the work list."""
    reads = [asked(town, NO_ANSWER, 0, "failed") for _ in range(3)]
    page = rafe(window, town)
    page.goto(reads[0]["page"])
    look(page, "failed")
    page.get_by_role("link", name="Set aside").click()
    page.get_by_label("Your reason").fill("The meter is on a farm without signal today.")
    page.get_by_role("button", name="Set it aside").click()
    expect(page.locator(".case-head").get_by_text("Cancelled")).to_be_visible()
    look(page, "set aside")
    page.goto("/metering/?status=failed")
    for read in reads[1:]:
        row = page.get_by_role("row", name=re.compile(read["reference"]))
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Set aside").click()
    expect(page.get_by_role("heading", name="Set 2 reads aside")).to_be_visible()
    page.get_by_role("button", name="Set aside").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "set aside without a reason")
    page.get_by_label("Your reason").fill("The same: no signal.")
    page.get_by_role("button", name="Set aside").click()
    expect(page.get_by_text("2 set aside.")).to_be_visible()
    look(page, "failed reads left")
    for read in reads:
        found = town.clerk.ask("read", reference=read["reference"])
        assert (found["status"], found["moves"][-1]) == ("cancelled", "set_aside")
        expect(page.get_by_text(read["reference"])).to_have_count(0)


# ---- Gaps ----------------------------------------------------------------------------------------


def test_a_gap_is_found_in_the_work_list_and_filled(town, window):
    """The list says what is missing and on whose side; asking fills it, and the meter leaves."""
    read = asked(town, HOLES, 31, "to_check", "accepted")
    serial = town.meters.meter(HOLES)["serialNumber"]
    before = town.clerk.ask("half_hours", meter=read["key"])
    assert before["missing"] > 0
    page = rafe(window, town)
    page.goto("/metering/")
    page.get_by_role("link", name="Missing").click()
    look(page, "missing")
    row = page.get_by_role("row", name=re.compile(serial))
    expect(row.get_by_text("No answer from the meter")).to_be_visible()
    # A request has ten days at most, so that two gaps may take two.
    for turn in (1, 2):
        page.goto(f"/metering/gaps/?q={serial}")
        if not row.count():
            break
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Ask for missing days now").click()
        expect(page.get_by_text("1 meter is asked for missing days")).to_be_visible()
        look(page, f"asked for missing days {turn}")
        reference, _ = town.clerk.ask("reads_of", meter=read["key"])[-1]
        wait_for_read(town, reference, "to_check", "accepted")
    page.goto(f"/metering/gaps/?q={serial}")
    expect(page.get_by_role("heading", name="Nothing is missing")).to_be_visible()
    look(page, "nothing is missing")
    after = town.clerk.ask("half_hours", meter=read["key"])
    assert after["missing"] == 0
    assert after["stored"] > before["stored"]


# ---- Every page in every state -------------------------------------------------------------------


@dataclass
class Stock:
    """A read in every status, made once: what is known of it by status."""

    reads: dict = field(default_factory=dict)
    pages: dict = field(default_factory=dict)


@pytest.fixture(scope="session")
def stock(town):
    """Reads in every status, deliveries in every state, alarms, a meter with a long name."""
    made, who = Stock(), town.people["rafe"][0]
    made.reads["accepted"] = asked(town, "Clean: store heating at night", 40, "accepted")
    made.reads["to_check"] = asked(town, "Tamper event", 3, "to_check")
    made.reads["rejected"] = asked(town, "the survey breaks off half-way", 5, "to_check")
    made.reads["failed"] = asked(town, "Connects, then: ERROR", 2, "failed")
    made.reads["set aside"] = asked(town, NO_ANSWER, 0, "failed")
    made.reads["requested"] = asked(town, "Stays PENDING for ever", 1, "requested")
    made.reads["waiting"] = asked(town, "Stays PENDING for ever", 1, "waiting")
    made.reads["another meter"] = asked(town, "names another MPAN", 1, "to_check")
    made.reads["off the grid"] = asked(town, "Timestamps off the half-hour grid", 2, "accepted")
    made.reads["cancelled"] = asked(town, "Stays PENDING for ever", 1, "waiting")
    for state, name, words in (
        ("rejected", "reject", {"reason": "The customer disputes these days."}),
        ("set aside", "set_aside", {"reason": "No signal there."}),
        ("cancelled", "cancel", {}),
    ):
        reference = made.reads[state]["reference"]
        town.clerk.ask("decide_read", reference=reference, who=who, name=name, **words)
    empty = town.meters.meter("Clean: whole kilowatt hours only")
    key = town.clerk.ask("add_meter", shown=empty, serial_number=LONG, group=LONG)
    made.pages = {
        "whole": made.reads["accepted"]["meter"],
        "rejected": made.reads["rejected"]["meter"],
        "off the grid": made.reads["off the grid"]["meter"],
        "never asked": f"/metering/meters/{key}/",
    }
    return made


def see(page, name, address, *, status=200):
    """Open an address and look at it from all sides."""
    eye(page).expect(*([] if status == 200 else [status]))
    assert page.goto(address).status == status, address
    look_at_all_sides(page, name)


def test_a_read_in_every_status(town, window, stock):
    """As the desk, and as the auditor sees it."""
    page = rafe(window, town)
    for state, read in stock.reads.items():
        see(page, f"read {state}", read["page"])
    auditor = sign_in(window("Petra"), town, "petra")
    see(auditor, "read for the auditor", stock.reads["to_check"]["page"])
    assert auditor.locator("main form").count() == 0


def test_a_meter_in_every_period(town, window, stock):
    """Day, week, month and year; with marks, gaps, side readings, and without anything."""
    page = rafe(window, town)
    for state, address in stock.pages.items():
        for period in ("day", "month", "year") if state == "whole" else ("week",):
            see(page, f"meter {state} {period}", f"{address}?period={period}")
    whole = stock.pages["whole"]
    see(page, "change particulars", f"{whole}particulars/")
    see(page, "meter change", f"{whole}change/")
    page.get_by_role("button", name="Record this change").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "meter change with errors")
    see(page, "add a meter", "/metering/meters/add/")
    page.get_by_role("button", name="Add this meter").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "add a meter with errors")
    see(page, "export", "/metering/meters/export/")
    see(page, "export with errors", "/metering/meters/export/?first=x&last=&download=1")


def test_a_meter_on_paper(town, window, stock):
    """Printed, nothing is wider than the paper."""
    page = rafe(window, town)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    for name, address in stock.pages.items():
        page.goto(f"{address}?period=month")
        look(
            page,
            f"print {name}",
            asked={"resultTypes": ["violations"], "runOnly": ["document-title"]},
        )


def test_the_lists_of_the_desk(town, window, stock):
    """Reads by status, meters, what is missing, alarms and deliveries; full, filtered and empty."""
    page = rafe(window, town)
    see(page, "reads", "/metering/")
    for status in ("waiting", "requested", "to_check", "rejected", "failed", "cancelled"):
        see(page, f"reads {status}", f"/metering/?status={status}")
    see(page, "reads of a meter", f"/metering/?meter={stock.reads['rejected']['key']}")
    see(page, "reads none", "/metering/?q=nobody-has-this")
    see(page, "home", "/")
    see(page, "search", "/search/?q=MTR-")
    see(page, "meters", "/metering/meters/")
    see(page, "meters none", "/metering/meters/?q=nobody-has-this")
    see(page, "missing", "/metering/gaps/")
    see(page, "missing late", "/metering/gaps/?kind=late&cause=SERVICE")
    see(page, "alarms", "/metering/alarms/")
    see(page, "deliveries", "/metering/deliveries/")
    see(page, "deliveries aside", "/metering/deliveries/?status=aside")
    page.goto("/metering/deliveries/")
    page.get_by_role("main").locator("td a.ref, th a.ref").first.click()
    look_at_all_sides(page, "delivery")


def test_the_reference_tables_of_the_desk_keep_to_the_policy(town, window, stock):
    """The stock admin is not ours to judge by axe, but breaks no security policy."""
    page = sign_in(window(""), town, "ines")
    for table in ("metertype", "registerkind", "schedule", "meter", "meterread", "delivery"):
        assert page.goto(f"/admin/metering/{table}/").status == 200, table
        page.wait_for_load_state("networkidle")
    page.locator("#result_list tbody a").first.click()
    page.wait_for_load_state("networkidle")
    assert not eye(page).problems


def test_asking_with_errors(town, window, stock):
    """The form for a group, its errors, its check page with a warning, and the batch."""
    page = rafe(window, town)
    see(page, "ask a group", "/metering/ask/")
    page.get_by_label("Days of half hours").fill("401")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "ask a group with errors")
    page.get_by_label("Which group").select_option("journeys")
    page.get_by_label("Days of half hours").fill("1")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Look at this first")).to_be_visible()
    look_at_all_sides(page, "ask a group check")
    page.goto(stock.reads["failed"]["page"])
    page.get_by_role("link", name="Journey").click()
    expect(page.get_by_role("heading", name="Need a person")).to_be_visible()
    look_at_all_sides(page, "batch")


def test_what_is_kept_aside(town, window, stock):
    """A document about another meter can be looked at and replayed; an unreadable one is shown."""
    page = rafe(window, town)
    ((key, state),) = stock.reads["another meter"]["deliveries"]
    assert state == "aside"
    see(page, "delivery aside", f"/metering/deliveries/{key}/")
    answer = page.request.post(
        stock.reads["requested"]["results"], data="<b>no JSON</b>", fail_on_status_code=False
    )
    assert answer.status == 400
    key, state = town.clerk.ask("deliveries")[-1]
    assert state == "unreadable"
    see(page, "delivery unreadable", f"/metering/deliveries/{key}/")
    see(page, "read with strangers", stock.reads["requested"]["page"])


def test_the_desk_on_a_phone(town, window, stock):
    """At 320 pixels the way from home to a decision is there without scrolling sideways."""
    page = rafe(window, town, width=NARROW)
    page.get_by_role("link", name=re.compile("Metering")).first.click()
    page.wait_for_url("**/metering/")
    page.get_by_role("link", name=re.compile("^To check")).click()
    page.get_by_role("link", name=stock.reads["to_check"]["reference"]).click()
    expect(page.get_by_role("link", name="Accept the readings")).to_be_visible()
    look(page, "a decision on a phone")
