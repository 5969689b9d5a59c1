"""Requests to the meter communications service, its replies, and results in every spelling."""

import json
import time
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import messages
from metering.messages import (
    Adjustment,
    AdjustmentKind,
    CollectionRequest,
    MeterClock,
    NotAllowed,
    NotPromised,
    NotReadable,
    Outcome,
    OutcomeKind,
    Problem,
    form_problems,
    read_result,
    without_password,
)

REQUEST = CollectionRequest(
    request_reference="0001",
    response_url="https://www.company.com/MCSresults",
    mpan="1012345678903",
    priority=1,
    meter_type="ELSTER_A1700",
    remote_address="07711000001",
    password="AAAA0000",
)
LEAST = {"requestReference": "0001"}
FULL = {
    "requestReference": "0001",
    "mpan": "12345",
    "meterType": "ELSTER_A1700",
    "remoteAddress": "07777000000",
    "comsSettings": "7E1",
    "outstationAddress": "1",
    "password": "AAAA0000",
    "adjustTime": True,
    "surveyDays": 1,
    "surveyDate": "2019-01-01",
    "resultSummary": "SUCCESS",
    "collectionStartTime": "2019-01-02T04:00:00",
    "collectionEndTime": "2019-01-02T04:01:30Z",
    "connectionStartTime": "2019-01-02T04:02:00",
    "connectionEndTime": "2019-01-02T04:01:28",
    "serialNumber": "12345678",
    "meterTime": "2019-01-02T04:02:15 +10s",
    "timeAdjustmentResult": "NOT REQUIRED",
    "statusEvents": ["Lid/terminal cover tamper"],
    "registerValues": [
        {
            "name": "kWh Import",
            "timestamp": "2019-01-02T04:02:10Z",
            "value": "758",
            "units": "kWh",
        },
    ],
    "surveyData": [
        {
            "name": "kWh Import",
            "units": "kWh",
            "readings": [
                {"timestamp": "2019-01-01T00:00:00Z", "value": "640"},
                {"timestamp": "2019-01-01T00:30:00Z", "value": "645"},
                {"timestamp": "2019-01-01T23:30:00Z", "value": "700"},
            ],
        },
    ],
}
TEXT_PROPERTIES = {
    *("mpan", "meterType", "remoteAddress", "comsSettings", "outstationAddress"),
    *("serialNumber", "statusEvents"),
}
FIRST = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def body(changes=None, base=LEAST):
    return json.dumps({**base, **(changes or {})}).encode()


def read(changes=None, base=LEAST):
    return read_result(body(changes, base))


def paths(result):
    return [problem.path for problem in result.problems]


def survey(*readings, **more):
    return {"surveyData": [{"name": "kWh Import", "readings": list(readings), **more}]}


def reading(value="640", timestamp="2019-01-01T00:00:00Z", **more):
    return {"timestamp": timestamp, "value": value, **more}


# ---- Requests ---------------------------------------------------------------------------------


def changed(**changes):
    return msgspec.structs.replace(REQUEST, **changes)


def test_a_request_with_every_parameter():
    asked = changed(
        delay_until=datetime(2026, 7, 1, 3, tzinfo=timezone(timedelta(hours=1))),
        coms_settings="7e1",
        outstation_address="1",
        serial_number="12345678",
        survey_days=10,
        survey_date=date(2019, 12, 1),
        adjust_time=True,
    )
    assert json.loads(messages.collection_request(asked)) == {
        "requestReference": "0001",
        "responseUrl": "https://www.company.com/MCSresults",
        "mpan": "1012345678903",
        "priority": 1,
        "delayUntil": "2026-07-01T02:00:00Z",
        "meterType": "ELSTER_A1700",
        "remoteAddress": "07711000001",
        "comsSettings": "7E1",
        "outstationAddress": "1",
        "serialNumber": "12345678",
        "password": "AAAA0000",
        "surveyDays": 10,
        "surveyDate": "2019-12-01",
        "adjustTime": True,
    }


