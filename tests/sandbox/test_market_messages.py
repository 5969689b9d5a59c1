"""The played Safe Isolation Provider service against the text of its document, version 4."""

import base64
import copy
import http.client
import json
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from sandbox.faults import ANSWER_FAULTS, DOING_FAULTS, FAULTS
from sandbox.parties.market_messages import MarketMessages
from sandbox.parties.market_messages.limit import Limit
from sandbox.parties.market_messages.samples import JPEG, PNG, SAMPLES
from sandbox.server import start

PARTY = "market-messages"
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sandbox-sip-key"}
WAIT = 10
# The examples of sections 4.2.1 to 4.2.7, which do not make one consistent job.
EXAMPLES = {
    "job_details": {
        "job_id": "87d00eff-42b5-40a6-bf69-abcb66f054ff",
        "mpan": "1129383838383",
        "supplier_mpid": "TEST",
        "contact_name": "Mr Bob Smith",
        "address": "Flat 1, 25 Spear Building, High Street",
        "town": "Coventry",
        "post_code": "CV5 4DD",
        "contact_telephone": "07737374773",
        "customer_vulnerability": "Children over 5",
        "site_risk": "Verbally abusive",
    },
    "customer_contact": {
        "contact_made": True,
        "call_outcome": "Customer confirmed",
        "arrived_on_site": True,
        "able_to_access_property": True,
        "critical_medical_equipment": True,
        "critical_medical_equipment_info": "Feeding machine.",
        "third_party_presence": True,
        "third_party_presence_info": "Carer required to be on site.",
        "prevented_to_proceed": "Critical Medical Equipment",
    },
    "risk_assessment": {
        "engineer_competent": True,
        "suitable_environment": True,
        "suitable_heights": True,
        "site_risk_list": ["No risk identified"],
        "safe_to_continue": True,
        "meter_access_clear": True,
        "site_energised": False,
        "energisation_only_job": True,
    },
    "meter": {
        "serial_number": "L1282738282",
        "location": "A",
        "reading_available": "Yes",
        "no_of_rates": "09",
        "number_of_dials": 5,
        **{f"rate_{rate}_reading": "28933" for rate in range(1, 10)},
        "smart_meter": True,
        "comms_state": "Flashing every 5 seconds",
        "photo": PNG,
    },
    "site_safety": {
        "polarity_test_passed": True,
        "dno_issue": "B",
        "dno_code_a": "A05",
        "dno_code_b": "B01",
        "dno_code_c": "C02",
        "dno_comment": "DNO issue on site.",
        "metering_equipment_issues": "22",
        "meter_issue_comment": "Metering issue on site.",
        "tampering_code": "15",
        "tamper_comment": "Metering issue on site.",
        "consumer_issue": True,
        "consumer_issue_type": "Category EA issues",
        "can_continue": True,
    },
    "job_execution": {
        "pre_job_photo": JPEG,
        "action_required": "Install Isolator",
        "site_de_energised": True,
        "de_energisation_time": "2025-01-08T12:05:00.000Z",
        "site_re_energised": True,
        "re_energisation_time": "2025-01-08T12:05:00.000Z",
        "fuse_resealed": True,
        "post_resealing_photo": JPEG,
        "isolator_fitted": False,
        "isolator_failure_reason": "Damaged initial isolator, no spare on van.",
        "meter_tails_upgraded": True,
        "meter_tails_supplier": "Own company",
        "polarity_test_passed": True,
        "comms_state": "Flashing every 5 seconds",
        "post_job_photo": JPEG,
    },
    "job_completion": {
        "outcome": "Aborted",
        "date_of_action": "2025-01-28",
        "abort_category": "Supply Issues",
        "abort_engineer_risk_equipment": "52",
        "abort_meter_equipment": "39",
        "abort_access": "20",
        "abort_safety": "23",
        "abort_supply": "04",
        "abort_tampering": "11",
        "notices_issued": "Not Applicable",
        "job_notes": "Job aborted, supply issues",
    },
}
ALWAYS = ("job_details", "customer_contact", "job_completion")
REQUIRED = (
    "job_id", "mpan", "supplier_mpid", "contact_name", "address", "town", "post_code",
    "contact_telephone",
)  # fmt: skip
# What a gateway or a network does to a call, and whether the message was accepted all the same.
# The status is None where no answer arrives.
BEFORE = {
    "hang": None, "reset": None, "close": None, "closed": None, "refuse": None, "401": 401,
    "403": 403, "404": 404, "408": 408, "429": 429, "429_bare": 429, "500": 500, "503": 503,
    "400": 400, "400_html": 400, "html": 200, "empty": 200, "redirect": 302, "wrong_number": 200,
}  # fmt: skip
AFTER = {
    "lost": None, "done_hang": None, "done_closed": None, "done_408": 408, "done_500": 500,
    "done_504": 504, "done_redirect": 302, "done_html": 200, "done_empty": 200, "truncated": 200,
    "cut": None, "wrong_types": 200, "big": 200, "slow": 200, "drip": 200, "drip_all": 200,
    "late_doing": 200,
}  # fmt: skip


