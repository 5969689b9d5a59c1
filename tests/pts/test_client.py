"""The party's operations over HTTP: what goes out, and what every answer and fault comes to."""

import json
from decimal import Decimal

import pytest

from core.http import Party
from core.outcomes import LookUpFirst, Refused, Unavailable, Unexpected
from pts.client import ProductionTracking
from pts.messages import Line
from tests.factories.pts import OPEN

LINE = Line(fk_system=1000, meter_value=Decimal("202455.4"), meter_date="2026-11-29T09:00:00")
KEYS = "sandbox-pts-key", "sandbox-pts-subscription-key"


@pytest.fixture
def party(production):
    production.options(systems=60)
    production.at(OPEN)
    return production


@pytest.fixture
def tracking(party):
    with ProductionTracking() as client:
        yield client


@pytest.fixture
def hasty(party, settings):
    """A client that waits half a second."""
    secret = {"Ocp-Apim-Subscription-Key": settings.PTS_SUBSCRIPTION_KEY}
    with ProductionTracking(
        Party(name="Production tracking", base_url=settings.PTS_API_URL, secret_headers=secret,
              read_timeout=0.4, deadline=0.8, reply_limit=100_000)
    ) as client:  # fmt: skip
        yield client


def asks(client):
    return {
        "GetSystems": client.get_systems,
        "GetLastReading": client.get_last_readings,
        "GetSubmissionStatus": lambda: client.get_submission_status([1000]),
        "ARPostTest": lambda: client.post_test([LINE], notes="n"),
        "ARPost": lambda: client.post([LINE], notes="n"),
    }


OPERATIONS = ("GetSystems", "GetLastReading", "GetSubmissionStatus", "ARPostTest", "ARPost")


def outcome_of(client, operation):
    with pytest.raises((Refused, Unavailable, Unexpected)) as caught:
        asks(client)[operation]()
    assert caught.value.sentence
    assert caught.value.call is not None
    for key in KEYS:
        assert key not in str(caught.value.call)
    return caught.value


# ---- What goes out -----------------------------------------------------------------------------


def test_all_systems_and_some(tracking, party):
    assert len(tracking.get_systems().items) == 60
    assert [each.fk_system for each in tracking.get_systems([1001, 1000]).items] == [1000, 1001]
    assert len(tracking.get_last_readings(range(1000, 1055)).items) == 55
    methods = [row["method"] for row in party.log()]
    assert methods == ["GET", "GET", "POST"]


def test_both_headers_and_the_key_in_the_body(tracking, party):
    receipt = tracking.post([LINE], notes="November")
    assert receipt.errors == {}
    (row,) = party.log("/ARPost")
    headers = {name.lower(): value for name, value in row["headers"].items()}
    assert headers["ocp-apim-trace"] == "true"
    assert party.submissions(1000)[0]["MeterValue"] == 202455.4


def test_a_test_saves_nothing(tracking, party):
    tracking.post_test([LINE], notes="")
    assert party.submissions(1000) == []


def test_a_status_is_a_get_with_a_body(tracking, party):
    tracking.post([LINE], notes="")
    (standing,) = tracking.get_submission_status([1000, 1001]).items
    assert (standing.fk_system, standing.meter_value) == (1000, Decimal("202455.4"))
    assert party.log("/GetSubmissionStatus")[0]["method"] == "GET"


def test_what_is_kept_has_no_key(tracking):
    calls = [answer().call for answer in asks(tracking).values()]
    for call in calls:
        assert not any(key in str(call) for key in KEYS)
    kept = json.loads(calls[-1].request_body)
    assert kept["APIKey"] == "[removed]"
    assert kept["systems"][0]["MeterValue"] == 202455.4


def test_errors_stay_with_their_systems(tracking, party):
    party.system(1001, behaviours=["post_error"])
    other = Line(fk_system=1001, meter_value=Decimal(1), meter_date="2026-11-29T09:00:00")
    receipt = tracking.post_test([LINE, other], notes="")
    assert receipt.errors.keys() == {1001}


# ---- Every fault -------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_bad_key_is_our_configuration(party, settings, operation):
    settings.PTS_SUBSCRIPTION_KEY = "wrong"
    with ProductionTracking() as client:
        problem = outcome_of(client, operation)
    assert (type(problem), problem.code) == (Refused, "400")
    assert "PTS_API_KEY" in problem.next_step


@pytest.mark.parametrize("operation", ["ARPostTest", "ARPost"])
def test_a_bad_key_in_the_body_is_our_configuration(party, settings, operation):
    settings.PTS_API_KEY = "wrong"
    with ProductionTracking() as client:
        assert outcome_of(client, operation).code == "400"


@pytest.mark.parametrize("operation", ["ARPostTest", "ARPost"])
@pytest.mark.parametrize("fault", ["400", "400_html"])
def test_a_bad_request_is_read_from_its_words(tracking, party, operation, fault):
    party.fault(fault)
    problem = outcome_of(tracking, operation)
    assert isinstance(problem, Refused)
    said_nothing_of_it = operation == "ARPost" and problem.code == "400"
    assert problem.code == "bad request" or said_nothing_of_it


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("fault", "outcome"), [
    ("404", Refused), ("429", Unavailable), ("500", Unavailable), ("reset", Unavailable),
    ("cut", Unavailable), ("close", Unavailable), ("hang", Unavailable), ("drip_all", Unavailable),
])  # fmt: skip
def test_faults(hasty, party, operation, fault, outcome):
    party.fault(fault)
    problem = outcome_of(hasty, operation)
    assert isinstance(problem, outcome)
    may_have_arrived = operation == "ARPost" and fault not in {"404", "429"}
    assert isinstance(problem, LookUpFirst) == may_have_arrived


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_refused_connection_proves_that_nothing_was_sent(party, operation):
    party.fault("refuse")
    with ProductionTracking() as client:
        problem = outcome_of(client, operation)
    assert (type(problem), problem.sent) == (Unavailable, False)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", ["html", "truncated", "redirect", "big"])
def test_replies_that_are_neither_yes_nor_no(hasty, party, operation, fault):
    party.fault(fault)
    problem = outcome_of(hasty, operation)
    assert isinstance(problem, Unexpected | LookUpFirst)
    if operation != "ARPost":
        assert isinstance(problem, Unexpected)


@pytest.mark.parametrize("fault", ["lost", "done_500"])
def test_a_lost_answer_says_to_look_first(tracking, party, fault):
    party.fault(fault)
    assert isinstance(outcome_of(tracking, "ARPost"), LookUpFirst)
    party.mend()
    assert len(party.submissions(1000)) == 1


@pytest.mark.parametrize(
    "behaviour", ["error", "wrong_types", "nulls", "missing", "spaces", "extra", "twice"]
)
def test_one_odd_system_harms_no_other(tracking, party, behaviour):
    party.system(1001, behaviours=[behaviour])
    for answer in (tracking.get_systems(), tracking.get_last_readings()):
        assert {each.fk_system for each in answer.items} >= set(range(1002, 1060))
