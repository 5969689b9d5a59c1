"""What people do on the portal's pages, each ending with a look at where it leads."""

import re

from tests.journeys.browser import expect, look

# ---- Members of staff ------------------------------------------------------------------------


def sign_in(page, town, who, *, to="/"):
    """Sign in with e-mail address and password."""
    email, password = town.people[who]
    page.goto(f"/accounts/login/?next={to}")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{to}")
    look(page, "signed in")
    return page


def open_case(page, reference):
    """Open a case by its address."""
    page.goto(f"/seg/cases/{reference}/")
    expect(page.get_by_text(reference).first).to_be_visible()
    look(page, "case")


def choose(page, button):
    """Choose what to do with the case, and come to the page that asks for the reason."""
    link = page.get_by_role("link", name=button)
    if not link.is_visible():
        page.get_by_text("More", exact=True).click()
    link.click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    look(page, f"{button} reason")


def give_reason(page, text):
    """Write the reason and go on to the page that shows what leaves."""
    page.get_by_role("textbox", name=re.compile("^(Why|Your question)")).fill(text)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Go ahead")).to_be_visible()
    look(page, "check")


def confirm(page, button):
    """Press the button after which it is done."""
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def decide(page, reference, button, reason, *, last):
    """Take a decision from the case to the page that counts down."""
    open_case(page, reference)
    choose(page, button)
    give_reason(page, reason)
    confirm(page, last)
    expect(page.get_by_role("button", name="Stop, do not send")).to_be_visible()
    look(page, "sending")


def stop(page):
    """Stop a decision before it is told."""
    page.get_by_role("button", name="Stop, do not send").click()
    expect(page.get_by_role("status").get_by_text("Stopped.")).to_be_visible()
    look(page, "stopped")


# ---- Customers -------------------------------------------------------------------------------


def apply_for(page, certificate, *, picture=None, typed=True, **said):
    """Fill in the public form for a certificate's applicant, up to the page that checks it."""
    person = {**certificate["applicant"], **said}
    write = _type if typed else _write
    page.goto("/seg/apply/")
    _arrived(page, 1)
    write(page, "Certificate number", certificate["number"])
    _choose(page, "What are you applying for?", "A new installation")
    _on(page, 2)
    write(page, "House number or name, and street", person["address_line_1"])
    write(page, "Second line of the address", person["address_line_2"])
    write(page, "Town or city", person["town"])
    write(page, "Postcode", person["postcode"])
    _on(page, 3)
    write(page, "Import MPAN", person["import_mpan"])
    write(page, "Export MPAN", person["export_mpan"])
    _choose(page, "distributor been told", "Yes")
    _choose(page, "Do you have a battery?", "No")
    _on(page, 4)
    write(page, "Your full name", person["name"])
    write(page, "E-mail address", person["email"])
    write(page, "Phone number", person.get("phone") or "")
    _on(page, 5)
    _choose(page, "Feed-in Tariff", "No, I do not")
    write(page, "Name on the account", person["name"])
    write(page, "Sort code", "00-00-41")
    write(page, "Account number", "0000 2207")
    _on(page, 6)
    if picture:
        page.get_by_label("Add a file").set_input_files(picture)
        page.get_by_role("button", name="Add this file").click()
        expect(page.get_by_role("heading", name="Your file")).to_be_visible()
        look(page, "file added")
    _on(page, 7)


def _arrived(page, step):
    expect(page.get_by_text(f"Step {step} of 7", exact=True)).to_be_visible()
    look(page, f"step {step}")


def _on(page, step):
    page.get_by_role("button", name="Continue").click()
    _arrived(page, step)


def _type(page, label, text):
    """Type key by key, as people do."""
    box = page.get_by_label(label)
    box.focus()
    page.keyboard.type(text or "")
    expect(box).to_have_value(text or "")


def _write(page, label, text):
    page.get_by_label(label).fill(text or "")


def _choose(page, question, answer):
    group = page.get_by_role("group", name=re.compile(re.escape(question)))
    group.get_by_role("radio", name=re.compile(f"^{answer}")).check()


def send_it(page):
    """Accept the terms and send: the reference and the private link."""
    page.get_by_role("checkbox", name=re.compile("accept")).check()
    page.get_by_role("button", name="Send my application").click()
    expect(page.get_by_role("heading", name="We have your application")).to_be_visible()
    look(page, "sent")
    reference = page.locator(".panel strong.mono").inner_text()
    link = page.locator(".panel a").first.get_attribute("href")
    return reference, link


def see_where_it_stands(page, heading):
    """Go on from the page after sending to the private one."""
    page.get_by_role("link", name="See where it stands").click()
    told(page, heading)


def told(page, heading):
    """Read this heading on the private page, however long it takes to come by itself."""
    expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible(timeout=60_000)
    look(page, heading)


def navigations(page):
    """The addresses that this page goes to from now on."""
    went = []
    page.on("framenavigated", lambda frame: went.append(frame.url))
    return went