def until(condition):
    """Wait for a condition; fail when it does not come."""
    ends = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


class Service:
    """Sends messages to the played service, and reads its control calls."""

    def __init__(self, caller) -> None:
        self.caller = caller
        self.url = f"{caller.sandbox.shared_url(PARTY)}/v4/sip"
        self.own_url = f"{caller.sandbox.party_url(PARTY)}/v4/sip"

    def post(self, message, headers=HEADERS, *, url=""):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.caller.send("POST", url or self.url, body, headers)

    def control(self, path, content=None):
        method = "GET" if content is None else "POST"
        return self.caller.control(method, f"/market-messages{path}", content)

    def switch(self, **switches):
        assert self.control("/switches", switches).status == 200

    def problems(self, message):
        """The problems by field of a message that is refused; nothing may be accepted."""
        reply = self.post(message)
        assert reply.status == 400, reply.body
        assert reply.json["message"] == "The request is not valid."
        assert self.accepted() == []
        return {one["field"]: one["message"] for one in reply.json["details"]}

    def accepted(self, **query):
        return self.listing(**query)["accepted"]

    def listing(self, **query):
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return self.control(f"/accepted?{words}").json

    def attempts(self, query=""):
        # The log completes a row a moment after the caller has its answer.
        self.caller.sandbox.log(party=PARTY)
        return self.control(f"/attempts{query}").json["attempts"]

    def wait_until_accepted(self, count):
        until(lambda: len(self.accepted()) >= count)
        assert len(self.accepted()) == count


@pytest.fixture
def service(caller):
    return Service(caller)


@pytest.fixture
def message():
    """A whole, good message, to be spoilt."""
    return copy.deepcopy(SAMPLES["completed"].message)


@pytest.fixture
def playing():
    """Start a sandbox whose service has credentials of its own."""
    running = []

    def begin(caller_of, **how):
        running.append(start(0, parties=[MarketMessages(**how)]))
        return Service(caller_of(running[-1]))

    yield begin
    for sandbox in running:
        sandbox.stop()


# Good messages.


def test_a_good_message_is_200_with_status_message_request_id_and_scenario(service, message):
    reply = service.post(message)
    assert reply.status == 200
    assert set(reply.json) == {"status", "message", "request_id", "scenario"}
    assert (reply.json["status"], reply.json["scenario"]) == ("success", "SC02")
    [accepted] = service.accepted()
    assert accepted["request_id"] == reply.json["request_id"]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_accepted_under_its_scenario_and_shown_by_the_control_calls(service, name):
    service.switch(strict_blocks=True, refuse_unknown_fields=True, required="deciding")
    shown = service.control(f"/samples/{name}").json
    reply = service.post(shown)
    assert (reply.status, shown) == (200, SAMPLES[name].message)
    assert reply.json["scenario"] == SAMPLES[name].scenario.code
    listed = service.control("/samples").json["samples"]
    assert {one["name"]: one["scenario"] for one in listed}[name] == reply.json["scenario"]


def test_scenarios_differ(service):
    scenarios = {service.post(sample.message).json["scenario"] for sample in SAMPLES.values()}
    assert scenarios == {f"SC{number:02}" for number in range(1, 7)}
    assert service.control("/samples/none").status == 404


def test_a_supply_left_off_is_told_though_the_job_was_aborted(service):
    left_off = copy.deepcopy(SAMPLES["left-off"].message)
    left_off["job_completion"]["outcome"] = "Aborted"
    assert service.post(left_off).json["scenario"] == "SC04"


def test_the_examples_of_the_document_are_accepted(service):
    service.switch(refuse_unknown_codes=True, refuse_unknown_fields=True, required="deciding")
    assert service.post(EXAMPLES).json["scenario"] == "SC01"


def test_null_is_the_same_as_not_there(service):
    message = dict.fromkeys(EXAMPLES) | {block: EXAMPLES[block] for block in ALWAYS}
    message["job_details"] = EXAMPLES["job_details"] | {"site_risk": None}
    assert service.post(message).status == 200
    [accepted] = service.accepted()
    assert accepted["blocks"] == list(ALWAYS)


def test_unknown_fields_and_blocks_are_ignored_unless_switched(service, message):
    message["meter"]["colour"] = "red"
    message["weather"] = {}
    assert service.post(message).status == 200
    service.caller.sandbox.reset()
    service.switch(refuse_unknown_fields=True)
    assert set(service.problems(message)) == {"meter.colour", "weather"}


