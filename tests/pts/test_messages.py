"""Bodies as the specification prints them, and whatever a party may answer instead."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pts import messages
from pts.messages import Line, NotPromised, Standing

NEW_YORK, LITERAL = ZoneInfo("America/New_York"), ZoneInfo("Etc/GMT+4")
STANDING = {
    "fk_system": 1000, "SystemID": " NFG-NN100-01000", "SystemName": "Test", "MeterValue": 5448.0,
    "MeterDate": "2019-12-01T00:00:00", "DateTimeReported": "2020-01-01T00:00:00",
    "PeriodEndDate": "2019-12-31T00:00:00", "EnergyProduced": 20, "IsEstimated": False,
    "Notes": "", "ValidationNotes": "", "ValidationStatus": 0,
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([1e30, -0.5, "", "NaN", "\x00"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner),
    max_leaves=3,
)


def listed(**changes):
    return json.dumps([STANDING | changes]).encode()


def line(value="2835.3", **how):
    at = "2019-11-30T23:59:42"
    return Line(**{"fk_system": 11, "meter_value": Decimal(value), "meter_date": at, **how})


# ---- Reading -----------------------------------------------------------------------------------


def test_the_samples_of_the_specification():
    (standing,) = messages.read_standings(listed()).items
    assert (standing.status, standing.meter_value) == (0, Decimal(5448))
    (system,) = messages.read_systems(
        b'[{"fk_system": 1000, "SystemID": "NFG-NN100-01000", "SystemName": "Test", '
        b'"capacity": 10.586, "Error": null}]'
    ).items
    assert system.capacity == Decimal("10.586")
    (reading,) = messages.read_last_readings(listed(Error=None)).items
    assert (reading.energy_produced, reading.is_estimated) == (Decimal(20), False)


@pytest.mark.parametrize("changes", [
    {"fk_system": "1000"}, {"ValidationStatus": "1"}, {"MeterValue": "5448.0"}, {"extra": [1, {}]},
    {"SystemName": None}, {"Notes": None}, {"ValidationNotes": None}, {"EnergyProduced": -3},
])  # fmt: skip
def test_what_is_read_all_the_same(changes):
    assert len(messages.read_standings(listed(**changes)).items) == 1


@pytest.mark.parametrize("changes", [
    {"fk_system": None}, {"fk_system": -1}, {"fk_system": 2**40}, {"ValidationStatus": 7},
    {"ValidationStatus": None}, {"MeterValue": "NaN"}, {"MeterValue": "Infinity"},
    {"MeterValue": -1}, {"MeterValue": 1e30}, {"MeterValue": [1]}, {"MeterDate": 7},
])  # fmt: skip
def test_one_odd_item_harms_no_other(changes):
    body = json.dumps([STANDING, STANDING | changes, STANDING | {"fk_system": 2}]).encode()
    found = messages.read_standings(body)
    assert [each.fk_system for each in found.items] == [1000, 2]
    (odd,) = found.odd
    assert (odd.place, bool(odd.why)) == (1, True)


def test_a_capacity_that_no_column_holds_is_odd():
    body = b'[{"fk_system": 1, "capacity": 1e9}, {"fk_system": 2, "capacity": null}]'
    found = messages.read_systems(body)
    assert ([each.fk_system for each in found.items], found.odd[0].fk_system) == ([2], 1)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"null", b"[{", b"\xff", b'"x"', b"7", b"[" * 5000]
)
def test_what_is_no_list(body):
    with pytest.raises(NotPromised):
        messages.read_standings(body)


@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_no_reply_breaks_the_reading(body):
    for read in (messages.read_systems, messages.read_last_readings, messages.read_standings,
                 messages.read_receipt):  # fmt: skip
        try:
            read(body)
        except NotPromised as problem:
            assert problem.reason


@given(st.lists(st.dictionaries(st.sampled_from(sorted(STANDING)), JSON), max_size=4))
def test_every_item_is_read_or_odd(items):
    found = messages.read_standings(json.dumps(items).encode())
    assert len(found.items) + len(found.odd) == len(items)


@pytest.mark.parametrize(("body", "errors"), [
    (b"", {}), (b"  ", {}), (b"Received Data", {}), (b'"Received Data"', {}), (b"[]", {}),
    (b'{"Message": "ok"}', {}), (b'[{"fk_system": 1, "Error": null}]', {}),
    (b'[{"fk_system": 1, "Error": "no"}, {"fk_system": 2, "Error": ""}]', {1: "no"}),
    (b'{"systems": [{"fk_system": "3", "Error": "\\u0000no"}]}', {3: "no"}),
    (b'[{"fk_system": 1, "Error": 7}]', {1: "7"}), (b"[1, null]", {}),
])  # fmt: skip
def test_what_is_a_receipt(body, errors):
    assert messages.read_receipt(body) == errors


@pytest.mark.parametrize(
    "body", [b"<html>", b"\n<!DOCTYPE html>", b"[{", b'{"Error": "all is lost"}', b'[{"Error": 1}]']
)
def test_what_is_no_receipt(body):
    with pytest.raises(NotPromised):
        messages.read_receipt(body)


@given(st.text())
def test_their_words_are_bounded_and_clean(text):
    kept = messages.said(text * 200)
    assert len(kept) <= messages.LONGEST_TEXT
    assert "\x00" not in kept


# ---- Time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "zone", "text"), [
    (datetime(2026, 7, 1, 12, tzinfo=UTC), NEW_YORK, "2026-07-01T08:00:00"),
    (datetime(2026, 12, 1, 12, tzinfo=UTC), NEW_YORK, "2026-12-01T07:00:00"),
    (datetime(2026, 12, 1, 12, tzinfo=UTC), LITERAL, "2026-12-01T08:00:00"),
    (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), NEW_YORK, "2026-11-01T01:30:00"),
    (datetime(2027, 3, 14, 7, 0, tzinfo=UTC), NEW_YORK, "2027-03-14T03:00:00"),
])  # fmt: skip
def test_times_there_and_back(at, zone, text):
    assert messages.in_party_time(at, zone) == text
    assert messages.from_party_time(text, zone) == at


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "0001-01-01T00:00:00", "2026-13-01", "9999-12-31"]
)
def test_what_is_no_time(text):
    assert messages.from_party_time(text, NEW_YORK) is None


# ---- Building ----------------------------------------------------------------------------------


def test_the_body_is_the_one_of_the_specification():
    lines = [line(), line("10453.9000", fk_system=298, notes="roof “B”")]
    body = messages.post_body(lines, api_key="your api key", notes="test1")
    assert json.loads(body) == {
        "APIKey": "your api key",
        "Notes": "test1",
        "systems": [
            {"fk_system": 11, "MeterValue": 2835.3, "MeterDate": "2019-11-30T23:59:42", "Notes": None},
            {"fk_system": 298, "MeterValue": 10453.9, "MeterDate": "2019-11-30T23:59:42", "Notes": "roof “B”"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("value", ["0.0000", "1000.0000", "0.0001", "123456789012.3456"])
def test_values_are_exact_and_have_no_exponent(value):
    body = messages.post_body([line(value)], api_key="k", notes="")
    assert f'"MeterValue":{value},'.encode() in body


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=60),
    st.integers(400, 3000),
)
def test_batches_keep_order_and_size(notes, limit):
    lines = [line(fk_system=key, notes=note or None) for key, note in enumerate(notes)]
    made = list(messages.batches(lines, limit=limit))
    assert [each for batch in made for each in batch] == lines
    for batch in made:
        body = messages.post_body(batch, api_key="x" * 200, notes="")
        assert len(body) <= limit or len(batch) == 1
        assert len(json.loads(body)["systems"]) == len(batch)


@given(st.integers(0, 60), st.integers(100, 3000))
def test_batches_without_notes_are_as_large_as_may_be(count, limit):
    lines = [line(fk_system=key, notes=None) for key in range(count)]
    made = list(messages.batches(lines, limit=limit))
    assert [each for batch in made for each in batch] == lines
    assert len({len(batch) for batch in made[:-1]}) <= 1
    for batch in made:
        body = messages.post_body(batch, api_key="x" * 200, notes="")
        assert len(body) <= limit or len(batch) == 1


@pytest.mark.parametrize(("value", "date", "same"), [
    ("2835.3", "2019-11-30T23:59:42", True), ("2835.30", " 2019-11-30T23:59:42.000", True),
    ("2835.34", "2019-11-30T23:59:42", True), ("2835.4", "2019-11-30T23:59:42", False),
    ("2835.3", "2019-11-30T23:59:43", False), (None, "2019-11-30T23:59:42", False),
    ("2835.3", None, False),
])  # fmt: skip
def test_a_submission_is_found_by_value_and_date(value, date, same):
    standing = Standing(
        fk_system=11, status=0, meter_value=value and Decimal(value), meter_date=date
    )
    assert messages.is_same(standing, line()) is same