def test_what_is_empty_is_left_out():
    assert set(json.loads(messages.collection_request(changed(password="")))) == {
        "requestReference",
        "responseUrl",
        "mpan",
        "priority",
        "meterType",
        "remoteAddress",
    }


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"request_reference": " "}, "requestReference"),
        ({"response_url": "www.company.com"}, "responseUrl"),
        ({"mpan": ""}, "mpan"),
        ({"priority": 0}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"delay_until": datetime(2026, 1, 1)}, "delayUntil"),
        ({"meter_type": ""}, "meterType"),
        ({"remote_address": "abc"}, "remoteAddress"),
        ({"coms_settings": "9X3"}, "comsSettings"),
        ({"coms_settings": "7E1", "remote_address": "10.2.34.4:3400"}, "comsSettings"),
        ({"coms_settings": "7E1", "remote_address": "23000000123456"}, "comsSettings"),
        ({"survey_days": -1}, "surveyDays"),
        ({"survey_date": date(2026, 1, 1)}, "surveyDate"),
    ],
)
def test_a_request_that_breaks_the_table_is_not_built(changes, path):
    with pytest.raises(NotAllowed) as caught:
        messages.collection_request(changed(**changes))
    assert path in [problem.path for problem in caught.value.problems]
    assert all(problem.reason.endswith(".") for problem in caught.value.problems)


def test_the_password_is_in_no_repr():
    assert "AAAA0000" not in repr(REQUEST) + str(REQUEST)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("07711000001", "phone"),
        ("01632 960 123", "phone"),
        ("+44 7711 000001", "phone"),
        ("(01632) 960-123", "phone"),
        ("0163296012", "phone"),
        ("077777000000", None),
        ("7711000001", None),
        ("00711000001", None),
        ("10.2.34.4:3400", "ip"),
        ("10.2.34.4", None),
        ("10.2.34.256:3400", None),
        ("10.2.34.4:0", None),
        ("10.2.34.4:65536", None),
        ("10.2.34.04:3400", None),
        ("23000000123456", "paknet"),
        ("2300000012345", None),
        ("٠٧٧١١٠٠٠٠٠١", None),
        ("abc", None),
        ("", None),
    ],
)
def test_remote_addresses(text, kind):
    assert messages.address_kind(messages.normalise_remote_address(text)) == kind
    assert (messages.remote_address_problem(text) is None) == (kind is not None)


def test_cancel_and_status():
    assert json.loads(messages.collection_cancel("0001")) == {"requestReference": "0001"}
    assert messages.collection_status("0001") == {"requestReference": "0001"}
    assert messages.service_status() == {}


# ---- Replies ----------------------------------------------------------------------------------


def test_an_acknowledgement():
    assert messages.read_acknowledgement(body(), "0001").request_reference == "0001"
    assert messages.read_acknowledgement(body({"details": "queued"}), "0001").details == "queued"


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", body(), b"null"])
def test_another_acknowledgement_is_not_what_was_promised(content):
    with pytest.raises(NotPromised):
        messages.read_acknowledgement(content, "0002")


