"""Every page in every state: wide and narrow, light and dark, for axe and the security policy."""

import re
from dataclasses import dataclass, field

import pytest

from tests.journeys.browser import expect, eye, look_at_all_sides
from tests.journeys.pages import choose, give_reason, sign_in

ELSEWHERE = "LX9 8RT"


@dataclass
class Stock:
    """A case in every status, made once: references by status, private links by state."""

    cases: dict = field(default_factory=dict)
    links: dict = field(default_factory=dict)


@pytest.fixture(scope="session")
def stock(town):
    """Applications in every status and in every state that a customer reads."""
    made, orla = Stock(), town.people["orla"][0]

    def keep(state, *, said=None, **properties):
        certificate = town.certificate(**properties)
        sent = town.apply(certificate, **(said or {}))
        made.cases[state], made.links[state] = sent["reference"], sent["link"]
        return certificate

    keep("in_progress", Status=1)
    keep("approved")
    keep("approved without export MPAN", said={"export_mpan": ""})
    keep("refused", Status=3)
    keep("number", said={"certificate_number": "MCS-81999999-A"})
    paused = keep("suspended")
    for state in ("review", "question", "withdrawn", "refused by a person"):
        keep(state, Postcode=ELSEWHERE)
        town.wait_for(made.cases[state], "review")
    _decide(town, made, orla)
    town.wait_for(made.cases["suspended"], "approved")
    town.registry.change(paused["number"], Status=3)
    town.clerk.ask("check_again", reference=made.cases["suspended"], who=orla)
    _settle(town, made)
    return made


def _decide(town, made, orla):
    question = "Is your postcode LX3 or LX9?"
    reason = "The certificate is for another house."
    for state, name, words in (
        ("question", "ask", question),
        ("refused by a person", "refuse", reason),
    ):
        town.clerk.ask("decide", reference=made.cases[state], who=orla, name=name, reason=words)
    town.clerk.ask("withdraw_own", reference=made.cases["withdrawn"])


def _settle(town, made):
    for state, status in (
        ("approved", "approved"),
        ("approved without export MPAN", "approved"),
        ("refused", "refused"),
        ("number", "waiting"),
        ("suspended", "suspended"),
    ):
        town.wait_for(made.cases[state], status)
    town.until(lambda: not any(mail["state"] == "waiting" for mail in _mails(town)))


@pytest.fixture
def silent(town):
    """An application that waits because the registry gives no answer, until the journey ends."""
    certificate = town.certificate()
    town.registry.fault("500", match=certificate["number"])
    sent = town.apply(certificate)
    town.until(lambda: town.clerk.ask("case", reference=sent["reference"])["trouble"])
    return sent


def _mails(town):
    return [mail for case in town.clerk.ask("cases") for mail in case["emails"]]


def see(page, name, address, *, status=200):
    """Open an address and look at it from all sides."""
    eye(page).expect(*([] if status == 200 else [status]))
    assert page.goto(address).status == status, address
    look_at_all_sides(page, name)


# ---- Signing in --------------------------------------------------------------------------------


def test_pages_of_signing_in(town, window):
    """Sign-in with its errors, a forgotten password, and the second factor."""
    page = window("")
    see(page, "sign in", "/accounts/login/")
    page.get_by_label("E-mail address").fill("nobody@larkmoor.example")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "sign in refused")
    see(page, "password forgotten", "/accounts/password/reset/")
    page.get_by_label("E-mail").fill(town.people["tam"][0])
    page.get_by_role("main").get_by_role("button").click()
    page.wait_for_url("**/done/")
    look_at_all_sides(page, "password mail sent")
    see(page, "password link used up", "/accounts/password/reset/key/1-none/")
    sign_in(page, town, "tam")
    see(page, "your sign-in", "/accounts/2fa/")
    see(page, "is it still you", "/accounts/2fa/totp/activate/")
    page.get_by_label("Password").fill(town.people["tam"][1])
    page.get_by_role("button", name="Yes, continue").click()
    expect(page.get_by_role("heading", level=1, name="Is it still you?")).to_have_count(0)
    look_at_all_sides(page, "second factor")
    see(page, "change password", "/accounts/password/change/")
    see(page, "e-mail address", "/accounts/email/")
    see(page, "sign out", "/accounts/logout/")


