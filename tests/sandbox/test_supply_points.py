"""The played Supply Point Quantities service against the text of its specification."""

import json
import re
import threading
import time
from collections import Counter
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from localflavor.gb.forms import GBPostcodeField

from sandbox.exchange import as_json
from sandbox.parties.supply_points import ordinary, special, tables
from sandbox.parties.supply_points.asked import is_threat
from sandbox.parties.supply_points.mprn import check_digits, mprn
from sandbox.server import CannotStart, start

KEY = {"APIKey": "sandbox-gas-key"}
HOME = "1234567810"
SPECIAL = {point.mprn: point for point in special.points()}
KEPT = ordinary.kept()
FORM = "application/x-www-form-urlencoded"
LDZS = {"EA", "EM", "NE", "NO", "NT", "NW", "SC", "SE", "SO", "SW", "WM", "WN", "WS"}


@pytest.fixture
def gas(caller, played):
    """Look-ups and control calls of this party."""

    def look_up(headers=KEY, **query):
        url = f"{played.shared_url('supply-points')}/v1/Shipper.svc"
        return caller.send("GET", f"{url}?{urlencode(query)}" if query else url, headers=headers)

    def control(method="GET", path="", content=None):
        return caller.control(method, f"/supply-points{path}", content)

    def options(**changes):
        reply = control("POST", "/options", changes)
        assert reply.status == 200, reply.body
        return reply.json

    return SimpleNamespace(look_up=look_up, control=control, options=options)


def of(number):
    """The MPRN of a special point, by its number."""
    return mprn(f"7000{number:04}")


def code(reply):
    return reply.json["fault"]["detail"]["errorcode"]


def exact(reply):
    return json.loads(reply.body, parse_float=Decimal, parse_int=Decimal)["mprn"]


# The points.


@pytest.mark.parametrize("number", ["3938424403", "1234567810", "9876543209"])
def test_check_digits_of_known_mprns(number):
    assert check_digits(number[:-2]) == number[-2:]
    assert check_digits("39384244") != "04"


def test_every_invented_mprn_is_valid_and_unique():
    made = [ordinary.made(number) for number in range(0, ordinary.MADE, 7)]
    points = [*SPECIAL.values(), *KEPT, *made]
    assert len({point.mprn for point in points}) == len(points)
    wrong = [point for point in points if check_digits(point.mprn[:-2]) != point.mprn[-2:]]
    assert [point.purpose[:27] for point in wrong] == ["The check digits are wrong,"]
    assert {len(number) for number in SPECIAL} == {6, 7, 8, 9, 10}
    assert any(number.startswith("0") for number in SPECIAL)


def test_the_kept_points_cover_zones_bands_sectors_and_networks():
    assert len(KEPT) == 420
    assert {zone.code for zone in tables.ZONES} == LDZS
    by_zone = Counter(point.fields["local_distribution_zone"] for point in KEPT)
    assert set(by_zone) == LDZS
    assert min(by_zone.values()) >= 32
    for zone in LDZS:
        there = [p.fields for p in KEPT if p.fields["local_distribution_zone"] == zone]
        assert {band(f["current_formula_year_aq_value"]) for f in there} == {0, 1, 2, 3}
        assert {f["market_sector_code"] for f in there} == {"D", "I"}
        assert 0 < sum(bool(f["csep_id"]) for f in there) < len(there) / 2


def band(kwh):
    return sum(kwh > edge for edge in (73_200, 732_000, 5_860_000))


def test_the_kept_points_rise_fall_and_cross_as_they_say():
    moves = Counter()
    for point in KEPT:
        now = point.fields["current_formula_year_aq_value"]
        then = point.fields["perspective_formula_year_aq_value"]
        crossed = band(now) != band(then)
        assert crossed == ("into another band" in point.purpose), point.purpose
        assert ("falling" in point.purpose) == (then < now)
        moves[crossed, then > now] += 1
    assert min(moves.values()) > 20
    assert len(moves) == 4


@pytest.mark.parametrize("group", ["kept", "made"])
def test_ordinary_points_are_plausible_and_have_invented_addresses(group):
    points = KEPT if group == "kept" else map(ordinary.made, range(0, ordinary.MADE, 11))
    clean = GBPostcodeField().clean
    for point in points:
        fields = point.fields
        aq, soq = (fields[f"current_formula_year_{name}_value"] for name in ("aq", "soq"))
        assert Decimal("0.1") < aq / (soq * 365) < 1
        assert 1 < aq < 2_000_000_000
        assert clean(fields["postcode"]) == fields["postcode"]
        assert fields["postcode"][:2] in {zone.area for zone in tables.ZONES}