# Required blocks.


@pytest.mark.parametrize("block", ALWAYS)
def test_three_blocks_are_always_required(service, message, block):
    del message[block]
    assert service.problems(message)[block] == "This block is required."


@pytest.mark.parametrize(
    ("decides", "value", "block", "because"),
    [
        ("customer_contact.prevented_to_proceed", "No", "risk_assessment", "is No"),
        ("risk_assessment.meter_access_clear", True, "meter", "is true"),
        ("risk_assessment.site_energised", True, "site_safety", "is true"),
        ("risk_assessment.energisation_only_job", True, "site_safety", "is true"),
        ("site_safety.can_continue", True, "job_execution", "is true"),
    ],
)
def test_a_block_is_required_if_another_says_so(service, message, decides, value, block, because):
    holder, _, name = decides.partition(".")
    others = {"site_energised": False, "energisation_only_job": False}
    message["risk_assessment"] |= others
    message[holder][name] = value
    del message[block]
    assert service.problems(message) == {
        block: f"This block is required because {decides} {because}."
    }
    message[holder][name] = "Customer refused" if value == "No" else False
    assert service.post(message).status == 200
    del message[holder][name]
    assert service.post(message).status == 200


def test_a_block_that_is_not_required_is_accepted_unless_switched(service):
    message = copy.deepcopy(dict(SAMPLES["prevented"].message))
    message["risk_assessment"] = {"meter_access_clear": False}
    assert service.post(message).status == 200
    service.caller.sandbox.reset()
    service.switch(strict_blocks=True)
    assert service.problems(message) == {
        "risk_assessment": "This block is not required here and must be left out."
    }


def test_a_block_that_is_not_required_is_checked_all_the_same(service):
    message = copy.deepcopy(dict(SAMPLES["prevented"].message))
    message["meter"] = {"smart_meter": "yes"}
    assert list(service.problems(message)) == ["meter.smart_meter"]


@pytest.mark.parametrize("content", [[], "x", 7, True])
def test_a_block_must_be_an_object(service, message, content):
    message["meter"] = content
    assert service.problems(message) == {"meter": "This block must be an object."}


def test_a_required_block_must_not_be_empty(service, message):
    message["meter"] = {}
    assert service.problems(message) == {"meter": "This block must not be empty."}


# Required fields and types.


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("missing", ["", None, "absent"])
def test_required_fields_of_the_job(service, message, name, missing):
    message["job_details"][name] = missing
    if missing == "absent":
        del message["job_details"][name]
    assert service.problems(message) == {f"job_details.{name}": "This field is required."}


DECIDING = [
    "customer_contact.prevented_to_proceed",
    "risk_assessment.meter_access_clear",
    "risk_assessment.site_energised",
    "risk_assessment.energisation_only_job",
    "site_safety.can_continue",
    "job_completion.date_of_action",
]


@pytest.mark.parametrize("path", DECIDING)
def test_fields_that_decide_are_required_when_switched(service, message, path):
    block, _, name = path.partition(".")
    del message[block][name]
    service.switch(required="deciding")
    assert service.problems(message) == {path: "This field is required."}
    service.switch(required=None)
    assert service.post(message).status == 200


@pytest.mark.parametrize("path", ["customer_contact.contact_made", "job_completion.outcome"])
def test_contact_made_and_outcome_are_required(service, message, path):
    block, _, name = path.partition(".")
    del message[block][name]
    assert service.problems(message) == {path: "This field is required."}


def wrong_values(value):
    """Values of other types than that of an example."""
    others = [True, 7, 1.5, "x" if not isinstance(value, str) else ["x"], [], {}]
    return [other for other in others if type(other) is not type(value)]


