"""Calls over real sockets: what every fault comes to, and what of a call is kept."""

import json
import socket
import threading
import time
from dataclasses import asdict
from datetime import timedelta

import pytest

from core import http, queue
from core.calls import record
from core.http import Operation, Party, PlainHttpRefused, Session, refuse_plain_http
from core.models import PartnerCall
from core.outcomes import Kind, LookUpFirst, Outcome, Unavailable, Unexpected, Unknown
from tests.core import wires
from tests.core.wires import Server, reply

USER, TOKEN = "sandbox@example.org", "sandbox-registry-token"
SECRETS = {"User": USER, "Authorisation": TOKEN}
UAT = "MCS-01109073-U"
NOT_SENT = (Unavailable, Unavailable, Unavailable)
LOST = (Unavailable, LookUpFirst, Unknown)
NOT_PROMISED = (Unexpected, Unexpected, Unknown)
KINDS = tuple(Kind)


def operation(kind=Kind.READ, method="GET", path="/GetInstallation/{number}", **kept):
    return Operation("GetInstallation", kind, method, path, **kept)


def party(url, **limits):
    return Party("The registry", url, SECRETS, **{"read_timeout": 5.0, "deadline": 5.0, **limits})


def call(url, what=None, *, limits=None, number=UAT, **rest):
    with Session(party(url, **(limits or {}))) as session:
        return session.call(what or operation(), path_values={"number": number}, **rest)


def outcome_of(url, what=None, **rest):
    with pytest.raises(Outcome) as raised:
        call(url, what, **rest)
    return raised.value


@pytest.fixture
def serve():
    """Start raw servers; they stop with the test."""
    running = []

    def start(script, **how):
        running.append(Server(script, **how))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def in_every_kind(table):
    """Spread (name, expected three) over the three kinds of operation."""
    return [
        pytest.param(*row[:-1], kind, row[-1][KINDS.index(kind)], id=f"{row[0]}, {kind}")
        for row in table
        for kind in KINDS
    ]


# ---- The sandbox's faults --------------------------------------------------------------------

FAULTS = [
    ("refuse", {}, {}, NOT_SENT),
    ("close", {}, {}, LOST),
    ("reset", {}, {}, LOST),
    ("cut", {}, {}, LOST),
    ("hang", {}, {"read_timeout": 0.2}, LOST),
    ("slow", {"seconds": 20}, {"read_timeout": 0.2}, LOST),
    ("drip", {"seconds": 0.05}, {"deadline": 0.4}, LOST),
    ("drip_all", {"seconds": 0.05}, {"deadline": 0.4}, LOST),
    ("big", {}, {}, NOT_PROMISED),
    ("redirect", {}, {}, NOT_PROMISED),
]
WHOLE = ["401", "404", "429", "500", "400", "html", "empty", "truncated", "wrong_types"]


@pytest.mark.parametrize(("fault", "how", "limits", "kind", "expected"), in_every_kind(FAULTS))
def test_what_a_fault_comes_to(fault, how, limits, kind, expected, registry):
    registry.fault(fault, **how)
    began = time.monotonic()
    outcome = outcome_of(registry.url, operation(kind), limits=limits)
    assert type(outcome) is expected
    assert time.monotonic() - began < limits.get("deadline", 5) + 1
    assert outcome.call.outcome == outcome.name
    assert outcome.call.problem == outcome.sentence
    assert outcome.next_step
    if isinstance(outcome, Unavailable):
        assert outcome.sent is (expected is LookUpFirst or fault != "refuse")
    received = 0 if fault == "refuse" else 1
    assert len(registry.log()) == received  # nothing is tried twice, no redirect followed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", WHOLE)
def test_a_whole_reply_is_the_clients_to_judge(fault, kind, registry):
    registry.fault(fault)
    answer = call(registry.url, operation(kind))
    assert answer.call.outcome == "answered"
    assert answer.call.http_status == answer.status
    assert answer.status == int(fault) if fault.isdigit() else 200


