"""The played Production Tracking System against the text of its specification."""

import http.client
import json
import re
import threading
from datetime import date, datetime
from itertools import pairwise

import pytest

from sandbox.faults import DOING_FAULTS, FAULTS
from sandbox.parties.production_tracking import ProductionTracking
from sandbox.parties.production_tracking.behaviour import BEHAVIOURS
from sandbox.parties.production_tracking.options import Options
from sandbox.parties.production_tracking.reading import apportioned
from sandbox.parties.production_tracking.sun import SHARES, expected
from sandbox.parties.production_tracking.window import current
from sandbox.server import start

HEADERS = {
    "Ocp-Apim-Subscription-Key": ProductionTracking.SUBSCRIPTION_KEY,
    "Ocp-Apim-Trace": "true",
    "Content-Type": "application/json",
}
OPEN = "2026-11-29T15:00:00Z"  # 10:00 in New York
TODAY = "2026-11-29T09:00:00"
CLOSED = "2026-12-06T15:00:00Z"
WINDOW = {"first": "2026-11-26", "last": "2026-12-05", "period_end": "2026-11-30"}
NONE = {"valid": 0, "failed": 0, "undecided": 0}


class Tracking:
    """Calls the played system, and its control calls."""

    def __init__(self, caller):
        self.caller = caller
        self.base = caller.sandbox.shared_url("production-tracking")

    def call(self, method, operation, content=None, headers=HEADERS):
        body = content if isinstance(content, str | None) else json.dumps(content)
        return self.caller.send(method, f"{self.base}/{operation}", body, headers)

    def control(self, method, path="", content=None):
        return self.caller.control(method, f"/production-tracking{path}", content)

    def options(self, **chosen):
        reply = self.control("POST", "/options", chosen)
        assert reply.status == 200, reply.body

    def at(self, moment):
        reply = self.control("POST", "/clock", {"now": moment, "stopped": True})
        assert reply.status == 200, reply.body

    def post(self, *items, test=False, **more):
        body = {"APIKey": ProductionTracking.KEY, "Notes": "batch", "systems": items} | more
        return self.call("POST", "ARPostTest" if test else "ARPost", body)

    def errors(self, *items, test=False):
        reply = self.post(*items, test=test)
        assert reply.status == 200, reply.body
        return [item["Error"] for item in reply.json]

    def system(self, key):
        return self.control("GET", f"/systems/{key}").json

    def change(self, key, **changes):
        reply = self.control("POST", f"/systems/{key}", changes)
        assert reply.status == 200, reply.body
        return reply.json

    def good(self, key=1000, plus=0.0, moment=TODAY):
        value = round(self.system(key)["plausible"]["expected"] + plus, 1)
        return {"fk_system": key, "MeterValue": value, "MeterDate": moment, "Notes": None}

    def low(self, key=1000, moment=TODAY):
        return {"fk_system": key, "MeterValue": 0.5, "MeterDate": moment, "Notes": None}

    def status(self, *keys):
        body = {"systems": [{"fk_system": key} for key in keys]} if keys else None
        return self.call("GET", "GetSubmissionStatus", body).json

    def verdicts(self, *keys):
        return {row["fk_system"]: row["ValidationStatus"] for row in self.status(*keys)}

    def last(self, *keys):
        wanted = ",".join(map(str, keys))
        rows = self.call("GET", f"GetLastReading?fk_system={wanted}").json
        return rows[0] if len(keys) == 1 else rows


@pytest.fixture
def tracking(caller):
    """The system in an open window, its clock standing still, validation done at once."""
    opened = Tracking(caller)
    opened.at(OPEN)
    opened.options(validation_seconds=0)
    return opened


# Credentials.


@pytest.mark.parametrize(
    "changed",
    [
        {"Ocp-Apim-Subscription-Key": "wrong"},
        {"Ocp-Apim-Subscription-Key": ""},
        {"Ocp-Apim-Trace": "false"},
        {"Ocp-Apim-Trace": ""},
    ],
)
@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("GET", "GetSystems"),
        ("POST", "GetSystems"),
        ("GET", "GetLastReading"),
        ("POST", "ARPost"),
        ("POST", "ARPostTest"),
        ("GET", "GetSubmissionStatus"),
    ],
)
def test_wrong_headers_are_400(tracking, method, operation, changed):
    body = {"APIKey": ProductionTracking.KEY, "systems": []}
    reply = tracking.call(method, operation, body, HEADERS | changed)
    assert (reply.status, reply.json) == (400, {"Message": "Bad API Key"})


@pytest.mark.parametrize("key", ["wrong", "", None, 5])
@pytest.mark.parametrize("test", [True, False])
def test_wrong_key_in_the_body_is_400_and_saves_nothing(tracking, key, test):
    assert tracking.post(tracking.good(), test=test, APIKey=key).status == 400
    assert tracking.control("GET", "/submissions").json["submissions"] == []


def test_keys_are_never_logged(tracking, played):
    tracking.post(tracking.good())
    [entry] = [entry for entry in played.log() if entry["path"].endswith("/ARPost")]
    assert entry["headers"]["Ocp-Apim-Subscription-Key"] == "(masked)"
    assert ProductionTracking.KEY not in entry["body"]
    assert '"fk_system": 1000' in entry["body"]