def test_the_same_number_always_gives_the_same_point():
    assert ordinary.kept() == KEPT
    assert special.points() == list(SPECIAL.values())
    assert ordinary.made(123) == ordinary.made(123)


# Look-ups.


@pytest.mark.parametrize("number", [HOME, KEPT[0].mprn, ordinary.made(0).mprn, of(331)])
def test_a_reply_has_the_fields_of_the_specification_in_type_and_length(gas, number):
    reply = gas.look_up(mprn=number)
    assert reply.status == 200
    assert list(reply.json) == ["mprn"]
    said = exact(reply)
    assert list(said) == list(tables.FIELDS)
    assert len(said) == 24
    assert said["mprn"] == number
    for name, longest in tables.FIELDS.items():
        if longest is None:
            assert isinstance(said[name], Decimal)
            assert -said[name].as_tuple().exponent <= 7
        else:
            assert isinstance(said[name], str)
            assert len(said[name]) <= longest
    assert re.fullmatch(r"\d{4}-04-01T00:00:00\.000Z", said[tables.EFFECTIVE_DATE])


def test_the_quantities_of_the_sample_are_written_exactly(gas):
    body = gas.look_up(mprn="3938424403").body
    assert b'"current_formula_year_aq_value": 0.0013527,' in body
    assert b'"current_formula_year_soq_value": 0.0000109,' in body
    assert b'"perspective_formula_year_soq_value": 0.000011,' in body


def test_the_unit_can_be_kwh(gas):
    in_gwh = exact(gas.look_up(mprn="3938424403"))
    gas.options(unit="kWh")
    reply = gas.look_up(mprn="3938424403")
    assert b'"current_formula_year_aq_value": 1352.7,' in reply.body
    for name in tables.QUANTITIES:
        assert exact(reply)[name] == in_gwh[name] * 1_000_000


def test_small_numbers_have_no_exponent():
    assert as_json(Decimal("0.0000001")) == "0.0000001"
    assert as_json(Decimal("1E+3")) == "1000"
    assert as_json(Decimal("50.00")) == "50.00"


def test_twenty_thousand_points_are_made_from_their_mprn(gas):
    for number in (0, 9_999, 19_999):
        assert gas.look_up(mprn=mprn(f"420{number:05}")).json["mprn"]["town"]
    assert code(gas.look_up(mprn=mprn("42020000"))) == "e007"
    valid = mprn("42000001")
    assert code(gas.look_up(mprn=f"{valid[:-2]}{(int(valid[-2:]) + 1):02}")) == "e007"


@pytest.mark.parametrize("place", [0, 1, 419])
def test_an_address_id_finds_its_point(gas, place):
    point = KEPT[place]
    assert gas.look_up(address_id=point.address_id).json["mprn"]["mprn"] == point.mprn


def test_an_address_id_of_a_made_point_finds_it_and_an_unknown_one_is_e011(gas):
    assert gas.look_up(address_id="1600012345").json["mprn"]["mprn"] == mprn("42012345")
    assert code(gas.look_up(address_id="1600020000")) == "e011"
    assert code(gas.look_up(address_id="nobody")) == "e011"


def test_details_tell_the_dwellings_of_a_postcode_apart(gas):
    shared = KEPT[0].fields["postcode"]
    there = [point for point in KEPT if point.fields["postcode"] == shared]
    assert len(there) == 4
    assert code(gas.look_up(postcode=shared)) == "e009"
    for point in there:
        details = {name: point.fields[name] for name in ("house_no", "sub_building_name")}
        if not details["sub_building_name"]:
            del details["sub_building_name"]
        reply = gas.look_up(postcode=shared, **details)
        assert reply.json["mprn"]["mprn"] == point.mprn
    flats = there[1].fields["house_no"]
    assert there[2].fields["house_no"] == flats
    assert code(gas.look_up(postcode=shared, house_no=flats)) == "e009"


def test_every_detail_of_an_address_is_looked_at(gas):
    point = SPECIAL[of(511)].fields
    asked = {"postcode": point["postcode"]}
    for name in tables.ADDRESS:
        if point[name]:
            assert gas.look_up(**asked, **{name: point[name].lower()}).json["mprn"]
        assert code(gas.look_up(**asked, **{name: "zz"})) == "e011", name


