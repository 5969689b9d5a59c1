"""Every fault as a caller sees it, and the counting of calls."""

import contextlib
import http.client
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from sandbox.faults import FAULTS
from sandbox.server import start

NUMBER = "MCS-01109073-U"
REQUEST = (
    f"GET /registry/GetInstallation/{NUMBER} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "User: sandbox@example.org\r\nAuthorisation: sandbox-registry-token\r\n\r\n"
).encode()


@pytest.fixture
def raw(played):
    """A raw connection on which the request has been sent."""
    opened = []

    def connect(base: str = ""):
        parts = urlsplit(base or played.url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
        opened.append(connection)
        connection.sendall(REQUEST)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def arrivals(connection, count):
    """The moments at which single pieces arrive, and the pieces."""
    pieces = []
    while len(pieces) < count:
        piece = connection.recv(65536)
        if not piece:
            break
        pieces.append((time.monotonic(), piece))
    return pieces


def test_every_fault_has_a_test(request):
    text = request.path.read_text()
    assert [name for name in FAULTS if f'"{name}"' not in text] == []


def test_a_fault_is_gone_after_its_calls_and_is_in_the_log(caller, played):
    played.switch_on("registry", "500", calls=2)
    assert [caller.look_up(NUMBER).status for _ in range(3)] == [500, 500, 200]
    assert [entry["fault"] for entry in played.log()] == [None, "500", "500"]
    assert played.stage.board.listed() == []


def test_a_fault_without_a_number_of_calls_stays_until_it_is_switched_off(caller, played):
    played.switch_on("registry", "500")
    assert [caller.look_up(NUMBER).status for _ in range(3)] == [500] * 3
    played.switch_off("registry")
    assert caller.look_up(NUMBER).status == 200


def test_faults_strike_in_their_order_and_only_matching_calls(caller, played):
    played.switch_on("registry", "500", calls=1, match="MCS-80000001")
    played.switch_on("registry", "429", calls=1)
    played.switch_on("registry", "404", calls=1)
    assert [caller.look_up(NUMBER).status for _ in range(3)] == [429, 404, 200]
    assert caller.look_up("MCS-80000001-A").status == 500


def test_calls_are_counted_across_threads(caller, played):
    played.switch_on("registry", "500", calls=20)
    barrier, statuses = threading.Barrier(8), []

    def call():
        barrier.wait(5)
        statuses.extend(caller.look_up(NUMBER).status for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(statuses) == [200] * 20 + [500] * 20
    assert len(played.log()) == 40


def test_faults_outlast_a_restart(tmp_path, caller_of):
    sandbox = start(0, tmp_path / "s.sqlite3")
    sandbox.switch_on("registry", "500", calls=3)
    assert caller_of(sandbox).look_up(NUMBER).status == 500
    sandbox.stop()
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        statuses = [caller_of(sandbox).look_up(NUMBER).status for _ in range(3)]
        assert statuses == [500, 500, 200]
    finally:
        sandbox.stop()


@pytest.mark.parametrize("fault", ["401", "404", "429", "500", "400"])
def test_status_faults_keep_json(caller, played, fault):
    played.switch_on("registry", fault, calls=1, retry_after=7)
    reply = caller.look_up(NUMBER)
    assert reply.status == int(fault)
    assert "Message" in reply.json
    assert reply.headers.get("Retry-After") == ("7" if fault == "429" else None)


@pytest.mark.parametrize(("fault", "status"), [("html", 200), ("400_html", 400)])
def test_web_pages_in_place_of_json(caller, played, fault, status):
    played.switch_on("registry", fault, calls=1)
    reply = caller.look_up(NUMBER)
    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.body.startswith(b"<!doctype html>")


def test_empty_is_200_with_nothing(caller, played):
    played.switch_on("registry", "empty", calls=1)
    reply = caller.look_up(NUMBER)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("number", [NUMBER, "MCS-00000000-X"])
def test_truncated_is_whole_http_with_half_the_json(caller, played, number):
    played.switch_on("registry", "truncated", calls=1)
    reply = caller.look_up(number)
    assert reply.status == 200
    assert reply.body.startswith(b'{"CertificateNumber"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


def test_cut_is_half_the_promised_body(caller, played):
    played.switch_on("registry", "cut", calls=1)
    with pytest.raises(http.client.IncompleteRead):
        caller.look_up(NUMBER)
    entry = played.log()[0]
    assert (entry["status"], entry["written"]) == (200, False)


def test_wrong_types(caller, played):
    played.switch_on("registry", "wrong_types", calls=1)
    said = caller.look_up(NUMBER).json
    assert said["CertificateNumber"] == 17
    assert said["Status"] == "about 2"
    assert said["AddressLine3"] is None


def test_wrong_number(caller, played):
    played.switch_on("registry", "wrong_number", calls=2)
    for number in (NUMBER, "MCS-80000001-A"):
        said = caller.look_up(number).json
        assert said["CertificateNumber"] != number
        assert said["Status"] == 2


def test_big(caller, played):
    played.switch_on("registry", "big", calls=1)
    reply = caller.look_up(NUMBER)
    assert len(reply.body) > 10_000_000
    assert reply.json["CertificateNumber"] == NUMBER


def test_redirect_leads_to_another_host_name_and_followers_show_in_the_log(caller, played):
    played.switch_on("registry", "redirect", calls=1)
    reply = caller.look_up(NUMBER)
    location = reply.headers["Location"]
    assert reply.status == 302
    assert urlsplit(location).hostname == "localhost"
    assert caller.send("GET", location).status == 404
    assert played.log()[0]["path"] == "/registry/elsewhere"


def test_slow_waits_and_answers(played, raw):
    played.switch_on("registry", "slow", calls=1, seconds=0.3)
    began = time.monotonic()
    [(at, piece)] = arrivals(raw(), 1)
    assert at - began >= 0.3
    assert piece.startswith(b"HTTP/1.1 200")


def test_slow_ends_when_the_caller_leaves(played, raw):
    played.switch_on("registry", "slow", calls=1, seconds=60)
    raw().close()
    [entry] = played.log(least=1)
    assert (entry["status"], entry["written"]) == (None, False)


def test_drip_sends_the_headers_at_once_and_the_body_in_bytes(played, raw):
    played.switch_on("registry", "drip", calls=1, seconds=0.03)
    pieces = arrivals(raw(), 4)
    assert pieces[0][1].endswith(b"\r\n\r\n")
    assert [len(piece) for _, piece in pieces[1:]] == [1, 1, 1]
    assert pieces[3][0] - pieces[1][0] >= 0.05


def test_drip_all_sends_the_headers_in_bytes_as_well(played, raw):
    played.switch_on("registry", "drip_all", calls=1, seconds=0.01)
    assert b"".join(piece for _, piece in arrivals(raw(), 8)) == b"HTTP/1.1"


def test_a_drip_arrives_in_the_end(caller, played):
    played.switch_on("registry", "drip_all", calls=1, seconds=0.0002)
    assert caller.look_up(NUMBER).json["CertificateNumber"] == NUMBER
    assert played.log()[0]["written"] is True


def test_hang_reads_and_never_answers(played, raw):
    played.switch_on("registry", "hang", calls=1)
    connection = raw()
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    assert played.log(wait=0)[0]["written"] is None
    connection.close()
    [entry] = played.log()
    assert (entry["fault"], entry["status"], entry["written"]) == ("hang", None, False)


def test_hang_closes_when_its_time_is_up(played, raw):
    played.switch_on("registry", "hang", calls=1, seconds=0.1)
    assert raw().recv(1) == b""


def test_reset_comes_after_the_request_was_read(played, raw):
    played.switch_on("registry", "reset", calls=1)
    with pytest.raises(ConnectionResetError):
        raw().recv(1)
    [entry] = played.log()
    assert (entry["credentials"], entry["fault"], entry["written"]) == (True, "reset", False)


def test_a_fault_can_choose_by_the_body(caller, played):
    played.switch_on("registry", "500", calls=1, match="one-thing")
    for body, status in (("another", 404), ("one-thing", 500)):
        reply = caller.send("POST", f"{played.shared_url('registry')}/x", body)
        assert reply.status == status


@pytest.mark.parametrize("own", [True, False])
def test_close_ends_the_connection_unread(played, raw, own):
    played.switch_on("registry", "close", calls=1)
    connection = raw(played.party_url("registry") if own else "")
    # Unread bytes make the system answer with a reset.
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""
    [entry] = played.log()
    assert (entry["credentials"], entry["fault"], entry["status"]) == (None, "close", None)
    assert raw().recv(12) == b"HTTP/1.1 200"


def test_close_strikes_a_kept_connection_as_well(caller, played):
    connection = caller.connect(played.url)
    connection.request("GET", "/registry/x")
    connection.getresponse().read()
    played.switch_on("registry", "close", calls=1)
    connection.request("GET", "/registry/x")
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


def test_refuse_refuses_connections_on_the_own_port(caller, played, raw):
    kept = caller.connect(played.party_url("registry"))
    kept.request("GET", "/registry/x")
    kept.getresponse().read()
    played.switch_on("registry", "refuse")
    with pytest.raises(ConnectionRefusedError):
        caller.look_up(NUMBER, own=True)
    assert kept.sock.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        raw().recv(1)
    assert caller.control("GET", "/parties").json["parties"][0]["refuses"] is True
    played.switch_off("registry")
    assert caller.look_up(NUMBER, own=True).status == 200


def test_refuse_outlasts_a_restart_and_is_switched_off_over_http(tmp_path, caller_of):
    sandbox = start(0, tmp_path / "s.sqlite3")
    caller_of(sandbox).control("POST", "/faults", {"party": "registry", "fault": "refuse"})
    sandbox.stop()
    sandbox = start(0, tmp_path / "s.sqlite3")
    try:
        caller = caller_of(sandbox)
        with pytest.raises(ConnectionRefusedError):
            caller.look_up(NUMBER, own=True)
        assert caller.control("DELETE", "/faults").json == {"switched_off": 1}
        assert caller.look_up(NUMBER, own=True).status == 200
    finally:
        sandbox.stop()
