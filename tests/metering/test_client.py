"""The service's client against the played service over HTTP: answers, faults, what is kept."""

import json
from dataclasses import asdict
from uuid import uuid4

import pytest

from core.outcomes import Kind, LookUpFirst, Outcome, Refused, Unavailable, Unexpected
from metering.client import MeterCommunications
from metering.messages import CollectionRequest
from sandbox.faults import FAULTS

PASSWORD, TOKEN = "Planted-4711", "token-that-nobody-may-read-anywhere"
TIMEOUTS = {"slow", "drip", "drip_all", "hang"}


@pytest.fixture
def client(paused):
    with MeterCommunications() as client:
        yield client


@pytest.fixture
def hasty(paused):
    """A client that gives up soon."""
    with MeterCommunications() as client:
        party = client._session.party
        object.__setattr__(party, "read_timeout", 0.3)
        object.__setattr__(party, "deadline", 0.6)
        yield client


def wanted(**changes):
    return CollectionRequest(
        **{
            "request_reference": str(uuid4()),
            "response_url": f"http://127.0.0.1:9/metering/results/{TOKEN}",
            "mpan": "1012345678903",
            "priority": 5,
            "meter_type": "ELSTER_A1700",
            "remote_address": "07700900001",
            "password": PASSWORD,
            **changes,
        }
    )


def is_free_of_secrets(*things):
    texts = [
        json.dumps(asdict(each), default=str) if not isinstance(each, str) else each
        for each in things
    ]
    return not any(secret in text for text in texts for secret in (PASSWORD, TOKEN))


def operations(client, reference):
    return {
        "collection-request": lambda: client.request_collection(
            wanted(request_reference=reference)
        ),
        "collection-cancel": lambda: client.cancel_collection(reference),
        "collection-status": lambda: client.find_collection(reference),
        "service-status": client.service_status,
    }


# ---- What the specification promises ------------------------------------------------------------


def test_a_collection_is_asked_for_with_every_parameter(client, paused):
    asked = wanted(coms_settings="7E1", outstation_address="1", survey_days=3, adjust_time=True)
    call = client.request_collection(asked).call
    (got,) = paused.collections()
    assert got["requestReference"] == asked.request_reference
    assert (got["mpan"], got["responseUrl"]) == (asked.mpan, asked.response_url)
    assert (call.party, call.operation) == ("Meter communications", "collection-request")
    assert (call.kind, call.outcome, call.http_status) == (Kind.REPEATABLE, "answered", 200)
    assert '"mpan": "1012345678903"' in call.request_body
    assert is_free_of_secrets(call)


def test_a_cancellation_is_a_delete_with_a_body(client, paused):
    asked = wanted()
    client.request_collection(asked)
    call = client.cancel_collection(asked.request_reference).call
    assert (call.operation, call.outcome) == ("collection-cancel", "answered")
    assert paused.log()[-1]["method"] == "DELETE"
    assert paused.collections()[0]["state"] == "cancelled"


def test_a_collection_is_looked_up_by_query_string(client, paused):
    asked = wanted()
    client.request_collection(asked)
    found = client.find_collection(asked.request_reference)
    assert json.loads(found.body)["result"] == "PENDING"
    assert json.loads(found.body)["password"] == PASSWORD
    assert found.call.request_line.startswith("GET /collection-status?requestReference=")
    assert is_free_of_secrets(found.call)


def test_404_is_no_such_collection(client):
    found = client.find_collection(str(uuid4()))
    assert (found.body, found.call.http_status, found.call.outcome) == (None, 404, "answered")


def test_the_services_own_status(client):
    alive = client.service_status()
    assert alive.status.is_ok
    assert alive.call.outcome == "answered"


def test_a_refusal_is_their_sentence(client):
    with pytest.raises(Refused, match="Meter type is not recognised") as refused:
        client.request_collection(wanted(meter_type="STEAM_ENGINE"))
    assert (refused.value.code, refused.value.call.outcome) == ("400", "refused")
    assert refused.value.next_step
    assert is_free_of_secrets(refused.value.call)


def test_what_breaks_the_parameter_table_is_not_sent(client, paused):
    with pytest.raises(Refused, match=r"^Not sent\. remoteAddress") as refused:
        client.request_collection(wanted(remote_address="0770"))
    assert refused.value.call is None
    assert paused.log() == []


