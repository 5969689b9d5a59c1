"""The played meter communications service against the text of its specification."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.faults import POST_FAULTS
from sandbox.masking import masked_body, masked_text
from sandbox.parties.meters import demo
from sandbox.parties.meters.behaviour import BEHAVIOURS
from sandbox.parties.meters.kinds import TYPES
from sandbox.parties.meters.load import DAY, PROFILES, Load
from sandbox.parties.registry.mpan import check_digit
from sandbox.posting import NotHere, address, below
from sandbox.server import start

JSON = {"Content-Type": "application/json"}
NUMBERS = count(1)
METERS = demo.meters()
WAIT = 5.0


# A receiver, as the portal is one.


@dataclass
class Got:
    method: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Takes results on a port of its own; `status` and `answer` are what it says."""

    def __init__(self) -> None:
        self.said = threading.Condition()
        self.clear()
        receiver = self

        class Conversation(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.reply("POST", body, receiver.status, receiver.answer)

            def do_GET(self):
                self.reply("GET", b"", 200, b'{"version": "1.0.0", "status": "OK"}')

            def reply(self, method, body, status, answer):
                with receiver.said:
                    receiver.got.append(Got(method, self.path, body))
                    receiver.said.notify_all()
                if receiver.hold:
                    receiver.hold.wait(WAIT)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Conversation)
        self.server.handle_error = lambda *_: None  # callers that leave are part of the tests
        self.url = f"http://127.0.0.1:{self.server.server_port}/results/token-abc"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def clear(self) -> None:
        self.got: list[Got] = []
        self.status, self.answer = 200, b""
        self.hold: threading.Event | None = None

    def wait(self, least: int = 1, method: str = "POST") -> list[Got]:
        """Wait until so many results have arrived, and give them in their order."""

        def arrived():
            return [one for one in self.got if one.method == method]

        with self.said:
            assert self.said.wait_for(lambda: len(arrived()) >= least, WAIT), self.got
            return arrived()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(WAIT)


@pytest.fixture(scope="module")
def module_receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def receiver(played, module_receiver) -> Receiver:
    """The receiver with nothing received, after what an earlier test left was stopped."""
    module_receiver.clear()
    return module_receiver


class Service:
    """Asks the played service, and reads its control calls."""

    def __init__(self, caller, receiver) -> None:
        self.caller, self.receiver = caller, receiver
        self.base = caller.sandbox.shared_url("meters")

    def call(self, method, path, content=None, headers=JSON):
        body = content if isinstance(content, str | bytes | None) else json.dumps(content)
        return self.caller.send(method, self.base + path, body, headers)

    def meter(self, words):
        serial = next(one.serial for one in METERS if words in one.purpose)
        return self.caller.control("GET", f"/meters/{serial}").json

    def fields(self, meter, **more):
        wanted = (
            "mpan", "meterType", "remoteAddress", "outstationAddress", "serialNumber", "password",
        )  # fmt: skip
        asked = {name: meter[name] for name in wanted}
        asked |= {"requestReference": f"ref-{next(NUMBERS)}", "priority": 1}
        asked["comsSettings"] = meter["comsSettings"] or None
        return {**asked, "responseUrl": self.receiver.url, **more}

    def ask(self, meter, **more):
        """Ask for a collection and give its reference."""
        fields = self.fields(meter, **more)
        reply = self.call("POST", "/collection-request", fields)
        assert (reply.status, reply.json) == (200, {"requestReference": fields["requestReference"]})
        return fields["requestReference"]

    def posted(self, words, posts=1, **more):
        """Ask the meter whose purpose has these words, and give the results in their order."""
        reference = self.ask(self.meter(words), **more)
        got = self.receiver.wait(posts)
        self.settle(reference)
        assert all(one.path == "/results/token-abc/collection-result" for one in got)
        return got

    def settle(self, reference):
        """Wait until the service knows what became of its posts."""
        self.caller.sandbox.log(wait=WAIT)
        return self.caller.control("GET", f"/collections/{reference}").json

    def truth(self, meter, register, start, end):
        path = f"/meters/{meter['serialNumber']}/readings?register={register.replace(' ', '%20')}"
        [known] = self.caller.control("GET", f"{path}&from={start}&to={end}").json["registers"]
        return known

    def wait_for_state(self, reference, state):
        ends = datetime.now(UTC) + timedelta(seconds=WAIT)
        while self.caller.control("GET", f"/collections/{reference}").json["state"] != state:
            assert datetime.now(UTC) < ends
        return True


@pytest.fixture
def service(caller, receiver):
    caller.control("POST", "/collecting", {"collection_seconds": 0, "check_receiver": "never"})
    return Service(caller, receiver)


@pytest.fixture
def paused(service):
    service.caller.control("POST", "/collecting", {"paused": True})
    return service


# The request API.


SAMPLE = {
    "requestReference": "0001",
    "responseUrl": "https://www.company.com/MCSresults",
    "mpan": "12345",
    "priority": 1,
    "meterType": "ELSTER_A1700",
    "remoteAddress": "077777000000",
    "outstationAddress": "1",
    "serialNumber": "12345678",
    "password": "AAAA0000",
    "surveyDays": 10,
    "surveyDate": "2019-12-01",
    "adjustTime": True,
}


def sample(paused, **changes):
    fields = SAMPLE | {"responseUrl": paused.receiver.url} | changes
    return {name: value for name, value in fields.items() if value is not ...}


def test_the_first_sample_is_accepted(paused):
    reply = paused.call("POST", "/collection-request", sample(paused))
    assert (reply.status, reply.json) == (200, {"requestReference": "0001"})


def test_the_second_sample_is_refused_in_its_words(paused):
    reply = paused.call("POST", "/collection-request", sample(paused, remoteAddress="abc"))
    assert reply.status == 400
    assert reply.json == {"details": "Remote address is not in a recognised format"}


