"""What answers without a record mean, and where each of them leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import messages
from gasquotes.codes import MEANINGS, Lead, meaning
from gasquotes.messages import FAULT_STRINGS, Said

LEADS = {
    "400": Lead.REVIEW,
    "steps.regexprotection.ThreatDetected": Lead.REVIEW,
    "steps.oauth.v2.FailedToResolveAPIKey": Lead.STOP_KEY,
    "oauth.v2.InvalidApiKey": Lead.STOP_KEY,
    "policies.custom.config.1": Lead.STOP_KEY,
    "policies.custom.config.2": Lead.STOP_KEY,
    "policies.custom.config.3": Lead.STOP_KEY,
    "policies.ratelimit.SpikeArrestViolation": Lead.SLOW_DOWN,
    "policies.ratelimit.QuotaViolation": Lead.STOP_QUOTA,
    "e001": Lead.ADDRESS,
    "e002": Lead.REFUSED,
    "e003": Lead.REFUSED,
    "e004": Lead.REFUSED,
    "e005": Lead.REFUSED,
    "e006": Lead.REFUSED,
    "e007": Lead.REVIEW,
    "e008": Lead.ADDRESS,
    "e009": Lead.ADDRESS,
    "e010": Lead.RETRY,
    "e011": Lead.ADDRESS,
}
RETRIED = {"policies.ratelimit.SpikeArrestViolation", "e010"}


def said(code="", status=500, text=""):
    return Said(code=code, text=text, status=status)


def test_every_documented_code_has_its_lead():
    assert {code: each.lead for code, each in MEANINGS.items()} == LEADS
    assert set(FAULT_STRINGS) <= set(MEANINGS)


@pytest.mark.parametrize("code", FAULT_STRINGS)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_the_code_decides_whatever_the_status(code, status):
    found = meaning(said(code, status))
    assert found.lead is LEADS[code]
    assert found.retry is (code in RETRIED)


@pytest.mark.parametrize("found", MEANINGS.values(), ids=MEANINGS)
def test_every_meaning_can_be_read(found):
    assert found.sentence.endswith(".")
    assert found.next_step.endswith(".")
    assert len(found.next_step) <= 300
    assert len(found.code) <= 60
    assert bool(found.customer_reason) is (found.lead is Lead.REFUSED)
    assert found.code not in found.customer_reason


def test_refusals_differ_for_the_customer():
    reasons = [each.customer_reason for each in MEANINGS.values() if each.customer_reason]
    assert len(set(reasons)) == 5


@pytest.mark.parametrize(
    ("status", "lead"),
    [
        (400, Lead.REVIEW),
        (401, Lead.STOP_KEY),
        (403, Lead.STOP_KEY),
        (404, Lead.STOP_KEY),
        (405, Lead.REVIEW),
        (408, Lead.RETRY),
        (429, Lead.SLOW_DOWN),
        (500, Lead.RETRY),
        (502, Lead.RETRY),
        (503, Lead.RETRY),
        (200, Lead.REVIEW),
    ],
)
def test_only_the_status_is_known(status, lead):
    assert meaning(said(status=status)).lead is lead


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_foreign_code_goes_to_a_person_and_is_not_repeated(status):
    found = meaning(said("policies.new.Thing", status, "It is new."))
    assert (found.lead, found.retry) == (Lead.REVIEW, False)
    assert "policies.new.Thing" in found.sentence
    assert "“It is new.”" in found.sentence


def test_their_words_fit_where_a_case_says_why():
    found = meaning(said("x" * 60, 500, "y" * 400))
    assert 250 < len(found.sentence) <= 300


def test_a_foreign_code_about_the_key_is_about_the_key():
    assert meaning(said("oauth.v2.Other", 401)).lead is Lead.STOP_KEY


@given(st.text(max_size=60), st.integers(100, 599), st.text(max_size=400))
def test_everything_has_a_meaning(code, status, text):
    found = meaning(said(code, status, text))
    assert 0 < len(found.sentence) <= 300
    assert 0 < len(found.next_step) <= 300
    assert found.code


def test_both_keys_are_one_meaning():
    one, other = MEANINGS[messages.KEY], MEANINGS[messages.INVALID_KEY]
    assert one.sentence == other.sentence
