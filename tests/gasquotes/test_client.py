"""The client against the played service: three envelopes, both gateways, faults on the line."""

from decimal import Decimal

import pytest

from core.outcomes import Unavailable, Unexpected
from gasquotes.client import NotNow, SaidNo, SupplyPoints
from gasquotes.codes import Lead
from gasquotes.messages import Filter
from tests.gasquotes.conftest import HOME, KEY

ASKED = Filter(mprn=HOME)


def look_up(asked=ASKED):
    with SupplyPoints() as points:
        return points.quantities(asked)


def problem(asked=ASKED):
    with pytest.raises((SaidNo, Unavailable, Unexpected)) as raised:
        look_up(asked)
    return raised.value


def test_a_point_by_mprn_address_key_and_postcode(service):
    for asked in (ASKED, Filter(address_id="1700000802"), Filter(postcode="nx32af")):
        answer = look_up(asked)
        assert answer.point.mprn == HOME
        assert answer.point.current_formula_year_aq_value == Decimal("0.012")
        assert answer.call.outcome == "answered"
    assert len(service.log()) == 3


def test_the_key_is_sent_and_never_kept(service):
    answer = look_up()
    assert KEY not in repr(answer.call)
    assert answer.call.request_headers == {"APIKey": "[removed]"}
    assert '"postcode": "NX3 2AF"' in answer.call.reply_body


@pytest.mark.parametrize("envelope", ["classic", "newer"])
@pytest.mark.parametrize(
    ("answer", "lead"),
    [
        ("e002", Lead.REFUSED),
        ("e007", Lead.REVIEW),
        ("e008", Lead.ADDRESS),
        ("ThreatDetected", Lead.REVIEW),
        ("InvalidApiKey", Lead.STOP_KEY),
        ("FailedToResolveAPIKey", Lead.STOP_KEY),
        ("custom.config.2", Lead.STOP_KEY),
        ("QuotaViolation", Lead.STOP_QUOTA),
        ("SpikeArrestViolation", Lead.SLOW_DOWN),
        ("e010", Lead.RETRY),
        ("500", Lead.RETRY),
    ],
)
def test_codes_behind_both_gateways(answer, lead, envelope, service):
    service.options(envelope=envelope)
    service.answer(HOME, answer)
    outcome = problem()
    assert outcome.meaning.lead is lead
    assert isinstance(outcome, NotNow if outcome.meaning.retry else SaidNo)
    assert outcome.call.outcome == outcome.name
    assert outcome.sentence
    assert outcome.next_step


def test_a_wrong_key(service, settings):
    settings.GASQUOTES_API_KEY = "wrong"
    assert problem().meaning.lead is Lead.STOP_KEY


@pytest.mark.parametrize(
    "answer",
    ["another", "html", "wrong_types", "truncated", "nothing", "null", "object_empty", "nan",
     "list_of_two", "unknown_code"],
)  # fmt: skip
def test_what_is_not_promised_is_neither_yes_nor_no(answer, service):
    service.answer(HOME, answer)
    outcome = problem()
    assert isinstance(outcome, Unexpected)
    assert outcome.call.outcome == "unexpected"


@pytest.mark.parametrize("fault", ["reset", "cut", "refuse"])
def test_a_lost_answer_may_be_asked_for_again(fault, service):
    service.fault(fault, calls=None if fault == "refuse" else 1)
    assert isinstance(problem(), Unavailable | Unexpected)
    service.mend()
    assert look_up().point.mprn == HOME


def test_what_they_would_refuse_is_not_sent(service):
    outcome = problem(Filter())
    assert (outcome.meaning.lead, outcome.call) == (Lead.ADDRESS, None)
    assert outcome.sentence.startswith("Not sent.")
    assert service.log() == []
