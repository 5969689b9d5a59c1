"""Replies of the installation registry: what the specification promises, and everything else."""

import json
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg import messages
from seg.messages import NotPromised, normalise_certificate, read_reply

ASKED = "MCS-01109073-U"
FULL = {
    "CertificateNumber": ASKED,
    "CreatedDate": "2019-11-04 09:30:15",
    "CommissioningDate": "2019-10-31",
    "Technology": 10,
    "Technology_Description": "Solar PV",
    "AddressLine1": "14 Saltmarsh Row",
    "AddressLine2": "Eastwold",
    "AddressLine3": None,
    "County": 25,
    "County_Description": "Norfolk",
    "Postcode": "LX3 7QP",
    "MPAN": "1400002000040",
    "TotalCapacity": 5.60,
    "EstimatedAnnualGeneration": 4830.25,
    "Status": 2,
    "Status_Description": "Created",
    "GenerationMeterSerialNumber": "E12Z004711",
    "GenerationMeterReading": "00012",
    "DeclaredNetCapacity": 5.00,
    "InstallationType": 1,
    "InstallationType_Description": "Domestic",
    "DNONotificationCompliance": 2,
    "DNONotificationCompliance_Description": "Consent to connect obtained prior to connection",
}
LEAST = {"CertificateNumber": ASKED, "Status": 2, "Technology": 10}
REQUIRED = tuple(LEAST)


def body(changes=None, base=LEAST):
    return json.dumps({**base, **(changes or {})}).encode()


def read(changes=None, base=LEAST):
    return read_reply(200, body(changes, base), ASKED)


def reason(status, content, asked=ASKED):
    with pytest.raises(NotPromised) as caught:
        read_reply(status, content, asked)
    return caught.value.reason


def test_every_property_is_read():
    found = read(base=FULL)
    assert found == messages.Installation(
        certificate=ASKED,
        status=2,
        technology=10,
        created_at=datetime(2019, 11, 4, 9, 30, 15),
        commissioning_date=date(2019, 10, 31),
        technology_description="Solar PV",
        address_line_1="14 Saltmarsh Row",
        address_line_2="Eastwold",
        county=25,
        county_description="Norfolk",
        postcode="LX3 7QP",
        mpan="1400002000040",
        total_capacity=Decimal("5.6"),
        estimated_annual_generation=Decimal("4830.25"),
        status_description="Created",
        generation_meter_serial_number="E12Z004711",
        generation_meter_reading="00012",
        declared_net_capacity=Decimal(5),
        installation_type=1,
        installation_type_description="Domestic",
        dno_notification=2,
        dno_notification_description="Consent to connect obtained prior to connection",
    )
    assert found.address == ("14 Saltmarsh Row", "Eastwold")


OPTIONAL = {
    "CreatedDate": "created_at",
    "CommissioningDate": "commissioning_date",
    "Technology_Description": "technology_description",
    "AddressLine1": "address_line_1",
    "AddressLine2": "address_line_2",
    "AddressLine3": "address_line_3",
    "County": "county",
    "County_Description": "county_description",
    "Postcode": "postcode",
    "MPAN": "mpan",
    "TotalCapacity": "total_capacity",
    "EstimatedAnnualGeneration": "estimated_annual_generation",
    "Status_Description": "status_description",
    "GenerationMeterSerialNumber": "generation_meter_serial_number",
    "GenerationMeterReading": "generation_meter_reading",
    "DeclaredNetCapacity": "declared_net_capacity",
    "InstallationType": "installation_type",
    "InstallationType_Description": "installation_type_description",
    "DNONotificationCompliance": "dno_notification",
    "DNONotificationCompliance_Description": "dno_notification_description",
}


@pytest.mark.parametrize(("name", "attribute"), OPTIONAL.items())
def test_every_optional_property_may_be_empty(name, attribute):
    missing = {key: value for key, value in FULL.items() if key != name}
    assert getattr(read(base=missing), attribute) is None
    assert read({name: None}, FULL) == read(base=missing)
    if name not in {"County", "DNONotificationCompliance"}:
        assert read({name: "  "}, FULL) == read(base=missing)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("empty", [None, "missing"])
def test_a_reply_without_the_necessary_is_not_promised(name, empty):
    item = dict(FULL)
    del item[name]
    if empty is None:
        item[name] = None
    assert reason(200, json.dumps(item).encode()) == f"{name} is missing."


def test_a_list_of_one_counts_and_an_empty_list_is_nothing_found():
    assert read_reply(200, b"[" + body() + b"]", ASKED) == read()
    assert read_reply(200, b" [ ] ", ASKED) is None


