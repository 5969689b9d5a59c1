"""What each role sees: pages, menu and buttons say the same."""

import pytest

from tests.journeys.browser import expect, eye, look
from tests.journeys.pages import open_case, sign_in

ADDRESSES = {
    "Export tariff": "/seg/",
    "Metering": "/metering/",
    "Calls": "/calls/",
    "E-mails": "/mails/",
    "Health": "/health/",
    "Reference tables": "/admin/",
}
MENUS = {
    "orla": {"Export tariff", "Calls", "E-mails", "Health"},
    "rafe": {"Metering", "Calls", "E-mails", "Health"},
    "ines": {"Export tariff", "Metering", "Calls", "E-mails", "Health", "Reference tables"},
    "petra": {"Export tariff", "Metering", "Calls", "E-mails", "Health", "Reference tables"},
    "joss": set(),
}


@pytest.mark.parametrize("who", MENUS)
def test_the_menu_shows_what_may_be_seen(town, window, who):
    """What the menu names opens; what it does not name answers 403 with a sentence."""
    page = sign_in(window(who), town, who)
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    shown = {one.get_attribute("href") for one in links.all()}
    assert shown & set(ADDRESSES.values()) == {ADDRESSES[name] for name in MENUS[who]}
    eye(page).expect(403)
    for name, address in ADDRESSES.items():
        reply = page.goto(address)
        assert reply.status == (200 if name in MENUS[who] else 403), name
        if reply.status == 403:
            expect(page.get_by_text("Your role does not include").first).to_be_visible()
            look(page, f"{who} may not {name}")


def test_an_auditor_reads_and_changes_nothing(town, window):
    """The case is shown with its history, without a button that would do anything."""
    reference = town.apply(town.certificate(Postcode="LX9 8RT"))["reference"]
    town.wait_for(reference, "review")
    page = sign_in(window("Petra"), town, "petra")
    open_case(page, reference)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert page.locator("main").get_by_role("button").all_inner_texts() == []
    assert page.locator("main form").count() == 0
    expect(page.get_by_role("link", name="Approve")).to_have_count(0)
    eye(page).expect(403)
    for move in ("approve", "refuse", "ask", "withdraw", "reopen"):
        assert page.goto(f"/seg/cases/{reference}/{move}/").status == 403
    assert town.status_of(reference) == "review"


def test_an_engineer_finds_nothing_of_the_desk(town, window):
    """Home and search show nothing of it, and the case answers 403 with a sentence."""
    reference = town.apply(town.certificate(Postcode="LX9 8RT"))["reference"]
    town.wait_for(reference, "review")
    page = sign_in(window("Joss"), town, "joss")
    expect(page.get_by_role("heading", name="What needs you")).to_be_visible()
    expect(page.get_by_text(reference)).to_have_count(0)
    page.goto(f"/search/?q={reference}")
    expect(page.get_by_role("link", name=reference)).to_have_count(0)
    eye(page).expect(403)
    assert page.goto(f"/seg/cases/{reference}/").status == 403
    expect(page.get_by_text("Your role does not include this page")).to_be_visible()


def test_only_a_supervisor_reopens(town, window):
    """A refused application: the desk has no such button, a supervisor has."""
    reference = town.apply(town.certificate(Status=3))["reference"]
    town.wait_for(reference, "refused")
    for who, count in (("orla", 0), ("ines", 1)):
        page = sign_in(window(who), town, who)
        open_case(page, reference)
        expect(page.get_by_role("link", name="Reopen")).to_have_count(count)