@pytest.mark.parametrize(
    ("block", "name"), [(block, name) for block, fields in EXAMPLES.items() for name in fields]
)
def test_every_field_has_the_type_of_its_example(service, block, name):
    for value in wrong_values(EXAMPLES[block][name]):
        message = EXAMPLES | {block: EXAMPLES[block] | {name: value}}
        [[field, sentence]] = service.problems(message).items()
        assert field == f"{block}.{name}"
        assert sentence.startswith("This field must be ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("job_details.mpan", "1129383838384"),
        ("job_details.mpan", "112938383838"),
        ("job_details.mpan", "11293838383830"),
        ("job_details.mpan", "١١٢٩٣٨٣٨٣٨٣٨٣"),
        ("meter.no_of_rates", "9"),
        ("meter.no_of_rates", "009"),
        ("meter.rate_1_reading", ""),
        ("meter.rate_9_reading", "28933 kWh"),
        ("meter.number_of_dials", -1),
        ("meter.number_of_dials", 10**12),
        ("meter.reading_available", ""),
        ("risk_assessment.site_risk_list", ["Dog", ""]),
        ("risk_assessment.site_risk_list", ["Dog", 1]),
        ("risk_assessment.site_risk_list", "Dog"),
        ("job_execution.de_energisation_time", "2025-01-08T12:05:00Z"),
        ("job_execution.de_energisation_time", "2025-01-08T12:05:00.000+00:00"),
        ("job_execution.re_energisation_time", "2025-02-30T12:05:00.000Z"),
        ("job_execution.re_energisation_time", "2025-01-08 12:05:00.000Z"),
        ("job_completion.date_of_action", "28/01/2025"),
        ("job_completion.date_of_action", "2025-02-29"),
        ("job_completion.date_of_action", "2025-01-28T00:00:00.000Z"),
        ("job_completion.outcome", " "),
        ("meter.photo", "base64_encoded_photo_data"),
        ("meter.photo", base64.b64encode(b"GIF89a").decode()),
        ("meter.photo", f"data:image/jpeg;base64,{JPEG}"),
        ("meter.photo", base64.b64encode(base64.b64decode(JPEG)[:-9]).decode()),
        ("job_execution.pre_job_photo", base64.b64encode(base64.b64decode(PNG)[:-9]).decode()),
        ("job_execution.post_job_photo", "é"),
        ("job_execution.post_resealing_photo", ""),
    ],
)
def test_forms(service, path, value):
    block, _, name = path.partition(".")
    message = EXAMPLES | {block: EXAMPLES[block] | {name: value}}
    assert list(service.problems(message)) == [path]


def test_photos_can_be_left_unlooked_at(service):
    message = EXAMPLES | {"meter": EXAMPLES["meter"] | {"photo": "base64_encoded_photo_data"}}
    service.switch(check_photos=False)
    assert service.post(message).status == 200


@pytest.mark.parametrize("mpan", ["1012345678903", "2012345678906", "1400002000040"])
def test_good_mpans(service, message, mpan):
    message["job_details"]["mpan"] = mpan
    assert service.post(message).status == 200


def test_unknown_codes_are_accepted_unless_switched(service, message):
    message["risk_assessment"]["site_risk_list"] = ["No risk identified", "Dog"]
    assert service.post(message).status == 200
    service.caller.sandbox.reset()
    service.switch(refuse_unknown_codes=True)
    assert service.problems(message) == {
        "risk_assessment.site_risk_list": "This code is not known.",
        "job_completion.outcome": "This code is not known.",
    }
    more = {"job_completion.outcome": ["Completed"], "risk_assessment.site_risk_list": ["Dog"]}
    shown = service.control("/codes", more).json["codes"]
    assert shown["job_completion.outcome"] == ["Aborted", "Completed"]
    assert service.post(message).status == 200
    codes = service.control("/codes", {"job_completion.outcome": None}).json["codes"]
    assert codes["job_completion.outcome"] == ["Aborted"]


@pytest.mark.parametrize("codes", [{"meter.colour": ["red"]}, {"meter.location": "A"}])
def test_codes_that_are_not_understood(service, codes):
    assert service.control("/codes", codes).status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"a": NaN}', b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000],
)
def test_a_body_that_is_no_json_object(service, body):
    assert list(service.problems(body)) == ["body"]
    assert service.attempts()[0]["job_id"] is None


def test_a_refusal_repeats_no_value(service):
    message = copy.deepcopy(EXAMPLES)
    message["customer_contact"]["critical_medical_equipment"] = "dialysis-at-home"
    assert b"dialysis" not in service.post(message).body


def test_content_type_method_and_path(service, message):
    other = HEADERS | {"Content-Type": "text/plain"}
    assert service.post(message, other).status == 415
    assert service.caller.send("GET", service.url, None, HEADERS).status == 404
    assert service.post(message, url=service.url.replace("v4", "v3")).status == 404
    assert service.accepted() == []


# Credentials.


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "sandbox-sip-key"},
        {"Authorization": "bearer sandbox-sip-key"},
        {"X-API-Key": "sandbox-sip-key"},
    ],
)
def test_a_request_without_the_key_is_rejected(service, message, headers):
    given = {"Content-Type": "application/json", **headers}
    assert service.post(message, given).status == 401
    service.switch(wrong_key_status=403)
    reply = service.post(message, given)
    assert reply.status == 403
    assert "API key" in reply.json["message"]
    assert service.accepted() == []
    assert [one["credentials"] for one in service.attempts()] == [False, False]