def test_a_good_call_is_recorded(registry):
    kept = frozenset({"CertificateNumber", "Postcode", "TotalCapacity"})
    answer = call(registry.url, operation(keep_reply=kept))
    assert (answer.status, answer.call.outcome, answer.call.problem) == (200, "answered", "")
    assert answer.call.request_line == f"GET /GetInstallation/{UAT}"
    assert answer.call.request_headers == {"User": "[removed]", "Authorisation": "[removed]"}
    assert answer.call.reply_size == len(answer.body)
    shown = json.loads(answer.call.reply_body)
    assert {name for name, value in shown.items() if value != "[removed]"} == kept
    assert registry.log()[0]["credentials"] is True


def test_429_says_when_to_come_back(registry):
    registry.fault("429", retry_after=77)
    assert call(registry.url).retry_after() == 77


@pytest.mark.parametrize("said", ["", "soon", "-5", "²", "Fri, 20 Nov 2026 10:00:00 GMT", "1.5"])
def test_only_whole_seconds_are_understood(said, serve):
    server = serve(wires.says(reply(status="429 Slow down", headers=[f"Retry-After: {said}"])))
    assert call(server.url).retry_after() is None


# ---- Faults that only a raw socket has -------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = [
    ("closes after the request", lambda line, _: None, {}, LOST),
    ("resets after the request", wires.resets, {}, LOST),
    ("resets in the body", wires.resets_after(reply(b"x" * 50)[:-20]), {}, LOST),
    ("resets in the head", wires.resets_after(b"HTTP/1.1 200 OK\r\nConte"), {}, LOST),
    ("ends in a chunk", wires.says(CHUNKED + b"ff\r\n{}"), {}, LOST),
    ("ends without the last chunk", wires.says(CHUNKED + b"2\r\n{}\r\n"), {}, LOST),
    ("nonsense for a chunk", wires.says(CHUNKED + b"zz\r\n{}\r\n"), {}, LOST),
    ("ends in the body", wires.says(reply(b"x" * 50)[:-1]), {}, LOST),
    ("silent", wires.stays_silent, {"read_timeout": 0.2}, LOST),
    (
        "silent in the body",
        wires.says(reply(b"x" * 9)[:-1], stay=True),
        {"read_timeout": 0.2},
        LOST,
    ),
    ("not HTTP", wires.says(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, LOST),
    ("endless head", wires.says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000), {}, LOST),
    (
        "too many headers",
        wires.says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        {},
        LOST,
    ),
    (
        "drips the head",
        wires.drips(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90),
        {"deadline": 0.4},
        LOST,
    ),
    ("drips the body", wires.drips(reply(b"x" * 900)), {"deadline": 0.4}, LOST),
    (
        "drips and closes",
        wires.drips(reply(b"x" * 900, headers=["Connection: close"])),
        {"deadline": 0.8},
        LOST,
    ),
    ("gzip", wires.says(reply(b"\x1f\x8b", headers=["Content-Encoding: gzip"])), {}, NOT_PROMISED),
    ("too long", wires.says(reply(b"x" * 3000)), {"reply_limit": 2000}, NOT_PROMISED),
    (
        "too long in chunks",
        wires.says(CHUNKED + b"400\r\n" + b"x" * 1024 + b"\r\n400\r\n" + b"x" * 1024 + b"\r\n"),
        {"reply_limit": 2000},
        NOT_PROMISED,
    ),
    ("elsewhere", wires.says(reply(status="307 T", headers=["Location: /x"])), {}, NOT_PROMISED),
    ("not modified", wires.says(reply(b"", status="304 N")), {}, NOT_PROMISED),
]


@pytest.mark.parametrize(("name", "script", "limits", "kind", "expected"), in_every_kind(RAW))
def test_what_a_broken_line_comes_to(name, script, limits, kind, expected, serve):
    server = serve(script)
    began = time.monotonic()
    outcome = outcome_of(server.url, operation(kind), limits=limits)
    assert type(outcome) is expected, outcome
    assert time.monotonic() - began < limits.get("deadline", 5) + 1
    assert outcome.call.outcome == outcome.name
    assert getattr(outcome, "sent", True) is True
    assert len(server.requests) == 1