@pytest.mark.parametrize(
    "changes",
    [
        *({name: ...} for name in (
            "requestReference", "mpan", "responseUrl", "priority", "meterType", "remoteAddress")),
        *({name: None} for name in ("mpan", "priority", "remoteAddress")),
        {"requestReference": ""}, {"requestReference": 7}, {"mpan": 12345},
        {"responseUrl": "results"}, {"responseUrl": "ftp://127.0.0.1/"},
        {"responseUrl": "https://www.company.com/MCSresults"},
        {"responseUrl": "http://10.0.0.1/results"}, {"responseUrl": "http://[::1"},
        {"priority": 0}, {"priority": -1}, {"priority": "1"}, {"priority": 1.0}, {"priority": True},
        {"delayUntil": "tonight"}, {"delayUntil": "2026-11-28T22:00:00"},
        {"delayUntil": "2026-13-28T22:00:00Z"}, {"delayUntil": "2026-11-28T22:00:00+00:00"},
        {"meterType": "elster_a1700"}, {"meterType": "ELSTER"},
        *({"remoteAddress": wrong} for wrong in (
            "7711000001", "0771100000112345", "00711000001", "+447711000001", "07711 000001",
            "10.2.34.4", "10.2.34.256:3400", "10.2.34.4:0", "10.2.34.4:65536", "10.2.34:3400",
            "2300000012345", "230000001234567", "٠٧٧١١٠٠٠٠٠١", 7711000001, ["07711000001"])),
        {"comsSettings": "7E3"}, {"comsSettings": "E71"}, {"comsSettings": "9N1"},
        {"comsSettings": "7E1", "remoteAddress": "10.2.34.4:3400"},
        {"comsSettings": "7E1", "remoteAddress": "23000000123456"},
        {"outstationAddress": 1}, {"serialNumber": 12345678}, {"password": 1},
        {"surveyDays": -1}, {"surveyDays": 1.5}, {"surveyDays": "10"}, {"surveyDays": True},
        {"surveyDate": "01/12/2019"}, {"surveyDate": "2019-02-30"}, {"surveyDate": "2019-12-1"},
        {"surveyDate": "20191201"}, {"adjustTime": "true"}, {"adjustTime": 1},
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_as_specified_is_400_with_details(paused, changes):
    reply = paused.call("POST", "/collection-request", sample(paused, **changes))
    assert reply.status == 400
    assert list(reply.json) == ["details"]
    assert paused.caller.control("GET", "/collections").json["counts"] == {}


@pytest.mark.parametrize(
    "changes",
    [
        dict.fromkeys(("outstationAddress", "serialNumber", "password"), ...),
        dict.fromkeys(("surveyDays", "surveyDate", "adjustTime"), ...),
        {"comsSettings": "7E1"}, {"comsSettings": ""}, {"comsSettings": None},
        *({"remoteAddress": right} for right in (
            "07711000001", "0207946000", "10.2.34.4:3400", "23000000123456")),
        {"surveyDays": 0}, {"surveyDays": 10.0}, {"surveyDate": ""}, {"surveyDate": None},
        {"delayUntil": "2026-11-28T22:00:00Z"}, {"delayUntil": ""}, {"unheardOf": {"a": 1}},
        {"responseUrl": "http://localhost:9/x"}, {"responseUrl": "http://[::1]:9/x"},
        *({"meterType": code} for code in TYPES),
    ],
)  # fmt: skip
def test_what_the_specification_allows_is_accepted(paused, changes):
    assert paused.call("POST", "/collection-request", sample(paused, **changes)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'"x"',
        b"null",
        b"[" * 100_000,
        b'{"requestReference": "\\ud800"}',
    ],
)
def test_a_body_that_is_no_object_is_400(service, body):
    for method, path in (("POST", "/collection-request"), ("DELETE", "/collection-cancel")):
        reply = service.call(method, path, body)
        assert (reply.status, list(reply.json)) == (400, ["details"])


def test_a_web_page_from_elsewhere_cannot_ask(service):
    body = json.dumps(service.fields(service.meter("comsSettings 7E1")))
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        assert service.call("POST", "/collection-request", body, headers).status == 400


def test_a_reference_is_used_once(paused):
    paused.call("POST", "/collection-request", sample(paused))
    reply = paused.call("POST", "/collection-request", sample(paused))
    assert (reply.status, "unique" in reply.json["details"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/collection-request"), ("POST", "/collection-cancel"), ("GET", "/"), ("GET", "/x")],
)
def test_other_methods_are_404_with_details(service, method, path):
    reply = service.call(method, path, {})
    assert (reply.status, list(reply.json)) == (404, ["details"])


def test_service_status(service):
    reply = service.call("GET", "/service-status")
    assert reply.status == 200
    assert re.fullmatch(r"\d+\.\d+\.\d+", reply.json["version"])
    assert reply.json["status"] == "OK"


def status(service, reference):
    by_query = service.call("GET", f"/collection-status?requestReference={reference}")
    by_path = service.call("GET", f"/collection-status/{reference}")
    assert (by_query.status, by_query.body) == (by_path.status, by_path.body)
    return by_query


def test_a_waiting_collection_is_pending_and_repeats_what_was_asked(paused):
    meter = paused.meter("comsSettings 7E1")
    reference = paused.ask(meter, surveyDays=3)
    said = status(paused, reference).json
    today = datetime.now(UTC).date()
    assert said["result"] == "PENDING"
    assert said["password"] == meter["password"]
    assert (said["surveyDays"], said["surveyDate"]) == (3, str(today - timedelta(days=3)))
    assert (said["comsSettings"], said["adjustTime"]) == ("7E1", False)
    assert "collectionEndTime" not in said


def test_unknown_references_are_404_with_details(service):
    assert (status(service, "nobody").status, list(status(service, "nobody").json)) == (
        404, ["details"],
    )  # fmt: skip
    reply = service.call("DELETE", "/collection-cancel", {"requestReference": "nobody"})
    assert reply.status == 404
    assert reply.json["requestReference"] == "nobody"
    assert reply.json["details"]
    assert service.call("GET", "/collection-status").status == 400


def test_a_cancelled_collection_never_runs(paused):
    reference = paused.ask(paused.meter("comsSettings 7E1"))
    body = {"requestReference": reference}
    for _ in range(2):
        assert paused.call("DELETE", "/collection-cancel", body).json == body
    assert status(paused, reference).json["result"] == "ERROR: Cancelled"
    other = paused.ask(paused.meter("a workshop"))
    paused.caller.control("POST", "/collecting", {"paused": False})
    [got] = paused.receiver.wait()
    assert got.json["requestReference"] == other


def test_cancelling_what_has_run_is_answered_well_and_changes_nothing(service):
    [got] = service.posted("comsSettings 7E1")
    reference = got.json["requestReference"]
    reply = service.call("DELETE", "/collection-cancel", {"requestReference": reference})
    assert (reply.status, reply.json) == (200, {"requestReference": reference})
    assert status(service, reference).json["result"] == "SUCCESS"


# The queue.


def test_priority_then_order(paused):
    meter = paused.meter("comsSettings 7E1")
    asked = [paused.ask(meter, priority=priority) for priority in (5, 1, 3, 1)]
    queue = paused.caller.sandbox.stage.parties["meters"]._queue
    taken = [queue.take(0.0, wait_for_address=False)["reference"] for _ in asked]
    assert taken == [asked[1], asked[3], asked[2], asked[0]]


def test_delay_until_is_waited_for_by_the_moved_clock(service):
    service.caller.control("POST", "/clock", {"now": "2026-03-01T12:00:00Z", "stopped": True})
    meter = service.meter("comsSettings 7E1")
    late = service.ask(meter, delayUntil="2026-03-01T22:00:00Z", priority=1)
    soon = service.ask(service.meter("a workshop"), priority=9)
    [first] = service.receiver.wait(1)
    assert first.json["requestReference"] == soon
    assert status(service, late).json["result"] == "PENDING"
    service.caller.control("POST", "/clock", {"forward": 10 * 3600})
    second = service.receiver.wait(2)[1].json
    assert second["requestReference"] == late
    assert second["collectionStartTime"] == "2026-03-01T22:00:00Z"
    assert second["meterTime"].startswith("2026-03-01T2")


def test_the_clock_runs_stops_and_is_real_again_after_a_reset(caller):
    caller.control("POST", "/clock", {"now": "2030-01-01T00:00:00Z"})
    assert caller.control("GET", "/clock").json["now"].startswith("2030-01-01T00:0")
    stopped = caller.control("POST", "/clock", {"stopped": True}).json
    assert caller.control("GET", "/clock").json == stopped
    caller.control("POST", "/reset", {})
    assert caller.control("GET", "/clock").json["offset"] == 0
    for wrong in (
        {},
        {"now": "soon"},
        {"forward": "x"},
        {"backward": 1},
        {"now": "9999-01-01"},
        {"forward": 1e12},
    ):
        assert caller.control("POST", "/clock", wrong).status == 400


def test_two_at_once_to_one_address_disturb_each_other(service):
    service.caller.control("POST", "/collecting", {"collection_seconds": 20})
    first = service.ask(service.meter("outstation 1"))
    service.wait_for_state(first, "running")
    service.caller.control("POST", "/collecting", {"collection_seconds": 0})
    service.ask(service.meter("outstation 2"))
    [second] = service.receiver.wait(1)
    assert "disturbed" in second.json["result"]
    assert service.caller.sandbox.stage.parties["meters"]._queue.disturbed(first)


def test_two_to_one_address_may_be_made_to_wait(service):
    service.caller.control("POST", "/collecting", {"same_address": "wait"})
    service.ask(service.meter("outstation 1"))
    service.ask(service.meter("outstation 2"))
    assert {one.json["result"] for one in service.receiver.wait(2)} == {"SUCCESS"}


def test_the_queue_outlasts_a_restart(tmp_path, caller_of, receiver):
    sandbox = start(0, tmp_path / "s.sqlite3")
    service = Service(caller_of(sandbox), receiver)
    service.caller.control(
        "POST", "/collecting", {"collection_seconds": 60, "check_receiver": "never"}
    )
    running = service.ask(service.meter("comsSettings 7E1"))
    service.wait_for_state(running, "running")
    service.caller.control("POST", "/collecting", {"paused": True, "collection_seconds": 0})
    waiting = service.ask(service.meter("a workshop"))
    service.caller.control("POST", "/collecting", {"paused": False})
    [first] = receiver.wait(1)
    sandbox.stop()
    assert first.json["requestReference"] == waiting
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        assert receiver.wait(2)[1].json["requestReference"] == running
        assert status(Service(caller_of(sandbox), receiver), waiting).json["result"] == "SUCCESS"
    finally:
        sandbox.stop()


def test_a_reset_drops_the_queue_and_what_is_under_way(paused):
    reference = paused.ask(paused.meter("comsSettings 7E1"))
    paused.caller.control("POST", "/reset", {})
    assert status(paused, reference).status == 404
    assert paused.caller.control("GET", "/collecting").json["paused"] is False


@pytest.mark.parametrize(
    "wrong",
    [{"paused": 1}, {"retries": -1}, {"check_receiver": "often"}, {"speed": 1}, {"retries": "x"}],
)
def test_options_that_are_not_understood_are_400(caller, wrong):
    assert caller.control("POST", "/collecting", wrong).status == 400


# Results.


def test_a_result_has_every_field_of_the_table_and_is_what_status_says(service):
    meter = service.meter("comsSettings 7E1")
    [got] = service.posted("comsSettings 7E1", surveyDays=2, adjustTime=True)
    said = got.json
    assert status(service, said["requestReference"]).json == said
    assert said["password"] == meter["password"]
    assert (said["result"], said["timeAdjustmentResult"]) == ("SUCCESS", "NOT REQUIRED")
    assert said["serialNumber"] == meter["serialNumber"]
    for name in ("collection", "connection"):
        for end in ("StartTime", "EndTime"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said[name + end])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d [+-]\d+s", said["meterTime"])
    assert said["statusEvents"] == []
    assert [one["name"] for one in said["registerValues"]] == list(TYPES["ELSTER_A1700"].registers)
    assert [one["name"] for one in said["surveyData"]] == list(demo.FULL)
    assert [len(one["readings"]) for one in said["surveyData"]] == [96] * 6
    [entry] = [one for one in service.caller.sandbox.log() if one["direction"] == "posted"]
    assert (entry["method"], entry["status"], entry["written"]) == ("POST", 200, True)


def test_without_survey_days_there_is_no_survey(service):
    [got] = service.posted("a workshop")
    assert "surveyData" not in got.json
    assert "timeAdjustmentResult" not in got.json
    assert (got.json["surveyDays"], got.json["surveyDate"]) == (0, None)


@pytest.mark.parametrize("words", ["a workshop", "a house with solar panels", "values per period"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-06-01"])
def test_the_survey_is_the_truth_in_utc_and_agrees_with_the_register(service, words, day):
    service.caller.control("POST", "/clock", {"now": "2026-11-20T00:00:00Z"})
    meter = service.meter(words)
    [got] = service.posted(words, surveyDays=2, surveyDate=day)
    start = datetime.fromisoformat(f"{day}T00:00:00Z")
    end = start + timedelta(days=2)
    text = got.body.decode()
    for block in json.loads(text, parse_float=str)["surveyData"]:
        known = service.truth(meter, block["name"], f"{day}T00:00:00Z", end.isoformat())
        assert [(one["timestamp"], one["value"]) for one in block["readings"]] == [
            (one["timestamp"], one["value"]) for one in known["readings"]
        ]
        moments = [datetime.fromisoformat(one["timestamp"]) for one in block["readings"]]
        assert moments == [start + place * timedelta(minutes=30) for place in range(96)]
        values = [Decimal(one["value"]) for one in block["readings"]]
        advance = Decimal(known["at_to"]) - Decimal(known["at_from"])
        if meter["survey"] == "cumulative":
            assert values == sorted(values)
            assert values[0] == Decimal(known["at_from"])
            assert values[-1] <= Decimal(known["at_to"])
        else:
            assert sum(values) == advance


def test_the_register_read_goes_on_from_the_survey(service):
    service.caller.control("POST", "/clock", {"now": "2026-11-20T10:17:00Z", "stopped": True})
    [got] = service.posted("a workshop", surveyDays=1, surveyDate="2026-11-20")
    said = json.loads(got.body, parse_float=Decimal)
    readings = said["surveyData"][0]["readings"]
    assert readings[-1]["timestamp"] == "2026-11-20T10:00:00Z"
    register = said["registerValues"][0]
    assert register["timestamp"] == "2026-11-20T10:17:00Z"
    advance = register["value"] - readings[-1]["value"]
    assert 0 < advance < 20


@pytest.mark.parametrize("days", [1, 31, 395])
def test_thirteen_months_are_there(service, days):
    today = datetime.now(UTC).date()
    [got] = service.posted("solar export meter", surveyDays=days)
    assert got.json["result"] == "SUCCESS"
    for block in got.json["surveyData"]:
        assert len(block["readings"]) == 48 * days
        assert block["readings"][0]["timestamp"] == f"{today - timedelta(days=days)}T00:00:00Z"


def test_what_the_meter_has_forgotten_makes_it_partial(service):
    [got] = service.posted("nobody uses anything", surveyDays=500)
    assert got.json["result"] == "PARTIAL SUCCESS"
    [block, *_] = got.json["surveyData"]
    assert 449 * 48 <= len(block["readings"]) <= 450 * 48


def test_a_survey_of_the_future_is_empty(service):
    [got] = service.posted("a workshop", surveyDays=1, surveyDate="2190-01-01")
    assert [block["readings"] for block in got.json["surveyData"]] == [[]] * 6


def test_loads_are_steady_rise_and_follow_the_sun():
    now = 1_795_000_000
    for name, profile in PROFILES.items():
        load, again = Load(profile, "71000101/import"), Load(profile, "71000101/import")
        moments = range(now - 40 * DAY, now, 700)
        values = [load.at(moment) for moment in moments]
        assert values == [again.at(moment) for moment in reversed(moments)][::-1], name
        assert all(before <= after for before, after in pairwise(values)), name
        assert name == "nothing" or values[-1] > values[0]
    solar = Load(PROFILES["solar"], "x")
    midnight = 1_782_000_000 // DAY * DAY
    assert solar.at(midnight) == solar.at(midnight + 4 * 3600)
    assert solar.at(midnight + 13 * 3600) > solar.at(midnight + 11 * 3600)
    assert Load(PROFILES["solar"], "y").at(midnight) != solar.at(midnight)


# The demo meters.


@pytest.fixture
def shown(caller):
    return caller.control("GET", "/meters").json


def test_there_are_sixty_meters_with_valid_different_mpans(shown, caller):
    meters = shown["meters"]
    bulk = caller.control("GET", "/meters?bulk=40&first=65520").json["meters"]
    assert (len(meters), len(bulk)) == (60, 40)
    both = [*meters, *bulk]
    for name in ("mpan", "serialNumber", "password"):
        assert len({one[name] for one in both}) == 100
    assert all(int(one["mpan"][12]) == check_digit(one["mpan"][:12]) for one in both)
    addresses = Counter(one["remoteAddress"] for one in both)
    assert sorted(addresses.values()) == [1] * 98 + [2]
    assert {one["meterType"] for one in meters} == set(TYPES)
    assert len({one["purpose"] for one in meters}) == 60


def test_every_behaviour_is_known_and_the_important_ones_have_a_meter(shown):
    used = {word for one in shown["meters"] for word in one["behaviours"]}
    assert used <= set(shown["behaviours"])
    assert set(BEHAVIOURS) - used == {"both_outcomes", "bare", "empty"}


def test_every_meter_can_be_asked(paused):
    """Whatever a meter does, its request is well made and its result is JSON."""
    meters = paused.caller.control("GET", "/meters").json["meters"]
    waits = {"late", "never", "stuck"}
    asked = {paused.ask(one, surveyDays=2, adjustTime=True): one for one in meters}
    paused.caller.control("POST", "/collecting", {"paused": False, "same_address": "wait"})
    extra = {"twice": 1, "second_day_first": 1, "disagree": 1, "disagree_tie": 1}
    posts = sum(
        1 + sum(extra.get(word, 0) for word in one["behaviours"])
        for one in meters
        if not waits & set(one["behaviours"])
    )
    got = paused.receiver.wait(posts)
    assert len(got) == posts
    for one in got:
        meter = asked[one.json["requestReference"]]
        outcome = one.json.get("result", one.json.get("resultSummary"))
        assert re.fullmatch(r"SUCCESS|PARTIAL SUCCESS|ERROR: .+", outcome)
        clean = meter["purpose"].startswith("Clean")
        assert not clean or outcome == "SUCCESS"


def test_bulk_meters_can_be_asked(service):
    [meter] = service.caller.control("GET", "/meters?bulk=1&first=99999").json["meters"]
    service.ask(meter, surveyDays=1)
    [got] = service.receiver.wait()
    assert (got.json["result"], got.json["serialNumber"]) == ("SUCCESS", "BK099999")
    assert service.caller.control("GET", "/meters/BK100000").status == 404


def test_what_is_not_at_the_address_is_an_error(service):
    meter = service.meter("a workshop")
    wrongs = {
        "No connection to the remote address": {"remoteAddress": "07700900999"},
        "No answer from meter": {"meterType": "ELSTER_AS230"},
        "Meter refused the password": {"password": "wrong"},
        "Serial number mismatch": {"serialNumber": "1"},
    }
    for place, (sentence, wrong) in enumerate(wrongs.items(), start=1):
        service.ask(meter, **wrong)
        got = service.receiver.wait(place)[-1].json
        assert got["result"] == f"ERROR: {sentence}"
        assert "registerValues" not in got
        assert ("connectionStartTime" in got) is (place > 1)
    assert got["serialNumber"].startswith("ERROR: ")
    service.ask(meter, outstationAddress="9")
    assert service.receiver.wait(5)[-1].json["result"] == "ERROR: No answer from meter"
    service.ask(service.meter("comsSettings 7E1"), comsSettings="8N1")
    assert service.receiver.wait(6)[-1].json["result"] == "ERROR: No answer from meter"


def one(service, words, **more):
    [got] = service.posted(words, **more)
    return got.json


def test_partial_results(service):
    said = one(service, "registers without survey", surveyDays=1)
    assert said["result"] == "PARTIAL SUCCESS"
    assert said["registerValues"]
    assert "surveyData" not in said


def test_a_survey_that_breaks_off(service):
    said = one(service, "breaks off half-way", surveyDays=4)
    assert said["result"] == "PARTIAL SUCCESS"
    assert [len(block["readings"]) for block in said["surveyData"]] == [96, 96]


def test_wrong_serial_numbers(service):
    said = one(service, "reported as ERROR")
    assert said["result"] == "ERROR: Serial number mismatch"
    assert said["serialNumber"].startswith("ERROR: ")
    meter = service.meter("reported as the value")
    service.ask(meter)
    value = service.receiver.wait(2)[1].json
    assert value["result"] == "SUCCESS"
    assert value["serialNumber"] not in (meter["serialNumber"], "")
    assert value["serialNumber"].isdigit()


def test_a_drifting_clock_is_adjusted_once(service):
    drifting = one(service, "Clock 74 s fast")
    assert drifting["meterTime"].endswith(" +74s")
    for place, expected in enumerate((("+74s", "SUCCESS"), ("+0s", "NOT REQUIRED")), start=2):
        service.ask(service.meter("Clock 74 s fast"), adjustTime=True)
        said = service.receiver.wait(place)[-1].json
        assert (said["meterTime"].split()[1], said["timeAdjustmentResult"]) == expected


@pytest.mark.parametrize(
    ("words", "offset", "said"),
    [("4,000 s slow", "-4000s", "above the maximum"), ("refuses to be", "+120s", "refused")],
)
def test_adjustments_that_fail(service, words, offset, said):
    result = one(service, words, adjustTime=True)
    assert result["meterTime"].endswith(offset)
    assert result["timeAdjustmentResult"].startswith("ERROR: ")
    assert said in result["timeAdjustmentResult"]
    assert result["result"] == "SUCCESS"


def test_a_clock_that_loses_time(service):
    service.caller.control("POST", "/clock", {"now": "2026-11-20T00:00:00Z"})
    meter = service.meter("loses half a second")
    assert (meter["clock_offset"], meter["clock_rate"]) == (-162, -0.5)


def test_a_time_that_cannot_be_read(service):
    said = one(service, "The time cannot be read", adjustTime=True)
    assert said["meterTime"].startswith("ERROR: ")
    assert said["timeAdjustmentResult"].startswith("ERROR: ")
    assert said["result"] == "PARTIAL SUCCESS"


def test_status_events(service):
    assert one(service, "Tamper event")["statusEvents"] == ["Lid/terminal cover tamper"]
    service.ask(service.meter("Several status events"))
    assert len(service.receiver.wait(2)[-1].json["statusEvents"]) == 4
    service.ask(service.meter("statusEvents is null"))
    assert service.receiver.wait(3)[-1].json["statusEvents"] is None


def steps(service, words, start, end, register="kWh Import"):
    known = service.truth(service.meter(words), register, start, end)
    values = [Decimal(one["value"]) for one in known["readings"]]
    return [after - before for before, after in pairwise(values)]


def test_registers_that_fall_roll_over_or_jump(service):
    fallen = steps(service, "go backwards", "2026-11-04T12:00:00Z", "2026-11-05T12:00:00Z")
    assert [step for step in fallen if step < 0] == [min(fallen)]
    assert -25 < min(fallen) < -23
    rolled = steps(service, "roll over", "2026-05-01T00:00:00Z", "2026-08-20T00:00:00Z")
    assert 1 <= len([step for step in rolled if step < -9900]) <= 5
    jumped = steps(service, "A jump of 900", "2026-11-12T00:00:00Z", "2026-11-13T00:00:00Z")
    assert [place for place, step in enumerate(jumped) if step > 900] == [24]


def test_an_exchanged_meter_begins_at_nothing_with_another_serial_number(service):
    before, after = "2026-09-15T09:00:00Z", "2026-09-15T11:00:00Z"
    fallen = steps(service, "Exchanged", before, after)
    assert len([step for step in fallen if step < 0]) == 1
    serials = []
    for now in (before, after):
        service.caller.control("POST", "/clock", {"now": now})
        service.ask(service.meter("Exchanged"))
        serials.append(service.receiver.wait(len(serials) + 1)[-1].json["serialNumber"])
    assert int(serials[1]) - int(serials[0]) == 1000


def test_values_per_period_of_a_cumulative_type(service):
    meter = service.meter("although the type is cumulative")
    assert (meter["meterType"], meter["survey"]) == ("ELSTER_A1700", "per period")
    known = service.truth(meter, "kWh Import", "2026-11-01", "2026-11-02")
    advance = Decimal(known["at_to"]) - Decimal(known["at_from"])
    assert sum(Decimal(one["value"]) for one in known["readings"]) == advance


def timestamps(said):
    return [reading["timestamp"] for reading in said["surveyData"][0]["readings"]]


def test_gaps(service):
    missing = timestamps(one(service, "02:30 to 05:00", surveyDays=2, surveyDate="2026-11-01"))
    assert len(missing) == 2 * 43
    assert not [at for at in missing if "T02:29" < at[10:] < "T04:59"]
    service.ask(service.meter("8th, 9th and 21st"), surveyDays=4, surveyDate="2026-11-07")
    said = service.receiver.wait(2)[-1].json
    assert {at[:10] for at in timestamps(said)} == {"2026-11-07", "2026-11-10"}
    assert said["result"] == "PARTIAL SUCCESS"


def test_a_gap_that_is_filled_when_asked_again(service):
    meter = service.meter("filled when asked again")
    found = []
    for place in (1, 2):
        service.ask(meter, surveyDays=9, surveyDate="2026-11-10")
        said = service.receiver.wait(place)[-1].json
        found.append((said["result"], len(timestamps(said))))
    assert found == [("PARTIAL SUCCESS", 9 * 48 - 8 - 48), ("SUCCESS", 9 * 48)]


def test_meters_that_do_not_answer(service):
    connected = one(service, "Connects, then")
    assert connected["result"] == "ERROR: No answer from meter"
    assert connected["connectionStartTime"]
    service.ask(service.meter("Never connects"))
    never = service.receiver.wait(2)[-1].json
    assert never["result"].startswith("ERROR: ")
    assert "connectionStartTime" not in never
    results = []
    for place in (3, 4):
        service.ask(service.meter("No answer at the first"))
        results.append(service.receiver.wait(place)[-1].json["result"])
    assert results == ["ERROR: No answer from meter", "SUCCESS"]


def test_the_same_result_twice(service):
    first, second = service.posted("posted twice", posts=2, surveyDays=1)
    assert first.body == second.body


def test_later_days_before_earlier_ones(service):
    first, second = service.posted("later days posted before", 2, surveyDays=2)
    assert (first.json["result"], second.json["result"]) == ("PARTIAL SUCCESS", "SUCCESS")
    assert max(timestamps(second.json)) < min(timestamps(first.json))
    assert len(timestamps(first.json)) == len(timestamps(second.json)) == 48


def test_readings_in_no_order(service):
    said = one(service, "in no order", surveyDays=1)
    found = timestamps(said)
    assert found != sorted(found)
    assert (len(set(found)), len(found) > 48) == (48, True)


def test_late_is_posted_when_its_time_has_come(service):
    reference = service.ask(service.meter("two hours late"))
    service.wait_for_state(reference, "done")
    assert status(service, reference).json["result"] == "SUCCESS"
    assert service.receiver.got == []
    service.caller.control("POST", "/clock", {"forward": 7200})
    assert service.receiver.wait()[0].json["requestReference"] == reference


def test_never_and_stuck(service):
    never = service.ask(service.meter("Never posted"))
    service.wait_for_state(never, "done")
    assert status(service, never).json["result"] == "SUCCESS"
    stuck = service.ask(service.meter("PENDING for ever"))
    service.wait_for_state(stuck, "stuck")
    assert status(service, stuck).json["result"] == "PENDING"
    assert service.receiver.got == []


@pytest.mark.parametrize("words", ["the later end wins", "ended together"])
def test_two_results_that_disagree(service, words):
    first, second = (got.json for got in service.posted(words, 2, surveyDays=1))
    values = [
        {one["timestamp"][11:16]: one["value"] for one in said["surveyData"][0]["readings"]}
        for said in (first, second)
    ]
    assert [at for at in values[0] if values[0][at] != values[1][at]] == ["12:00"]
    tie = first["collectionEndTime"] == second["collectionEndTime"]
    assert tie is (words == "ended together")
    assert first["collectionEndTime"] <= second["collectionEndTime"]
    assert status(service, first["requestReference"]).json == second


def test_timestamps_off_the_grid(service):
    found = timestamps(one(service, "off the half-hour grid", surveyDays=1))
    off = [at for at in found if at[14:] not in ("00:00Z", "30:00Z")]
    assert [at[14:] for at in off] in (["37:12Z"] * 3, ["07:12Z"] * 3)


# Spellings.


def test_the_spelling_of_the_samples(service):
    [got] = service.posted("Every spelling of the samples", surveyDays=1)
    text, said = got.body.decode(), got.json
    assert said["resultSummary"] == "SUCCESS"
    assert "result" not in said
    assert text.count('"serialNumber"') == 2
    assert said["surveyDays"] == "1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\dT\d\d:\d\d:\d\d [+-]\d+s", said["meterTime"])
    for name in ("collectionStartTime", "connectionEndTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", said[name])
    reading = said["surveyData"][0]["readings"][0]
    assert not reading["timestamp"].endswith("Z")
    assert reading["value"].isdigit()


def test_single_spellings(service):
    assert isinstance(one(service, "Numbers are texts")["registerValues"][0]["value"], str)
    said = service.ask(service.meter("Readings carry statusFlags"), surveyDays=1)
    flagged = service.receiver.wait(2)[-1].json
    assert flagged["requestReference"] == said
    flags = {reading["statusFlags"] for reading in flagged["surveyData"][0]["readings"]}
    assert flags == {0, 4}
    service.ask(service.meter("Unknown extra fields"))
    assert {"serviceNode", "signal"} <= set(service.receiver.wait(3)[-1].json)
    service.ask(service.meter("Optional fields are null"))
    nulls = service.receiver.wait(4)[-1].json
    names = ("statusEvents", "timeAdjustmentResult", "surveyData")
    assert [nulls[name] for name in names] == [None] * 3
    meter = service.meter("names another MPAN")
    service.ask(meter)
    other = service.receiver.wait(5)[-1].json["mpan"]
    assert other != meter["mpan"]
    assert int(other[12]) == check_digit(other[:12])


def test_numbers_keep_their_zeros(service):
    [got] = service.posted("a workshop", surveyDays=3)
    values = re.findall(r'"value": (\d+\.\d+)', got.body.decode())
    assert {len(value.partition(".")[2]) for value in values} == {3}
    assert [value for value in values if value.endswith("0")]


def test_unknown_fields_come_sometimes(service):
    service.caller.control("POST", "/collecting", {"same_address": "wait"})
    meter = service.meter("Clean: a shop")
    for place in range(16):
        service.ask(meter, requestReference=f"sometimes-{place}")
    with_field = ["serviceNode" in got.json for got in service.receiver.wait(16)]
    assert 0 < sum(with_field) < 16


# Posting.


def test_the_receivers_answer_is_in_the_log(service):
    service.receiver.status, service.receiver.answer = 500, b'{"details": "Nobody home"}'
    reference = service.ask(service.meter("a workshop"))
    service.receiver.wait()
    collection = service.settle(reference)
    [entry] = [one for one in service.caller.sandbox.log() if one["direction"] == "posted"]
    assert (entry["status"], entry["answer"]) == (500, '{"details": "Nobody home"}')
    assert entry["path"] == f"{service.receiver.url}/collection-result"
    assert collection["posts"][0]["answer"] == '{"details": "Nobody home"}'


def test_nothing_is_posted_again_unless_the_switch_says_so(service):
    service.receiver.status = 500
    first = service.ask(service.meter("a workshop"))
    service.receiver.wait()
    service.caller.control("POST", "/clock", {"forward": 86_400})
    service.caller.control("POST", "/collecting", {"retries": 2, "retry_seconds": 60})
    second = service.ask(service.meter("a school"))
    for posts in (2, 3, 4):
        service.receiver.wait(posts)
        service.settle(second)
        service.caller.control("POST", "/clock", {"forward": 61})
    service.settle(second)
    got = [one.json["requestReference"] for one in service.receiver.got]
    assert got == [first, second, second, second]


def test_the_receiver_may_be_asked_for_its_status_first(service):
    service.caller.control("POST", "/collecting", {"check_receiver": "always"})
    service.ask(service.meter("a workshop"))
    service.receiver.wait()
    assert [(one.method, one.path) for one in service.receiver.got] == [
        ("GET", "/results/token-abc/service-status"),
        ("POST", "/results/token-abc/collection-result"),
    ]


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/x", "https://127.0.0.1/x", "http://localhost.example/x", "", "http://[::1"],
)
def test_only_this_machine_is_posted_to(url):
    with pytest.raises(NotHere):
        address(url)


def test_an_address_below_another():
    assert below("http://127.0.0.1:8000/a/b/", "c") == "http://127.0.0.1:8000/a/b/c"


def test_a_receiver_that_is_not_there_is_in_the_log(service):
    reference = service.ask(service.meter("a workshop"), responseUrl="http://127.0.0.1:1/x")
    service.wait_for_state(reference, "done")
    service.caller.sandbox.log(least=2, party="meters")
    [post] = service.settle(reference)["posts"]
    assert (post["state"], post["status"]) == ("failed", None)
    assert "ConnectionRefusedError" in post["answer"]


def fault(service, name, **how):
    fields = {"party": "meters", "fault": name, "calls": 1} | how
    reply = service.caller.control("POST", "/faults", fields)
    assert reply.status == 201, reply.json


def test_every_fault_of_posting_has_a_test(request):
    text = request.path.read_text()
    assert [name for name in POST_FAULTS if f'"{name}"' not in text] == []


def test_posting_faults_are_for_parties_that_post(service):
    fields = {"party": "registry", "fault": "post_never"}
    assert service.caller.control("POST", "/faults", fields).status == 400
    known = service.caller.control("GET", "/faults").json["known_active"]
    assert [one["fault"] for one in known] == ["lost", "done_500", *POST_FAULTS]


def test_a_posting_fault_strikes_the_post_and_not_the_request(service):
    fault(service, "post_wrong_reference")
    [got] = service.posted("a workshop")
    assert got.json["requestReference"].startswith("not-ref-")
    assert service.caller.control("GET", "/faults").json["on"] == []
    entry = service.caller.sandbox.log()[0]
    assert (entry["fault"], entry["status"]) == ("post_wrong_reference", 200)


def test_a_posting_fault_chooses_by_reference_mpan_or_serial(service):
    other, meter = service.meter("a school"), service.meter("a workshop")
    fault(service, "post_wrong_reference", match=meter["mpan"])
    service.ask(other)
    assert not service.receiver.wait()[0].json["requestReference"].startswith("not-")
    service.ask(meter)
    assert service.receiver.wait(2)[1].json["requestReference"].startswith("not-")


def test_post_to_a_wrong_token(service):
    fault(service, "post_wrong_token")
    service.ask(service.meter("a workshop"))
    [got] = service.receiver.wait()
    assert got.path == "/results/token-abc-not/collection-result"


def test_post_half_the_result(service):
    fault(service, "post_truncated")
    service.ask(service.meter("a workshop"))
    [got] = service.receiver.wait()
    with pytest.raises(json.JSONDecodeError):
        got.json  # noqa: B018


def test_post_a_huge_result(service):
    fault(service, "post_big")
    [got] = service.posted("a workshop")
    assert len(got.body) > 20_000_000
    assert got.json["result"] == "SUCCESS"


def test_post_slowly(service):
    fault(service, "post_slow", seconds=0.3)
    [got] = service.posted("a workshop", surveyDays=1)
    assert got.json["result"] == "SUCCESS"
    assert service.caller.sandbox.log()[0]["duration_ms"] >= 280


@pytest.mark.parametrize(("name", "whole"), [("post_cut", False), ("post_closed", True)])
def test_post_and_close(service, name, whole):
    fault(service, name)
    reference = service.ask(service.meter("a workshop"), surveyDays=1)
    [got] = service.receiver.wait()
    assert (len(got.body) == len(status(service, reference).body)) is whole
    service.settle(reference)
    entry = next(one for one in service.caller.sandbox.log() if one["direction"] == "posted")
    assert (entry["status"], entry["written"]) == (None, whole)


def test_post_never(service):
    fault(service, "post_never")
    reference = service.ask(service.meter("a workshop"))
    service.wait_for_state(reference, "done")
    service.caller.sandbox.log(least=2, party="meters")
    assert service.receiver.got == []
    assert status(service, reference).json["result"] == "SUCCESS"


def test_a_reset_ends_a_post_that_hangs(service):
    service.receiver.hold = threading.Event()
    service.ask(service.meter("a workshop"))
    service.receiver.wait()
    assert service.caller.control("POST", "/reset", {}).status == 200
    service.receiver.hold.set()
    assert service.caller.sandbox.log(wait=0) == []


# The faults of every party, on this one.


@pytest.mark.parametrize("name", ["400", "429", "500", "404", "401"])
def test_status_faults_carry_details(service, name):
    fault(service, name)
    reply = service.call("GET", "/service-status")
    assert (reply.status, list(reply.json)) == (int(name), ["details"])


def test_a_lost_answer_to_a_request_that_was_taken(service):
    fields = service.fields(service.meter("a workshop"))
    fault(service, "lost", match=fields["requestReference"])
    with pytest.raises(ConnectionResetError):
        service.call("POST", "/collection-request", fields)
    assert service.receiver.wait()[0].json["requestReference"] == fields["requestReference"]


def test_a_request_that_was_read_and_not_taken(service):
    fault(service, "reset")
    fields = service.fields(service.meter("a workshop"))
    with pytest.raises(ConnectionResetError):
        service.call("POST", "/collection-request", fields)
    assert status(service, fields["requestReference"]).status == 404


def test_an_answer_about_another_reference(paused):
    reference = paused.ask(paused.meter("a workshop"))
    fault(paused, "wrong_number", calls=3)
    asked = paused.fields(paused.meter("a school"))
    said = paused.call("POST", "/collection-request", asked).json["requestReference"]
    assert said != asked["requestReference"]
    assert status(paused, reference).json["requestReference"] != reference


@pytest.mark.parametrize("name", ["truncated", "wrong_types", "big", "html", "empty"])
def test_spoilt_answers(paused, name):
    reference = paused.ask(paused.meter("a workshop"))
    fault(paused, name)
    reply = paused.call("GET", f"/collection-status/{reference}")
    assert reply.status == 200
    assert reply.body != status(paused, reference).body


# Secrets.


def test_passwords_are_in_no_log(service):
    password = "Planted-Passw0rd-é"
    meter = service.meter("a workshop")
    serial = meter["serialNumber"]
    service.caller.control("POST", f"/meters/{serial}", {"password": password})
    service.receiver.status = 400
    service.receiver.answer = json.dumps({"details": "no", "password": password}).encode()
    service.ask(meter, password=password)
    [got] = service.receiver.wait()
    assert got.json["password"] == password
    assert status(service, got.json["requestReference"]).json["password"] == password
    service.call("POST", "/collection-request", f'{{"PassWord" : "{password}'.encode())
    service.call("GET", f"/service-status?password={password.removesuffix('é')}")
    log = json.dumps(service.caller.sandbox.log(limit=1000), ensure_ascii=False)
    assert "Planted" not in log
    assert log.count("(masked)") >= 4
    page = service.caller.send("GET", f"{service.caller.sandbox.url}/").body.decode()
    assert "Planted" not in page


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "se\\"cret", "a": 1}',
        '{"password":"secret","a":1}',
        '{"password": "secret',
        '{"a": {"PASSWORD"\n:\n"secret"}}',
        '{"password": {"is": "secret"}}',
        '{"password": ["secret"]}',
        '{"password": secret, "a": 1}',
        "/x?password=secret&a=1",
    ],
)
def test_masking(text):
    masked = masked_text(text, frozenset({"password"}))
    assert "cret" not in masked
    assert "(masked)" in masked
    assert masked_text(text, frozenset()) == text