@pytest.mark.parametrize(
    ("how", "header"),
    [
        ({"header": "X-API-Key", "scheme": "", "key": "k1"}, {"X-API-Key": "k1"}),
        ({"scheme": "ApiKey", "key": "k2"}, {"Authorization": "ApiKey k2"}),
    ],
)
def test_header_and_scheme_of_the_key_can_be_chosen(playing, caller_of, message, how, header):
    service = playing(caller_of, **how)
    assert service.post(message).status == 401
    assert service.post(message, {"Content-Type": "application/json", **header}).status == 200
    assert "k1" not in json.dumps(service.caller.sandbox.log())
    assert "k2" not in json.dumps(service.caller.sandbox.log())


def test_the_environment_names_the_key(monkeypatch, caller_of, message):
    monkeypatch.setenv("SANDBOX_SIP_KEY", "from-environment")
    monkeypatch.setenv("SANDBOX_SIP_KEY_HEADER", "X-Key")
    monkeypatch.setenv("SANDBOX_SIP_KEY_SCHEME", "")
    sandbox = start(0)
    try:
        headers = {"Content-Type": "application/json", "X-Key": "from-environment"}
        assert Service(caller_of(sandbox)).post(message, headers).status == 200
    finally:
        sandbox.stop()


# The limit.


def test_the_limit_is_counted_and_a_refused_call_is_not(service, message):
    service.switch(calls_per_minute=2)
    replies = [service.post(message) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 429, 429]
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60
    assert len(service.accepted()) == 2
    assert service.post(message, {"Content-Type": "application/json"}).status == 401


def test_the_limit_ends_when_its_minute_is_over(service, message):
    service.switch(calls_per_minute=1, minute_seconds=0.4)
    assert service.post(message).status == 200
    assert service.post(message).status == 429
    until(lambda: service.post(message).status == 200)


def test_the_wait_lasts_until_enough_calls_are_a_minute_old():
    now = [0.0]
    limit = Limit(clock=lambda: now[0])
    for now[0] in (0.0, 10.0, 20.5):
        assert limit.wait(3, 60.0) is None
    assert limit.wait(3, 60.0) == 40
    # A lower limit is free again only when the later calls have left the minute as well.
    assert limit.wait(1, 60.0) == 60
    now[0] = 60.0
    assert limit.wait(3, 60.0) is None
    assert limit.wait(3, 60.0) == 10


def test_retry_after_is_seconds_a_date_or_missing(service, message):
    service.switch(calls_per_minute=1, retry_after="date")
    service.post(message)
    date = service.post(message).headers["Retry-After"]
    assert 0 < parsedate_to_datetime(date).timestamp() - time.time() < 62
    service.switch(retry_after="none")
    reply = service.post(message)
    assert (reply.status, "Retry-After" in reply.headers) == (429, False)


# Sizes.


def test_a_message_with_megabytes_of_photos_is_accepted_and_not_kept(service, message):
    inside = base64.b64decode(JPEG)
    large = base64.b64encode(inside[:-2] + b"\0" * 6_000_000 + inside[-2:]).decode()
    message["job_execution"]["post_job_photo"] = large
    assert service.post(message).status == 200
    [accepted] = service.accepted()
    assert accepted["size"] > 8_000_000
    assert len(service.caller.sandbox.log()[0]["body"]) < 1000


def test_a_message_above_the_limit_is_413(service, message):
    service.switch(largest_body=1000)
    assert service.post(message).status == 413
    assert service.accepted() == []
    assert service.control("/switches", {"largest_body": None}).json["switches"][
        "largest_body"
    ] == (40_000_000)


# Spellings.


@pytest.mark.parametrize("request_id", ["request_id", "requestId", "Request ID", "requestID"])
@pytest.mark.parametrize("scenario", ["scenario", "scenario_id", "scenarioId", "Scenario ID"])
def test_keys_of_a_good_answer(service, message, request_id, scenario):
    service.switch(request_id_key=request_id, scenario_key=scenario)
    said = service.post(message).json
    assert set(said) == {"status", "message", request_id, scenario}


@pytest.mark.parametrize(
    ("form", "value"), [("code", "SC02"), ("number", 2), ("title", "Isolator fitted")]
)
def test_forms_of_a_scenario(service, message, form, value):
    service.switch(scenario_form=form, status_form="number")
    said = service.post(message).json
    assert (said["scenario"], said["status"]) == (value, 200)


@pytest.mark.parametrize(
    ("form", "details"),
    [
        (
            "objects",
            [
                {"field": "meter", "message": "This block is required because {}."},
                {"field": "job_details.town", "message": "This field is required."},
            ],
        ),
        (
            "fields",
            {
                "meter": ["This block is required because {}."],
                "job_details.town": ["This field is required."],
            },
        ),
        (
            "nested",
            {
                "meter": ["This block is required because {}."],
                "job_details": {"town": ["This field is required."]},
            },
        ),
        (
            "texts",
            [
                "meter: This block is required because {}.",
                "job_details.town: This field is required.",
            ],
        ),
        (
            "text",
            ("meter: This block is required because {}. job_details.town: This field is required."),
        ),
    ],
)
@pytest.mark.parametrize("key", ["details", "errors", "detail"])
def test_spellings_of_a_refusal(service, message, form, details, key):
    del message["meter"], message["job_details"]["town"]
    service.switch(details_form=form, details_key=key)
    said = service.post(message).json
    because = "risk_assessment.meter_access_clear is true"
    assert said == {
        "message": "The request is not valid.",
        key: json.loads(json.dumps(details).replace("{}", because)),
    }