def test_what_came_of_a_broken_reply_is_kept(serve):
    server = serve(wires.says(reply(b'{"a": "b', headers=["Server: x"])[:-1]))
    kept = outcome_of(server.url).call
    assert (kept.http_status, kept.reply_headers["Server"]) == (200, "x")


def test_the_beginning_of_a_reply_that_is_too_long_is_kept(registry):
    registry.fault("big")
    kept = outcome_of(registry.url).call
    assert (kept.http_status, kept.reply_body) == (200, "")
    assert kept.reply_unread.startswith('{"Padding')
    assert len(kept.reply_unread) == http.UNREAD_KEPT
    assert kept.reply_sha256


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Mo"])
def test_a_head_without_an_end_is_no_reply(head, serve):
    assert type(outcome_of(serve(wires.says(head)).url, operation(Kind.ONCE))) is Unknown


def test_a_silent_body_is_called_silent(serve):
    server = serve(wires.says(reply(b"x" * 9)[:-1], stay=True))
    outcome = outcome_of(server.url, limits={"read_timeout": 0.2})
    assert outcome.sentence == "The registry did not answer within 0.2 seconds."


# ---- What proves that nothing was sent -------------------------------------------------------


@pytest.fixture
def tls(tmp_path):
    return wires.certificate(tmp_path)


