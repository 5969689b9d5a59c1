"""What crosses the wire: one question, three envelopes, and everything that is none of them."""

import json
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import messages
from gasquotes.messages import (
    FAULT_STRINGS,
    FIELDS,
    Filter,
    NotAllowed,
    NotPromised,
    Said,
    SupplyPoint,
    build_query,
    filter_problems,
    normalised,
    parse_reply,
)

MPRN = "3938424403"
BY_MPRN = Filter(mprn=MPRN)
BY_ADDRESS = Filter(postcode="AB24 3PU", house_no="10")
SAMPLE = b"""{
  "mprn": {
    "amr_indicator": "", "country": "GB", "county": "", "csep_id": "",
    "current_aq_roll_value": 0.0013527, "current_formula_year_aq_value": 0.0013527,
    "current_formula_year_soq_value": 0.0000109, "current_soq_roll_value": 0.0000109,
    "dependent_local": "", "dependent_street": "",
    "distribution_network_operator": "Scotland Gas Networks Plc.", "exit_zone": "SC1",
    "house_no": "10", "local_distribution_zone": "SC", "market_sector_code": "D",
    "mprn": "3938424403", "perspective_formula_year_aq_value": 0.0013527,
    "perspective_formula_year_effective_date": "2016-10-01T00:00:00.000Z",
    "perspective_formula_year_soq_value": 0.000011, "postcode": "AB24 3PU",
    "street": "ELMBANK TERRACE", "sub_building_name": "", "town": "ABERDEEN",
    "installation_number": "1234567"
  }
}"""


def record(**fields):
    return json.dumps({"mprn": {"mprn": MPRN, **fields}}).encode()


def with_number(text):
    return b'{"mprn":{"mprn":"3938424403","current_aq_roll_value":' + text.encode() + b"}}"


def fault(code=None, text=None):
    detail = {} if code is None else {"detail": {"errorcode": code}}
    words = {} if text is None else {"faultstring": text}
    return json.dumps({"fault": {**words, **detail}}).encode()


def gateway(status, text):
    return json.dumps({"statusCode": status, "message": text}).encode()


# ---- The question ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        (Filter(mprn=" 39384 24403 "), {"mprn": MPRN}),
        (Filter(address_id=" X1 "), {"address_id": "X1"}),
        (Filter(postcode="ab243pu"), {"postcode": "AB24 3PU"}),
        (
            Filter(postcode="AB24 3PU", house_no="10", street=" Elmbank  Terrace ", country="GB"),
            {
                "postcode": "AB24 3PU",
                "house_no": "10",
                "street": "Elmbank Terrace",
                "country": "GB",
            },
        ),
    ],
)
def test_query(asked, query):
    assert build_query(asked) == query
    assert filter_problems(asked) == {}


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        (Filter(), "", "Write an MPRN, or a postcode"),
        (Filter(street="Elmbank Terrace"), "", "Write the postcode as well"),
        (Filter(mprn=MPRN, postcode="AB24 3PU"), "", "either the MPRN or the postcode"),
        (Filter(address_id="1", postcode="AB24 3PU"), "", "either"),
        (Filter(mprn=MPRN, town="Aberdeen"), "", "postcode only"),
        (Filter(mprn="12345"), "mprn", "6 to 10 digits; this one has 5"),
        (Filter(mprn="12345678901"), "mprn", "this one has 11"),
        (Filter(mprn="12345678X"), "mprn", "digits only"),
        (Filter(mprn="١٢٣٤٥٦٧"), "mprn", "digits only"),
        (Filter(postcode="AB24"), "postcode", "full postcode"),
        (Filter(postcode="AB24 3PU", street="x" * 41), "street", "at most 40"),
        (Filter(postcode="AB24 3PU", country="GBRX"), "country", "at most 3"),
        (Filter(postcode="AB24 3PU", house_no="1\x00"), "house_no", "cannot be sent"),
        (Filter(address_id="x" * 31), "address_id", "at most 30"),
    ],
)
def test_what_may_not_be_asked(asked, field, words):
    problems = filter_problems(asked)
    assert words in problems[field]
    with pytest.raises(NotAllowed) as caught:
        build_query(asked)
    assert caught.value.problems == problems