def test_an_unknown_reference_cannot_be_cancelled(client):
    with pytest.raises(Refused, match="No collection with this request reference is known"):
        client.cancel_collection(str(uuid4()))


def test_a_reference_is_accepted_once(client, paused):
    asked = wanted()
    client.request_collection(asked)
    with pytest.raises(Refused, match="unique"):
        client.request_collection(asked)
    assert len(paused.collections()) == 1


def test_a_refusal_that_repeats_the_password_is_told_without_it(client, monkeypatch):
    from metering import client as module

    monkeypatch.setattr(
        module.messages, "read_details", lambda _: f"password {PASSWORD} or {TOKEN} is odd"
    )
    with pytest.raises(Refused) as refused:
        client.request_collection(wanted(meter_type="STEAM_ENGINE"))
    assert is_free_of_secrets(
        refused.value.sentence, str(refused.value), refused.value.call, refused.value.next_step
    )


# ---- What it may send instead ------------------------------------------------------------------

# fault: outcome of something that changes (request, cancel), outcome of something that is read
OUTCOMES = {
    **dict.fromkeys(
        ("slow", "drip", "drip_all", "hang", "cut", "reset"), (LookUpFirst, Unavailable)
    ),
    "close": (LookUpFirst, Unavailable),
    "429": (Unavailable, Unavailable),
    "500": (Unavailable, Unavailable),
    "400": (Refused, Refused),
    "400_html": (Refused, Refused),
    "404": (Refused, None),
    **dict.fromkeys(
        ("401", "html", "empty", "truncated", "wrong_types", "redirect"), (Unexpected, Unexpected)
    ),
    "wrong_number": (Unexpected, Unexpected),
    "big": (None, None),
}


def test_every_fault_is_decided_on():
    assert set(OUTCOMES) | {"refuse"} == set(FAULTS)


@pytest.mark.parametrize(
    "operation", ["collection-request", "collection-cancel", "collection-status"]
)
@pytest.mark.parametrize("fault", OUTCOMES)
def test_every_fault_is_an_outcome(hasty, paused, fault, operation):
    reference = str(uuid4())
    hasty.request_collection(wanted(request_reference=reference))
    expected = OUTCOMES[fault][operation == "collection-status"]
    paused.fault(fault, seconds=2)
    named = str(uuid4()) if operation == "collection-request" else reference
    run = operations(hasty, named)[operation]
    if expected is None:
        assert run().call.outcome == "answered"
        return
    with pytest.raises(Outcome) as caught:
        run()
    problem = caught.value
    assert type(problem) is expected, problem.sentence
    assert problem.sentence
    assert problem.call.outcome == problem.name
    assert is_free_of_secrets(problem.call, problem.sentence, problem.next_step)
    if fault == "429":
        assert problem.retry_after == 30


@pytest.mark.parametrize("fault", ["500", "html", "empty", "truncated", "hang"])
def test_the_services_status_fails_as_it_should(hasty, paused, fault):
    paused.fault(fault, seconds=2)
    with pytest.raises((Unavailable, Unexpected)):
        hasty.service_status()


def test_a_refused_connection_proves_that_nothing_was_sent(client, paused):
    paused.fault("refuse")
    for run in operations(client, str(uuid4())).values():
        with pytest.raises(Unavailable) as caught:
            run()
        assert caught.value.sent is False
        assert type(caught.value) is Unavailable
    paused.mend()
    assert paused.collections() == []


def test_what_was_done_although_the_answer_was_lost_is_looked_up(client, paused):
    asked = wanted()
    paused.fault("lost", calls=1)
    with pytest.raises(LookUpFirst) as caught:
        client.request_collection(asked)
    assert caught.value.sent
    assert client.find_collection(asked.request_reference).body is not None


@pytest.mark.parametrize("fault", ["html", "wrong_number", "truncated", "empty"])
def test_a_document_about_something_else_is_not_taken_for_ours(client, paused, fault):
    asked = wanted()
    client.request_collection(asked)
    paused.fault(fault)
    with pytest.raises(Unexpected):
        client.find_collection(asked.request_reference)