def test_credentials_come_from_the_environment(tmp_path, caller_of, monkeypatch):
    monkeypatch.setenv("SANDBOX_PTS_KEY", "body")
    monkeypatch.setenv("SANDBOX_PTS_SUBSCRIPTION_KEY", "header")
    monkeypatch.setenv("SANDBOX_PTS_WINDOW", "always")
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        tracking = Tracking(caller_of(sandbox))
        chosen = HEADERS | {"Ocp-Apim-Subscription-Key": "header"}
        assert tracking.call("GET", "GetSystems?fk_system=1000", headers=chosen).status == 200
        assert tracking.call("GET", "GetSystems").status == 400
        body = {"APIKey": "body", "systems": []}
        assert tracking.call("POST", "ARPost", body, chosen).status == 200
        assert tracking.control("GET").json["window"] is not None
    finally:
        sandbox.stop()


# Systems and last readings.


def test_systems_have_the_form_of_the_specification(tracking):
    rows = tracking.call("GET", "GetSystems").json
    assert [row["fk_system"] for row in rows] == list(range(1000, 1300))
    assert all(
        list(row) == ["fk_system", "SystemID", "SystemName", "capacity", "Error"] for row in rows
    )
    assert all(re.fullmatch(r"NFG-NN1\d\d-\d{5}", row["SystemID"]) for row in rows)
    assert len({row["SystemName"] for row in rows}) == 300
    assert all(2 < row["capacity"] < 500 and row["Error"] is None for row in rows)


def test_last_readings_have_the_form_of_the_specification(tracking):
    row = tracking.last(1000)
    assert list(row) == [
        *("fk_system", "SystemID", "SystemName", "MeterValue", "MeterDate", "DateTimeReported"),
        *("PeriodEndDate", "EnergyProduced", "IsEstimated", "Notes", "Error"),
    ]
    assert row["PeriodEndDate"] == "2026-10-31T00:00:00"
    assert row["MeterDate"].startswith("2026-10-31T23:59:")
    assert datetime.fromisoformat(row["DateTimeReported"]) > datetime.fromisoformat(
        row["MeterDate"]
    )
    assert (row["IsEstimated"], row["Notes"], row["Error"]) == (False, "", None)


@pytest.mark.parametrize("operation", ["GetSystems", "GetLastReading"])
def test_systems_can_be_filtered_by_query_and_by_body(tracking, operation):
    by_query = tracking.call("GET", f"{operation}?fk_system=1002,1000,5").json
    body = {"systems": [{"fk_system": 1002}, {"fk_system": 1000}, {"fk_system": 5}]}
    by_body = tracking.call("POST", operation, body).json
    assert [row["fk_system"] for row in by_query] == [1000, 1002]
    assert by_body == by_query
    assert len(tracking.call("POST", operation, {}).json) == 300


@pytest.mark.parametrize(
    ("method", "operation", "body"),
    [
        ("GET", "GetSystems?fk_system=x", None),
        ("GET", "GetSystems?fk_system=1,,2", None),
        ("POST", "GetSystems", "{"),
        ("POST", "GetSystems", "[]"),
        ("POST", "GetLastReading", {"systems": {}}),
        ("POST", "GetLastReading", {"systems": [{"fk_system": "1000"}]}),
        ("POST", "GetLastReading", {"systems": [7]}),
        ("GET", "GetSubmissionStatus", "["),
        ("POST", "ARPost", "{"),
        ("POST", "ARPost", {"APIKey": ProductionTracking.KEY}),
        ("POST", "ARPostTest", {"APIKey": ProductionTracking.KEY, "systems": "all"}),
    ],
)
def test_what_cannot_be_understood_is_400(tracking, method, operation, body):
    reply = tracking.call(method, operation, body)
    assert reply.status == 400
    assert reply.json["Message"].startswith("Bad Request")


@pytest.mark.parametrize(
    ("method", "operation"),
    [("GET", "ARPost"), ("POST", "GetSubmissionStatus"), ("GET", "Other"), ("GET", "")],
)
def test_other_calls_are_404(tracking, method, operation):
    assert tracking.call(method, operation, {}).status == 404


def test_lifetime_totals_follow_capacity_and_sunlight(tracking):
    assert sum(SHARES) == pytest.approx(100)
    rows = {row["fk_system"]: row for row in tracking.call("GET", "GetLastReading").json}
    for system in tracking.call("GET", "GetSystems").json:
        row = rows[system["fk_system"]]
        month = int(row["PeriodEndDate"][5:7])
        share = row["EnergyProduced"] / (system["capacity"] * 1100 * SHARES[month - 1] / 100)
        assert 0.87 < share < 1.13
        assert row["MeterValue"] > row["EnergyProduced"]


