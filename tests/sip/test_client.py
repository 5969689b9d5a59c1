"""What leaves for the market message service, and how each answer is read."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.outcomes import Refused, Unavailable, Unknown
from sip.client import KeyRefused, Lost, MarketMessages, NotAccepted

YES = {"status": "success", "message": "ok", "request_id": "r-1", "scenario": "SC01"}
BODY = b'{"job_details":{"job_id":"j-1"}}'


class Service(ThreadingHTTPServer):
    """Answers every call with `status` and `body`, and notes what came."""

    daemon_threads = True
    status, body, headers = 200, json.dumps(YES).encode(), {}

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls = []


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, as a real server would."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.client_address[1], self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in {
            "Content-Length": str(len(self.server.body)),
            **self.server.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def played(settings):
    """The service on loopback, which the client's settings name."""
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.SIP_API_URL = f"http://127.0.0.1:{server.server_port}/base"
    settings.SIP_API_KEY = "a-secret-key"
    yield server
    server.shutdown()
    server.server_close()


def send(body=BODY, private=()):
    with MarketMessages() as party:
        return party.send(body, job_id="j-1", private=private)


def test_the_bytes_leave_as_they_are_with_the_key(played):
    answer = send()
    [(_, path, headers, body)] = played.calls
    assert (path, body) == ("/base/v4/sip", BODY)
    assert headers["Authorization"] == "Bearer a-secret-key"
    assert headers["Content-Type"] == "application/json"
    assert answer.acceptance.request_id == "r-1"
    assert "a-secret-key" not in repr(answer)


def test_header_and_scheme_are_settings(played, settings):
    settings.SIP_API_KEY_HEADER, settings.SIP_API_KEY_SCHEME = "X-Api-Key", ""
    send()
    [(_, _, headers, _)] = played.calls
    assert headers["X-Api-Key"] == "a-secret-key"
    assert "Authorization" not in headers


def test_every_message_has_a_connection_of_its_own(played):
    with MarketMessages() as party:
        for _ in range(3):
            party.send(BODY, job_id="j-1", private=())
    assert len({port for port, *_ in played.calls}) == 3


ANSWERS = [
    (201, YES, None),
    (202, YES, None),
    (200, {"errors": []}, Lost),
    (204, None, Lost),
    (400, {"details": "no"}, NotAccepted),
    (404, None, NotAccepted),
    (409, {"details": "no"}, NotAccepted),
    (413, None, NotAccepted),
    (422, {"details": "no"}, NotAccepted),
    (499, None, NotAccepted),
    (401, None, KeyRefused),
    (403, {"message": "no"}, KeyRefused),
    (429, None, Unavailable),
    (408, None, Lost),
    (500, {"details": "no"}, Lost),
    (502, None, Lost),
    (503, None, Lost),
    (302, None, Unknown),
    (400, YES, Lost),
    (500, YES, Lost),
    (429, YES, Lost),
    (401, YES, Lost),
]


@pytest.mark.parametrize(("status", "body", "outcome"), ANSWERS)
def test_each_answer_has_one_meaning(played, status, body, outcome):
    played.status = status
    played.body = b"" if body is None else json.dumps(body).encode()
    if outcome is None:
        assert send().acceptance.scenario == "SC01"
        return
    with pytest.raises(outcome) as raised:
        send()
    assert type(raised.value) is outcome
    assert raised.value.sentence
    assert raised.value.call.http_status == status
    assert raised.value.call.outcome == raised.value.name


def test_only_429_key_and_surely_not_sent_may_be_tried_again(played):
    for status, body, outcome in ANSWERS:
        if outcome is not None:
            again = issubclass(outcome, Unavailable) and not issubclass(outcome, Refused)
            assert again is (status in (401, 403, 429) and body != YES)


def test_they_say_when_to_try_again(played):
    played.status, played.body, played.headers = 429, b"{}", {"Retry-After": "17"}
    with pytest.raises(Unavailable) as raised:
        send()
    assert raised.value.retry_after == 17


def test_the_log_keeps_no_word_of_a_person(played):
    played.body = json.dumps(
        {**YES, "scenario": "for Ottoline Marsh", "echo": BODY.decode()}
    ).encode()
    call = send(private=["Ottoline Marsh"]).call
    kept = json.dumps([call.request_body, call.reply_body, call.reply_unread, call.problem])
    assert "Ottoline" not in kept
    assert "job_details" not in kept
    assert "r-1" in call.reply_body