@pytest.mark.parametrize(
    ("content", "details"),
    [
        (b'{"details": "Remote address is not in a recognised format"}', "Remote address is not"),
        (b'{"details": null}', ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_details_of_an_error(content, details):
    assert messages.read_details(content).startswith(details)
    assert bool(messages.read_details(content)) == bool(details)


@pytest.mark.parametrize(("status", "ok"), [("OK", True), ("ok", True), ("DEGRADED", False)])
def test_service_status(status, ok):
    found = messages.read_service_status(
        json.dumps({"version": "1.0.0", "status": status}).encode()
    )
    assert (found.version, found.status, found.is_ok) == ("1.0.0", status, ok)


@pytest.mark.parametrize("content", [b"{}", b"OK", b'{"version": "1", "status": null}'])
def test_a_service_status_without_status_is_not_promised(content):
    with pytest.raises(NotPromised):
        messages.read_service_status(content)


def test_our_own_answers():
    assert json.loads(messages.result_reply("0001")) == {"requestReference": "0001"}
    assert json.loads(messages.error_reply("No.")) == {"details": "No."}
    assert json.loads(messages.service_status_reply("2.1.0")) == {
        "version": "2.1.0",
        "status": "OK",
    }


# ---- Results ----------------------------------------------------------------------------------


def test_every_property_is_read():
    found = read(base=FULL)
    assert found == messages.Result(
        request_reference="0001",
        outcome=Outcome(OutcomeKind.SUCCESS),
        mpan="12345",
        meter_type="ELSTER_A1700",
        remote_address="07777000000",
        coms_settings="7E1",
        outstation_address="1",
        adjust_time=True,
        survey_days=1,
        survey_date=date(2019, 1, 1),
        collection_started_at=utc(2019, 1, 2, 4),
        collection_ended_at=utc(2019, 1, 2, 4, 1, 30),
        connection_started_at=utc(2019, 1, 2, 4, 2),
        connection_ended_at=utc(2019, 1, 2, 4, 1, 28),
        serial_number="12345678",
        clock=MeterClock(utc(2019, 1, 2, 4, 2, 15), 10),
        status_events=("Lid/terminal cover tamper",),
        adjustment=Adjustment(AdjustmentKind.NOT_REQUIRED),
        registers=(messages.RegisterValue("kWh Import", "758", "kWh", utc(2019, 1, 2, 4, 2, 10)),),
        surveys=(
            messages.Survey(
                "kWh Import",
                "kWh",
                [FIRST, FIRST + 1800, FIRST + 47 * 1800],
                ["640", "645", "700"],
            ),
        ),
    )
    assert found.reading_count == 3
    assert [each.at for each in found.surveys[0].readings()][2] == utc(2019, 1, 1, 23, 30)


def test_the_least_that_is_a_result():
    found = read()
    assert found.request_reference == "0001"
    assert found.outcome == Outcome(OutcomeKind.UNCLEAR)
    assert found.problems == (Problem("result", "The overall result is missing."),)


@pytest.mark.parametrize("name", ["result", "resultSummary"])
@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("SUCCESS", Outcome(OutcomeKind.SUCCESS)),
        ("success ", Outcome(OutcomeKind.SUCCESS)),
        ("PENDING", Outcome(OutcomeKind.PENDING)),
        ("PARTIAL SUCCESS", Outcome(OutcomeKind.PARTIAL_SUCCESS)),
        ("PARTIAL_SUCCESS", Outcome(OutcomeKind.PARTIAL_SUCCESS)),
        ("ERROR: no carrier", Outcome(OutcomeKind.ERROR, "no carrier")),
        ("Error:no carrier", Outcome(OutcomeKind.ERROR, "no carrier")),
        ("ERROR", Outcome(OutcomeKind.ERROR, "no details given")),
    ],
)
def test_the_overall_outcome_under_both_names(name, text, outcome):
    found = read({name: text})
    assert found.outcome == outcome
    assert found.problems == ()


@pytest.mark.parametrize(
    ("changes", "kind", "problems"),
    [
        ({"result": "SUCCESS", "resultSummary": "SUCCESS"}, OutcomeKind.SUCCESS, []),
        ({"result": None, "resultSummary": "SUCCESS"}, OutcomeKind.SUCCESS, []),
        (
            {"result": "ERROR: x", "resultSummary": "SUCCESS"},
            OutcomeKind.ERROR,
            ["resultSummary"],
        ),
        ({"result": "DONE"}, OutcomeKind.UNCLEAR, ["result"]),
        ({"result": "DONE", "resultSummary": "SUCCESS"}, OutcomeKind.SUCCESS, ["result"]),
        ({"result": 7.5}, OutcomeKind.UNCLEAR, ["result"]),
        ({"result": {}}, OutcomeKind.UNCLEAR, ["result", "result"]),
    ],
)
def test_outcomes_that_are_odd(changes, kind, problems):
    found = read(changes)
    assert found.outcome.kind is kind
    assert paths(found) == problems


@pytest.mark.parametrize(
    ("text", "clock", "lost"),
    [
        ("2014-10-31T23:33:32 -203s", MeterClock(utc(2014, 10, 31, 23, 33, 32), -203), None),
        ("2014-10-31T23:33:32Z +5s", MeterClock(utc(2014, 10, 31, 23, 33, 32), 5), None),
        ("2014-10-31T23:33:32 0s", MeterClock(utc(2014, 10, 31, 23, 33, 32), 0), None),
        ("2019-01-02T03T04:02:15 +10s", MeterClock(None, 10), False),
        ("2019-01-02T03T04:02:15 +500s", MeterClock(None, 500), False),
        ("2014-10-31T23:33:32", MeterClock(utc(2014, 10, 31, 23, 33, 32), None), True),
        ("yesterday", None, True),
        ("2014-13-31T23:33:32 -2s", MeterClock(None, -2), False),
        ("", None, None),
    ],
)
def test_meter_time(text, clock, lost):
    found = read({"result": "SUCCESS", "meterTime": text})
    assert found.clock == clock
    assert [problem.lost for problem in found.problems] == ([] if lost is None else [lost])


def test_errors_in_the_place_of_values():
    found = read(
        {
            "result": "SUCCESS",
            "serialNumber": "ERROR: mismatch, meter returned 999",
            "meterTime": "ERROR: not supported",
            "timeAdjustmentResult": "ERROR: variation above maximum",
        }
    )
    assert (found.serial_number, found.serial_number_error) == ("", "mismatch, meter returned 999")
    assert (found.clock, found.meter_time_error) == (None, "not supported")
    assert found.adjustment == Adjustment(AdjustmentKind.ERROR, "variation above maximum")
    assert found.problems == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-01-02T04:00:00Z", utc(2019, 1, 2, 4)),
        ("2019-01-02T04:00:00", utc(2019, 1, 2, 4)),
        ("2019-01-02 04:00:00", utc(2019, 1, 2, 4)),
        ("2019-01-02T04:00:00.25z", utc(2019, 1, 2, 4, 0, 0, 250_000)),
        ("2019-07-02T04:00:00+01:00", utc(2019, 7, 2, 3)),
        ("2019-02-30T04:00:00", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("2019-W01-2T04:00:00", None),
        ("soon", None),
        (1546401600, None),
    ],
)
def test_times_are_utc_with_or_without_z(text, moment):
    found = read({"result": "SUCCESS", "collectionEndTime": text})
    assert found.collection_ended_at == moment
    assert paths(found) == ([] if moment else ["collectionEndTime"])