def test_letter_case_does_not_matter_and_the_space_does(gas):
    found = {"postcode": SPECIAL[of(511)].fields["postcode"]}
    assert gas.look_up(postcode=found["postcode"].lower()).json["mprn"]["mprn"] == of(511)
    assert code(gas.look_up(postcode=found["postcode"].replace(" ", ""))) == "e011"
    assert code(gas.look_up(postcode="AB24 3PU")) == "e011"


def test_made_points_are_found_by_their_address(gas):
    fields = ordinary.made(3).fields
    reply = gas.look_up(postcode=fields["postcode"], house_no=fields["house_no"])
    assert reply.json["mprn"]["mprn"] == fields["mprn"]


def test_two_points_with_one_address_are_e009(gas):
    twin = SPECIAL[of(503)]
    assert code(gas.look_up(address_id=twin.address_id)) == "e009"
    postcode = twin.fields["postcode"]
    assert code(gas.look_up(postcode=postcode, house_no="7")) == "e009"
    assert gas.look_up(mprn=of(503)).json["mprn"]["mprn"] == of(503)


@pytest.mark.parametrize(("number", "expected"), [(512, "e005"), (513, "e006")])
def test_a_device_error_is_also_reached_by_the_address(gas, number, expected):
    assert code(gas.look_up(postcode=SPECIAL[of(number)].fields["postcode"])) == expected


@pytest.mark.parametrize("query", [{}, {"mprn": ""}, {"mprn": " "}, {"house_no": "5"}, {"x": "1"}])
def test_nothing_asked_is_e001(gas, query):
    reply = gas.look_up(**query)
    assert (reply.status, code(reply)) == (400, "e001")


@pytest.mark.parametrize(
    "query",
    [
        {"mprn": HOME, "postcode": "NX3 2AF"},
        {"mprn": HOME, "address_id": "1700000802"},
        {"address_id": "1700000802", "postcode": "NX3 2AF"},
        {"mprn": HOME, "house_no": "802"},
        {"mprn": "1" * 51},
        {"postcode": "NX3 2AF", "county": "Kent"},
    ],
)
def test_two_kinds_of_filter_or_too_long_a_text_is_400_without_a_code(gas, query):
    reply = gas.look_up(**query)
    assert (reply.status, reply.json) == (400, {"fault": {"faultstring": "Bad request"}})


# Errors.


@pytest.mark.parametrize("number", range(2, 12))
def test_each_error_of_the_service_has_its_mprn(gas, number):
    reply = gas.look_up(mprn=of(number))
    status, sentence = tables.SERVICE_ERRORS[f"e{number:03}"]
    detail = {"errorcode": f"e{number:03}"}
    assert reply.status == status == (500 if number == 10 else 200)
    assert reply.json == {"fault": {"faultstring": sentence, "detail": detail}}


GATEWAY = [
    (101, 500, "steps.regexprotection.ThreatDetected"),
    (111, 500, "policies.custom.config.1"),
    (112, 500, "policies.custom.config.2"),
    (113, 500, "policies.custom.config.3"),
    (121, 401, "steps.oauth.v2.FailedToResolveAPIKey"),
    (122, 401, "oauth.v2.InvalidApiKey"),
    (131, 500, "policies.ratelimit.SpikeArrestViolation"),
    (133, 500, "policies.ratelimit.QuotaViolation"),
]


@pytest.mark.parametrize(("number", "status", "expected"), GATEWAY)
def test_each_error_of_the_gateway_has_its_mprn(gas, number, status, expected):
    reply = gas.look_up(mprn=of(number))
    assert (reply.status, code(reply)) == (status, expected)
    assert "{" not in reply.json["fault"]["faultstring"]


@pytest.mark.parametrize(("number", "status", "expected"), GATEWAY)
def test_the_newer_gateway_has_its_own_envelope(gas, number, status, expected):
    gas.options(envelope="newer")
    reply = gas.look_up(mprn=of(number))
    blocked = "ratelimit" in expected
    assert reply.status == (429 if blocked else status)
    assert reply.json == {"statusCode": reply.status, "message": reply.json["message"]}
    assert ("Retry-After" in reply.headers) == blocked