@pytest.mark.parametrize(
    "switches",
    [
        {"details_form": "poem"},
        {"strict_blocks": 1},
        {"wrong_key_status": 404},
        {"wrong_key_status": [401]},
        {"calls_per_minute": -1},
        {"calls_per_minute": 1.5},
        {"calls_per_minute": True},
        {"minute_seconds": "60"},
        {"colour": "red"},
    ],
)
def test_switches_that_are_not_understood_change_nothing(service, switches):
    before = service.control("/switches").json
    assert service.control("/switches", {"check_photos": False, **switches}).status == 400
    assert service.control("/switches").json == before


# What is accepted, and what is kept of it.


def test_the_same_message_is_accepted_twice_and_the_book_says_so(service, message):
    first, second = service.post(message).json, service.post(message).json
    assert first["request_id"] != second["request_id"]
    message["job_completion"]["job_notes"] = "Corrected."
    service.post(message)
    service.post(SAMPLES["unsafe"].message)
    listing = service.listing()
    job_id = message["job_details"]["job_id"]
    assert [one["job_id"] for one in listing["accepted"][:3]] == [job_id] * 3
    assert listing["repeated_jobs"] == [{"job_id": job_id, "times": 3}]
    hashes = [one["sha256"] for one in listing["accepted"]]
    assert listing["repeated_messages"] == [{"job_id": job_id, "sha256": hashes[0], "times": 2}]


def test_two_posts_of_one_job_at_once_are_both_accepted(service, message):
    barrier, said = threading.Barrier(4), []

    def post():
        barrier.wait(WAIT)
        said.append(service.post(message).json["request_id"])

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(one["request_id"] for one in service.accepted()) == sorted(said)
    assert len(set(said)) == 4
    assert service.listing()["repeated_messages"][0]["times"] == 4


def test_an_accepted_row_is_the_hash_of_the_exact_bytes(service, message):
    body = json.dumps(message, indent=3).encode() + b"\n "
    request_id = service.post(body).json["request_id"]
    [accepted] = service.accepted()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", accepted.pop("at"))
    assert accepted == {
        "id": accepted["id"],
        "attempt": service.attempts()[0]["id"],
        "job_id": message["job_details"]["job_id"],
        "sha256": sha256(body).hexdigest(),
        "size": len(body),
        "blocks": list(message),
        "request_id": request_id,
        "scenario": "SC02",
        "scenario_title": "Isolator fitted",
    }


def test_accepted_messages_can_be_chosen(service):
    for sample in SAMPLES.values():
        service.post(sample.message)
    everything = service.accepted()
    third = everything[2]
    assert service.accepted(job_id=third["job_id"]) == [third]
    assert service.accepted(after=third["id"]) == everything[3:]
    assert service.accepted(limit=2) == everything[:2]
    assert service.control("/accepted?limit=some").status == 400


def test_attempts_show_every_call_with_what_it_led_to(service, message):
    service.post(message)
    service.post(message, {"Content-Type": "application/json"})
    service.caller.sandbox.switch_on(PARTY, "500", calls=1)
    service.post(message)
    del message["meter"]
    service.post(message)
    service.post(SAMPLES["unsafe"].message)
    attempts = service.attempts()
    assert [(one["status"], one["accepted"]) for one in attempts] == [
        (200, True), (401, False), (500, False), (400, False), (200, True),
    ]  # fmt: skip
    assert [one["fault"] for one in attempts] == [None, None, "500", None, None]
    assert attempts[0]["request_id"] == service.accepted()[0]["request_id"]
    job_id = message["job_details"]["job_id"]
    assert service.attempts(f"?job_id={job_id}") == attempts[:4]
    assert service.attempts(f"?job_id={job_id[:-1]}") == []
    assert service.attempts(f"?after={attempts[2]['id']}") == attempts[3:]