def test_readings_grow_from_month_to_month_and_are_the_same_again(tracking):
    values = []
    for moment in ("2026-08-10T12:00:00Z", "2026-09-10T12:00:00Z", "2026-10-10T12:00:00Z"):
        tracking.at(moment)
        values.append(tracking.last(1000)["MeterValue"])
    assert all(before < after for before, after in pairwise(values))
    tracking.at("2026-08-10T12:00:00Z")
    assert tracking.last(1000)["MeterValue"] == values[0]


def test_some_systems_have_missed_months(tracking):
    ends = {row["PeriodEndDate"][:7] for row in tracking.call("GET", "GetLastReading").json}
    assert ends == {"2026-10", "2026-09", "2026-08", "2026-07"}


def test_expected_energy_of_a_year_and_of_a_month():
    begin = datetime(2026, 1, 1)
    assert expected(10, begin, datetime(2027, 1, 1)) == pytest.approx(11_000)
    assert expected(10, begin, datetime(2026, 2, 1)) == pytest.approx(11_000 * 0.056)
    assert expected(10, begin, datetime(2026, 1, 16, 12)) == pytest.approx(11_000 * 0.028)


def test_systems_can_be_added_removed_and_changed(tracking):
    before = tracking.last(1001)
    tracking.change(1001, capacity=99.5)
    tracking.change(7, name="New one", capacity=10.586, last_value="never")
    assert tracking.control("DELETE", "/systems/1002").status == 200
    rows = {row["fk_system"]: row for row in tracking.call("GET", "GetSystems").json}
    assert rows[1001]["capacity"] == 99.5
    assert (rows[7]["SystemName"], rows[7]["SystemID"]) == ("New one", "NFG-NN107-00007")
    assert 1002 not in rows
    assert tracking.last(1001) == before
    assert (tracking.last(7)["MeterValue"], tracking.last(7)["MeterDate"]) == (None, None)
    assert tracking.call("GET", "GetLastReading?fk_system=1002").json == []
    tracking.change(1002, active=True)
    tracking.change(1001, capacity=None)
    assert len(tracking.call("GET", "GetSystems").json) == 301
    assert tracking.system(1001)["capacity"] != 99.5


def test_a_last_reading_can_be_set(tracking):
    tracking.change(1000, last_value=500, last_date="2026-08-31T12:00:00")
    row = tracking.last(1000)
    assert (row["MeterValue"], row["MeterDate"]) == (500, "2026-08-31T12:00:00")
    assert row["PeriodEndDate"] == "2026-08-31T00:00:00"


def test_a_last_reading_that_is_set_replaces_one_from_a_submission(tracking):
    tracking.post(tracking.good())
    tracking.at(CLOSED)
    assert tracking.last(1000)["PeriodEndDate"] == "2026-11-30T00:00:00"
    tracking.change(1000, last_value=500, last_date="2026-08-31T12:00:00")
    assert tracking.last(1000)["MeterValue"] == 500
    assert tracking.system(1000)["history"] == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/systems/1000", {"colour": "red"}),
        ("/systems/1000", {"capacity": "big"}),
        ("/systems/1000", {"capacity": -1}),
        ("/systems/1000", {"behaviours": ["odd"]}),
        ("/systems/1000", {"last_date": "soon"}),
        ("/systems/x", {"capacity": 1}),
        ("/options", {"systems": 20_001}),
        ("/options", {"window": "ajar"}),
        ("/options", {"window_first": "soon"}),
        ("/options", {"hold": True}),
        ("/options", {"errors_count": 1}),
        ("/key", {"revoked": "yes"}),
        ("/decide", {"verdict": "maybe"}),
    ],
)
def test_changes_that_are_not_understood_are_400(tracking, path, content):
    assert tracking.control("POST", path, content).status == 400


def test_control_page_shows_the_systems_and_changes_a_behaviour(tracking, played):
    page = tracking.caller.send("GET", f"{played.url}/").body.decode()
    assert "Production Tracking System" in page
    assert "Alewife Bend School" in page
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": played.url}
    url = f"{played.url}/control/production-tracking/systems"
    reply = tracking.caller.send("POST", url, "number=1000&Behaviour=nulls", headers)
    assert reply.status == 303
    assert tracking.system(1000)["behaviours"] == ["nulls"]


# Windows.


@pytest.mark.parametrize(
    ("day", "first", "last", "period_end"),
    [
        ("2027-01-27", "2027-01-27", "2027-02-05", "2027-01-31"),
        ("2027-02-05", "2027-01-27", "2027-02-05", "2027-01-31"),
        ("2027-02-24", "2027-02-24", "2027-03-05", "2027-02-28"),
        ("2028-02-25", "2028-02-25", "2028-03-05", "2028-02-29"),
        ("2027-01-01", "2026-12-27", "2027-01-05", "2026-12-31"),
    ],
)
def test_windows_by_their_dates(day, first, last, period_end):
    window = current(date.fromisoformat(day), Options())
    given = (window.first, window.last, window.period_end)
    assert [one.isoformat() for one in given] == [first, last, period_end]


@pytest.mark.parametrize("day", ["2027-01-26", "2027-02-06", "2027-02-23", "2026-11-20"])
def test_between_two_windows_there_is_none(day):
    assert current(date.fromisoformat(day), Options()) is None


