"""Pages about one quote: who may see and do what, what they show, and that nothing happens twice."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Email, StatusChange
from gasquotes import actions, codes
from gasquotes.models import CallGate, Document, Quote
from tests.factories.gasquotes import QuoteFactory

pytestmark = pytest.mark.django_db
ROLES = ("gas quotes", "supervisor", "auditor", "export tariff", "engineer", "")
MAY_LOOK = {"gas quotes", "supervisor", "auditor"}
MAY_ACT = {"gas quotes", "supervisor"}
REASON = "The customer rang and said so."
HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(person, signed_in):
    return signed_in(person("gas quotes"))


@pytest.fixture(autouse=True)
def quiet(bells):
    return bells


@pytest.fixture
def ready(service, book, ask, work):
    """A quote that was looked up and priced."""
    quote = ask("1234567810", months=24)
    work()
    return again(quote)


def again(quote):
    return Quote.objects.get(pk=quote.pk)


def text_of(response):
    return " ".join(response.content.decode().split())


def posted(desk, page, url, **answers):
    """Send the form of a page with its token."""
    return desk.post(url, {"token": page.context["token"], **answers})


def enquiry(**changes):
    start = timezone.localdate() + timedelta(days=30)
    return {
        "kind": "mprn",
        "mprn": "1234567810",
        "name": "Mill Lane Bakery",
        "email": "",
        "start": start.isoformat(),
        "months": "12",
        "payment": "direct_debit",
        "broker_uplift": "",
        "key": "one-sending",
        **changes,
    }


# ---- Who may do what -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_pages_by_role(role, ready, service, work, ask, person, signed_in):
    address = ask(postcode="AW1 0AA")
    work()
    client = signed_in(person(role))
    base = ready.get_absolute_url()
    look = ["/gas-quotes/", "/gas-quotes/codes/", base, f"{base}now/?seen=x"]
    act = [
        "/gas-quotes/enquire/", f"{base}issue/", f"{base}withdraw/", f"{base}requote/",
        f"{base}preview/1.png", f"{address.get_absolute_url()}address/",
    ]  # fmt: skip
    for url in look:
        assert client.get(url).status_code == (200 if role in MAY_LOOK else 403), url
    for url in act:
        assert client.get(url).status_code == (200 if role in MAY_ACT else 403), url
    for url in (f"{base}note/", f"{base}assign/", f"{base}take-back/", f"{base}again/"):
        assert client.post(url, {"text": "x"}).status_code == (302 if role in MAY_ACT else 403), url
    answer = client.post("/gas-quotes/calls/again/")
    assert answer.status_code == (302 if role in MAY_ACT else 403)


@pytest.mark.parametrize("role", ROLES)
def test_a_document_by_role(role, ready, clerk, person, signed_in):
    document = actions.issue(quote=ready, by_email=False, by=clerk, now=timezone.now)
    response = signed_in(person(role)).get(f"/gas-quotes/documents/{document.pk}/")
    assert response.status_code == (200 if role in MAY_LOOK else 403)


def test_who_only_reads_sees_no_buttons(ready, auditor, signed_in):
    page = signed_in(auditor).get(ready.get_absolute_url())
    assert page.context["moves"] == []
    assert "Add note" not in text_of(page)


# ---- A new quote -----------------------------------------------------------------------------


def test_an_enquiry_becomes_a_case_that_shows_its_result_by_itself(service, book, desk, work):
    answer = desk.post("/gas-quotes/enquire/", enquiry())
    quote = Quote.objects.get()
    assert answer.url == quote.get_absolute_url()
    page = desk.get(quote.get_absolute_url())
    poll = re.search(r'hx-get="([^"]+)" hx-trigger="every 2s"', page.content.decode())[1]
    waiting = desk.get(poll, headers=HTMX)
    assert "Looking up" in text_of(waiting)
    assert "HX-Retarget" not in waiting
    work()
    done = desk.get(poll, headers=HTMX)
    assert done["HX-Retarget"] == done["HX-Reselect"] == "#case"
    assert "The price" in text_of(done)
    assert 'hx-swap-oob="innerHTML">Ready.' in text_of(done)


def test_an_enquiry_sent_twice_is_one_quote(service, book, desk):
    urls = {desk.post("/gas-quotes/enquire/", enquiry()).url for _ in range(2)}
    assert Quote.objects.count() == len(urls) == 1


def test_what_is_wrong_in_an_enquiry_is_said_and_nothing_is_asked(service, desk):
    page = desk.post("/gas-quotes/enquire/", enquiry(mprn="12", name=""))
    assert page.status_code == 200
    assert set(page.context["form"].errors) == {"mprn", "name"}
    assert not Quote.objects.exists()


def test_used_and_left_stand_wherever_a_call_can_be_caused(service, book, ready, ask, work, desk):
    address = ask(postcode="AW1 0AA")
    work()
    for url in (
        "/gas-quotes/", "/gas-quotes/enquire/", f"{address.get_absolute_url()}address/",
        f"{ready.get_absolute_url()}requote/", "/gas-quotes/runs/add/", "/gas-quotes/runs/",
    ):  # fmt: skip
        assert "<strong>2</strong> of 50,000 used, <strong>49,998</strong> left" in text_of(
            desk.get(url)
        ), url
    assert "costs one call; 49,998 left" in text_of(desk.get(ready.get_absolute_url()))


def test_a_stop_is_said_with_a_way_to_try(ready, desk):
    until = timezone.now() + timedelta(minutes=9)
    CallGate.objects.update_or_create(
        pk=1, defaults={"stopped": "key", "stopped_until": until, "stopped_why": "Our key is bad."}
    )
    assert "Our key is bad." in text_of(desk.get("/gas-quotes/"))
    desk.post("/gas-quotes/calls/again/")
    assert CallGate.objects.get().stopped_until <= timezone.now()


# ---- The case --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", Quote.Status.values)
def test_a_quote_in_every_status(status, desk):
    quote = QuoteFactory(status=status)
    page = desk.get(quote.get_absolute_url())
    assert page.status_code == 200
    assert quote.reference in text_of(page)


def test_a_price_stands_in_parts_with_every_source(ready, desk):
    page = desk.get(ready.get_absolute_url())
    text, priced = text_of(page), ready.price
    for amount in (priced.per_month, priced.average_year, priced.whole):
        assert f"£{amount.including:,.2f}" in text
    assert len(page.context["price"]["parts"]) == len(priced.parts) > 2
    assert "Estimated AQ" in text
    for source in priced.sources:
        assert source.figure in text
    assert "0.012 GWh as sent" in text
    assert [row["title"] for row in page.context["quantities"]] == [
        "Current Formula Year",
        "Prospective Formula Year",
        "Rolling",
    ]
    assert len(page.context["fields"]) == 24


def test_a_case_costs_the_same_however_much_happened(ready, desk, clerk, work):
    def queries():
        with CaptureQueriesContext(connection) as caught:
            desk.get(ready.get_absolute_url())
        return len(caught)

    desk.get(ready.get_absolute_url())
    before = queries()
    for _ in range(3):
        actions.look_up_again(quote=again(ready), by=clerk, now=timezone.now)
        work()
        actions.requote(quote=again(ready), by=clerk, now=timezone.now)
        actions.issue(quote=again(ready), by_email=False, by=clerk, now=timezone.now)
        actions.take_back(quote=again(ready), by=clerk, now=timezone.now)
    assert queries() == before <= 30


@pytest.mark.parametrize("code", ["e008", "e009", "e011"])
def test_what_of_the_address_is_missing(code, service, book, ask, work, desk):
    service.answer("1234567810", code)
    quote = ask("1234567810")
    work()
    page = text_of(desk.get(quote.get_absolute_url()))
    meaning = codes.MEANINGS[code]
    assert meaning.title in page
    assert meaning.next_step in page
    assert "The service’s words" in page
    form = desk.get(f"{quote.get_absolute_url()}address/")
    assert form.context["form"].initial["mprn"] == "1234567810"


def test_more_of_the_address_is_looked_up(service, book, ask, work, desk):
    quote = ask(postcode="AW1 0AA")
    work()
    url = f"{quote.get_absolute_url()}address/"
    same = desk.post(url, {"kind": "postcode", "postcode": "AW1 0AA"})
    assert "change something first" in text_of(same)
    more = {"kind": "postcode", "postcode": "aw10aa", "house_no": "5"}
    assert desk.post(url, more).url == quote.get_absolute_url()
    assert desk.post(url, more).url == quote.get_absolute_url()
    work()
    assert again(quote).status == "ready"
    assert again(quote).mprn == "5000003900"


@pytest.mark.parametrize("code", ["e002", "e003", "e004", "e005", "e006"])
def test_a_refusal_gives_the_reason_for_the_customer(code, service, book, ask, work, desk):
    service.answer("1234567810", code)
    quote = ask("1234567810")
    work()
    text = text_of(desk.get(quote.get_absolute_url()))
    assert "The reason for the customer" in text
    assert "What you may write to the customer" in text


def test_implausible_values_cannot_be_offered(service, book, ask, work, desk):
    quote = ask("7000040406")
    work()
    page = desk.get(quote.get_absolute_url())
    assert "Offer these prices" not in text_of(page)
    assert "never priced" in text_of(page)
    answer = desk.get(f"{quote.get_absolute_url()}accept_referral/")
    assert answer.status_code == 302
    assert again(quote).status == "review"


def test_a_referral_is_offered_with_a_reason(service, book, ask, work, desk):
    quote = ask("7000033106")
    work()
    url = f"{quote.get_absolute_url()}accept_referral/"
    page = desk.get(url)
    assert page.context["warnings"]
    assert posted(desk, page, url, reason="").status_code == 200
    posted(desk, page, url, reason=REASON)
    assert again(quote).status == "ready"
    assert StatusChange.objects.filter(move="accept_referral", note=REASON).count() == 1


# ---- Issuing ---------------------------------------------------------------------------------


def test_the_check_page_shows_what_leaves(ready, desk):
    page = desk.get(f"{ready.get_absolute_url()}issue/")
    text = text_of(page)
    assert f"£{ready.price.whole.including:,.2f} including VAT" in text
    assert page.context["letter"]["to"] == ready.email
    picture = desk.get(page.context["pages"][0])
    assert picture["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert desk.get(f"{ready.get_absolute_url()}preview/99.png").status_code == 404
    assert not Document.objects.exists()


def test_issuing_twice_is_issuing_once(ready, desk):
    url = f"{ready.get_absolute_url()}issue/"
    page = desk.get(url)
    first = posted(desk, page, url, by_email="yes")
    second = posted(desk, page, url, by_email="yes")
    assert first.url == Email.objects.get().get_absolute_url()
    assert "not done twice" in text_of(desk.get(second.url))
    assert Document.objects.count() == 1


def test_two_check_pages_issue_once(ready, desk):
    url = f"{ready.get_absolute_url()}issue/"
    pages = [desk.get(url), desk.get(url)]
    for page in pages:
        posted(desk, page, url, by_email="no")
    assert Document.objects.count() == 1


def test_without_a_choice_or_a_token_nothing_is_issued(ready, desk):
    url = f"{ready.get_absolute_url()}issue/"
    assert posted(desk, desk.get(url), url).status_code == 200
    desk.post(url, {"by_email": "no"})
    assert again(ready).status == "ready"


def test_a_price_that_has_changed_meanwhile_is_not_issued(ready, desk, clerk, work):
    url = f"{ready.get_absolute_url()}issue/"
    page = desk.get(url)
    actions.look_up_again(quote=ready, by=clerk, now=timezone.now)
    work()
    posted(desk, page, url, by_email="no")
    assert again(ready).status == "ready"
    assert not Document.objects.exists()


def test_stop_without_e_mail_while_the_moment_lasts(ready, desk, clerk, settings):
    actions.issue(quote=ready, by_email=False, by=clerk, now=timezone.now)
    assert "left to stop it" in text_of(desk.get(ready.get_absolute_url()))
    desk.post(f"{ready.get_absolute_url()}take-back/")
    assert again(ready).status == "ready"
    assert "Void" in text_of(desk.get(ready.get_absolute_url()))
    actions.issue(quote=again(ready), by_email=False, by=clerk, now=timezone.now)
    settings.SEND_DELAY_SECONDS = 0
    assert "It lapses" in text_of(desk.get(ready.get_absolute_url()))
    desk.post(f"{ready.get_absolute_url()}take-back/")
    assert again(ready).status == "issued"


def test_the_document_is_sent_safely(ready, desk, clerk):
    document = actions.issue(quote=ready, by_email=False, by=clerk, now=timezone.now)
    url = f"/gas-quotes/documents/{document.pk}/"
    response = desk.get(url)
    assert response.content.startswith(b"%PDF-")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == f'attachment; filename="{ready.reference}.pdf"'
    actions.take_back(quote=again(ready), by=clerk, now=timezone.now)
    assert "-void.pdf" in desk.get(url)["Content-Disposition"]


# ---- Answers of the customer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "ended"),
    [("accept", "accepted", ""), ("decline", "closed", "declined")],
)
def test_an_answer_is_recorded_once(name, status, ended, ready, desk, clerk):
    actions.issue(quote=ready, by_email=False, by=clerk, now=timezone.now)
    url = f"{ready.get_absolute_url()}{name}/"
    page = desk.get(url)
    assert posted(desk, page, url, reason="").context["form"].errors
    for _ in range(2):
        posted(desk, page, url, reason=REASON)
    quote = again(ready)
    assert (quote.status, quote.closed_as) == (status, ended)
    assert StatusChange.objects.filter(move=name).count() == 1


def test_a_lapsed_quote_cannot_be_accepted(ready, desk, clerk, settings):
    settings.GASQUOTES_VALID_HOURS = 0
    actions.issue(quote=ready, by_email=False, by=clerk, now=timezone.now)
    settings.SEND_DELAY_SECONDS = 0
    url = f"{ready.get_absolute_url()}accept/"
    posted(desk, desk.get(url), url, reason=REASON)
    assert again(ready).status == "issued"
    assert "has lapsed" in text_of(desk.get(ready.get_absolute_url()))


def test_a_new_quote_is_made_once_and_linked(ready, desk, work):
    url = f"{ready.get_absolute_url()}requote/"
    form = desk.get(url).context["form"]
    said = {name: form[name].value() or "" for name in form.fields}
    answers = [desk.post(url, {**said, "months": "36"}) for _ in range(2)]
    new = Quote.objects.exclude(pk=ready.pk).get()
    assert {answer.url for answer in answers} == {new.get_absolute_url()}
    work()
    assert (again(new).months, again(new).requote_of) == (36, ready)
    assert ready.reference in text_of(desk.get(new.get_absolute_url()))
    assert new.reference in text_of(desk.get(ready.get_absolute_url()))


@pytest.mark.parametrize("name", ["price", "refuse", "lapse", "stop_issue", "nothing"])
def test_what_people_do_not_do_has_no_page(name, ready, desk):
    assert desk.get(f"{ready.get_absolute_url()}{name}/").status_code == 404


@pytest.mark.parametrize("name", ["accept", "decline"])
def test_a_move_that_is_not_possible_says_so(name, ready, desk):
    answer = desk.get(f"{ready.get_absolute_url()}{name}/", follow=True)
    assert "Nothing was done" in text_of(answer)


# ---- The rest --------------------------------------------------------------------------------


def test_looking_up_again_costs_a_call_once(ready, desk, service, work):
    for _ in range(2):
        desk.post(f"{ready.get_absolute_url()}again/")
    work()
    assert service.look_ups()["look_ups"] == {"1234567810": 2}
    assert again(ready).status == "ready"


def test_notes_and_assignment(ready, desk, person):
    base, maud = ready.get_absolute_url(), person("gas quotes")
    desk.post(f"{base}note/", {"text": "Rang twice"})
    desk.post(f"{base}note/", {"text": ""})
    desk.post(f"{base}assign/", {"person": maud.pk})
    desk.post(f"{base}assign/", {"person": 10**9})
    assert "Rang twice" in text_of(desk.get(base))
    assert again(ready).assigned_to == maud


def test_every_code_is_explained(desk):
    text = text_of(desk.get("/gas-quotes/codes/"))
    for code, meaning in codes.MEANINGS.items():
        assert code in text
        assert meaning.title in text