def test_every_length_of_the_specification_is_held():
    fitting = {
        n: "x" * length
        for n, length in messages.LENGTHS.items()
        if n not in ("mprn", "address_id", "postcode")
    }
    assert filter_problems(Filter(postcode="AB24 3PU", **fitting)) == {}
    for name, value in fitting.items():
        longer = {**fitting, name: value + "x"}
        assert list(filter_problems(Filter(postcode="AB24 3PU", **longer))) == [name]


@given(st.builds(Filter, **{name: st.text(max_size=60) for name in messages.LENGTHS}))
def test_exactly_one_filter_leaves(asked):
    try:
        query = build_query(asked)
    except NotAllowed:
        return
    assert len({"mprn", "address_id", "postcode"} & set(query)) == 1
    assert all(0 < len(value) <= messages.LENGTHS[name] for name, value in query.items())
    assert build_query(normalised(asked)) == query


# ---- A record -------------------------------------------------------------------------------


def test_the_sample_of_the_specification():
    point = parse_reply(200, SAMPLE, BY_MPRN)
    assert isinstance(point, SupplyPoint)
    assert point.current_formula_year_aq_value == Decimal("0.0013527")
    assert str(point.perspective_formula_year_soq_value) == "0.000011"
    assert point.perspective_formula_year_effective_date == date(2016, 10, 1)
    assert point.distribution_network_operator == "Scotland Gas Networks Plc."
    assert point.address == ("10 ELMBANK TERRACE", "ABERDEEN", "AB24 3PU")
    kept = json.loads(SAMPLE)["mprn"]
    assert set(FIELDS) == set(kept)
    assert len(FIELDS) == 24


def test_missing_null_and_unknown_fields_are_normal():
    body = record(street=None, new_field={"a": [1]}, current_aq_roll_value=None, town="")
    point = parse_reply(200, body, BY_MPRN)
    assert point == SupplyPoint(mprn=MPRN)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.0000001", "1E-7"),
        ("1352.7", "1352.7"),
        ("0.1", "0.1"),
        ("123456789.1234567", "123456789.1234567"),
        ("2500000000", "2500000000"),
        ("1.0000000000", "1"),
        ("1E-7", "1E-7"),
        ("-0.0", "0"),
        ("-5", "-5"),
        ('"0.0013527"', "0.0013527"),
        ('""', None),
        ('" "', None),
        ("null", None),
    ],
)
def test_numbers_are_exact(text, number):
    found = parse_reply(200, with_number(text), BY_MPRN).current_aq_roll_value
    assert found == (None if number is None else Decimal(number))
    assert found is None or "E+" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", '"NaN"', '"Infinity"', "1e999999999", "1e400", '"1e400"', "1e20"),
        *("0.00000001", "1234567890123456.7", "12345678901234567", "1" + "0" * 5000, "true"),
        *('"1,352.7"', '"abc"', "[1]", "{}", '"1_000"', '"٣"', '"0x10"', "--1", "1e-400"),
    ],
)
def test_numbers_that_are_none_or_without_bounds(text):
    with pytest.raises(NotPromised) as caught:
        parse_reply(200, with_number(text), BY_MPRN)
    assert len(caught.value.reason) < 100