@pytest.mark.parametrize("name", sorted(set(FULL) - {"requestReference", "password"}))
def test_a_null_is_no_problem(name):
    changes = {"result": "SUCCESS", name: None}
    if name != "resultSummary":
        assert read(changes, FULL).problems == ()


@pytest.mark.parametrize("name", sorted(set(FULL) - {"requestReference", "password"}))
@pytest.mark.parametrize("value", [{"a": 1}, [[]], 1.5, True])
def test_a_property_of_another_type_is_reported_and_the_rest_is_used(name, value):
    found = read({name: value}, FULL)
    assert found.request_reference == "0001"
    fits = {("adjustTime", "True")}
    kept_as_text = isinstance(value, float) and name in TEXT_PROPERTIES
    if (name, str(value)) not in fits and not kept_as_text:
        assert any(path.startswith(name) for path in paths(found))
    if name not in {"surveyData"}:
        assert found.reading_count == 3


@pytest.mark.parametrize(
    ("events", "expected"),
    [(None, ()), ([], ()), (["a", "", None, " b "], ("a", "b")), ("Power fail", ("Power fail",))],
)
def test_status_events(events, expected):
    found = read({"result": "SUCCESS", "statusEvents": events})
    assert found.status_events == expected


def test_of_a_property_that_occurs_twice_the_last_counts():
    found = read_result(
        b'{"requestReference": "0001", "serialNumber": "asked", "result": "SUCCESS", '
        b'"serialNumber": "told", "surveyData": [{"name": "a", "name": "b", "readings": '
        b'[{"timestamp": "2019-01-01T00:00:00Z", "value": "1", "value": "2"}]}]}'
    )
    assert found.serial_number == "told"
    assert (found.surveys[0].name, found.surveys[0].texts) == ("b", ["2"])