def test_with_always_a_window_stays_open_until_the_next_one_opens():
    chosen = Options(window="always")
    windows = {current(date.fromordinal(at), chosen) for at in range(739_000, 739_800)}
    ordered = sorted(windows, key=lambda window: window.first)
    gaps = {(after.first - before.last).days for before, after in pairwise(ordered)}
    assert gaps == {1}
    assert current(date(2026, 11, 20), chosen).period_end == date(2026, 10, 31)


def test_a_window_opens_and_closes_at_midnight_in_new_york(tracking):
    for moment, is_open in [
        ("2026-11-26T04:59:59Z", False),
        ("2026-11-26T05:00:00Z", True),
        ("2026-12-06T04:59:59Z", True),
        ("2026-12-06T05:00:00Z", False),
    ]:
        tracking.at(moment)
        assert tracking.control("GET").json["window"] == (WINDOW if is_open else None)


def test_with_utc_4_it_opens_an_hour_earlier_in_winter(tracking):
    tracking.options(time_zone="UTC-4")
    tracking.at("2026-11-26T04:00:00Z")
    shown = tracking.control("GET").json
    assert (shown["window"], shown["local_time"]) == (WINDOW, "2026-11-26T00:00:00")


def test_a_window_of_its_own_can_be_listed(tracking):
    tracking.options(window_first="2026-11-10", window_last="2026-11-12")
    tracking.at("2026-11-11T15:00:00Z")
    assert tracking.control("GET").json["window"]["period_end"] == "2026-11-30"
    assert tracking.errors(tracking.good(moment="2026-11-11T08:00:00")) == [None]
    tracking.at("2026-11-13T15:00:00Z")
    assert tracking.control("GET").json["window"] is None


def test_always_takes_readings_between_two_windows(tracking):
    tracking.options(window="always")
    tracking.at("2026-11-20T15:00:00Z")
    assert tracking.last(1000)["PeriodEndDate"] == "2026-09-30T00:00:00"
    assert tracking.errors(tracking.good(moment="2026-11-20T08:00:00")) == [None]
    [row] = tracking.status()
    assert (row["ValidationStatus"], row["PeriodEndDate"]) == (1, "2026-10-31T00:00:00")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MeterDate": "2026-11-25T23:59:59"}, "not within the current Reporting Period"),
        ({"MeterDate": "2026-12-06T00:00:00"}, "not within the current Reporting Period"),
        ({"MeterDate": "2026-11-29T10:00:01"}, "in the future"),
        ({"MeterDate": "2026-11-29T15:00:01Z"}, "in the future"),
        ({"MeterDate": "yesterday"}, "not a date and time"),
        ({"MeterDate": None}, "not a date and time"),
        ({"MeterDate": 20261129}, "not a date and time"),
        ({"MeterValue": None}, "not a number"),
        ({"MeterValue": "5448.0"}, "not a number"),
        ({"MeterValue": True}, "not a number"),
        ({"MeterValue": -1}, "not a number"),
        ({"MeterValue": float("nan")}, "not a number"),
        ({"MeterValue": 10**400}, "not a number"),
        ({"MeterValue": 1e300}, "not a number"),
        ({"fk_system": 999}, "not an active system"),
        ({"fk_system": "1000"}, "not an active system"),
        ({"fk_system": None}, "not an active system"),
        ({"fk_system": 10**30}, "not an active system"),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_an_item_that_is_refused_says_why_and_does_not_count(tracking, changes, words, test):
    [error] = tracking.errors(tracking.good() | changes, test=test)
    assert words in error
    [kept] = tracking.control("GET", "/submissions").json["submissions"]
    assert (kept["verdict"], kept["Error"], kept["counted"]) == ("error", error, False)
    assert tracking.status() == []
    assert tracking.control("GET", "/counts").json == {}


def test_items_that_are_no_objects_are_refused(tracking):
    assert all(tracking.errors(None, 5, [], "x"))


def test_a_reading_of_this_very_moment_is_taken_in_any_zone(tracking):
    item = tracking.good()
    for moment in ("2026-11-29T10:00:00", "2026-11-29T15:00:00Z"):
        assert tracking.errors(item | {"MeterDate": moment}) == [None]


def test_without_an_open_window_every_item_is_refused(tracking):
    item = tracking.good()
    tracking.at(CLOSED)
    assert tracking.errors(item) == ["There is no open Reporting Period"]


# Validation.


def test_a_plausible_reading_passes(tracking):
    item = tracking.good() | {"Notes": "by hand"}
    reply = tracking.post(item)
    name = {"SystemID": "NFG-NN100-01000", "SystemName": "Alewife Bend School"}
    assert reply.json == [{"fk_system": 1000, **name, "Error": None}]
    [row] = tracking.status()
    assert row == {
        "fk_system": 1000,
        **name,
        "MeterValue": item["MeterValue"],
        "MeterDate": TODAY,
        "DateTimeReported": "2026-11-29T10:00:00",
        "PeriodEndDate": "2026-11-30T00:00:00",
        "EnergyProduced": pytest.approx(item["MeterValue"] - tracking.last(1000)["MeterValue"]),
        "IsEstimated": False,
        "Notes": "by hand",
        "ValidationNotes": "",
        "ValidationStatus": 1,
    }


