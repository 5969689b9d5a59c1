"""Members of staff decide: alone, two at once, twice by mistake, and not at all."""

from tests.journeys.browser import expect, look
from tests.journeys.pages import choose, confirm, decide, give_reason, open_case, sign_in, stop

REASON = "The number on the certificate is another house."


def in_review(town):
    """An application that a person has to decide: its postcode is not that of the certificate."""
    application = town.apply(town.certificate(Postcode="LX9 8RT"))
    town.wait_for(application["reference"], "review")
    return application


def test_a_stopped_refusal_never_happened(town, window):
    """Stop: the case is back, no e-mail has left, and the customer never saw a refusal."""
    application = in_review(town)
    reference = application["reference"]
    customer = window("customer")
    customer.goto(application["link"])
    before = customer.get_by_role("heading", level=1).inner_text()
    orla = sign_in(window("Orla"), town, "orla")
    decide(orla, reference, "Refuse", REASON, last="Refuse and tell the customer")
    assert town.status_of(reference) == "refused"
    customer.reload()
    assert customer.get_by_role("heading", level=1).inner_text() == before
    stop(orla)
    expect(orla.locator(".case-head").get_by_text("Needs review")).to_be_visible()
    case = town.clerk.ask("case", reference=reference)
    assert [mail["state"] for mail in case["emails"]] == ["sent", "stopped"]
    assert [move[0] for move in case["moves"]][-2:] == ["refuse", "stop_decision"]
    customer.reload()
    assert customer.get_by_role("heading", level=1).inner_text() == before
    assert REASON not in customer.content()


def test_two_people_decide_the_same_case(town, window):
    """One wins; the other is told who won, and nothing of theirs is done."""
    reference = in_review(town)["reference"]
    orla = sign_in(window("Orla"), town, "orla")
    tam = sign_in(window("Tam"), town, "tam")
    for person, button, reason in (
        (orla, "Approve", "The two houses are one since 2024."),
        (tam, "Refuse", REASON),
    ):
        open_case(person, reference)
        choose(person, button)
        give_reason(person, reason)
    confirm(orla, "Approve and tell the customer")
    confirm(tam, "Refuse and tell the customer")
    expect(tam.get_by_role("status").get_by_text("Orla Fenn")).to_be_visible()
    expect(tam.get_by_role("status").get_by_text("Nothing was done")).to_be_visible()
    look(tam, "told who won")
    case = town.clerk.ask("case", reference=reference)
    assert case["status"] == "approved"
    assert [move[0] for move in case["moves"]] == ["open", "give_to_person", "approve"]
    assert len(case["emails"]) == 2


def test_a_double_click_decides_once(town, window):
    """Two clicks within one moment are one decision and one e-mail."""
    reference = in_review(town)["reference"]
    orla = sign_in(window("Orla"), town, "orla")
    open_case(orla, reference)
    choose(orla, "Refuse")
    give_reason(orla, REASON)
    orla.get_by_role("button", name="Refuse and tell the customer").dblclick(no_wait_after=True)
    expect(orla.get_by_role("button", name="Continue")).to_have_count(0)
    expect(orla.get_by_role("button", name="Refuse and tell the customer")).to_have_count(0)
    look(orla, "after two clicks")
    _decided_once(town, reference)


def test_the_back_button_does_not_decide_again(town, window):
    """Back to the confirming page and pressed once more: told that it was done already."""
    reference = in_review(town)["reference"]
    orla = sign_in(window("Orla"), town, "orla")
    decide(orla, reference, "Refuse", REASON, last="Refuse and tell the customer")
    orla.go_back()
    orla.get_by_role("button", name="Refuse and tell the customer").click()
    expect(orla.get_by_role("status").first).to_be_visible()
    look(orla, "pressed again")
    _decided_once(town, reference)


def _decided_once(town, reference):
    case = town.clerk.ask("case", reference=reference)
    assert [move[0] for move in case["moves"]] == ["open", "give_to_person", "refuse"]
    assert [mail["purpose"] for mail in case["emails"]] == ["news", "decision"]
