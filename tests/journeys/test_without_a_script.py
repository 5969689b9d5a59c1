"""Browsers without JavaScript: a whole application, and a whole decision."""

from tests.journeys.browser import NARROW, expect, look
from tests.journeys.pages import apply_for, decide, send_it, sign_in


def test_an_application_without_a_script(town, window):
    """The form, the sending and the private page work; the page is looked at again by hand."""
    certificate = town.certificate()
    page = window("customer", scripts=False, width=NARROW)
    apply_for(page, certificate, typed=False)
    reference, _ = send_it(page)
    town.wait_for(reference, "approved")
    page.get_by_role("link", name="See where it stands").click()
    expect(page.get_by_role("heading", name="Your application is approved")).to_be_visible()
    look(page, "approved")


def test_a_decision_without_a_script(town, window):
    """Sign-in, reason, check and Stop are plain forms."""
    application = town.apply(town.certificate(Postcode="LX9 8RT"))
    reference = application["reference"]
    town.wait_for(reference, "review")
    page = sign_in(window("Orla", scripts=False), town, "orla")
    reason = "The certificate is for another house."
    decide(page, reference, "Refuse", reason, last="Refuse and tell the customer")
    town.until(lambda: town.clerk.ask("case", reference=reference)["emails"][-1]["state"] == "sent")
    page.reload()
    expect(page.get_by_role("button", name="Stop, do not send")).to_have_count(0)
    look(page, "told")