def test_nothing_that_a_message_says_is_kept(tmp_path, caller_of):
    state = tmp_path / "sandbox.sqlite3"
    sandbox = start(0, state)
    try:
        service = Service(caller_of(sandbox))
        message = copy.deepcopy(EXAMPLES)
        for name, value in EXAMPLES["customer_contact"].items():
            if isinstance(value, str):
                message["customer_contact"][name] = f"secret {name}"
        message["job_details"] |= {"contact_name": "secret name", "site_risk": "secret risk"}
        message["secret block"] = "secret"
        service.post(message)
        service.post(json.dumps(message).encode()[:-1])
        service.post(json.dumps([message]).encode())
        shown = json.dumps([sandbox.log(), service.accepted(), service.attempts()])
    finally:
        sandbox.stop()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"87d00eff" in kept
    for secret in ("secret", "sandbox-sip-key", JPEG[:60], "07737374773"):
        assert secret not in shown
        assert secret.encode() not in kept


def test_reset_forgets_what_was_accepted_and_the_log_does_not(service, message):
    service.switch(calls_per_minute=1)
    service.post(message)
    service.caller.control("DELETE", "/log")
    assert len(service.accepted()) == 1
    assert service.caller.control("POST", "/reset", {}).status == 200
    assert service.accepted() == []
    assert service.control("/switches").json["switches"]["calls_per_minute"] == 0
    assert service.post(message).status == 200


def test_the_book_outlasts_a_restart(tmp_path, caller_of, message):
    for times in (1, 2):
        sandbox = start(0, tmp_path / "s.sqlite3")
        try:
            service = Service(caller_of(sandbox))
            service.post(message)
            assert len(service.accepted()) == times
        finally:
            sandbox.stop()


# Faults.


def test_every_fault_is_known_to_strike_before_or_after():
    assert {*BEFORE, *AFTER} == {*FAULTS, *DOING_FAULTS, *ANSWER_FAULTS}
    assert not {*BEFORE} & {*AFTER}


def post_under(service, message, fault, **how):
    """Post with a fault on: the status that arrives, None where the answer is not whole."""
    calls = None if fault == "refuse" else 1
    service.caller.sandbox.switch_on(PARTY, fault, calls=calls, **how)
    try:
        return service.post(message, url=service.own_url).status
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("fault", BEFORE)
def test_faults_that_strike_before_anything_is_accepted(service, message, fault):
    assert post_under(service, message, fault, seconds=0.1) == BEFORE[fault]
    service.caller.sandbox.switch_off()
    [*tried] = service.attempts()
    assert [one["fault"] for one in tried] == ([] if fault == "refuse" else [fault])
    assert service.accepted() == []
    assert service.post(message).status == 200
    assert len(service.accepted()) == 1


@pytest.mark.parametrize("fault", AFTER)
def test_faults_that_strike_after_the_message_was_accepted(service, message, fault):
    seconds = 0.0002 if fault.startswith("drip") else 0.1
    assert post_under(service, message, fault, seconds=seconds) == AFTER[fault]
    [accepted] = service.accepted()
    [tried] = service.attempts()
    assert (tried["fault"], tried["accepted"]) == (fault, True)
    assert tried["request_id"] == accepted["request_id"]
    service.post(message)
    assert service.listing()["repeated_messages"][0]["times"] == 2


@pytest.mark.parametrize("fault", [fault for fault, status in AFTER.items() if status != 200])
def test_a_refused_message_is_not_accepted_by_a_fault(service, message, fault):
    del message["meter"]
    post_under(service, message, fault, seconds=0.1)
    assert service.accepted() == []


def raw_post(service, message):
    """A connection on which the message was sent, with the answer not read."""
    parts = urlsplit(service.url)
    body = json.dumps(message).encode()
    connection = socket.create_connection((parts.hostname, parts.port), timeout=WAIT)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.hostname}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


@pytest.mark.parametrize(("fault", "count"), [("hang", 0), ("done_hang", 1)])
def test_a_hang_is_seen_while_it_hangs(service, message, fault, count):
    service.caller.sandbox.switch_on(PARTY, fault, calls=1, seconds=60)
    with raw_post(service, message) as connection:
        service.wait_until_accepted(count)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    [tried] = service.attempts()
    assert (tried["fault"], tried["status"], tried["accepted"]) == (fault, None, bool(count))


@pytest.mark.parametrize(
    ("fault", "read"), [("lost", None), ("reset", None), ("done_closed", b""), ("closed", b"")]
)
def test_a_reset_is_a_reset_and_a_close_is_orderly(service, message, fault, read):
    service.caller.sandbox.switch_on(PARTY, fault, calls=1)
    with raw_post(service, message) as connection:
        if read is None:
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        else:
            assert connection.recv(1) == read


def test_late_doing_accepts_after_the_caller_has_gone(service, message):
    service.caller.sandbox.switch_on(PARTY, "late_doing", calls=1, seconds=60)
    with raw_post(service, message):
        # The log has the call before the fault begins to wait.
        until(lambda: service.caller.sandbox.log(wait=0))
        assert service.accepted() == []
    service.wait_until_accepted(1)