def test_the_service_keeps_its_envelope_behind_the_newer_gateway(gas):
    gas.options(envelope="newer")
    assert code(gas.look_up(mprn=of(5))) == "e005"
    assert code(gas.look_up()) == "e001"
    assert gas.look_up(mprn=HOME).json["mprn"]["mprn"] == HOME


@pytest.mark.parametrize("number", [141, 142])
@pytest.mark.parametrize("envelope", ["classic", "newer"])
def test_errors_without_a_code(gas, number, envelope):
    gas.options(envelope=envelope)
    reply = gas.look_up(mprn=of(number))
    assert reply.status == (400 if number == 141 else 500)
    assert b"errorcode" not in reply.body
    assert ("statusCode" in reply.json) == (envelope == "newer")


@pytest.mark.parametrize("number", [20, 132, 143])
def test_an_error_that_passes_after_some_look_ups(gas, number):
    until = SPECIAL[of(number)].until
    statuses = [gas.look_up(mprn=of(number)).status for _ in range(until + 2)]
    assert statuses == [500] * until + [200, 200]


@pytest.mark.parametrize("headers", [{}, {"APIKey": ""}, {"APIKey": "wrong"}])
def test_a_missing_or_wrong_key_is_401(gas, headers):
    reply = gas.look_up(headers, mprn=HOME)
    assert (reply.status, code(reply)) == (401, "steps.oauth.v2.FailedToResolveAPIKey")
    gas.options(key_fault="InvalidApiKey")
    assert code(gas.look_up(headers, mprn=HOME)) == "oauth.v2.InvalidApiKey"
    gas.options(envelope="newer")
    reply = gas.look_up(headers, mprn=HOME)
    assert reply.json["statusCode"] == reply.status == 401
    assert gas.control(path="/counts").json["month"]["used"] == 0


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "</td>", "' OR 1=1", "x -- y", "a; DROP TABLE b"]
)
@pytest.mark.parametrize("name", ["mprn", "town", "unknown"])
def test_an_attack_is_a_threat(gas, name, text):
    reply = gas.look_up(postcode="NX3 2AF", **{name: text})
    assert (reply.status, code(reply)) == (500, "steps.regexprotection.ThreatDetected")


@pytest.mark.parametrize("text", ["O'BRIEN'S ORCHARD", "STOW-ON-THE-HILL", "A < B", "ST. ANNE'S"])
def test_an_unusual_address_is_no_threat(text):
    assert not is_threat({"street": text})


def test_another_path_or_method_is_404(caller, played):
    for path in ("/v2/Shipper.svc", "/v1/Shipper.svc/1"):
        reply = caller.send("GET", f"{played.shared_url('supply-points')}{path}", headers=KEY)
        assert (reply.status, list(reply.json)) == (404, ["fault"])


# Odd replies and fields.


def test_a_reply_about_another_mprn(gas):
    said = gas.look_up(mprn=of(200)).json["mprn"]
    assert said["mprn"] != of(200)
    assert said["mprn"] in {point.mprn for point in KEPT}


def answering(name):
    return next(point.mprn for point in SPECIAL.values() if point.answer == name)


def test_replies_that_are_no_json(gas):
    page = gas.look_up(mprn=answering("html"))
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert gas.look_up(mprn=answering("nothing")).body == b""
    with pytest.raises(json.JSONDecodeError):
        json.loads(gas.look_up(mprn=answering("truncated")).body)
    assert b'"current_aq_roll_value": NaN' in gas.look_up(mprn=answering("nan")).body


def test_replies_in_another_shape(gas):
    def said(name):
        return gas.look_up(mprn=answering(name)).json

    assert [one["mprn"] for one in said("list")["mprn"]] == [answering("list")]
    assert len(said("list_of_two")["mprn"]) == 2
    assert said("null") == {"mprn": None}
    assert said("object_empty") == {}
    assert said("bare")["mprn"] == answering("bare")
    assert set(said("both")) == {"mprn", "fault"}
    assert said("unknown_code")["fault"]["detail"] == {"errorcode": "e012"}
    wrong = said("wrong_types")["mprn"]
    assert isinstance(wrong["current_formula_year_aq_value"], str)
    assert isinstance(wrong["mprn"], list)