@pytest.fixture
def full_port():
    """A port whose queue of callers is full, so the next one waits for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for caller in callers:
            caller.close()


def refused_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def proves_not_sent(url, kind, **rest):
    outcome = outcome_of(url, operation(kind), **rest)
    assert type(outcome) is Unavailable
    assert outcome.sent is False
    assert outcome.call.outcome == "unavailable"
    assert outcome.call.http_status is None
    return outcome


@pytest.mark.parametrize("kind", KINDS)
class TestNotSent:
    def test_refused_connection(self, kind):
        outcome = proves_not_sent(refused_url(), kind)
        assert outcome.sentence == "The registry could not be reached; nothing was sent."

    def test_unknown_name(self, kind):
        proves_not_sent("https://registry.invalid", kind)

    def test_connect_timeout(self, kind, full_port, monkeypatch):
        monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.2)
        proves_not_sent(f"http://127.0.0.1:{full_port}", kind)

    def test_untrusted_certificate(self, kind, tls, serve):
        server = serve(wires.says(reply()), tls=tls[0])
        proves_not_sent(server.url, kind)
        assert server.requests == []

    def test_no_tls_behind_https(self, kind, serve, monkeypatch):
        monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.2)
        server = serve(wires.says(reply()))
        proves_not_sent(server.url.replace("http", "https"), kind)

    def test_silent_handshake(self, kind, monkeypatch):
        monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            proves_not_sent(f"https://127.0.0.1:{port}", kind)

    def test_a_handshake_over_the_deadline(self, kind):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            began = time.monotonic()
            proves_not_sent(f"https://127.0.0.1:{port}", kind, limits={"deadline": 0.3})
            assert time.monotonic() - began < 1.3

    def test_a_name_found_after_the_deadline(self, kind, serve, monkeypatch):
        server, look_up = serve(wires.stays_silent), socket.getaddrinfo

        def slow(*args, **kwargs):
            while not http._wire.deadline.expired:
                time.sleep(0.005)
            return look_up(*args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        began = time.monotonic()
        proves_not_sent(server.url, kind, limits={"deadline": 0.3})
        assert time.monotonic() - began < 1.3
        assert server.requests == []


# ---- TLS, connections, proxies ---------------------------------------------------------------


def trusting(server, file, **limits):
    session = Session(party(server.url, **limits))
    session._requests.verify = str(file)
    return session


def test_a_call_over_tls(tls, serve):
    server = serve(wires.says(reply(b'{"a": 1}')), tls=tls[0])
    with trusting(server, tls[1]) as session:
        answer = session.call(operation(), path_values={"number": "1"})
    assert answer.body == b'{"a": 1}'


@pytest.mark.parametrize("body", [wires.drips(reply(b"x" * 900)), wires.stays_silent])
def test_the_deadline_holds_over_tls(body, tls, serve):
    server = serve(body, tls=tls[0])
    began = time.monotonic()
    with trusting(server, tls[1], deadline=0.4) as session, pytest.raises(Unavailable) as lost:
        session.call(operation(), path_values={"number": "1"})
    assert time.monotonic() - began < 1.4
    assert lost.value.sent is True
    assert lost.value.sentence == "The registry did not finish its answer within 0.4 seconds."


@pytest.mark.parametrize("closes", [False, True])
def test_the_deadline_holds_on_a_kept_connection_too(closes, serve):
    def script(line, request):
        if b"/slow" in request:
            return wires.drips(reply(b"x" * 900))(line, request)
        line.sendall(reply())
        return True

    server = serve(script)
    with Session(party(server.url, deadline=0.5)) as session:
        session.call(operation(path="/quick"))
        began = time.monotonic()
        with pytest.raises(Unavailable):
            session.call(operation(path="/slow"))
    assert time.monotonic() - began < 1.5
    assert server.connections == 1


def test_reads_share_a_connection_and_once_has_one_of_its_own(serve):
    server = serve(wires.says(reply(), stay=True))
    with Session(party(server.url)) as session:
        for kind, connections in [
            (Kind.READ, 1),
            (Kind.READ, 1),
            (Kind.REPEATABLE, 1),
            (Kind.ONCE, 2),
            (Kind.ONCE, 3),
        ]:
            session.call(operation(kind), path_values={"number": "1"})
            assert server.connections == connections


def test_a_stale_connection_is_not_a_lost_once_call(serve):
    """The party closes an idle connection; the next call that must not be repeated is unharmed."""
    server = serve(wires.says(reply()))
    with Session(party(server.url)) as session:
        for _ in range(3):
            session.call(operation(Kind.ONCE), path_values={"number": "1"})
    assert len(server.requests) == 3


def test_the_environment_names_no_proxy_and_no_password(serve, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    server = serve(wires.says(reply()))
    assert call(server.url).status == 200
    assert b"Authorization" not in server.requests[0]


def test_what_we_send(serve):
    server = serve(wires.says(reply()))
    call(
        server.url + "/base/",
        operation(Kind.ONCE, "POST", "/x/{number}"),
        number="a/../b c?d#e%",
        query={"q": "1&2"},
        body=b'{"a": 1}',
    )
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    line, *fields = head.split("\r\n")
    assert line == "POST /base/x/a%2F..%2Fb%20c%3Fd%23e%25?q=1%262 HTTP/1.1"
    sent = dict(field.split(": ", 1) for field in fields)
    assert (sent["User"], sent["Authorisation"]) == (USER, TOKEN)
    assert (sent["Accept-Encoding"], sent["Content-Type"]) == ("identity", "application/json")
    assert body == '{"a": 1}'


@pytest.mark.parametrize("number", ["", ".", ".."])
def test_a_value_does_not_lead_out_of_its_place(number, serve):
    server = serve(wires.says(reply()))
    with pytest.raises(ValueError, match="dots"):
        call(server.url, number=number)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://10.0.0.1/x",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://[2001:db8::1]",
        "ftp://127.0.0.1",
        "127.0.0.1:8100",
        "",
    ],
)
def test_plain_http_beyond_this_machine_is_refused(url):
    with pytest.raises(PlainHttpRefused):
        Session(party(url))


@pytest.mark.parametrize(
    "url",
    ["https://example.org", "http://127.0.0.1:8100/r", "http://localhost:1", "http://[::1]:8100"],
)
def test_tls_or_loopback_is_fine(url):
    refuse_plain_http(url)


def test_the_deadline_ends_before_any_lease():
    longest = timedelta(seconds=Party("x", "y").deadline + http.CONNECT_TIMEOUT)
    assert Party("x", "y").read_timeout < Party("x", "y").deadline
    for one in queue.all_queues():
        assert longest < one.lease, one.name


def test_no_timer_outlives_its_call(registry):
    before = threading.active_count()
    for _ in range(3):
        call(registry.url)
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    assert timers == []
    assert threading.active_count() <= before + 2


# ---- What is kept ----------------------------------------------------------------------------


def everything(record_):
    return json.dumps(asdict(record_), default=str, ensure_ascii=False)


QUOTED = 'to"ken\\with<odd>&signs/ä'
ECHOES = {
    "under a listed key": lambda s: json.dumps({"Note": s}).encode(),
    "inside a listed value": lambda s: json.dumps({"Note": f"key={s};"}).encode(),
    "as a key": lambda s: json.dumps({s: 1}).encode(),
    "deep down": lambda s: json.dumps([{"Note": {"Note": [{"Note": s}]}}]).encode(),
    "escaped": lambda s: json.dumps({"Note": s}, ensure_ascii=True).encode(),
    "in a page": lambda s: f"<html>{s}</html>".encode(),
    "in a page, escaped": lambda s: (
        f"<a href='?k={http.quote(s, safe='')}'>".encode() + http.html.escape(s).encode()
    ),
    "in broken JSON": lambda s: b'{"Note": ' + json.dumps(s).encode() + b', "',
    "in UTF-16": lambda s: ("x" + s).encode("utf-16-le"),
    "across the end of what is kept": lambda s: (
        b"x" * (http.UNREAD_KEPT - len(s.encode()) // 2) + s.encode()
    ),
}


@pytest.mark.parametrize("secret", [TOKEN, "sandbox@example.org", QUOTED.replace("ä", "")])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_an_echoed_secret_is_not_kept(echo, secret, serve):
    server = serve(wires.says(reply(echo(secret))))
    told = Party("The registry", server.url, {"User": secret})
    with Session(told) as session:
        kept = session.call(operation(path="/x", keep_reply=frozenset({"Note"}))).call
    for part in (secret, secret[: len(secret) // 2 + 2], secret[-len(secret) // 2 - 2 :]):
        for spelt in (
            part,
            json.dumps(part)[1:-1],
            http.quote(part, safe=""),
            http.html.escape(part),
        ):
            assert spelt not in kept.reply_body + kept.reply_unread + kept.problem


def test_a_secret_echoed_in_a_header_is_not_kept(serve):
    server = serve(
        wires.says(reply(headers=[f"Server: for {TOKEN}", f"X-Echo: {TOKEN}", f"Date: {USER}"]))
    )
    kept = call(server.url).call
    assert set(kept.reply_headers) == {"Content-Length", "Server", "Date"}
    assert TOKEN not in everything(kept)
    assert USER not in everything(kept)


@pytest.mark.parametrize(
    "body",
    [
        {"APIKey": "meter-key-1", "a": 1},
        {"meter": [{"password": "meter-key-1"}]},
        {"deep": {"apikey": {"APIKEY": "meter-key-1"}}},
    ],
)
def test_secrets_of_the_body_are_kept_nowhere_even_when_listed_or_echoed(body, serve):
    server = serve(wires.says(reply(b'{"Note": "for meter-key-1", "password": "meter-key-1"}')))
    listed = frozenset({"APIKey", "APIKEY", "apikey", "password", "Note", "a"})
    once = operation(Kind.ONCE, "POST", "/x", keep_request=listed, keep_reply=listed)
    kept = call(server.url, once, body=json.dumps(body).encode()).call
    assert "meter-key-1" not in everything(kept)
    assert json.loads(kept.reply_body)["Note"] == "for [removed]"


def test_a_secret_in_the_address_is_not_kept(serve):
    server = serve(wires.says(reply()))
    what = operation(path="/{number}")
    kept = call(server.url, what, number=USER, query={"key": TOKEN, "q": "1"}).call
    assert kept.request_line == "GET /[removed]?key=[removed]&q=1"


def test_private_links_lose_their_token(serve):
    link = "https://portal.example/metering/results/s3cret-t0ken"
    body = {"responseUrl": link, "Note": f"{link}/collection-result and /seg/track/abcdef/"}
    server = serve(wires.says(reply(json.dumps(body).encode())))
    listed = frozenset({"Note", "responseUrl"})
    what = operation(Kind.ONCE, "POST", "/x", keep_request=listed, keep_reply=listed)
    kept = call(server.url, what, body=json.dumps(body).encode()).call
    assert "s3cret" not in everything(kept)
    assert "abcdef" not in everything(kept)
    assert "/metering/results/[token]/collection-result" in kept.reply_body


def test_only_listed_keys_survive_in_request_and_reply(serve):
    body = {
        "keep": 1,
        "drop": "x",
        "list": [1, {"keep": "y", "drop": 2}],
        "keepnot": {"keep": None},
    }
    server = serve(wires.says(reply(json.dumps(body).encode())))
    listed = frozenset({"keep", "list"})
    what = operation(Kind.ONCE, "POST", "/x", keep_request=listed, keep_reply=listed)
    kept = call(server.url, what, body=json.dumps(body).encode()).call
    shown = {
        "keep": 1,
        "drop": "[removed]",
        "list": ["[removed]", {"keep": "y", "drop": "[removed]"}],
        "keepnot": {"keep": None},
    }
    assert json.loads(kept.request_body) == json.loads(kept.reply_body) == shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"17",
        b'"text"',
        b'{"Note": "\\ud83d"}',
        b'{"\\ud83d": "\\u0000"}',
        b'{"Note": "\\u0000"}',
        b'{"Note": NaN}',
        b"\xff\xfe\x00{",
        b"<html>\x00</html>",
        b"[" * 100_000,
        b'{"a":' * 400 + b"1" + b"}" * 400,
        b'{"Note": ' + b"9" * 5000 + b"}",
        b'{"Note": "' + b"x" * 500_000 + b'"}',
    ],
    ids=lambda body: repr(body[:16]),
)
def test_whatever_comes_back_can_be_kept(body, serve):
    server = serve(wires.says(reply(body)))
    answer = call(server.url, operation(keep_reply=frozenset({"Note"})))
    assert answer.body == body
    record(answer.call)
    kept = PartnerCall.objects.get()
    assert (kept.reply_size, kept.outcome) == (len(body), "answered")
    assert len(kept.reply_body) <= http.KEPT_TEXT
    assert len(kept.reply_unread) <= http.UNREAD_KEPT


@pytest.mark.django_db
def test_a_reply_that_could_not_be_read_is_encrypted_at_rest(serve):
    from django.db import connection

    server = serve(wires.says(reply(b"<html>Ada Lark lives here</html>")))
    record(call(server.url).call)
    with connection.cursor() as cursor:
        cursor.execute("SELECT reply_unread, reply_body FROM core_partnercall")
        assert "Ada" not in str(cursor.fetchall())
    assert PartnerCall.objects.get().reply_unread == "<html>Ada Lark lives here</html>"


# ---- Bodies of megabytes ---------------------------------------------------------------------

LARGE = b'{"photo": "' + b"x" * 24_000_000 + b'"}'


@pytest.fixture
def slow_reader():
    """A party that takes a connection and reads nothing until it is told: `go.set()`."""
    listener, go = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve_one():
        line, _ = listener.accept()
        with line:
            go.wait(5)
            left = len(LARGE)
            while left > 0 and (part := line.recv(1 << 20)):
                left -= len(part)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", go
    go.set()
    thread.join(10)
    listener.close()


def test_a_large_body_may_take_longer_to_leave_than_to_connect(slow_reader, monkeypatch):
    url, go = slow_reader
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.1)
    threading.Timer(0.4, go.set).start()
    answer = call(url, operation(Kind.ONCE, "POST"), body=LARGE)
    assert answer.body == b"{}"


def test_a_party_that_does_not_read_ends_at_the_deadline(slow_reader):
    url, _ = slow_reader
    began = time.monotonic()
    lost = outcome_of(url, operation(Kind.ONCE, "POST"), body=LARGE, limits={"deadline": 0.5})
    assert isinstance(lost, Unknown)
    assert time.monotonic() - began < 3
