"""Nobody touches a mouse: every stop of the Tab key is seen and comes in the order of the page."""

import re

from tests.journeys.browser import expect, look

MOST_STOPS = 80
STOP = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const near = one.matches("input[type=radio], input[type=checkbox]") && one.closest("label");
    const box = one.getBoundingClientRect();
    const seen = s => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0)
        || s.boxShadow !== "none";
    const follows = window.stopBefore?.isConnected
        ? Boolean(window.stopBefore.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING)
        : true;
    window.stopBefore = one;
    const label = one.labels?.[0]?.innerText || one.getAttribute("aria-label") || one.innerText;
    return {
        words: (label || "").trim(), tag: one.tagName, follows,
        seen: seen(style) || Boolean(near && seen(getComputedStyle(near))),
        inside: box.width > 0 && box.height > 0 && box.top >= 0 && box.bottom <= innerHeight
            && box.left >= 0 && box.right <= innerWidth,
        tall: box.height > innerHeight,
    };
}"""


def tab_to(page, words):
    """Press Tab until something with these words has the focus."""
    page.evaluate("window.stopBefore = document.activeElement")
    passed = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        passed.append(stop["words"][:40] or stop["tag"])
        assert stop["seen"], f"The focus cannot be seen on {stop}"
        assert stop["inside"] or stop["tall"], f"The focus is outside of the window: {stop}"
        assert stop["follows"], f"The focus went backwards: {passed}"
        if re.search(words, stop["words"]):
            return passed
    raise AssertionError(f"No Tab leads to {words}: {passed}")


def test_a_decision_with_the_keyboard_alone(town, window):
    """Sign in, find the case by search, refuse it and stop that, all with keys."""
    application = town.apply(town.certificate(Postcode="LX9 8RT"))
    reference = application["reference"]
    town.wait_for(reference, "review")
    email, password = town.people["orla"]
    page = window("Orla")
    keys = page.keyboard
    page.goto("/accounts/login/")
    tab_to(page, "E-mail address")
    keys.type(email)
    tab_to(page, "^Password")
    keys.type(password)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="What needs you")).to_be_visible()
    look(page, "home")
    assert tab_to(page, "Search every desk")[0] == "Skip to the page"
    keys.type(reference)
    keys.press("Enter")
    expect(page.get_by_role("link", name=reference)).to_be_visible()
    look(page, "found")
    _skip(page)
    tab_to(page, reference)
    keys.press("Enter")
    expect(page.locator(".case-head")).to_be_visible()
    _skip(page)
    tab_to(page, "^Refuse$")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    tab_to(page, "^Why you refuse")
    keys.type("The certificate is for another house.")
    tab_to(page, "^Continue$")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Go ahead")).to_be_visible()
    tab_to(page, "^Refuse and tell the customer$")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Stop, do not send")).to_be_visible()
    _skip(page)
    tab_to(page, "^Stop, do not send$")
    keys.press("Enter")
    expect(page.get_by_role("status").get_by_text("Stopped.")).to_be_visible()
    assert town.wait_for(reference, "review")["emails"][-1]["state"] == "stopped"


def _skip(page):
    """The first stop is the skip link; it is seen, and leads past the menu into the page."""
    tab_to(page, "^Skip to the page$")
    look(page, "skip link")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_error_leads_to_its_box(town, window):
    """An empty reason: the summary has the focus, its link puts the cursor into the box."""
    application = town.apply(town.certificate(Postcode="LX9 8RT"))
    reference = application["reference"]
    town.wait_for(reference, "review")
    page = window("Tam")
    email, password = town.people["tam"]
    page.goto(f"/accounts/login/?next=/seg/cases/{reference}/refuse/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Continue").press("Enter")
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    look(page, "an empty reason")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name=re.compile("^Why you refuse"))).to_be_focused()