# 10 kW × 1,100 kWh × 5.1 % of November are 561.0 kWh.
@pytest.mark.parametrize(
    ("energy", "verdict"),
    [(168.2, -1), (168.4, 1), (561.0, 1), (953.6, 1), (953.8, -1)],
)
def test_readings_outside_0_3_to_1_7_of_what_is_expected_fail(tracking, energy, verdict):
    tracking.at("2026-12-01T15:00:00Z")
    tracking.change(1000, capacity=10, last_value=5000, last_date="2026-11-01T00:00:00")
    midnight = "2026-12-01T00:00:00"
    item = {"fk_system": 1000, "MeterValue": 5000 + energy, "MeterDate": midnight}
    assert tracking.errors(item) == [None]
    [row] = tracking.status()
    assert row["ValidationStatus"] == verdict
    assert ("outside 168.3 to 953.7 kWh" in row["ValidationNotes"]) is (verdict == -1)
    assert tracking.system(1000)["plausible"]["least"] > 5168.3


def test_a_value_below_the_last_one_fails(tracking):
    tracking.post(tracking.low())
    [row] = tracking.status()
    assert row["ValidationStatus"] == -1
    assert "below the last reading" in row["ValidationNotes"]


def test_a_system_that_was_never_read_passes(tracking):
    tracking.change(1000, last_value="never")
    tracking.post(tracking.low())
    assert tracking.verdicts() == {1000: 1}


def test_a_reading_is_validated_after_a_delay_by_the_clock(tracking):
    tracking.options(validation_by="clock", validation_seconds=600)
    tracking.post(tracking.good(), tracking.low(1001))
    assert tracking.verdicts() == {1000: 0, 1001: 0}
    assert [row["ValidationNotes"] for row in tracking.status()] == ["", ""]
    assert tracking.control("GET", "/counts").json["1000"] == NONE | {"undecided": 1}
    tracking.control("POST", "/clock", {"forward": 599})
    assert tracking.verdicts() == {1000: 0, 1001: 0}
    tracking.control("POST", "/clock", {"forward": 1})
    assert tracking.verdicts() == {1000: 1, 1001: -1}
    assert tracking.control("GET", "/counts").json["1001"] == NONE | {"failed": 1}


def test_a_reading_is_validated_after_real_seconds(tracking):
    tracking.options(validation_seconds=3600)
    tracking.post(tracking.good())
    tracking.control("POST", "/clock", {"forward": 7200})
    assert tracking.verdicts() == {1000: 0}


def test_it_stays_validating_until_told(tracking):
    tracking.options(validation_by="told")
    tracking.post(tracking.good(), tracking.good(1001), tracking.low(1002))
    assert set(tracking.verdicts().values()) == {0}
    told = {"fk_system": 1000, "verdict": "failed", "notes": "Too bright"}
    assert tracking.control("POST", "/decide", told).json == {"decided": 1}
    assert tracking.verdicts() == {1000: -1, 1001: 0, 1002: 0}
    assert tracking.status(1000)[0]["ValidationNotes"] == "Too bright"
    assert tracking.control("POST", "/decide", {}).json == {"decided": 2}
    assert tracking.verdicts() == {1000: -1, 1001: 1, 1002: -1}


def test_a_verdict_can_be_changed_by_its_id(tracking):
    tracking.post(tracking.good())
    [kept] = tracking.control("GET", "/submissions?fk_system=1000").json["submissions"]
    tracking.control("POST", "/decide", {"id": kept["id"], "verdict": "failed"})
    assert tracking.verdicts() == {1000: -1}


def test_the_last_one_in_wins(tracking):
    first, second = tracking.good(), tracking.good(plus=3)
    tracking.post(first)
    tracking.post(second)
    [row] = tracking.status()
    assert row["MeterValue"] == second["MeterValue"]
    later, earlier = tracking.control("GET", "/submissions").json["submissions"]
    assert (earlier["invalidated"], later["invalidated"]) == (True, False)
    assert (earlier["verdict"], later["verdict"]) == ("passed", "passed")
    tracking.at(CLOSED)
    assert tracking.last(1000)["MeterValue"] == second["MeterValue"]


def test_a_failed_last_one_wins_as_well(tracking):
    before = tracking.last(1000)
    tracking.post(tracking.good())
    tracking.post(tracking.low())
    tracking.at(CLOSED)
    assert tracking.last(1000) == before


# Limits.


def test_a_third_valid_submission_is_refused(tracking):
    for _ in range(2):
        assert tracking.errors(tracking.good()) == [None]
    sentence = (
        "Maximum limit of 2 valid submissions for this system in this Reporting Window reached"
    )
    assert tracking.errors(tracking.low(), tracking.good(1001)) == [sentence, None]
    counts = tracking.control("GET", "/counts").json
    assert counts == {"1000": NONE | {"valid": 2}, "1001": NONE | {"valid": 1}}