def test_masking_leaves_the_rest_alone():
    body = b'{"password": "x", "mpan": "12345", "n": [1, 2]}'
    assert masked_body(body, frozenset({"password"})) == (
        b'{"password": "(masked)", "mpan": "12345", "n": [1, 2]}'
    )


def test_a_log_of_an_earlier_version_is_completed(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "s.sqlite3") as old:
        old.execute(
            "create table log (id integer primary key autoincrement, at text not null,"
            " party text not null, method text not null, path text not null, headers text not null,"
            " body text not null, credentials integer, fault text, status integer,"
            " written integer, duration_ms integer)"
        )
        old.execute(
            "insert into log values (1, '2026-01-01T00:00:00.000Z', 'registry', 'GET', '/', '{}',"
            " '', 1, null, 200, 1, 3)"
        )
    old.close()
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        [entry] = sandbox.log()
        assert (entry["direction"], entry["answer"]) == ("received", None)
    finally:
        sandbox.stop()


# Control.


def test_changing_a_meter_and_undoing_it(service):
    meter = service.meter("a workshop")
    path = f"/meters/{meter['serialNumber']}"
    changed = service.caller.control(
        "POST", path, {"behaviours": ["tamper"], "clock_offset": 33, "says_serial": "7"}
    ).json
    assert (changed["behaviours"], changed["clock_offset"]) == (["tamper"], 33)
    said = one(service, "a workshop", serialNumber="")
    assert (said["serialNumber"], said["statusEvents"]) == ("7", ["Lid/terminal cover tamper"])
    assert said["meterTime"].endswith("+33s")
    undone = {"behaviours": None, "clock_offset": None, "says_serial": None}
    service.caller.control("POST", path, undone)
    again = service.meter("a workshop")
    assert {**again, "visits": 0, "registers": []} == {**meter, "visits": 0, "registers": []}