AQ, SOQ = "current_formula_year_aq_value", "current_formula_year_soq_value"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (301, {AQ: Decimal("73200")}),
        (302, {AQ: Decimal("732000")}),
        (311, {AQ: Decimal("73200.1")}),
        (313, {AQ: Decimal("5860000.1")}),
        (331, {"csep_id": "CSEP000331"}),
        (333, {"market_sector_code": "I", AQ: Decimal(9000)}),
        (401, dict.fromkeys(tables.QUANTITIES, Decimal(0))),
        (403, {SOQ: Decimal(0)}),
        (404, {SOQ: None}),
        (408, {AQ: Decimal("0.4")}),
        (409, {AQ: Decimal(2_500_000_000)}),
        (410, {AQ: Decimal(-12_000)}),
        (414, {AQ: "0.0120000"}),
        (415, {AQ: True}),
        (423, {name: None for name in tables.FIELDS if name != "mprn"}),
        (427, {tables.EFFECTIVE_DATE: None, "perspective_formula_year_aq_value": None}),
        (429, {"mprn": None}),
        (432, {"local_distribution_zone": ""}),
        (441, {"local_distribution_zone": "ZZ"}),
        (443, {tables.EFFECTIVE_DATE: "2016-10-01T00:00:00.000Z"}),
        (448, {"street": "LANTERN\u0000\u202eFIELD"}),
        (451, {"mprn": Decimal(of(451))}),
    ],
)
def test_a_special_point_says_what_it_is_for(gas, number, expected):
    gas.options(unit="kWh")
    said = exact(gas.look_up(mprn=of(number)))
    assert said | expected == said


def test_fields_that_are_missing(gas):
    assert SOQ not in gas.look_up(mprn=of(405)).json["mprn"]
    assert "mprn" not in gas.look_up(mprn=of(430)).json["mprn"]
    assert list(gas.look_up(mprn=of(424)).json["mprn"]) == ["mprn"]
    assert len(gas.look_up(mprn=of(230)).json["mprn"]) == 26


@pytest.mark.parametrize(("number", "ratio"), [(406, "1.4"), (407, "0.05")])
def test_peak_days_that_cannot_be(gas, number, ratio):
    said = exact(gas.look_up(mprn=of(number)))
    assert abs(said[AQ] / (said[SOQ] * 365) - Decimal(ratio)) < Decimal("0.01")


def test_nulls_and_empty_texts_in_turn(gas):
    values = list(gas.look_up(mprn=of(421)).json["mprn"].values())
    assert values.count(None) >= 8
    assert values.count("") >= 8


@pytest.mark.parametrize("number", [*range(321, 327)])
def test_prospective_quantities_differ(gas, number):
    now, then = re.findall(r"([\d,]+) to ([\d,]+) kWh", SPECIAL[of(number)].purpose)[0]
    gas.options(unit="kWh")
    said = exact(gas.look_up(mprn=of(number)))
    assert said[AQ] == int(now.replace(",", ""))
    assert said["perspective_formula_year_aq_value"] == int(then.replace(",", ""))


# Limits.


def stop_clock(gas, now="2027-01-15T12:00:00Z"):
    assert gas.control("POST", "/clock", {"now": now, "stopped": True}).status == 200


def test_the_spike_arrest_counts_the_last_sixty_seconds(gas):
    stop_clock(gas)
    gas.options(per_minute=3)
    assert [gas.look_up(mprn=HOME).status for _ in range(4)] == [200, 200, 200, 500]
    reply = gas.look_up(mprn=HOME)
    assert code(reply) == "policies.ratelimit.SpikeArrestViolation"
    assert "spike limit of 3 per minute" in reply.json["fault"]["faultstring"]
    assert "Retry-After" not in reply.headers
    gas.control("POST", "/clock", {"forward": 59})
    assert gas.look_up(mprn=HOME).status == 500
    gas.control("POST", "/clock", {"forward": 1})
    assert [gas.look_up(mprn=HOME).status for _ in range(4)] == [200, 200, 200, 500]
    counts = gas.control(path="/counts").json
    assert counts["minute"] == {"limit": 3, "used": 3}
    assert counts["month"]["used"] == 6
    assert counts["refused"] == {"SpikeArrestViolation": 4, "QuotaViolation": 0}


def test_the_newer_gateway_says_how_long_to_wait(gas):
    stop_clock(gas)
    gas.options(per_minute=1, envelope="newer")
    gas.look_up(mprn=HOME)
    gas.control("POST", "/clock", {"forward": 18})
    reply = gas.look_up(mprn=HOME)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "42")
    assert "42 seconds" in reply.json["message"]
    gas.options(per_minute=9, per_month=1)
    reply = gas.look_up(mprn=HOME)
    assert int(reply.headers["Retry-After"]) == 16 * 86_400 + 12 * 3600 - 18


