"""Quotes from enquiry to yes or no, against the played service over HTTP."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from core.housekeeping import tidy
from core.models import Alarm, Email, PartnerCall, StatusChange
from core.outcomes import Kind
from core.workflow import Conflict, NotAllowed, actor_for
from gasquotes import actions, budget
from gasquotes.client import SupplyPoints
from gasquotes.models import CallGate, Document, LookUp, MonthOfCalls, Quote
from tests.factories.gasquotes import LookUpFactory, PriceBookFactory, QuoteFactory
from tests.gasquotes.conftest import HOME, KEY, terms

pytestmark = pytest.mark.django_db
REFUSED = {
    "7000000203": "e002", "7000000304": "e003", "7000000405": "e004", "7000000506": "e005",
    "7000000607": "e006",
}  # fmt: skip


def now():
    return timezone.now()


def again(quote):
    return Quote.objects.get(pk=quote.pk)


def moves_of(quote):
    return list(StatusChange.objects.for_case(quote).values_list("move", flat=True))


@pytest.fixture
def ready(service, book, ask, work):
    """A quote that was looked up and priced."""
    quote = ask(HOME)
    work()
    return again(quote)


# ---- Looking up --------------------------------------------------------------------------------


def test_an_mprn_becomes_a_price(ready, service, book):
    assert (ready.status, ready.held, ready.mprn, ready.postcode) == (
        "ready", "", HOME, "NX3 2AF",
    )  # fmt: skip
    assert ready.price_book == book
    assert ready.aq_kwh == Decimal(12000)
    priced = ready.price
    assert (priced.ldz, priced.sector, priced.months, priced.exit_fee) == ("SW", "D", 12, 75)
    assert ready.year_cost == priced.first_year.including > priced.first_year.excluding
    assert moves_of(ready) == ["open", "price"]
    assert (ready.due_at, ready.claim) == (None, None)


def test_everything_of_the_answer_is_kept_exactly(ready):
    row = ready.look_up
    assert (Decimal(row.current_formula_year_aq_value), row.unit) == (Decimal("0.012"), "GWh")
    assert row.current_formula_year_aq_value in row.raw
    assert row.quantities.formula.aq_kwh == 12000
    assert row.call.reference == ready.reference
    assert row.call.kind == Kind.READ
    assert '"current_aq_roll_value"' in row.raw
    assert KEY not in row.raw + str(row.call.request_headers) + row.call.request_line
    assert row.asked == {"mprn": HOME}
    assert LookUp.objects.for_case(ready).get() == row


def test_a_recent_look_up_serves_again(ready, ask, work, service):
    second = ask(HOME)
    work()
    second = again(second)
    assert (second.status, second.look_up, second.look_up_reused) == ("ready", ready.look_up, True)
    assert len(service.log()) == 1
    assert MonthOfCalls.objects.get().used == 1


def test_an_old_look_up_does_not(book, ask, work, service, settings):
    age = timedelta(days=settings.GASQUOTES_REUSE_DAYS, minutes=1)
    LookUpFactory(at=now() - age)
    quote = ask(HOME)
    work()
    assert (again(quote).look_up_reused, len(service.log())) == (False, 1)


def test_look_up_again_costs_a_call(ready, clerk, work, service):
    actions.look_up_again(quote=ready, by=clerk, now=now)
    assert again(ready).status == "looking_up"
    assert (again(ready).priced, again(ready).year_cost) == ("", None)
    work()
    assert (again(ready).status, len(service.log())) == ("ready", 2)
    assert again(ready).look_up != ready.look_up


def test_an_address_leads_to_its_point(book, ask, work, service):
    quote = ask(postcode="FW1 8AA")
    work()
    quote = again(quote)
    assert (quote.mprn, quote.status) == ("5000041908", "ready")


def test_more_of_the_address_is_asked_for_and_used(book, ask, work, service, clerk):
    quote = ask(postcode="AW1 0AA")
    work()
    quote = again(quote)
    assert (quote.status, quote.code) == ("address", "e009")
    assert quote.next_step
    assert actions.suggested_letter(quote).text
    asked = quote.asked.__class__(postcode="aw10aa", house_no="1")
    actions.give_address(quote=quote, asked=asked, by=clerk, now=now)
    work()
    quote = again(quote)
    assert (quote.mprn, quote.code, quote.asked_postcode) == ("5000000007", "", "AW1 0AA")
    assert quote.status in {"ready", "review"}


@pytest.mark.parametrize(("mprn", "code"), REFUSED.items())
def test_some_points_end_the_enquiry_with_a_reason(mprn, code, book, ask, work, service):
    quote = ask(mprn)
    work()
    quote = again(quote)
    assert (quote.status, quote.closed_as, quote.code) == ("closed", "refused", code)
    assert quote.customer_reason
    letter = " ".join(actions.suggested_letter(quote).text.split())
    assert quote.customer_reason in letter


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ("e001", "address", "e001"),
        ("e007", "review", "e007"),
        ("e008", "address", "e008"),
        ("e009", "address", "e009"),
        ("e011", "address", "e011"),
        ("ThreatDetected", "review", "steps.regexprotection.ThreatDetected"),
        ("400", "review", "400"),
        ("unknown_code", "review", ""),
        ("html", "review", ""),
        ("truncated", "review", ""),
        ("another", "review", ""),
        ("wrong_types", "review", ""),
    ],
)
def test_where_each_code_leads(answer, status, code, book, ask, work, service):
    service.answer(HOME, answer)
    quote = ask(HOME)
    work()
    quote = again(quote)
    assert (quote.status, quote.code) == (status, code)
    assert quote.why
    assert quote.next_step
    assert len(service.log()) == 1  # never retried


@pytest.mark.parametrize("answer", ["e010", "500"])
def test_trouble_of_theirs_is_tried_again_until_a_person_looks(answer, book, ask, work, service):
    service.answer(HOME, answer)
    quote = ask(HOME)
    work()
    assert (again(quote).status, again(quote).attempts) == ("looking_up", 1)
    assert "Next try" in again(quote).why
    work(until=now() + timedelta(days=1))
    quote = again(quote)
    assert (quote.status, quote.held) == ("review", "party")
    assert len(service.log()) == 8
    assert MonthOfCalls.objects.get().used == 8  # repeats count
    assert Alarm.objects.get(key="gas service silent").times == 8


def test_it_goes_on_by_itself_when_they_answer(book, ask, work, service):
    service.fault("500", calls=2)
    quote = ask(HOME)
    work(until=now() + timedelta(minutes=10))
    assert again(quote).status == "ready"
    assert PartnerCall.objects.for_case(quote).count() == 3


@pytest.mark.parametrize(
    "answer", ["FailedToResolveAPIKey", "InvalidApiKey", "custom.config.1", "custom.config.3"]
)
def test_a_key_fault_stops_every_look_up_with_one_alarm(answer, book, ask, work, service):
    service.answer(HOME, answer)
    first, second = ask(HOME), ask("9876543209")
    work()
    assert len(service.log()) == 1
    assert [again(q).status for q in (first, second)] == ["looking_up"] * 2
    assert Alarm.objects.filter(over_at=None).count() == 1
    stands = budget.standing(now=now())
    assert (stands.stopped, bool(stands.sentence)) == ("key", True)
    assert "next try" in again(second).why
    service.answer(HOME, None)
    work(until=now() + timedelta(minutes=30))
    assert [again(q).status for q in (first, second)] == ["ready"] * 2
    assert not Alarm.objects.filter(over_at=None).exists()
    assert budget.standing(now=now()).stopped == ""


def test_a_person_has_it_tried_at_once(book, ask, work, service, clerk):
    service.answer(HOME, "InvalidApiKey")
    quote = ask(HOME)
    work()
    service.answer(HOME, None)
    assert actions.try_calls_again(by=clerk, now=now)
    work()
    assert again(quote).status == "ready"
    assert not actions.try_calls_again(by=clerk, now=now)


@pytest.mark.parametrize("status", [500, 429])
def test_a_used_up_quota_stops_until_next_month(status, book, ask, work, service):
    service.options(per_month=1, quota_status=status)
    ask("9876543209")
    work()
    first, second = ask(HOME), ask("440107")
    work()
    refused = [call for call in service.log() if call["status"] != 200]
    assert len(refused) == 1
    assert CallGate.objects.get().stopped == "quota"
    assert budget.standing(now=now()).stopped_until == budget.next_month(now())
    assert Alarm.objects.filter(key="gas quota").count() == 1
    service.options(per_month=None)
    work(until=budget.next_month(now()) + timedelta(minutes=1))
    assert [again(q).status for q in (first, second)] == ["ready"] * 2


def test_spike_arrest_slows_everybody_down(book, ask, work, service):
    service.answer(HOME, "SpikeArrestViolation")
    quote = ask(HOME)
    work()
    gate = CallGate.objects.get()
    assert (gate.percent, gate.stopped) == (80, "")
    service.answer(HOME, None)
    work(until=now() + timedelta(minutes=5))
    assert again(quote).status == "ready"


def test_our_own_limit_is_never_passed(book, ask, work, service, settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 1
    first, second = ask(HOME), ask("9876543209")
    work()
    assert [again(first).status, again(second).status] == ["ready", "looking_up"]
    assert (len(service.log()), MonthOfCalls.objects.get().used) == (1, 1)
    assert "used up" in again(second).why
    assert budget.standing(now=now()).left == 0
    work(until=budget.next_month(now()) + timedelta(minutes=1))
    assert again(second).status == "ready"


def test_what_waits_goes_on_when_the_limit_is_raised(book, ask, work, service, settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 1
    ask(HOME)
    waiting = ask("9876543209")
    work()
    tidy(now=now())
    work()
    assert again(waiting).status == "looking_up"
    settings.GASQUOTES_CALLS_PER_MONTH = 2
    tidy(now=now())
    work(until=now() + timedelta(minutes=1))
    assert again(waiting).status == "ready"
    assert not Alarm.objects.filter(key="gas budget", over_at=None).exists()


def test_without_permission_nobody_causes_a_call(auditor, ready, book):
    by = actor_for(auditor)
    enquiry = actions.Enquiry("X", ready.asked, terms())
    for verb in (
        lambda: actions.enquire(enquiry=enquiry, by=by, now=now),
        lambda: actions.look_up_again(quote=ready, by=by, now=now),
        lambda: actions.requote(quote=ready, by=by, now=now),
        lambda: actions.try_calls_again(by=by, now=now),
        lambda: actions.issue(quote=ready, by_email=False, by=by, now=now),
    ):
        with pytest.raises(NotAllowed):
            verb()


def test_a_form_sent_twice_opens_one_quote(clerk, book):
    enquiry = actions.Enquiry("X", QuoteFactory.build().asked, terms())
    opened = [actions.enquire(enquiry=enquiry, by=clerk, now=now, key="the same") for _ in range(2)]
    assert (opened[0].pk, Quote.objects.count()) == (opened[1].pk, 1)


def test_an_answer_after_the_quote_was_closed_is_kept(book, ask, work, service, clerk):
    quote = ask(HOME)
    claim = actions.take(quote.pk, now=now)
    actions.withdraw(quote=quote, reason="Rang off", by=clerk, now=now)
    with SupplyPoints() as points:
        actions.look_up(claim=claim, service=points, now=now)
    assert again(quote).closed_as == "withdrawn"
    assert LookUp.objects.for_case(quote).count() == 1
    assert PartnerCall.objects.for_case(quote).count() == 1


def test_a_cut_off_look_up_is_recorded_and_made_again(book, ask, work, service):
    quote = ask(HOME)
    assert actions.take(quote.pk, now=now)
    with time_machine.travel(now() + timedelta(minutes=2)):
        work()
    outcomes = set(PartnerCall.objects.for_case(quote).values_list("outcome", flat=True))
    assert outcomes == {"cut off", "answered"}
    assert again(quote).status == "ready"


# ---- What a person must look at ----------------------------------------------------------------


@pytest.mark.parametrize(
    "mprn", ["7000040507", "7000040608", "7000040709", "7000040810", "7000040900", "7000041105"]
)
def test_implausible_values_are_never_priced(mprn, book, ask, work, service, clerk):
    quote = ask(mprn)
    work()
    quote = again(quote)
    assert (quote.status, quote.held, quote.priced) == ("review", "implausible", "")
    assert quote.look_up.held
    with pytest.raises(actions.NotOffered):
        actions.accept_referral(quote=quote, reason="It will do", by=clerk, now=now)


def test_a_wrong_unit_is_implausible(book, ask, work, service):
    service.options(unit="kWh")
    quote = ask("9876543209")
    work()
    assert again(quote).held == "implausible"


def test_an_independent_network_goes_to_a_person_who_may_offer(book, ask, work, service, clerk):
    service.change(HOME, csep_id="CSEP42")
    quote = ask(HOME)
    work()
    quote = again(quote)
    assert (quote.status, quote.held) == ("review", "referral")
    assert "CSEP42" in quote.why
    with pytest.raises(NotAllowed, match="reason"):
        actions.accept_referral(quote=quote, reason=" ", by=clerk, now=now)
    actions.accept_referral(quote=quote, reason="Agreed with pricing", by=clerk, now=now)
    assert (again(quote).status, again(quote).held) == ("ready", "")


def test_without_a_price_book_nothing_is_priced(ask, work, service, clerk, db):
    quote = ask(HOME)
    work()
    quote = again(quote)
    assert (quote.status, quote.held) == ("review", "no_price")
    with pytest.raises(actions.NotOffered):
        actions.accept_referral(quote=quote, reason="It will do", by=clerk, now=now)


def test_a_missing_price_says_which(ask, work, service, db):
    PriceBookFactory(prices={})
    quote = ask(HOME)
    work()
    assert "SW, small" in again(quote).why


# ---- Issuing -----------------------------------------------------------------------------------


@pytest.fixture
def issued(ready, clerk):
    """The same quote, issued by e-mail."""
    actions.issue(quote=ready, by_email=True, by=clerk, now=now)
    return again(ready)


def test_an_issued_quote_is_a_pdf_that_waits_for_stop(issued, settings, work, mailoutbox):
    document = issued.document
    assert bytes(document.pdf).startswith(b"%PDF-")
    assert len(document.sha256) == 64
    assert issued.valid_until - issued.issued_at == timedelta(hours=settings.GASQUOTES_VALID_HOURS)
    work()
    assert mailoutbox == []
    work(until=now() + timedelta(seconds=settings.SEND_DELAY_SECONDS + 1))
    (sent,) = mailoutbox
    ((name, content, kind),) = sent.attachments
    assert (name, content, kind) == (
        f"{issued.reference}.pdf", bytes(document.pdf), "application/pdf",
    )  # fmt: skip
    assert sent.to == [issued.email]


def test_a_document_never_changes(issued):
    document = issued.document
    document.pdf = b"other"
    with pytest.raises(TypeError):
        document.save()
    with pytest.raises(TypeError):
        Document.objects.filter(pk=document.pk).update(pdf=b"other")
    with pytest.raises(TypeError):
        document.delete()


def test_stop_takes_it_back(issued, clerk, work, mailoutbox):
    email = Email.objects.get()
    assert actions.stop_issue(email, by=clerk, now=now())
    quote = again(issued)
    assert (quote.status, quote.document, quote.valid_until) == ("ready", None, None)
    assert Document.objects.for_case(quote).count() == 1
    assert not actions.stop_issue(email, by=clerk, now=now())
    work(until=now() + timedelta(days=4))
    assert (mailoutbox, again(quote).status) == ([], "ready")


def test_after_it_has_left_it_cannot_be_stopped(issued, clerk, work):
    work(until=now() + timedelta(minutes=1))
    assert not actions.stop_issue(Email.objects.get(), by=clerk, now=now())
    assert again(issued).status == "issued"


def test_issued_without_email_can_be_taken_back_for_a_moment(ready, clerk, settings):
    actions.issue(quote=ready, by_email=False, by=clerk, now=now)
    assert not Email.objects.exists()
    quote = again(ready)
    later = quote.issued_at + timedelta(seconds=settings.SEND_DELAY_SECONDS)
    with pytest.raises(actions.TooLate):
        actions.take_back(quote=quote, by=clerk, now=lambda: later)
    actions.take_back(quote=quote, by=clerk, now=now)
    assert again(quote).status == "ready"


def test_no_email_without_an_address(book, ask, work, service, clerk):
    quote = ask(HOME, email="")
    work()
    with pytest.raises(actions.NoAddress):
        actions.issue(quote=again(quote), by_email=True, by=clerk, now=now)
    assert again(quote).status == "ready"


def test_who_is_slower_issues_nothing(ready, clerk):
    stale = again(ready)
    actions.issue(quote=ready, by_email=False, by=clerk, now=now)
    with pytest.raises(Conflict):
        actions.issue(quote=stale, by_email=True, by=clerk, now=now)
    assert (Document.objects.count(), Email.objects.count()) == (1, 0)


# ---- The end -----------------------------------------------------------------------------------


def test_accepted_in_time(issued, clerk, work, mailoutbox):
    work(until=now() + timedelta(minutes=1))
    actions.accept(quote=issued, by=clerk, now=now, note="By phone")
    assert again(issued).status == "accepted"
    work(until=now() + timedelta(days=5))
    assert again(issued).status == "accepted"
    assert len(mailoutbox) == 2  # the quote, and that it is accepted


def test_not_before_the_quote_itself_has_left(issued, clerk):
    with pytest.raises(Conflict, match="has not left yet"):
        actions.accept(quote=issued, by=clerk, now=now)
    with pytest.raises(Conflict, match="has not left yet"):
        actions.decline(quote=issued, reason="Too dear", by=clerk, now=now)
    assert again(issued).status == "issued"


def test_it_lapses_by_itself_at_the_hour(issued, work, mailoutbox):
    work(until=issued.valid_until - timedelta(seconds=1))
    assert again(issued).status == "issued"
    work(until=issued.valid_until + timedelta(seconds=1))
    quote = again(issued)
    assert (quote.status, quote.closed_as) == ("closed", "lapsed")
    assert quote.status_at >= quote.valid_until
    assert len(mailoutbox) == 2


def test_a_lapsed_quote_is_not_accepted_before_the_portal_closed_it(issued, clerk):
    Email.objects.all().delete()
    late = issued.valid_until + timedelta(seconds=1)
    with pytest.raises(actions.Lapsed):
        actions.accept(quote=issued, by=clerk, now=lambda: late)
    issued.valid_until = late + timedelta(days=1)  # whatever the object in memory says
    with pytest.raises(Conflict):
        actions.accept(quote=issued, by=clerk, now=lambda: late)
    assert again(issued).status == "issued"


def test_declined_with_a_reason(issued, clerk, work):
    work(until=now() + timedelta(minutes=1))
    actions.decline(quote=issued, reason="Too dear", by=clerk, now=now)
    quote = again(issued)
    assert (quote.status, quote.closed_as, quote.why) == ("closed", "declined", "Too dear")


def test_a_new_quote_is_made_from_an_old_one(issued, clerk, work, service):
    work(until=issued.valid_until + timedelta(seconds=1))
    with time_machine.travel(issued.valid_until + timedelta(hours=1), tick=True):
        old = again(issued)
        new = actions.requote(quote=old, by=clerk, now=now, terms=terms(months=24))
        work()
        new = again(new)
    assert (new.requote_of, new.status, new.months) == (issued, "ready", 24)
    assert (new.look_up, len(service.log())) == (issued.look_up, 1)
    assert again(issued).price == issued.price


def test_a_quote_in_work_is_not_requoted(ask, clerk, db):
    with pytest.raises(actions.NoRequote):
        actions.requote(quote=ask(HOME), by=clerk, now=now)


def test_a_price_stays_as_it_was_made(ready, clerk, chief):
    before = ready.price
    PriceBookFactory(
        valid_from=timezone.localdate() + timedelta(days=800),
        valid_to=timezone.localdate() + timedelta(days=900),
    )
    assert again(ready).price == before