def test_a_register_can_be_moved_now(service):
    service.caller.control("POST", "/clock", {"now": "2026-11-20T12:00:00Z", "stopped": True})
    before = one(service, "a workshop")["registerValues"][0]["value"]
    serial = service.meter("a workshop")["serialNumber"]
    service.caller.control("POST", f"/meters/{serial}", {"shift_kwh": -40})
    service.ask(service.meter("a workshop"))
    after = service.receiver.wait(2)[1].json["registerValues"][0]["value"]
    assert round(after - before, 3) == -40


@pytest.mark.parametrize(
    "wrong",
    [{"behaviours": ["x"]}, {"behaviour": "tamper"}, {"clock_rate": "x"}, {"shift_at": "now"},
     {"shift_kwh": 1e30}, {"shift_kwh": "nan"}],
)  # fmt: skip
def test_changes_that_are_not_understood_are_400(service, wrong):
    serial = service.meter("a workshop")["serialNumber"]
    assert service.caller.control("POST", f"/meters/{serial}", wrong).status == 400
    assert service.caller.control("POST", "/meters/1", {"behaviours": []}).status == 400


@pytest.mark.parametrize("query", ["register=kWh", "from=x", "from=2020-01-01&to=2026-01-01"])
def test_a_truth_that_cannot_be_given_is_400(caller, query):
    assert caller.control("GET", f"/meters/71000101/readings?{query}").status == 400
    assert caller.control("GET", "/meters/1/readings").status == 404