@pytest.mark.parametrize("status", [500, 429])
def test_the_quota_counts_the_month(gas, status):
    stop_clock(gas, "2026-12-31T23:59:00Z")
    gas.options(per_month=2, quota_status=status)
    replies = [gas.look_up(mprn=HOME) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, status, status]
    assert code(replies[-1]) == "policies.ratelimit.QuotaViolation"
    assert "quota limit of 2 per month" in replies[-1].json["fault"]["faultstring"]
    month = gas.control(path="/counts").json["month"]
    assert month == {"name": "2026-12", "limit": 2, "used": 2, "left": 0}
    gas.control("POST", "/clock", {"forward": 60})
    assert gas.look_up(mprn=HOME).status == 200
    assert gas.control(path="/counts").json["month"]["name"] == "2027-01"


def test_every_call_that_is_let_through_counts_whatever_its_answer(gas):
    for query in ({}, {"mprn": "1"}, {"mprn": of(10)}, {"mprn": "<script>"}, {"postcode": "X"}):
        gas.look_up(**query)
    assert gas.control(path="/counts").json["month"]["used"] == 5


@pytest.mark.parametrize("how", [("DELETE", "/counts"), ("POST", "/counts/reset")])
def test_counts_can_be_reset(gas, how):
    gas.options(per_minute=1, per_month=1)
    assert [gas.look_up(mprn=HOME).status for _ in range(2)] == [200, 500]
    method, path = how
    assert gas.control(method, path, {}).json["month"]["used"] == 0
    assert gas.look_up(mprn=HOME).status == 200


def test_limits_hold_for_many_callers_at_once(gas):
    gas.options(per_month=50)
    statuses = at_once(8, lambda _: [gas.look_up(mprn=HOME).status for _ in range(10)])
    assert Counter(status for lane in statuses for status in lane) == {200: 50, 500: 30}


def test_the_month_outlasts_a_restart_and_ends_with_a_reset(tmp_path, caller_of):
    def used(sandbox):
        return caller_of(sandbox).control("GET", "/supply-points/counts").json["month"]["used"]

    sandbox = start(0, tmp_path / "s.sqlite3")
    caller = caller_of(sandbox)
    caller.control("POST", "/supply-points/options", {"envelope": "newer"})
    url = f"{sandbox.party_url('supply-points')}/v1/Shipper.svc?mprn={HOME}"
    assert caller.send("GET", url, headers=KEY).status == 200
    sandbox.stop()
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        caller = caller_of(sandbox)
        assert used(sandbox) == 1
        assert caller.control("GET", "/supply-points/options").json["envelope"] == "newer"
        caller.control("POST", "/reset", {})
        assert used(sandbox) == 0
        assert caller.control("GET", "/supply-points/options").json["envelope"] == "classic"
    finally:
        sandbox.stop()


def test_key_and_limits_come_from_the_environment(monkeypatch, tmp_path, caller_of):
    monkeypatch.setenv("SANDBOX_GAS_KEY", "from-env")
    monkeypatch.setenv("SANDBOX_GAS_PER_MINUTE", "7")
    monkeypatch.setenv("SANDBOX_GAS_PER_MONTH", "8")
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        caller = caller_of(sandbox)
        url = f"{sandbox.shared_url('supply-points')}/v1/Shipper.svc?mprn={HOME}"
        assert caller.send("GET", url, headers=KEY).status == 401
        assert caller.send("GET", url, headers={"apikey": "from-env"}).status == 200
        options = caller.control("GET", "/supply-points/options").json
        assert (options["per_minute"], options["per_month"]) == (7, 8)
    finally:
        sandbox.stop()


@pytest.mark.parametrize("given", ["many", "-1", "1.5", "9" * 20])
def test_a_limit_that_is_no_number_is_a_sentence(monkeypatch, tmp_path, given):
    monkeypatch.setenv("SANDBOX_GAS_PER_MINUTE", given)
    with pytest.raises(CannotStart, match="SANDBOX_GAS_PER_MINUTE must be a whole number"):
        start(0, tmp_path / "s.sqlite3")


# Many at once.


