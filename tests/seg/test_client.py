"""The registry's client against the played registry over HTTP: answers, faults, what is kept."""

import json
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from urllib.parse import quote

import pytest

from core.outcomes import Kind, Refused, Unavailable, Unexpected
from sandbox.faults import FAULTS
from seg.client import GET_INSTALLATION, InstallationRegistry

NUMBER = "MCS-01109073-U"
USER, TOKEN = "sandbox@example.org", "sandbox-registry-token"
PREFIX = "/registry/GetInstallation/"


@pytest.fixture
def client(registry):
    with InstallationRegistry() as client:
        yield client


@pytest.fixture
def hasty(registry, settings):
    """A client that gives up soon."""
    settings.SEG_READ_TIMEOUT, settings.SEG_DEADLINE = 0.3, 0.6
    with InstallationRegistry() as client:
        yield client


def raised(client, number=NUMBER):
    with pytest.raises((Refused, Unavailable, Unexpected)) as caught:
        client.get_installation(number)
    return caught.value


def is_free_of_secrets(call):
    text = json.dumps(asdict(call), default=str)
    return USER not in text and TOKEN not in text


# ---- What the specification promises ---------------------------------------------------------


def test_a_certificate_is_read_property_by_property(client, registry):
    found = client.get_installation(NUMBER).installation
    said = registry.certificate(NUMBER)["certificate"]
    assert (found.certificate, found.status, found.technology) == (NUMBER, 2, 10)
    assert found.mpan == said["MPAN"]
    assert found.postcode == said["Postcode"]
    assert found.total_capacity == Decimal("3.68")
    assert found.commissioning_date == date(2023, 4, 18)
    assert found.created_at is not None


def test_the_call_is_recorded(client):
    call = client.get_installation(NUMBER).call
    assert (call.party, call.operation) == ("Installation registry", "GetInstallation")
    assert (call.kind, call.outcome, call.http_status) == (Kind.READ, "answered", 200)
    assert call.request_line == f"GET /GetInstallation/{NUMBER}"
    assert call.request_headers == {"User": "[removed]", "Authorisation": "[removed]"}
    assert (call.problem, call.request_body, call.reply_unread) == ("", "", "")
    assert len(call.reply_sha256) == 64
    assert call.reply_size > 100
    assert call.duration_ms < 10_000
    assert is_free_of_secrets(call)


def test_both_headers_arrive_as_the_specification_spells_them(client, registry):
    client.get_installation(NUMBER)
    (received,) = registry.log()
    assert {"User", "Authorisation"} <= set(received["headers"])
    assert (received["method"], received["credentials"]) == ("GET", True)


def test_400_means_no_such_certificate(client):
    answer = client.get_installation("MCS-00000000-A")
    assert answer.installation is None
    assert (answer.call.outcome, answer.call.http_status) == ("answered", 400)


def test_an_empty_list_means_no_such_certificate(client):
    assert client.get_installation("MCS-70000073-E").installation is None


def test_a_list_of_one_is_accepted(client):
    assert client.get_installation("MCS-70000072-D").installation.certificate == "MCS-70000072-D"


@pytest.mark.parametrize(
    ("setting", "value"), [("SEG_API_TOKEN", "not-this-one"), ("SEG_API_USER", "stranger@x.test")]
)
def test_wrong_credentials_are_our_fault_and_are_kept_nowhere(registry, settings, setting, value):
    setattr(settings, setting, value)
    with InstallationRegistry() as client:
        problem = raised(client)
    assert isinstance(problem, Refused)
    assert problem.code == "401"
    assert "SEG_API_TOKEN" in problem.next_step
    assert value not in json.dumps(asdict(problem.call), default=str)


def test_a_wrong_address_is_our_fault(registry, settings):
    settings.SEG_API_URL += "/v2"
    with InstallationRegistry() as client:
        problem = raised(client)
    assert isinstance(problem, Refused)
    assert problem.code == "404"
    assert "SEG_API_URL" in problem.next_step


# ---- What it may send instead ----------------------------------------------------------------

NOT_PROMISED = {
    "MCS-70000007-H": "Status is missing",
    "MCS-70000034-M": "CommissioningDate is not a date",
    "MCS-70000074-F": "another certificate",
    "MCS-70000076-H": "lists 2 installations",
}
# fault: outcome, HTTP status in the record, words of the sentence
OUTCOMES = {
    "slow": (Unavailable, None, "within 0.3 seconds"),
    "drip": (Unavailable, 200, "within 0.6 seconds"),
    "drip_all": (Unavailable, None, "within 0."),
    "hang": (Unavailable, None, "within 0.3 seconds"),
    "401": (Refused, 401, "does not accept our user name and token"),
    "404": (Refused, 404, "does not know the address"),
    "429": (Unavailable, 429, "HTTP 429"),
    "500": (Unavailable, 500, "HTTP 500"),
    "html": (Unexpected, 200, "not JSON"),
    "empty": (Unexpected, 200, "empty"),
    "truncated": (Unexpected, 200, "not JSON"),
    "cut": (Unavailable, 200, "closed the connection"),
    "wrong_types": (Unexpected, 200, "is not"),
    "wrong_number": (Unexpected, 200, "another certificate"),
    "big": (Unexpected, 200, "larger than 2048 kB"),
    "redirect": (Unexpected, 302, "redirect"),
    "reset": (Unavailable, None, "closed the connection"),
    "close": (Unavailable, None, "closed the connection"),
    "refuse": (Unavailable, None, "nothing was sent"),
}
SECONDS = {"slow": 2, "hang": 2, "drip": 0.2, "drip_all": 0.2}