# ---- Members of staff --------------------------------------------------------------------------


def test_pages_of_the_frame(town, window, stock, silent):
    """Home, search, calls, e-mails and health, full and empty."""
    page = sign_in(window(""), town, "orla")
    see(page, "home", "/")
    see(page, "home only mine", "/?mine")
    see(page, "search", "/search/")
    see(page, "search too short", "/search/?q=ab")
    see(page, "search hits", "/search/?q=SEG-")
    see(page, "search nothing", "/search/?q=nobody-has-this")
    see(page, "calls", "/calls/")
    see(page, "calls filtered", "/calls/?outcome=unavailable")
    page.goto("/calls/")
    page.get_by_role("main").locator("a[href^='/calls/']").first.click()
    look_at_all_sides(page, "call")
    see(page, "mails", "/mails/")
    page.get_by_role("main").locator("a[href^='/mails/']").first.click()
    look_at_all_sides(page, "mail")
    see(page, "health", "/health/")
    see(sign_in(window("Joss"), town, "joss"), "home empty", "/")


def test_the_list(town, window, stock):
    """Applications: all, by status, filtered, and none."""
    page = sign_in(window(""), town, "orla")
    see(page, "list", "/seg/")
    for status in ("review", "checking", "waiting", "approved", "suspended", "refused"):
        see(page, f"list {status}", f"/seg/?status={status}")
    see(page, "list filtered", "/seg/?q=LX3&who=nobody&kind=new&received=7")
    see(page, "list sorted", "/seg/?sort=name")
    see(page, "list none", "/seg/?q=nobody-has-this")


def test_the_case_in_every_status(town, window, stock, silent):
    """A case as the desk, a supervisor and the auditor see it."""
    page = sign_in(window(""), town, "ines")
    for state, reference in {**stock.cases, "silent": silent["reference"]}.items():
        see(page, f"case {state}", f"/seg/cases/{reference}/")
    page.goto(f"/seg/cases/{stock.cases['approved']}/")
    page.get_by_role("button", name=re.compile("^Reveal")).click()
    expect(page.get_by_role("heading", name=re.compile("^Bank details"))).to_be_visible()
    look_at_all_sides(page, "bank details")
    auditor = sign_in(window("Petra"), town, "petra")
    see(auditor, "case for the auditor", f"/seg/cases/{stock.cases['review']}/")


def test_pages_of_deciding(town, window, stock):
    """Every decision's form, its errors, the page that checks it and the one that counts down."""
    page = sign_in(window(""), town, "ines")
    reference = stock.cases["review"]
    for name in ("approve", "ask", "refuse", "withdraw"):
        see(page, f"{name} form", f"/seg/cases/{reference}/{name}/")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_be_visible()
        look_at_all_sides(page, f"{name} with errors")
    see(page, "reopen form", f"/seg/cases/{stock.cases['refused']}/reopen/")
    see(page, "reinstate form", f"/seg/cases/{stock.cases['suspended']}/reinstate/")
    mine = town.apply(town.certificate(Postcode=ELSEWHERE))["reference"]
    town.wait_for(mine, "review")
    page.goto(f"/seg/cases/{mine}/")
    choose(page, re.compile("^Approve for tariff"))
    give_reason(page, "The two houses are one since 2024.")
    look_at_all_sides(page, "check")
    page.get_by_role("button", name="Approve and tell the customer").click()
    expect(page.get_by_role("button", name="Stop, do not send")).to_be_visible()
    look_at_all_sides(page, "sending")
    page.goto(f"/seg/cases/{mine}/")
    look_at_all_sides(page, "case not told yet")