@pytest.mark.parametrize("text", [ASKED, "mcs 01109073 u", " MCS01109073U "])
def test_numbers_are_compared_in_one_spelling(text):
    assert read_reply(200, body({"CertificateNumber": "mcs-01109073-u "}), text) is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"<html>Bad Request</html>", b'{"Message": "no results"}', b"[[["],
)
def test_400_is_no_such_installation_whatever_it_says(content):
    assert read_reply(400, content, ASKED) is None


def test_400_with_an_installation_is_a_contradiction():
    assert "400 came with an installation" in reason(400, body())


@pytest.mark.parametrize("status", [201, 204, 301, 401, 403, 404, 429, 500, 503])
def test_other_statuses_are_no_answer_even_with_a_good_body(status):
    assert reason(status, body()) == f"HTTP status {status} is no answer of GetInstallation."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "The reply is empty."),
        (b" \n", "The reply is empty."),
        (b"<!doctype html><html></html>", "The reply is not JSON."),
        (body(base=FULL)[:-20], "The reply is not JSON."),
        (b"\xff\xfe{}", "The reply is not JSON."),
        (b'"\xff"', "The reply is not JSON."),
        (b"[" * 100_000, "The reply is not JSON."),
        (b'{"TotalCapacity": NaN}', "The reply is not JSON."),
        (b'{"TotalCapacity": Infinity}', "The reply is not JSON."),
        (b'{"TotalCapacity": 1e99999999999999999999}', "The reply is not JSON."),
        (b"null", "The reply is not an object."),
        (b'"OK"', "The reply is not an object."),
        (b"[null]", "The reply is not an object."),
        (b"[[]]", "The reply is not an object."),
        (b"{}", "CertificateNumber is missing."),
        (b"[{}, {}]", "The reply lists 2 installations instead of one."),
        (
            body({"CertificateNumber": "MCS-01109052-T"}),
            "The reply is about another certificate than the one asked for.",
        ),
    ],
)
def test_what_is_not_promised_is_neither_a_yes_nor_a_no(content, expected):
    assert reason(200, content) == expected


@pytest.mark.parametrize("name", ["Status", "Technology", "County", "DNONotificationCompliance"])
@pytest.mark.parametrize("value", ["2", "two", 2.5, True, [], {}, -1, 2**40])
def test_look_up_values_are_whole_numbers(name, value):
    assert reason(200, body({name: value})) == f"{name} is not a whole number."


@pytest.mark.parametrize("name", ["CertificateNumber", "MPAN", "Postcode", "AddressLine1"])
@pytest.mark.parametrize("value", [5, 5.5, False, ["a"], {"a": 1}, "a\0b"])
def test_text_is_text(name, value):
    assert reason(200, body({name: value})) == f"{name} is not text."


def test_text_longer_than_promised():
    assert (
        reason(200, body({"Postcode": "LX3 7QP LX3"})) == "Postcode is longer than 10 characters."
    )
    assert read({"Postcode": "LX3 7QP" + " " * 20}).postcode == "LX3 7QP"


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("5.60", "5.60"),
        ('"5.60"', "5.60"),
        ('" 5.6 "', "5.6"),
        ("5", "5"),
        ("-1.5", "-1.5"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("1e1", "10"),
        ("99999999999999.99", "99999999999999.99"),
    ],
)
def test_decimals_are_exact(written, exact):
    content = body()[:-1] + f', "TotalCapacity": {written}}}'.encode()
    capacity = read_reply(200, content, ASKED).total_capacity
    assert capacity == Decimal(exact)


@pytest.mark.parametrize("value", ["lots", "5,6", "NaN", "Infinity", "1e5", "٥", True, [5], {}])
def test_other_decimals_are_not_numbers(value):
    assert reason(200, body({"TotalCapacity": value})) == "TotalCapacity is not a number."


@pytest.mark.parametrize("value", [10**14, -(10**30), "1" * 400, 1e200])
def test_decimals_too_large_to_keep(value):
    expected = "TotalCapacity is larger than its format allows."
    assert reason(200, body({"TotalCapacity": value})) == expected


@pytest.mark.parametrize("value", ["31/10/2019", "20191031", "2019-10-31T00:00:00", "2019-W01-1"])
def test_dates_have_one_format(value):
    content = body({"CommissioningDate": value})
    assert reason(200, content) == "CommissioningDate is not a date like yyyy-MM-dd."