@given(st.integers(0, 10**16 - 1), st.integers(0, 7))
def test_any_decimal_16_7_comes_through(digits, places):
    exact = Decimal(digits).scaleb(-places)
    assert parse_reply(200, with_number(f"{exact:f}"), BY_MPRN).current_aq_roll_value == exact


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2016-10-01T00:00:00.000Z", date(2016, 10, 1)),
        ("2027-04-01", date(2027, 4, 1)),
        ("2027-04-01T00:00:00", date(2027, 4, 1)),
        ("2027-04-01 00:00:00", date(2027, 4, 1)),
        ("2027-03-31T23:00:00Z", date(2027, 4, 1)),
        ("2027-04-01T00:00:00+01:00", date(2027, 4, 1)),
        ("", None),
        (None, None),
    ],
)
def test_dates(text, day):
    body = record(perspective_formula_year_effective_date=text)
    assert parse_reply(200, body, BY_MPRN).perspective_formula_year_effective_date == day


@pytest.mark.parametrize(
    "text",
    [
        "2027-02-30",
        "1 April",
        "01/04/2027",
        20270401,
        "2027-04-01T99:00:00Z",
        "0000-01-01",
        "9999-12-31T23:59:59-23:59",
        True,
    ],
)
def test_dates_that_are_none(text):
    with pytest.raises(NotPromised):
        parse_reply(200, record(perspective_formula_year_effective_date=text), BY_MPRN)


@pytest.mark.parametrize(
    "fields",
    [
        {"street": 10},
        {"street": 1.5},
        {"street": ["x"]},
        {"house_no": True},
        {"street": "x" * 41},
        {"county": "ABCD"},
        {"mprn": None},
        {"mprn": ""},
        {"mprn": 3938424403},
        {"mprn": "XXXXXXXXXX"},
    ],
)
def test_wrong_types_and_endless_text(fields):
    with pytest.raises(NotPromised):
        parse_reply(200, record(**fields), BY_ADDRESS)


def test_control_signs_are_no_part_of_a_name():
    point = parse_reply(200, record(street="ELM\x00BANK\r\n\tTERRACE\x85"), BY_MPRN)
    assert point.street == "ELM BANK TERRACE"


def test_a_record_about_another_meter():
    with pytest.raises(NotPromised, match="another MPRN"):
        parse_reply(200, SAMPLE, Filter(mprn="1234567810"))
    assert parse_reply(200, SAMPLE, BY_ADDRESS).mprn == MPRN
    padded = parse_reply(200, record(mprn="0001234567"), Filter(mprn="1234567"))
    assert padded.mprn == "0001234567"
    assert not messages.same_mprn("000000", "000000")


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 500])
def test_a_record_with_another_status_is_a_contradiction(status):
    with pytest.raises(NotPromised):
        parse_reply(status, SAMPLE, BY_MPRN)


def test_a_record_and_a_fault_at_once():
    body = json.dumps({"mprn": {"mprn": MPRN}, "fault": {"faultstring": "x"}}).encode()
    with pytest.raises(NotPromised):
        parse_reply(200, body, BY_MPRN)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"<html><body>Sign in</body></html>", b'{"mprn": {"mprn": "39384', b"[]"),
        *(b"null", b"{}", b'"mprn"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000, b'{"mprn": []}'),
        *(
            b'{"mprn": "3938424403"}',
            b'{"fault": "x"}',
            b'{"fault": {}}',
            b'{"fault": {"detail": 1}}',
        ),
        *(b'{"statusCode": 200, "message": "ok"}', b'{"statusCode": true, "message": "ok"}'),
        *(
            b'{"statusCode": 1e3, "message": "ok"}',
            b'{"statusCode": 99, "message": ""}',
            b'{"message": "ok"}',
        ),
    ],
)
def test_what_is_no_reply(body):
    with pytest.raises(NotPromised) as caught:
        parse_reply(200, body, BY_MPRN)
    assert MPRN not in caught.value.reason


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_a_page_with_an_error_status_says_only_that(status):
    assert parse_reply(status, b"<html>oh</html>", BY_MPRN) == Said(code="", text="", status=status)


def test_a_byte_order_mark_is_forgiven():
    assert parse_reply(200, b"\xef\xbb\xbf" + SAMPLE, BY_MPRN).mprn == MPRN