def test_every_fault_of_the_sandbox_is_here():
    assert set(FAULTS) == {*OUTCOMES, "400", "400_html"}


@pytest.mark.parametrize("fault", OUTCOMES)
def test_what_a_fault_comes_to(fault, client, hasty, registry):
    kind, status, words = OUTCOMES[fault]
    registry.fault(fault, seconds=SECONDS.get(fault))
    problem = raised(hasty if fault in SECONDS else client)
    assert type(problem) is kind
    assert words in problem.sentence
    assert problem.next_step.endswith((".", "!"))
    assert (problem.call.outcome, problem.call.http_status) == (kind.name, status)
    assert problem.call.problem
    assert is_free_of_secrets(problem.call)


@pytest.mark.parametrize("fault", ["400", "400_html"])
def test_a_400_says_that_there_is_no_such_certificate(fault, client, registry):
    registry.fault(fault)
    assert client.get_installation(NUMBER).installation is None


def test_what_was_certainly_not_sent_is_known(client, registry):
    registry.fault("refuse")
    assert raised(client).sent is False
    registry.mend()
    registry.fault("reset")
    assert raised(client).sent is True


@pytest.mark.parametrize("number", NOT_PROMISED)
def test_what_is_not_promised_is_neither_yes_nor_no(number, client):
    problem = raised(client, number)
    assert type(problem) is Unexpected
    assert NOT_PROMISED[number] in problem.sentence
    assert problem.call.http_status == 200


def test_429_says_when_to_come_back(client, registry):
    registry.fault("429", retry_after=17)
    assert raised(client).retry_after == 17


def test_a_redirect_is_not_followed(client, registry):
    registry.fault("redirect", calls=1)
    raised(client)
    assert [entry["path"] for entry in registry.log()] == [PREFIX + NUMBER]


def test_after_a_fault_the_same_client_goes_on(client, registry):
    for fault in ("reset", "cut", "big", "close", "html"):
        registry.fault(fault, calls=1)
        raised(client)
    assert client.get_installation(NUMBER).installation.certificate == NUMBER


# ---- What leaves and what is kept ------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [
        "../../control/log",
        "..%2F..%2Fcontrol",
        "MCS 01109073 U",
        "MCS-01109073-U?x=1",
        "MCS-01109073-U#x",
        "MCS/01109073/U",
        "{number}",
        "MCS-01109073-Ü",
        "a\r\nUser: other",
        "%2e%2e",
        "\\..\\x",
    ],
)
def test_a_number_cannot_leave_its_place_in_the_path(number, client, registry):
    try:
        assert client.get_installation(number).installation is None
    except Refused as problem:  # the sandbox reads an encoded slash as a slash: no such call
        assert "/" in number or "%2F" in number, problem
    (received,) = registry.log()
    assert received["path"] == PREFIX + quote(number, safe="")
    assert received["credentials"] is True


@pytest.mark.parametrize("number", ["..", ".", ""])
def test_a_number_of_dots_reaches_no_other_address(number, client, registry):
    with pytest.raises(ValueError, match="only dots"):
        client.get_installation(number)
    assert registry.log() == []


def test_only_listed_properties_are_kept(client):
    answer = client.get_installation("MCS-70000075-G")
    kept = json.loads(answer.call.reply_body)
    assert kept["InverterSerialNumber"] == "[removed]"
    assert kept["Links"] == [{"rel": "[removed]"}]
    listed = {
        name for name, value in kept.items() if value not in ("[removed]", [{"rel": "[removed]"}])
    }
    assert listed == set(GET_INSTALLATION.keep_reply)


def test_every_property_of_the_specification_is_kept(registry):
    assert set(registry.certificate(NUMBER)["certificate"]) == set(GET_INSTALLATION.keep_reply)


def test_a_page_that_could_not_be_read_is_kept_apart(client, registry):
    registry.fault("html")
    call = raised(client).call
    assert call.reply_body == ""
    assert "Maintenance" in call.reply_unread


def test_only_listed_headers_are_kept(client):
    headers = client.get_installation(NUMBER).call.reply_headers
    assert {name.lower() for name in headers} <= {
        "content-type", "content-length", "date", "retry-after", "server",
    }  # fmt: skip


def test_a_whole_call_ends_before_its_lease(settings):
    from seg.models import VERIFY, VERIFY_AGAIN

    shortest = min(queue.lease.total_seconds() for queue in (VERIFY, VERIFY_AGAIN))
    assert settings.SEG_READ_TIMEOUT <= settings.SEG_DEADLINE < shortest - 10