def test_unknown_properties_are_ignored():
    changes = {"result": "SUCCESS", "colour": {"deep": [1, {"x": None}]}}
    odd = survey(reading("1", quality="A", extra=[1]), channel=3)
    found = read(changes | odd)
    assert found.problems == ()
    assert found.surveys[0].texts == ["1"]


# ---- Values -----------------------------------------------------------------------------------

SPELLINGS = [
    '"640"', '"640.0"', "640", "640.5", "640.50", '"0007"', "-0", "-1.25", "0.1", "1e3", '"1E+3"',
    '"+5"', '".5"', '"5."', '" 640 "', "123456789012345678901234567890", '"6\\u0034\\u0030"',
]  # fmt: skip


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_values_come_back_exactly_as_the_meter_sent_them(spelled):
    sent = (
        '{"requestReference": "1", "result": "SUCCESS", '
        f'"registerValues": [{{"name": "a", "value": {spelled}}}], '
        '"surveyData": [{"name": "a", "readings": '
        f'[{{"timestamp": "2019-01-01T00:00:00Z", "value": {spelled}}}]}}]}}'
    )
    found = read_result(sent.encode())
    expected = json.loads(spelled) if spelled.startswith('"') else spelled
    assert found.problems == ()
    assert found.surveys[0].texts == [expected]
    assert found.registers[0].text == expected


@pytest.mark.parametrize(
    "value", [None, "", "abc", "640,5", "NaN", "Infinity", "1_0", True, {}, [], "1" * 41, "1e999"]
)
def test_a_value_that_is_no_number_is_reported_and_its_neighbours_are_kept(value):
    sent = survey(reading("1"), reading(value, "2019-01-01T00:30:00"), reading("3"))
    found = read({"result": "SUCCESS"} | sent)
    assert found.surveys[0].texts == ["1", "3"]
    assert found.problems == (Problem("surveyData[0].readings[1].value", "This is not a number."),)


@pytest.mark.parametrize("stamp", [None, "", "soon", "2019-01-01T25:00:00Z", 5, "2019-01-01"])
def test_a_reading_without_a_time_is_reported(stamp):
    found = read({"result": "SUCCESS"} | survey(reading("1"), reading("2", stamp)))
    assert found.surveys[0].texts == ["1"]
    assert paths(found) == ["surveyData[0].readings[1].timestamp"]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2019-01-01T00:30:00", 1800),
        ("2019-01-01T00:30:00Z", 1800),
        ("2019-01-01 00:30:00", 1800),
        ("2019-01-01T01:30:00+01:00", 1800),
        ("2019-01-01T00:30:01Z", 1801),
        (" 2019-01-01T00:30:00Z ", 1800),
    ],
)
def test_times_of_readings(stamp, seconds):
    found = read({"result": "SUCCESS"} | survey(reading("1", stamp), reading("2")))
    assert found.surveys[0].times == [FIRST + seconds, FIRST]
    assert found.problems == ()