def test_dates_and_times_are_of_the_calendar():
    content = body({"CommissioningDate": "2019-02-30"})
    assert reason(200, content) == "CommissioningDate is not a date of the calendar."
    content = body({"CreatedDate": "2019-11-04 25:00:00"})
    assert reason(200, content) == "CreatedDate is not a time of the calendar."
    content = body({"CreatedDate": "2019-11-04T09:30:15Z"})
    assert reason(200, content) == "CreatedDate is not a time like yyyy-MM-dd HH:mm:ss."


@pytest.mark.parametrize(
    ("value", "number", "words"),
    [
        (1, 1, None),
        ("2", 2, "Non-Domestic"),
        ("domestic", 1, "Domestic"),
        ("Community", None, "Community"),
        ("", None, None),
    ],
)
def test_installation_type_as_seen_elsewhere(value, number, words):
    found = read({"InstallationType": value})
    assert (found.installation_type, found.installation_type_description) == (number, words)


def test_unknown_properties_and_unlisted_values_are_read():
    found = read({"Shoe": {"size": [44]}, "Status": 9, "Technology": 99, "County": 200})
    assert (found.status, found.technology, found.county) == (9, 99, 200)


def test_a_byte_order_mark_does_no_harm():
    assert read_reply(200, b"\xef\xbb\xbf" + body(), ASKED) == read()


@given(st.sampled_from(["MPAN", "Postcode", "TotalCapacity", "CommissioningDate"]), st.text())
def test_reasons_never_show_a_value(name, value):
    secret = f"zq{value}qz"
    assert secret not in reason(200, body({name: f"{secret}\0"}))


@given(st.binary(), st.integers(100, 599))
def test_no_body_breaks_the_reader(content, status):
    try:
        read_reply(status, content, ASKED)
    except NotPromised as problem:
        assert problem.reason.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "MCS-01109073-U",
        "mcs-01109073-u",
        "mcs01109073u",
        "MCS 01109073 U",
        " mcs – 01109073 — u ",
        "MCS‑01109073‑U",
        "01109073-U",
        "0110 9073 u",
        "ＭＣＳ-01109073-U",
        "MCS--01109073--U-",
    ],
)
def test_certificate_numbers_are_forgiven(text):
    assert normalise_certificate(text) == ASKED


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("mcs 9041732 k", "MCS-9041732-K"),
        ("mcs-01109073", "MCS-01109073"),
        ("01109073", "01109073"),
        ("napit/2019/77 b", "NAPIT/2019/77B"),
        ("", ""),
    ],
)
def test_other_forms_are_kept(text, number):
    assert normalise_certificate(text) == number


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    once = normalise_certificate(text)
    assert normalise_certificate(once) == once


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" ", "Write the number on your MCS certificate, like MCS-90417326-K."),
        (
            "1" * 256,
            "This is too long for a certificate number. Write only the number, like MCS-90417326-K.",
        ),
        ("../etc/1", "Use only letters, digits and dashes, like MCS-90417326-K."),
        ("MCS-0110907é", "Use only letters, digits and dashes, like MCS-90417326-K."),
        ("solar", "A certificate number has digits in it, like MCS-90417326-K."),
    ],
)
def test_impossible_numbers_are_refused_with_a_sentence(text, problem):
    assert messages.certificate_problem(text) == problem


@pytest.mark.parametrize("text", [ASKED, "mcs 9041732 k", "12", "MCS-123456789-AB", "1" * 255])
def test_other_lengths_are_for_the_registry_to_judge(text):
    assert messages.certificate_problem(text) is None


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (ASKED, None),
        ("mcs 9041732 k", "Write all 8 digits, like MCS-90417326-K. We found only 7."),
        ("MCS-904173266-K", "Write all 8 digits, like MCS-90417326-K. We found 9."),
        ("MCS-90417326", "Write the letter at the end as well, like MCS-90417326-K."),
        ("NAPIT-1-2", None),
        ("", None),
    ],
)
def test_unusual_numbers_are_warned_about(text, warning):
    assert messages.certificate_warning(text) == warning


def test_look_up_tables_are_complete():
    assert len(messages.COUNTY) == 96
    assert len(messages.TECHNOLOGY) == 16
    assert messages.TECHNOLOGY[messages.SOLAR_PV] == "Solar PV"
    assert messages.STATUS[messages.CREATED] == "Created"
    assert messages.COUNTY[25] == "Norfolk"
    assert messages.DNO_CONNECTION[messages.NOT_APPLICABLE] == "Not Applicable"