def at_once(lanes, run):
    """Run something in so many threads together; give what each gave."""
    barrier, gave = threading.Barrier(lanes), {}

    def lane(place):
        barrier.wait(10)
        gave[place] = run(place)

    threads = [threading.Thread(target=lane, args=(place,)) for place in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(gave) == lanes
    return list(gave.values())


def test_thirty_two_are_served_at_once(gas):
    gas.options(answer_after_ms=500)
    began = time.monotonic()
    replies = at_once(32, lambda place: gas.look_up(mprn=ordinary.made(place).mprn))
    took = time.monotonic() - began
    assert {reply.json["mprn"]["mprn"] for reply in replies} == {
        ordinary.made(place).mprn for place in range(32)
    }
    # One after another they would take sixteen seconds.
    assert 0.5 <= took < 8


def test_a_call_above_a_limit_is_refused_without_the_delay(gas):
    gas.options(answer_after_ms=5000, per_month=0)
    began = time.monotonic()
    assert gas.look_up(mprn=HOME).status == 500
    assert time.monotonic() - began < 4


def test_look_ups_are_counted_by_mprn(gas):
    for number in (HOME, HOME, of(5), "99", "12AB", "options"):
        gas.look_up(mprn=number)
    gas.look_up(address_id=SPECIAL[of(5)].address_id)
    gas.look_up({}, mprn=HOME)
    assert gas.control(path="/look-ups").json == {
        "total": 5,
        "mprns": 3,
        "more_than_once": 2,
        "look_ups": {HOME: 2, of(5): 2, "99": 1},
    }


def test_an_mprn_cannot_touch_the_counts_or_options(gas):
    month = gas.control(path="/counts").json["month"]["name"]
    assert code(gas.look_up(mprn=f"month {month}")) == "e007"
    assert gas.control(path="/counts").json["month"]["used"] == 1


def test_the_log_is_counted_by_path_with_spoiled_calls(gas, caller, played):
    played.switch_on("supply-points", "500", calls=1)
    for _ in range(3):
        gas.look_up(mprn=HOME)
    caller.look_up("MCS-01109073-U")
    counts = caller.control("GET", "/log/counts?party=supply-points").json["calls"]
    assert counts == {f"/supply-points/v1/Shipper.svc?mprn={HOME}": 3}
    assert len(caller.control("GET", "/log/counts").json["calls"]) == 2
    assert gas.control(path="/look-ups").json["look_ups"] == {HOME: 2}


# Control calls.


def test_points_are_listed_by_group(gas):
    assert len(gas.control().json["points"]) == len(SPECIAL)
    assert len(gas.control(path="?group=kept").json["points"]) == 420
    made = gas.control(path="?group=made&first=10&count=3").json["points"]
    assert [point["mprn"] for point in made] == [mprn(f"420{n:05}") for n in (10, 11, 12)]
    scottish = gas.control(path="?group=kept&ldz=SC").json["points"]
    assert {point["kwh"]["local_distribution_zone"] for point in scottish} == {"SC"}
    assert gas.control(path="?group=other").status == 400
    assert gas.control(path="?count=-1").status == 400


def test_what_a_point_answers_can_be_changed_and_undone(gas):
    assert gas.control("POST", f"/{HOME}", {"answer": "e005"}).json["answer"] == "e005"
    assert code(gas.look_up(mprn=HOME)) == "e005"
    gas.control("POST", f"/{HOME}", {"answer": None})
    assert gas.look_up(mprn=HOME).json["mprn"]["mprn"] == HOME
    gas.control("POST", f"/{of(5)}", {"answer": "point"})
    assert gas.look_up(mprn=of(5)).json["mprn"]["mprn"] == of(5)


def test_changed_quantities_are_in_kwh(gas):
    shown = gas.control("POST", f"/{HOME}", {AQ: 15000.5, SOQ: None, "csep_id": "CSEP9"}).json
    assert (shown["kwh"][AQ], shown["kwh"][SOQ]) == (15000.5, None)
    reply = gas.look_up(mprn=HOME)
    assert f'"{AQ}": 0.0150005,'.encode() in reply.body
    assert (reply.json["mprn"][SOQ], reply.json["mprn"]["csep_id"]) == (None, "CSEP9")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (f"/{HOME}", {"aq": 1}),
        (f"/{HOME}", {"answer": "e099"}),
        ("/1", {"answer": "e005"}),
        ("/options", {"envelope": "brown"}),
        ("/options", {"unit": "therms"}),
        ("/options", {"per_minute": -1}),
        ("/options", {"per_minute": True}),
        ("/options", {"answer_after_ms": 5001}),
        ("/options", {"speed": 1}),
        ("/clock", {"sideways": 1}),
    ],
)
def test_a_change_that_is_not_understood_changes_nothing(gas, path, content):
    before = gas.control(path="/options").json
    reply = gas.control("POST", path, content)
    assert reply.status == 400
    assert reply.json["details"].endswith(".")
    assert gas.control(path="/options").json == before