def test_status_flags_are_kept():
    found = read({"result": "SUCCESS"} | survey(reading(statusFlags=64), reading()))
    assert found.surveys[0].flags == [64, None]
    assert read({"result": "SUCCESS"} | survey(reading(), reading())).surveys[0].flags is None
    texts = read({"result": "SUCCESS"} | survey(reading(statusFlags="-3"), reading()))
    assert texts.surveys[0].flags == [-3, None]


@pytest.mark.parametrize("flags", ["x", 1.5, 2**63, [1], True])
def test_flags_that_are_no_whole_number_are_reported_and_the_value_is_kept(flags):
    found = read({"result": "SUCCESS"} | survey(reading("7", statusFlags=flags)))
    assert found.surveys[0].texts == ["7"]
    assert paths(found) == ["surveyData[0].readings[0].statusFlags"]


@pytest.mark.parametrize("name", [None, "", "\0", "x" * 61, 7.5, {}])
def test_a_series_without_a_usable_name_is_reported(name):
    changes = {"result": "SUCCESS", "surveyData": [{"name": name, "readings": [reading()]}]}
    found = read(changes)
    if name == 7.5:
        assert found.surveys[0].name == "7.5"
        return
    assert found.surveys == ()
    assert paths(found) == ["surveyData[0].name"]


@pytest.mark.parametrize(
    ("sent", "count", "problems"),
    [
        (None, 0, []),
        ([], 0, []),
        ({"name": "a", "readings": reading()}, 1, []),
        ([{"name": "a", "readings": None}], 0, []),
        ([{"name": "a"}], 0, []),
        ([{"name": "a", "readings": "none"}], 0, ["surveyData[0].readings"]),
        ([{"name": "a", "readings": [7, reading()]}], 1, ["surveyData[0].readings[0]"]),
        ([7, {"name": "a", "readings": [reading()]}], 1, ["surveyData[0]"]),
        ("x", 0, ["surveyData"]),
    ],
)
def test_survey_data_of_odd_form(sent, count, problems):
    found = read({"result": "SUCCESS", "surveyData": sent})
    assert found.reading_count == count
    assert paths(found) == problems


@pytest.mark.parametrize(
    ("item", "text", "problems"),
    [
        ({"name": "a", "value": "758"}, "758", []),
        ({"name": "a", "value": 758.0, "timestamp": None, "units": None}, "758.0", []),
        ({"name": "a", "value": "1", "timestamp": "x"}, "1", ["registerValues[0].timestamp"]),
        ({"name": "a", "value": "ERROR: x"}, None, ["registerValues[0].value"]),
        ({"name": "a"}, None, ["registerValues[0].value"]),
        ({"value": "1"}, None, ["registerValues[0].name"]),
    ],
)
def test_register_values(item, text, problems):
    found = read({"result": "SUCCESS", "registerValues": [item]})
    assert [each.text for each in found.registers] == ([text] if text else [])
    assert paths(found) == problems


def test_a_document_full_of_faults_stays_small():
    found = read({"result": "SUCCESS"} | survey(*[reading("x")] * 5000))
    assert len(found.problems) == 200
    assert "4801" in found.problems[-1].reason


def test_texts_that_a_database_cannot_hold_are_reported():
    found = read({"result": "SUCCESS", "mpan": "a\0b", "meterType": "x" * 1001})
    assert (found.mpan, found.meter_type) == ("", "")
    assert paths(found) == ["mpan", "meterType"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SPELLINGS[:9]),
            st.integers(0, 200).map(
                lambda n: f"{utc(2019, 1, 1) + n * timedelta(minutes=15):%FT%T}"
            ),
            st.sampled_from(["", "Z"]),
            st.sampled_from(["", ', "statusFlags": 1', ', "statusFlags": null']),
        )
    )
)
def test_a_fault_elsewhere_changes_nothing_here(rows):
    """The quick way and the thorough way through survey data come to the same."""
    readings = ", ".join(
        f'{{"timestamp": "{stamp}{zone}", "value": {value}{flags}}}'
        for value, stamp, zone, flags in rows
    )
    sound = f'{{"name": "a", "units": "kWh", "readings": [{readings}]}}'
    start = '{"requestReference": "1", "result": "SUCCESS", "surveyData": ['
    quick = read_result(f"{start}{sound}]}}".encode())
    thorough = read_result(f'{start}{sound}, {{"name": "b", "readings": [7]}}]}}'.encode())
    assert quick.problems == ()
    assert len(thorough.problems) == 1
    assert thorough.surveys[0] == quick.surveys[0]
    assert quick.reading_count == len(rows)