def test_a_late_answer_is_an_accepted_message_meanwhile(service, message):
    service.caller.sandbox.switch_on(PARTY, "slow", calls=1, seconds=60)
    with raw_post(service, message):
        service.wait_until_accepted(1)
        assert service.caller.sandbox.log(wait=0)[0]["written"] is None


def test_answers_of_the_faults(service, message):
    post_under(service, message, "done_redirect")
    sandbox = service.caller.sandbox
    sandbox.switch_on(PARTY, "done_html", calls=1)
    reply = service.post(message)
    assert (reply.status, reply.body[:15]) == (200, b"<!doctype html>")
    sandbox.switch_on(PARTY, "truncated", calls=1)
    reply = service.post(message)
    assert reply.body.startswith(b'{"status"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)
    sandbox.switch_on(PARTY, "done_empty", calls=1)
    assert service.post(message).body == b""
    sandbox.switch_on(PARTY, "429_bare", calls=1)
    assert "Retry-After" not in service.post(message).headers
    sandbox.switch_on(PARTY, "429", calls=1, retry_after=7)
    assert service.post(message).headers["Retry-After"] == "7"
    sandbox.switch_on(PARTY, "done_redirect", calls=1)
    assert service.post(message).headers["Location"].endswith("/market-messages/elsewhere")


def test_refused_connections_are_refused_and_leave_no_trace(service, message):
    service.caller.control("POST", "/faults", {"party": PARTY, "fault": "refuse"})
    with pytest.raises(ConnectionRefusedError):
        service.post(message, url=service.own_url)
    assert service.attempts() == []
    service.caller.control("DELETE", f"/faults?party={PARTY}")
    assert service.post(message, url=service.own_url).status == 200


def test_a_fault_for_one_job(service, message):
    job_id = message["job_details"]["job_id"]
    service.caller.sandbox.switch_on(PARTY, "done_500", match=job_id)
    other = service.post(SAMPLES["unsafe"].message)
    assert (other.status, service.post(message).status) == (200, 500)
    assert [one["job_id"] == job_id for one in service.accepted()] == [False, True]


def test_other_parties_cannot_have_these_faults(service):
    for party in ("registry", "meters"):
        fields = {"party": party, "fault": "done_408"}
        assert service.caller.control("POST", "/faults", fields).status == 400
    known = service.caller.control("GET", "/faults").json["known_answer"]
    assert [one["fault"] for one in known] == [*DOING_FAULTS, *ANSWER_FAULTS]
    fields = {"party": PARTY, "fault": "post_never"}
    assert service.caller.control("POST", "/faults", fields).status == 400


# Drills.

DRILL = {"party": PARTY, "seed": 7, "calls": 40, "share": 0.5, "among": ["500", "done_500"]}


def test_a_drill_lines_up_the_same_faults_for_the_same_seed(service, message):
    def drilled(**fields):
        return service.caller.control("POST", "/faults/drill", DRILL | fields).json["faults"]

    faults = drilled()
    assert drilled() == faults != drilled(seed=8)
    assert set(faults) == {"none", "500", "done_500"}
    assert drilled(share=0, calls=3) == ["none"] * 3
    assert "none" not in drilled(share=1)


def test_a_drill_strikes_call_after_call_and_is_over(service, message):
    faults = service.caller.control("POST", "/faults/drill", DRILL).json["faults"]
    statuses = [service.post(message).status for _ in range(42)]
    assert statuses == [200 if fault == "none" else 500 for fault in faults] + [200, 200]
    struck = [fault != "500" for fault in faults] + [True, True]
    assert [one["accepted"] for one in service.attempts()] == struck
    assert service.caller.control("GET", "/faults").json["on"] == []


def test_the_page_shows_the_next_faults_of_a_long_drill(service):
    service.caller.control("POST", "/faults/drill", DRILL)
    page = service.caller.send("GET", f"{service.caller.sandbox.url}/").body.decode()
    assert "40 faults are on" in page
    assert page.count('action="/control/faults/off"') == 20
    assert "/control/market-messages/samples/completed" in page


@pytest.mark.parametrize(
    "fields",
    [
        {"party": "nobody"},
        {"among": []},
        {"among": "500"},
        {"among": [["500"]]},
        {"among": ["500", "earthquake"]},
        {"among": ["500", "refuse"]},
        {"among": ["post_never"]},
        {"calls": None},
        {"calls": 10_000},
        {"share": 2},
        {"seed": "seven"},
        {"seconds": -1},
        {"colour": "red"},
    ],
)
def test_a_drill_that_is_not_understood_lines_up_nothing(service, fields):
    assert service.caller.control("POST", "/faults/drill", DRILL | fields).status == 400
    assert service.caller.control("GET", "/faults").json["on"] == []