def test_a_behaviour_is_changed_with_the_form_of_the_page(service):
    played = service.caller.sandbox
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": played.url}
    for word, expected in (("late", ["late"]), ("none", [])):
        body = f"number=71000101&Behaviour={word}"
        reply = service.caller.send("POST", f"{played.url}/control/meters", body, headers)
        assert reply.status == 303
        shown = service.caller.control("GET", "/meters/71000101").json
        assert shown["behaviours"] == expected


def test_the_page_lists_the_meters_and_what_was_posted(service):
    service.posted("a workshop")
    text = service.caller.send("GET", f"{service.caller.sandbox.url}/").body.decode()
    assert "Every spelling of the samples at once" in text
    assert "meters calls" in text
    assert "post_wrong_token" in text
    assert text.count('value="post_never"') == 1


@pytest.mark.parametrize(("size", "days", "registers"), [("S", 1, 2), ("M", 10, 4), ("L", 31, 8)])
def test_delivering_many_now(service, size, days, registers):
    results = [
        {"requestReference": f"bench-{place}", "responseUrl": service.receiver.url}
        for place in range(5)
    ]
    asked = {"size": size, "results": results, "collected_at": "2026-11-20T01:00:00Z"}
    said = service.caller.control("POST", "/deliver", asked).json
    assert (said["posted"], said["statuses"], said["failures"]) == (5, {"200": 5}, [])
    assert said["readings"] == 5 * days * registers * 48
    got = sorted(service.receiver.wait(5), key=lambda one: one.json["requestReference"])
    assert [one.json["requestReference"] for one in got] == [f"bench-{n}" for n in range(5)]
    for block in (blocks := got[0].json["surveyData"]):
        assert len(block["readings"]) == days * 48
        assert block["readings"][-1]["timestamp"] == "2026-11-19T23:30:00Z"
    assert len(blocks) == registers
    assert said["bytes"] == sum(len(one.body) for one in got)
    service.caller.control("POST", "/deliver", asked)
    replayed = service.receiver.wait(10)[5:]
    assert {one.body for one in replayed} == {one.body for one in got}