# ---- What is no result ------------------------------------------------------------------------

NOT_RESULTS = [
    b"", b"  ", b"<html></html>", b"null", b"[]", b"7", b'"x"', b"{}", b'{"requestReference"',
    b'{"requestReference": ""}', b'{"requestReference": " "}', b'{"requestReference": null}',
    b'{"requestReference": []}', b'{"requestReference": true}', b'{"requestReference": "a\\u0000"}',
    b'{"requestReference": "1",}', b'{"requestReference": "1"} x', b"[" * 100_000,
    b'{"requestReference": "1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"requestReference": "1", "x": "\xff"}', b'{"requestReference": "' + b"x" * 256 + b'"}',
    body().decode().encode("utf-16"), b'{"requestReference": "1", "x": NaN}',
]  # fmt: skip


@pytest.mark.parametrize("content", NOT_RESULTS, ids=range(len(NOT_RESULTS)))
def test_what_is_no_result_is_malformed(content):
    with pytest.raises(NotReadable) as caught:
        read_result(content)
    assert form_problems(content) == (caught.value.reason,)
    assert caught.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("content", "reference"),
    [
        (b"\xef\xbb\xbf" + body(), "0001"),
        (b' \n{"requestReference": " 0001 "}\n', "0001"),
        (b'{"requestReference": 17}', "17"),
        (b'{"requestReference": "a", "requestReference": "b"}', "b"),
    ],
)
def test_what_is_a_result_all_the_same(content, reference):
    assert form_problems(content) == ()
    assert messages.read_reference(content) == reference
    assert read_result(content).request_reference == reference


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*FULL, "name", "readings", "timestamp", "value", "statusFlags", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from([*FULL, "result", "x"]), JSON))
def test_any_object_with_a_reference_can_be_read(document):
    content = json.dumps(document | LEAST, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if form_problems(content):
        assert "\\ud" in json.dumps(document)
        return
    found = read_result(content)
    assert found.request_reference == "0001"
    for each in found.surveys:
        assert len(each.times) == len(each.texts)
    without_password(content)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_or_refused(content):
    without_password(content)
    if form_problems(content):
        with pytest.raises(NotReadable):
            read_result(content)
    else:
        read_result(content)


def test_escapes_of_half_a_letter_harm_only_their_own_property():
    content = b'{"requestReference": "1", "result": "SUCCESS", "mpan": "\\udc00", "x": "\\udc00"}'
    if not form_problems(content):
        found = read_result(content)
        assert found.mpan == ""
        assert paths(found) == ["mpan"]


# ---- The password -----------------------------------------------------------------------------

PLANTED = "Zq7-planted!"


@pytest.mark.parametrize(
    "content",
    [
        body({"password": PLANTED}),
        body({"PassWord": PLANTED}),
        body({"meterPassword": PLANTED}),
        body({"password": {"value": PLANTED}}),
        body({"password": [PLANTED]}),
        body({"a": [{"b": {"PASSWORD": PLANTED}}]}),
        body({"password": PLANTED, "result": f"ERROR: log-in with {PLANTED} failed"}),
        body({"password": PLANTED, "serialNumber": f"ERROR: {PLANTED} refused"}),
        body({"password": PLANTED, "statusEvents": [f"password {PLANTED}"]}),
        body({"password": PLANTED, "echo": {"deep": PLANTED}}),
        body({"echo": json.dumps({"password": PLANTED})}),
        body({"echo": f"Password={PLANTED}"}),
        body({"password": PLANTED}).replace(b"password", b"pass\\u0077ord"),
        body({"password": PLANTED}).replace(b"password", "pa\u017f\u017fword".encode()),
        b'{"requestReference": "1", "password": "%b", "password": "x"}' % PLANTED.encode(),
        b'{"requestReference": "1", "password": "x", "password": "%b"}' % PLANTED.encode(),
        b'{"a": {"password": "%b", "password": null}}' % PLANTED.encode(),
        b'[{"password": "%b"}]' % PLANTED.encode(),
        b"\xef\xbb\xbf" + body({"password": PLANTED}),
        body({"password": PLANTED})[:-3],
        body({"password": PLANTED}) + b"}",
        f"<password>{PLANTED}</password>".encode(),
        f"password={PLANTED}&mpan=1".encode(),
        f"password {PLANTED}".encode(),
        f"'password': '{PLANTED}, {PLANTED}'".encode(),
        body({"password": PLANTED}).decode().encode("utf-16"),
        b"\xff" + body({"password": PLANTED}),
        body({"password": PLANTED}).replace(b"password", b"pass\\u0077ord")[:-1],
        b'{"x":' * 60 + body({"password": PLANTED}) + b"}" * 60,
        b'{"x":' * 5000 + body({"password": PLANTED}) + b"}" * 5000,
        json.dumps(f"password {PLANTED}").encode(),
    ],
)
def test_no_password_is_left(content):
    found = without_password(content)
    assert PLANTED.encode() not in found
    assert PLANTED[:4].encode() not in found
    assert PLANTED.encode("utf-16-le") not in found
    assert without_password(found) == found


def test_what_the_caller_knows_is_masked_in_free_text():
    content = body({"result": f"ERROR: {PLANTED} refused"})
    assert without_password(content) == content
    assert PLANTED.encode() not in without_password(content, [PLANTED])
    assert PLANTED.encode() not in without_password(b"no JSON " + content, [PLANTED])


def test_everything_else_stays_to_the_letter():
    content = (
        b'{"requestReference":"0001","password":"700","a":640.50,"b":-0,"c":1e5,'
        b'"surveyData":[{"name":"x","readings":[{"timestamp":"2019-01-01T00:00:00Z",'
        b'"value":640.0},{"value":"700"}]}],"serialNumber":"700"}'
    )
    assert without_password(content) == content.replace(b'"password":"700",', b"")


def test_a_document_without_password_is_not_touched():
    content = b' { "requestReference" : "0001" , "result":"ERROR: log-in refused"} '
    assert without_password(content) == content


def test_a_refused_password_may_be_spoken_of():
    content = body({"result": "ERROR: password rejected", "password": PLANTED})
    assert read_result(without_password(content)).outcome.details == "password rejected"


# ---- Speed ------------------------------------------------------------------------------------


def largest():
    stamps = [
        f"{utc(2026, 3, 1) + timedelta(minutes=30 * n):%Y-%m-%dT%H:%M:%SZ}" for n in range(1488)
    ]
    series = [
        {
            "name": f"register {number}",
            "units": "kWh",
            "readings": [
                {"timestamp": stamp, "value": f"{1234.5 + place * 0.7 + number:.3f}"}
                for place, stamp in enumerate(stamps)
            ],
        }
        for number in range(8)
    ]
    return body({"result": "SUCCESS", "password": PLANTED, "surveyData": series})


def fastest(action, content):
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        action(content)
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_the_largest_result_is_read_in_three_times_the_time_of_json():
    content = largest()
    assert read_result(content).reading_count == 11_904
    assert fastest(read_result, content) <= 3 * fastest(json.loads, content)