def test_an_option_is_set_back_with_null(gas):
    gas.options(unit="kWh", per_minute=5, per_month=5)
    usual = gas.options(unit=None, per_minute=None, per_month=None)
    assert usual == gas.control(path="/options").json
    assert (usual["unit"], usual["per_minute"], usual["per_month"]) == ("GWh", 6_000, 1_000_000)


def test_the_prospective_date_follows_the_clock(gas):
    for now, year in (("2026-03-31T23:59:59Z", 2026), ("2026-04-01T00:00:00Z", 2027)):
        stop_clock(gas, now)
        said = gas.look_up(mprn=HOME).json["mprn"][tables.EFFECTIVE_DATE]
        assert datetime.fromisoformat(said).year == year


def test_an_unknown_point_is_404(gas):
    assert gas.control(path="/1").status == 404


def test_the_page_names_every_special_point_and_sets_options(gas, caller, played):
    text = caller.send("GET", f"{played.url}/").body.decode()
    assert [number for number in SPECIAL if number not in text] == []
    assert "Calls in the last minute" in text
    assert "sandbox-gas-key" not in text
    headers = {"Content-Type": FORM, "Origin": played.url}
    for path, fields in (
        ("/options", {"unit": "kWh", "per_minute": "250000", "quota_status": "429"}),
        ("", {"number": HOME, "Answer": "400"}),
        ("/counts/reset", {}),
    ):
        url = f"{played.url}/control/supply-points{path}"
        assert caller.send("POST", url, urlencode(fields), headers).status == 303
    options = gas.control(path="/options").json
    assert (options["unit"], options["per_minute"]) == ("kWh", 250_000)
    assert gas.look_up(mprn=HOME).status == 400
    text = caller.send("GET", f"{played.url}/").body.decode()
    assert '<option value="kWh" selected>' in text


def test_the_key_is_not_in_the_log(gas, caller, played):
    gas.look_up(mprn=HOME)
    caller.send("GET", f"{played.url}/supply-points/v1/Shipper.svc?APIKey=sandbox-gas-key")
    assert len(played.log()) == 2
    assert "sandbox-gas-key" not in json.dumps(played.log())


# The faults that every party has.


@pytest.mark.parametrize("fault", ["401", "404", "429", "500", "400"])
@pytest.mark.parametrize("envelope", ["classic", "newer"])
def test_status_faults_are_in_the_envelope(gas, played, fault, envelope):
    gas.options(envelope=envelope)
    played.switch_on("supply-points", fault, calls=1, retry_after=7)
    reply = gas.look_up(mprn=HOME)
    assert reply.status == int(fault)
    assert ("statusCode" if envelope == "newer" else "fault") in reply.json
    assert reply.headers.get("Retry-After") == ("7" if fault == "429" else None)


def test_faults_that_spoil_a_good_answer(gas, played):
    played.switch_on("supply-points", "wrong_number", calls=1)
    assert gas.look_up(mprn=HOME).json["mprn"]["mprn"] != HOME
    played.switch_on("supply-points", "wrong_types", calls=1)
    assert gas.look_up(mprn=HOME).json["mprn"]["mprn"] == 17
    played.switch_on("supply-points", "truncated", calls=1)
    # A look-up without a good answer still gets half of one.
    assert gas.look_up().body.startswith(b'{"mprn"')
    assert gas.look_up(mprn=HOME).json["mprn"]["mprn"] == HOME


def test_its_own_port_serves_it_alone(caller, played):
    own = played.party_url("supply-points")
    assert caller.send("GET", f"{own}/v1/Shipper.svc?mprn={HOME}", headers=KEY).status == 200
    other = own.removesuffix("/supply-points")
    assert caller.send("GET", f"{other}/registry/GetInstallation/x").status == 404


def test_kept_postcodes_hold_four_dwellings_or_one():
    codes = Counter(point.fields["postcode"] for point in KEPT)
    assert set(codes.values()) == {1, 4}