def test_the_reference_tables_keep_to_the_policy(town, window, stock):
    """The stock admin is not ours to judge by axe, but breaks no security policy."""
    page = sign_in(window(""), town, "ines")
    for address in ("/admin/", "/admin/seg/application/", "/admin/seg/tariff/"):
        assert page.goto(address).status == 200, address
        page.wait_for_load_state("networkidle")
    page.locator("#result_list a").first.click()
    page.wait_for_load_state("networkidle")
    assert not eye(page).problems


# ---- Customers ---------------------------------------------------------------------------------


def test_pages_of_applying_with_errors(town, window):
    """Each step sent empty, and the page that offers to go on."""
    page = window("")
    for step in ("certificate", "address", "meters", "you", "payment"):
        see(page, f"{step} empty", f"/seg/apply/{step}/")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_be_visible()
        look_at_all_sides(page, f"{step} with errors")
        _fill(page, town, step)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Step 7 of 7")).to_be_visible()
    look_at_all_sides(page, "check answers")
    page.get_by_role("button", name="Send my application").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "terms not accepted")
    see(page, "go on", "/seg/apply/")
    see(page, "terms", "/seg/apply/terms/")
    staff = sign_in(window("Orla"), town, "orla")
    see(staff, "entered by staff", "/seg/apply/")


ANSWERS = {
    "certificate": {"Certificate number": "MCS-80099999-A"},
    "address": {"House number": "1 Kelp Street", "Town": "Eastwold", "Postcode": "LX3 0BA"},
    "meters": {},
    "you": {"Your full name": "Ada Lark", "E-mail address": "ada.lark@example.org"},
    "payment": {"Name on": "A Lark", "Sort code": "000041", "Account number": "00002207"},
}
CHOICES = {
    "certificate": ["A new installation"],
    "meters": ["I don’t know", "No"],
    "payment": ["No, I do not"],
}


def _fill(page, town, step):
    for label, text in ANSWERS[step].items():
        page.get_by_label(label).fill(text)
    for choice in CHOICES.get(step, []):
        page.get_by_role("radio", name=re.compile(f"^{choice}")).last.check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_private_page_in_every_state(town, window, stock, silent):
    """What a customer reads, and the forms to correct, answer and withdraw."""
    page = window("")
    for state, link in {**stock.links, "silent": silent["link"]}.items():
        see(page, f"private {state}", link)
    for what in ("correct", "withdraw"):
        see(page, what, f"{stock.links['review']}{what}/")
    page.goto(f"{stock.links['review']}correct/")
    page.get_by_label("Postcode").fill("LX")
    page.get_by_role("button", name="Save the corrections").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "correct with errors")
    page.goto(stock.links["question"])
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look_at_all_sides(page, "answer with errors")
    see(page, "private unknown", "/seg/track/nobody-has-this-link/", status=404)


# ---- Errors --------------------------------------------------------------------------------------


def test_error_pages(town, window):
    """400, 403 for a role and for a forged form, 404, and the page when something breaks."""
    page = sign_in(window(""), town, "joss")
    see(page, "400", "/search/?" + "&".join(["q"] * 1200), status=400)
    see(page, "403", "/calls/", status=403)
    see(page, "404", "/nothing-here/", status=404)
    visitor = window("visitor")
    see(visitor, "404 for visitors", "/seg/nothing/here/", status=404)
    _forged(visitor)
    body = town.clerk.ask("broken_page")
    visitor.route("**/broken/", lambda route: route.fulfill(status=500, body=body, headers=POLICY))
    see(visitor, "500", "/broken/", status=500)


POLICY = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'self'; object-src 'none'",
}


def _forged(page):
    eye(page).expect(403)
    page.goto("/seg/apply/certificate/")
    page.context.clear_cookies()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    look_at_all_sides(page, "403 forged")