def test_a_fourth_failed_submission_is_refused(tracking):
    for _ in range(3):
        assert tracking.errors(tracking.low()) == [None]
    [error] = tracking.errors(tracking.good())
    assert error.startswith("Maximum limit of 3 failed submissions")
    assert tracking.system(1000)["tries"] == NONE | {"failed": 3}


def test_tries_are_counted_within_one_post_and_while_validating(tracking):
    tracking.options(validation_seconds=3600)
    good = tracking.good()
    assert [bool(error) for error in tracking.errors(good, good, good)] == [False, False, True]


def test_tries_are_counted_across_threads(tracking):
    item, errors, barrier = tracking.good(), [], threading.Barrier(6)

    def post():
        barrier.wait(5)
        errors.extend(tracking.errors(item))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(map(bool, errors)) == [False, False, True, True, True, True]


def test_the_help_desk_makes_an_exception_for_one_system_and_one_window(tracking):
    both = (tracking.good(), tracking.good(1001))
    for _ in range(2):
        tracking.post(*both)
    tracking.change(1000, extra_valid=1)
    assert [bool(error) for error in tracking.errors(*both)] == [False, True]
    tracking.change(1000, extra_valid=2, extra_failed=4)
    for _ in range(7):
        assert tracking.errors(tracking.low()) == [None]
    assert tracking.errors(tracking.low())[0].startswith("Maximum limit of 7 failed")
    tracking.at("2026-12-28T15:00:00Z")
    item = tracking.good(moment="2026-12-28T09:00:00")
    assert [bool(e) for e in tracking.errors(item, item, item)] == [False, False, True]


def test_an_exception_needs_an_open_window(tracking):
    tracking.at(CLOSED)
    assert tracking.control("POST", "/systems/1000", {"extra_valid": 1}).status == 400


def test_counts_begin_again_with_the_next_window(tracking):
    tracking.post(tracking.good())
    tracking.at("2026-12-28T15:00:00Z")
    assert tracking.control("GET", "/counts").json == {}
    assert tracking.status() == []
    earlier = tracking.control("GET", "/counts?period=2026-11-30").json
    assert earlier == {"1000": NONE | {"valid": 1}}


def test_refused_items_count_where_that_is_chosen(tracking):
    tracking.options(errors_count=True)
    outside = tracking.good(moment="2026-11-01T00:00:00")
    for _ in range(3):
        tracking.post(outside)
    assert tracking.errors(tracking.good())[0].startswith("Maximum limit of 3 failed")


# ARPostTest.


def test_a_test_is_validated_but_neither_saved_nor_counted(tracking):
    before = tracking.last(1000)
    for _ in range(4):
        errors = tracking.errors(tracking.good(), tracking.low(1001), test=True)
        assert errors[0] is None
        assert "below the last reading" in errors[1]
    assert tracking.status() == []
    assert tracking.control("GET", "/counts").json == {}
    assert tracking.control("GET", "/submissions").json["submissions"][0]["test"] is True
    tracking.at(CLOSED)
    assert tracking.last(1000)["MeterValue"] >= before["MeterValue"]
    assert tracking.system(1000)["history"] == []


def test_the_failures_of_tests_count_where_that_is_chosen(tracking):
    tracking.options(tests_count=True)
    for _ in range(3):
        tracking.errors(tracking.low(), tracking.good(1001), test=True)
    assert tracking.control("GET", "/counts").json == {"1000": NONE | {"failed": 3}}
    errors = tracking.errors(tracking.good(), tracking.good(1001))
    assert [bool(error) for error in errors] == [True, False]


@pytest.mark.parametrize(("option", "test"), [("post_reply", False), ("test_reply", True)])
def test_a_reply_may_be_empty(tracking, option, test):
    tracking.options(**{option: "empty"})
    reply = tracking.post(tracking.good(), tracking.low(5), test=test)
    assert (reply.status, reply.body) == (200, b"")
    assert len(tracking.control("GET", "/submissions").json["submissions"]) == 2


def test_the_verdict_of_a_test_is_shown_where_that_is_chosen(tracking):
    tracking.options(tests_in_status=True)
    tracking.post(tracking.good())
    tracking.post(tracking.low(), test=True)
    assert tracking.verdicts() == {1000: -1}
    tracking.options(tests_in_status=None)
    assert tracking.verdicts() == {1000: 1}


# GetSubmissionStatus.


def test_status_covers_what_was_submitted_and_asked_for(tracking):
    tracking.post(tracking.good(), tracking.good(1001), tracking.good(1002))
    assert set(tracking.verdicts()) == {1000, 1001, 1002}
    assert set(tracking.verdicts(1001, 1005)) == {1001}
    tracking.at(CLOSED)
    assert tracking.status() == []


def test_polls_are_counted(tracking):
    for _ in range(3):
        tracking.status()
    tracking.control("POST", "/clock", {"forward": 61})
    tracking.status()
    assert tracking.control("GET").json["polls"] == {"all": 4, "too_early": 2}


