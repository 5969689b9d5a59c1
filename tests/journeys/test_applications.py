"""Customers apply and read what becomes of it, from the form to the decision."""

import re

import pytest
from PIL import Image

from tests.journeys.browser import NARROW, WIDE, expect, look
from tests.journeys.letters import letters_to
from tests.journeys.pages import (
    apply_for,
    choose,
    confirm,
    decide,
    give_reason,
    navigations,
    open_case,
    see_where_it_stands,
    send_it,
    sign_in,
    told,
)

CHECKING = "We are checking your certificate"
APPROVED = "Your application is approved"
REFUSED = "We cannot approve your application"
REVIEW = "A person is deciding on your application"


@pytest.fixture
def picture(tmp_path):
    """A photo that a customer sends."""
    path = tmp_path / "bill.png"
    Image.new("RGB", (120, 80), "seashell").save(path)
    return path


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_from_application_to_approval(town, window, picture, width):
    """The whole form, reference and link at once, and the approval without a reload."""
    certificate = town.certificate()
    town.registry.fault("slow", seconds=8, match=certificate["number"], calls=1)
    page = window("customer", width=width)
    apply_for(page, certificate, picture=picture, phone="01632 960123")
    reference, link = send_it(page)
    see_where_it_stands(page, CHECKING)
    went = navigations(page)
    told(page, APPROVED)
    assert not went, "The page was loaded again."
    expect(page.get_by_text("15.1").first).to_be_visible()
    assert town.status_of(reference) == "approved"
    _until_letters(town, certificate, reference, link, count=2)


def _until_letters(town, certificate, reference, link, *, count):
    address = certificate["applicant"]["email"]
    town.until(lambda: len(letters_to(town.mail_folder, address)) == count)
    first, last = letters_to(town.mail_folder, address)
    assert reference in first[0]
    assert link in first[1]
    assert "approved" in last[0]


def test_a_refusal_says_why(town, window):
    """A withdrawn certificate is refused by itself, with the reason and a way to object."""
    certificate = town.certificate(Status=3)
    page = window("customer")
    apply_for(page, certificate, typed=False)
    send_it(page)
    page.get_by_role("link", name="See where it stands").click()
    told(page, REFUSED)
    expect(page.get_by_text("MCS has withdrawn your certificate").first).to_be_visible()
    expect(page.get_by_role("heading", name="How to ask for a review")).to_be_visible()


def test_an_unknown_number_is_put_right(town, window):
    """MCS knows no such certificate: corrected on the private page, then approved."""
    certificate = town.certificate()
    unknown = certificate["number"].replace("MCS-80", "MCS-81")
    page = window("customer", width=NARROW)
    apply_for(page, {**certificate, "number": unknown}, typed=False)
    send_it(page)
    page.get_by_role("link", name="See where it stands").click()
    told(page, "Please check your certificate number")
    page.get_by_label("Certificate number").fill(certificate["number"].lower())
    page.get_by_role("button", name="Look it up again").click()
    told(page, APPROVED)


def test_a_question_is_asked_and_answered(town, window, picture):
    """Staff ask, the customer answers with a photo, staff approve; nothing is told too early."""
    certificate = town.certificate(Postcode="LX9 8RT")
    application = town.apply(certificate)
    reference = application["reference"]
    town.wait_for(reference, "review")
    customer, orla = window("customer"), sign_in(window("Orla"), town, "orla")
    customer.goto(application["link"])
    told(customer, REVIEW)
    text = "Is your postcode LX3 or LX9? A photo of a bill helps."
    decide(orla, reference, "Ask the customer", text, last="Send this question")
    told(customer, "We have a question for you")
    customer.get_by_label("Your answer").fill("It is LX3: see the bill.")
    customer.get_by_label("Files that help").set_input_files(picture)
    customer.get_by_role("button", name="Send my answer").click()
    told(customer, REVIEW)
    open_case(orla, reference)
    expect(orla.get_by_text("It is LX3: see the bill.").first).to_be_visible()
    with orla.expect_download() as download:
        orla.get_by_role("link", name="bill.png").click()
    assert download.value.path().read_bytes() == picture.read_bytes()
    _approve_and_see_it_told(town, orla, customer, reference)


def _approve_and_see_it_told(town, orla, customer, reference):
    """The page counts down; the customer reads the approval only after the e-mail has left."""
    open_case(orla, reference)
    choose(orla, re.compile("^Approve for tariff"))
    give_reason(orla, "The bill shows the postcode of the form.")
    confirm(orla, "Approve and tell the customer")
    expect(orla.get_by_role("heading", name="The decision is about to be told")).to_be_visible()
    customer.reload()
    expect(customer.get_by_role("heading", level=1, name=REVIEW)).to_be_visible()
    expect(orla.locator(".ring text")).to_have_text("3")
    assert _decision(town, reference) == "waiting"
    expect(orla.get_by_role("heading", level=1, name="The e-mail has left.")).to_be_visible()
    look(orla, "the e-mail has left")
    expect(orla.get_by_role("button", name="Stop, do not send")).to_have_count(0)
    assert _decision(town, reference) == "sent"
    told(customer, APPROVED)


def _decision(town, reference):
    """How the last decision's e-mail stands."""
    mails = town.clerk.ask("case", reference=reference)["emails"]
    return [mail["state"] for mail in mails if mail["purpose"] == "decision"][-1]


@pytest.mark.parametrize("fault", ["500", "refuse"])
def test_the_registry_is_down(town, window, fault):
    """The customer is told that we are still checking, staff get one alarm, and it heals itself."""
    town.registry.fault(fault)
    first, second = town.apply(town.certificate()), town.apply(town.certificate())
    customer = window("customer")
    customer.goto(first["link"])
    told(customer, "We are still checking")
    town.until(lambda: town.clerk.ask("case", reference=second["reference"])["trouble"])
    orla = sign_in(window("Orla"), town, "orla")
    alarms = orla.get_by_role("region", name=re.compile("^Alarms"))
    expect(alarms.get_by_role("listitem")).to_have_count(1)
    expect(alarms.get_by_text("The installation registry gives no usable answer")).to_be_visible()
    town.registry.mend()
    told(customer, APPROVED)
    town.wait_for(second["reference"], "approved", within=60)
