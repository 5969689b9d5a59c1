"""The message exactly as the specification shows it, and replies in every shape."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import messages
from sip.messages import NotPromised
from tests.sip.test_rules import WHOLE

EXAMPLE = """{"job_details":{"job_id":"87d00eff-42b5-40a6-bf69-abcb66f054ff","mpan":"1129383838383",\
"supplier_mpid":"TEST","contact_name":"Mr Bob Smith","address":"Flat 1, 25 Spear Building, High \
Street","town":"Coventry","post_code":"CV5 4DD","contact_telephone":"07737374773"},\
"meter":{"serial_number":"L1282738282","number_of_dials":5,"smart_meter":true,"photo":"AAEC"}}"""
FIELDS = {
    "customer_contact": "contact_made call_outcome arrived_on_site able_to_access_property "
    "critical_medical_equipment critical_medical_equipment_info third_party_presence "
    "third_party_presence_info prevented_to_proceed",
    "risk_assessment": "engineer_competent suitable_environment suitable_heights site_risk_list "
    "safe_to_continue meter_access_clear site_energised energisation_only_job",
    "site_safety": "polarity_test_passed dno_issue dno_code_a dno_code_b dno_code_c dno_comment "
    "metering_equipment_issues meter_issue_comment tampering_code tamper_comment consumer_issue "
    "consumer_issue_type can_continue",
    "job_execution": "pre_job_photo action_required site_de_energised de_energisation_time "
    "site_re_energised re_energisation_time fuse_resealed post_resealing_photo isolator_fitted "
    "isolator_failure_reason meter_tails_upgraded meter_tails_supplier polarity_test_passed "
    "comms_state post_job_photo",
    "job_completion": "outcome date_of_action abort_category abort_engineer_risk_equipment "
    "abort_meter_equipment abort_access abort_safety abort_supply abort_tampering notices_issued "
    "job_notes",
}


def test_blocks_and_fields_stand_in_the_order_of_the_specification():
    assert [block.name for block in messages.WORKSHEET] == [
        *("job_details", "customer_contact", "risk_assessment", "meter"),
        *("site_safety", "job_execution", "job_completion"),
    ]
    for block, names in FIELDS.items():
        assert [field.name for field in messages.BLOCKS[block].fields] == names.split()
    meter = [field.name for field in messages.METER.fields]
    assert meter[:5] == [
        "serial_number",
        "location",
        "reading_available",
        "no_of_rates",
        "number_of_dials",
    ]
    assert meter[5:14] == [f"rate_{number}_reading" for number in range(1, 10)]
    assert meter[14:] == ["smart_meter", "comms_state", "photo"]


def test_the_body_is_exactly_what_was_answered_in_order_and_type():
    answers = {
        "meter": {"smart_meter": True, "number_of_dials": 5, "serial_number": "L1282738282"},
        "job_details": dict(reversed(WHOLE["job_details"].items())),
    }
    answers["meter"] |= {"location": "", "rate_1_reading": None}
    body = messages.build_message(answers, {"meter.photo": b"\x00\x01\x02"})
    assert body.decode() == EXAMPLE


def test_an_outline_filled_with_its_photos_is_the_message():
    photo = b"\xff\xd8" + bytes(range(256)) * 9
    keys = messages.photo_keys()
    body = messages.build_message(WHOLE, dict.fromkeys(keys, photo))
    outline = messages.build_outline(WHOLE, dict.fromkeys(keys, "ab" * 32))
    assert base64.b64encode(photo).decode() not in outline
    assert messages.fill_outline(outline, {"ab" * 32: photo}) == body
    assert len(keys) == 4


def test_every_health_and_risk_field_is_private():
    private = {field.name for _, field in messages.every_field() if field.private}
    assert private == {
        *("customer_vulnerability", "site_risk", "critical_medical_equipment"),
        *("critical_medical_equipment_info", "third_party_presence", "third_party_presence_info"),
        *("prevented_to_proceed", "site_risk_list", "job_notes"),
    }


def test_private_texts_are_found():
    answers = {
        "job_details": {"site_risk": "Dog", "town": "Eastwold"},
        "risk_assessment": {"site_risk_list": ["Asbestos"]},
        "customer_contact": {"prevented_to_proceed": "No", "critical_medical_equipment": True},
    }
    assert messages.private_texts(answers) == ["Dog", "Asbestos"]


def test_values_in_the_engineers_words():
    work, result = messages.JOB_EXECUTION, messages.JOB_COMPLETION
    time, day = work.field("de_energisation_time"), result.field("date_of_action")
    assert messages.words(time, "2025-07-08T12:05:00.000Z") == "8 July 2025, 13:05"
    assert messages.words(day, "2025-01-28") == "28 January 2025"
    assert messages.words(work.field("fuse_resealed"), False) == "No"
    assert messages.words(work.field("fuse_resealed"), None) == "–"
    assert messages.words(time, "no time") == "no time"


def test_a_time_is_written_and_read_back():
    moment = messages.read_time("2025-01-08T12:05:00.250Z")
    assert messages.write_time(moment) == "2025-01-08T12:05:00.250Z"


# ---- Acceptance ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        {"status": "success", "message": "ok", "request_id": "r-1", "scenario": "SC01"},
        {"Status": "Success", "Message": None, "Request I.D": "r-1", "Scenario ID": "SC01"},
        {"STATUS": "accepted", "requestId": "r-1", "scenarioId": "SC01", "extra": {"a": [1]}},
        {"status": 200, "request_id": "r-1", "scenario": "SC01"},
    ],
)
def test_an_acceptance_in_any_spelling(reply):
    found = messages.read_acceptance(json.dumps(reply).encode())
    assert (found.request_id, found.scenario) == ("r-1", "SC01")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>Accepted</html>",
        b'{"status": "success", "request_id": "r", "scenario": ',
        b'{"status": "success", "request_id": "r"}',
        b'{"status": "success", "scenario": "s"}',
        b'{"request_id": "r", "scenario": "s"}',
        b'{"status": "error", "request_id": "r", "scenario": "s"}',
        b'{"status": "not accepted", "request_id": "r", "scenario": "s"}',
        b'{"status": "failed", "request_id": "r", "scenario": "s"}',
        b'{"status": "success", "errors": ["x"], "request_id": "r", "scenario": "s"}',
        b'{"status": 17, "request_id": 17, "scenario": 17}',
        b'{"status": 400, "request_id": "r", "scenario": "s"}',
        b'{"status": true, "request_id": "r", "scenario": "s"}',
        b'{"status": "success", "request_id": ["r"], "scenario": "s"}',
        b'{"status": "success", "message": 17, "request_id": "r", "scenario": "s"}',
        b'{"status": "success", "request_id": " ", "scenario": "s"}',
        b"\xff\xfe" + "success".encode("utf-16-le"),
    ],
)
def test_what_is_not_promised_is_no_acceptance(body):
    with pytest.raises(NotPromised):
        messages.read_acceptance(body)


# ---- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"field": "meter.photo", "message": "Too large"}]},
        {"details": {"meter.photo": ["Too large"]}},
        {"details": {"meter": {"photo": "Too large"}}},
        {"detail": [{"loc": ["meter", "photo"], "msg": "Too large", "type": "value_error"}]},
        {"error": {"issues": [{"path": ["meter", "photo"], "message": "Too large"}]}},
        {"violations": [{"propertyName": "meter.photo", "reason": "Too large", "code": 7}]},
        [{"pointer": "/meter/photo", "title": "Too large"}],
        {"meter": {"photo": {"message": "Too large"}}},
    ],
)
def test_details_in_any_shape(body):
    found = messages.read_refusal(json.dumps(body).encode())
    assert [(each.path, each.text) for each in found.details] == [("meter.photo", "Too large")]
    assert "Too large" in found.text


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b'{"details": ["a is wrong", "b is wrong"]}', ["a is wrong", "b is wrong"]),
        (b'{"status": "error", "message": "No.", "request_id": "r"}', []),
        (b'"plainly wrong"', ["plainly wrong"]),
        (b"<html>Bad request</html>", []),
        (b"", []),
        (b"NaN", []),
    ],
)
def test_refusals_without_fields(body, texts):
    found = messages.read_refusal(body)
    assert [each.text for each in found.details] == texts
    assert found.text == body.decode()


def test_a_refusal_is_bounded_and_printable():
    many = json.dumps({"details": [f"wrong {n}\x00\x1b" + "x" * 9000 for n in range(900)]}).encode()
    found = messages.read_refusal(many)
    assert len(found.details) <= 200
    assert all(len(each.text) <= 1000 for each in found.details)
    assert len(found.text) <= messages.LONGEST_REPLY
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    assert messages.read_refusal(deep).details == ()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_surprise(body):
    messages.read_refusal(body)
    with pytest.raises(NotPromised):
        messages.read_acceptance(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["field", "message", "errors", "meter", "status", "path", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_a_surprise(value):
    found = messages.read_refusal(json.dumps(value).encode())
    assert all(each.text and len(each.path) <= 200 for each in found.details)


def test_the_plain_layers_do_not_know_where_they_run():
    desk = Path(messages.__file__).parent
    rules = sorted(desk.glob("rules/*.py"))
    assert rules
    for path in (
        *rules,
        *(desk / f"{name}.py" for name in ("messages", "job_csv", "photos", "paper")),
    ):
        text = path.read_text()
        assert not re.search(r"^(from|import) (django|celery|requests)", text, re.MULTILINE), path