@given(st.binary(max_size=400), st.sampled_from([200, 204, 301, 400, 401, 429, 500]))
def test_any_bytes_have_an_answer(body, status):
    try:
        found = parse_reply(status, body, BY_MPRN)
    except NotPromised:
        return
    assert isinstance(found, Said)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mprn": st.fixed_dictionaries(
                {"mprn": st.just(MPRN)}, optional=dict.fromkeys(set(FIELDS) - {"mprn"}, JSON)
            ),
            "fault": st.fixed_dictionaries({}, optional={"faultstring": JSON, "detail": JSON}),
            "statusCode": JSON,
            "message": JSON,
        },
    )
)
def test_any_json_of_these_forms_has_an_answer(body):
    try:
        found = parse_reply(200, msgspec.json.encode(body), BY_MPRN)
    except NotPromised:
        return
    assert isinstance(found, SupplyPoint | Said)


# ---- Faults ---------------------------------------------------------------------------------

E_CODES = [code for code in FAULT_STRINGS if code.startswith("e")]


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("code", FAULT_STRINGS)
def test_every_code_with_any_status(code, status):
    text = FAULT_STRINGS[code]
    assert parse_reply(status, fault(code, text), BY_MPRN) == Said(
        code=code, text=text[:400], status=status
    )


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("oauth.v2.InvalidApiKey", "oauth.v2.InvalidApiKey"),
        ("steps.oauth.v2.InvalidApiKey", "oauth.v2.InvalidApiKey"),
        ("oauth.v2.FailedToResolveAPIKey", "steps.oauth.v2.FailedToResolveAPIKey"),
        ("steps.OAUTH.v2.failedtoresolveapikey", "steps.oauth.v2.FailedToResolveAPIKey"),
        ("ratelimit.QuotaViolation", "policies.ratelimit.QuotaViolation"),
        ("custom.config.2", "policies.custom.config.2"),
        ("E011", "e011"),
        ("policies.strange.Thing", "policies.strange.Thing"),
        ("x" * 500, "x" * 60),
    ],
)
def test_spellings_of_a_code(sent, code):
    assert parse_reply(500, fault(sent, "words"), BY_MPRN).code == code


@pytest.mark.parametrize("code", E_CODES)
def test_codes_of_the_newer_gateway(code):
    by_name = parse_reply(200, gateway(200, f"{code}: something"), BY_MPRN)
    by_text = parse_reply(200, gateway(400, FAULT_STRINGS[code]), BY_MPRN)
    in_fault = parse_reply(200, fault(None, FAULT_STRINGS[code]), BY_MPRN)
    assert (by_name.code, by_text.code, in_fault.code) == (code, code, code)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (401, "Access denied due to missing subscription key.", messages.KEY),
        (401, "Access denied due to invalid subscription key.", messages.INVALID_KEY),
        (401, "Unauthorized", ""),
        (429, "Rate limit is exceeded. Try again in 5 seconds.", messages.SPIKE),
        (429, "Out of call volume quota. Quota will be replenished in 3 days.", messages.QUOTA),
        (403, "Out of call volume quota.", messages.QUOTA),
        (500, "Internal server error", ""),
        (
            500,
            "Number of API requests for X has exceeded the allowed quota limit of 5 per month.",
            messages.QUOTA,
        ),
        (
            500,
            "Number of API requests for X has exceeded the allowed spike limit of 5 per minute.",
            messages.SPIKE,
        ),
    ],
)
def test_words_of_gateways(status, text, code):
    for body in (gateway(status, text), gateway(str(status), text), fault(None, text)):
        found = parse_reply(status, body, BY_MPRN)
        assert (found.code, found.status, found.text) == (code, status, text)


def test_the_body_comes_before_the_status():
    assert parse_reply(200, gateway(401, "Unauthorized"), BY_MPRN).status == 401


def test_their_words_are_cut_and_cleaned():
    found = parse_reply(500, fault("e010", "a\x00\nb" + "c" * 5000), BY_MPRN)
    assert found.text.startswith("a b")
    assert len(found.text) <= 400