def test_too_many_polls_revoke_the_key_where_that_is_chosen(tracking):
    tracking.options(revoke_for_polling=True, polls_per_minute=2)
    body = {"systems": []}
    replies = [tracking.call("GET", "GetSubmissionStatus", body).status for _ in range(4)]
    assert replies == [200, 200, 400, 400]
    assert tracking.call("GET", "GetSystems").status == 400
    assert tracking.control("GET").json["revoked"] is True
    tracking.control("POST", "/key", {"revoked": False})
    assert tracking.call("GET", "GetSystems").status == 200


# The end of a window.


def test_what_has_passed_becomes_the_last_reading(tracking):
    before, good = tracking.last(1000, 1001), tracking.good()
    tracking.post(good, tracking.low(1001))
    assert tracking.last(1000, 1001) == before
    tracking.at(CLOSED)
    passed, failed = tracking.last(1000, 1001)
    assert passed["MeterValue"] == good["MeterValue"]
    assert passed["MeterDate"] == TODAY
    assert passed["PeriodEndDate"] == "2026-11-30T00:00:00"
    assert passed["EnergyProduced"] == round(good["MeterValue"] - before[0]["MeterValue"], 1)
    assert passed["IsEstimated"] is False
    assert failed == before[1]


def test_what_was_never_decided_becomes_nothing(tracking):
    tracking.options(validation_by="told")
    before = tracking.last(1000)
    tracking.post(tracking.good())
    tracking.at(CLOSED)
    assert tracking.last(1000) == before


def test_a_window_can_be_closed_by_hand(tracking):
    item = tracking.good()
    tracking.post(item)
    tracking.options(window="closed")
    assert tracking.last(1000)["MeterValue"] == item["MeterValue"]
    assert tracking.errors(tracking.good()) == ["There is no open Reporting Period"]


def test_missed_months_are_spread_and_estimated(tracking):
    tracking.post(tracking.good(1001))  # from now on the readings no longer follow the clock
    before = tracking.last(1000)
    tracking.at("2027-01-28T15:00:00Z")
    item = tracking.good(moment="2027-01-28T09:00:00")
    tracking.post(item)
    assert tracking.status(1000)[0]["IsEstimated"] is True
    tracking.at("2027-02-06T15:00:00Z")
    last, history = tracking.last(1000), tracking.system(1000)["history"]
    assert [one["period_end"] for one in history] == ["2026-11-30", "2026-12-31", "2027-01-31"]
    assert all(one["IsEstimated"] for one in history)
    whole = sum(one["EnergyProduced"] for one in history)
    assert whole == pytest.approx(item["MeterValue"] - before["MeterValue"], abs=0.2)
    assert last["EnergyProduced"] == history[-1]["EnergyProduced"]
    assert history[1]["EnergyProduced"] < history[0]["EnergyProduced"]
    assert (last["MeterValue"], last["IsEstimated"]) == (item["MeterValue"], True)


def test_energy_without_an_earlier_reading_is_the_whole_value():
    assert apportioned(None, date(2026, 11, 30), 20.0) == [(date(2026, 11, 30), 20.0, 20.0)]


def test_two_windows_that_are_over_are_closed_in_their_order(tracking):
    tracking.post(tracking.good())
    tracking.options(last_period="2026-10-31")
    tracking.at("2026-12-28T15:00:00Z")
    item = tracking.good(moment="2026-12-28T09:00:00")
    tracking.post(item)
    tracking.at("2027-01-10T15:00:00Z")
    history = tracking.system(1000)["history"]
    assert [one["period_end"] for one in history] == ["2026-11-30", "2026-12-31"]
    assert tracking.last(1000)["MeterValue"] == item["MeterValue"]


def test_submissions_and_clock_outlast_a_restart_and_end_with_a_reset(tmp_path, caller_of):
    sandbox = start(0, tmp_path / "s.sqlite3")
    tracking = Tracking(caller_of(sandbox))
    tracking.at(OPEN)
    tracking.options(validation_seconds=0)
    item = tracking.good()
    tracking.post(item)
    sandbox.stop()
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        tracking = Tracking(caller_of(sandbox))
        assert tracking.status()[0]["MeterValue"] == item["MeterValue"]
        tracking.caller.control("POST", "/reset", {})
        assert tracking.control("GET", "/submissions").json["submissions"] == []
        assert tracking.control("GET", "/clock").json["offset"] == 0
        assert tracking.control("GET", "/options").json == Options().shown()
    finally:
        sandbox.stop()


# Behaviours.


def test_every_behaviour_has_a_test(request):
    text = request.path.read_text()
    assert [word for word in BEHAVIOURS if f'"{word}"' not in text] == []


@pytest.mark.parametrize(
    ("word", "in_systems", "in_readings"),
    [("error", True, True), ("systems_error", True, False), ("reading_error", False, True)],
)
def test_errors_of_single_systems(tracking, word, in_systems, in_readings):
    tracking.change(1000, behaviours=[word])
    wanted = "?fk_system=1000,1001"
    for operation, expects in [("GetSystems", in_systems), ("GetLastReading", in_readings)]:
        one, other = tracking.call("GET", operation + wanted).json
        assert (bool(one["Error"]), other["Error"]) == (expects, None)