def test_delivering_for_a_named_meter_and_to_nobody(service):
    meter = service.meter("a school")
    entry = {
        "requestReference": "named", "responseUrl": service.receiver.url,
        "serialNumber": meter["serialNumber"], "surveyDate": "2026-10-25",
    }  # fmt: skip
    service.caller.control("POST", "/deliver", {"size": "S", "results": [entry]})
    [got] = service.receiver.wait()
    assert (got.json["mpan"], timestamps(got.json)[0]) == (meter["mpan"], "2026-10-25T00:00:00Z")
    nowhere = entry | {"responseUrl": "http://127.0.0.1:1/"}
    said = service.caller.control("POST", "/deliver", {"size": "S", "results": [nowhere]}).json
    assert said["statuses"] == {"None": 1}
    assert "ConnectionRefusedError" in said["failures"][0]["answer"]


@pytest.mark.parametrize(
    "wrong",
    [{"size": "XL"}, {"results": []}, {"results": [{}]}, {"clients": 0}, {"more": 1},
     {"results": [{"requestReference": "a", "responseUrl": "http://10.0.0.1/"}]},
     {"results": [{"requestReference": "a", "responseUrl": "http://127.0.0.1/",
                   "serialNumber": "1"}]}],
)  # fmt: skip
def test_a_delivery_that_is_not_understood_is_400(caller, wrong):
    results = [{"requestReference": "a", "responseUrl": "http://127.0.0.1:1/"}]
    assert (
        caller.control("POST", "/deliver", {"size": "S", "results": results} | wrong).status == 400
    )


def test_the_service_answers_on_a_port_of_its_own(caller, played):
    own = played.party_url("meters")
    assert urlsplit(own).netloc != urlsplit(played.url).netloc
    assert caller.send("GET", f"{own}/service-status").json["status"] == "OK"