def test_unusual_spellings_of_single_systems(tracking):
    tracking.post(tracking.good())
    calls = [
        lambda: tracking.call("GET", "GetSystems?fk_system=1000").json,
        lambda: [tracking.last(1000)],
        lambda: tracking.status(1000),
    ]
    for call in calls:
        [usual] = call()
        tracking.change(1000, behaviours=["nulls"])
        assert call() == [dict.fromkeys(usual) | {"fk_system": 1000}]
        tracking.change(1000, behaviours=["missing"])
        assert call() == [{"fk_system": 1000}]
        tracking.change(1000, behaviours=["spaces"])
        assert call() == [usual | {"SystemID": " NFG-NN100-01000"}]
        tracking.change(1000, behaviours=["extra"])
        assert usual.items() < call()[0].items()
        tracking.change(1000, behaviours=["wrong_types"])
        [wrong] = call()
        assert (wrong["fk_system"], wrong["SystemName"]) == (1000, 17)
        numbers = {"capacity", "MeterValue", "EnergyProduced", "ValidationStatus"} & set(wrong)
        assert all(wrong[name].startswith("about ") for name in numbers)
        tracking.change(1000, behaviours=[])


def test_systems_that_are_listed_twice_or_not_at_all(tracking):
    tracking.post(tracking.good())
    tracking.change(1000, behaviours=["twice"])
    assert len(tracking.status()) == 2
    assert len(tracking.call("GET", "GetSystems").json) == 301
    tracking.change(1000, behaviours=["unlisted"])
    assert tracking.status() == []
    assert len(tracking.call("GET", "GetLastReading").json) == 299


def test_verdicts_of_single_systems(tracking):
    words = ["passes", "fails", "stays", "odd_status", "post_error"]
    items = [tracking.good(1000 + place) for place in range(5)]
    items[0] = tracking.low(1000)
    for place, word in enumerate(words):
        tracking.change(1000 + place, behaviours=[word])
    assert [bool(error) for error in tracking.errors(*items)] == [*[False] * 4, True]
    assert tracking.verdicts() == {1000: 1, 1001: -1, 1002: 0, 1003: 7}


# Faults.


def test_a_lost_answer_was_accepted_and_a_reset_was_not(tracking, played):
    for fault, saved in [("reset", 0), ("lost", 1), ("500", 1), ("done_500", 2)]:
        played.switch_on("production-tracking", fault, calls=1, match="/ARPost {")
        if fault.endswith("500"):
            assert tracking.post(tracking.good()).json == {"Message": "Service Unavailable"}
        else:
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                tracking.post(tracking.good())
        counted = tracking.control("GET", "/submissions").json["submissions"]
        assert len(counted) == saved


def test_it_has_the_faults_of_a_party_that_is_asked_to_do_something(tracking, played):
    for fault in (*FAULTS, *DOING_FAULTS):
        fields = {"party": "production-tracking", "fault": fault}
        assert tracking.caller.control("POST", "/faults", fields).status == 201
    played.switch_off("production-tracking")
    never = {"party": "production-tracking", "fault": "post_never"}
    assert tracking.caller.control("POST", "/faults", never).status == 400
    lost = {"party": "registry", "fault": "lost"}
    assert tracking.caller.control("POST", "/faults", lost).status == 400


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("GET", "GetSystems?fk_system=1000"),
        ("GET", "GetLastReading?fk_system=1000"),
        ("GET", "GetSubmissionStatus"),
    ],
)
def test_answers_about_another_system(tracking, played, method, operation):
    tracking.post(tracking.good())
    usual = tracking.call(method, operation, {"systems": [{"fk_system": 1000}]}).json
    played.switch_on("production-tracking", "wrong_number", calls=1)
    [other] = tracking.call(method, operation, {"systems": [{"fk_system": 1000}]}).json
    assert list(other) == list(usual[0])
    assert other["fk_system"] != 1000


@pytest.mark.parametrize("fault", ["wrong_types", "big", "truncated", "empty", "html"])
@pytest.mark.parametrize("reply", ["items", "empty"])
def test_spoilt_answers_to_a_post(tracking, played, fault, reply):
    tracking.options(post_reply=reply)
    played.switch_on("production-tracking", fault, calls=1)
    assert tracking.post(tracking.good()).status == 200


# Five thousand systems.


def test_five_thousand_systems_in_one_body(tracking):
    tracking.options(systems=5000)
    systems = tracking.call("GET", "GetSystems").json
    assert len({row["SystemName"] for row in systems}) == 5000
    last = tracking.call("GET", "GetLastReading").json
    items = [
        {
            "fk_system": row["fk_system"],
            "MeterValue": round(row["MeterValue"] + system["capacity"] * 1100 * 0.051, 1),
            "MeterDate": TODAY,
        }
        for system, row in zip(systems, last, strict=True)
        if row["PeriodEndDate"].startswith("2026-10")
    ]
    assert tracking.errors(*items) == [None] * len(items)
    assert set(tracking.verdicts().values()) == {1}
    tracking.at(CLOSED)
    assert tracking.last(5999)["PeriodEndDate"] == "2026-11-30T00:00:00"
