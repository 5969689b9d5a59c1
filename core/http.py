"""The one way out to outside parties, and the only importer of `requests`.

One base address a session, no redirects, TLS verified (plain http for loopback only), connect and
read timeouts and a total deadline, a reply size limit, and a record of every call in which only
listed headers and body keys survive.
"""

import contextlib
import functools
import hashlib
import heapq
import html
import io
import ipaddress
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.client import HTTPResponse, IncompleteRead
from typing import Any, Self
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ReadTimeoutError

from core.links import hide_tokens
from core.outcomes import CallRecord, Kind, Outcome, Unavailable, Unexpected, Unknown, lost

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
TOTAL_DEADLINE = 20.0  # seconds; below the shortest lease, or two workers could hold one row
REPLY_LIMIT = 2 * 1024 * 1024
KEPT_TEXT = 200_000
UNREAD_KEPT = 20_000
REMOVED = "[removed]"
_KEPT_REPLY_HEADERS = frozenset({"content-type", "content-length", "date", "retry-after", "server"})
_SECRET_KEYS = frozenset({"apikey", "password"})


class PlainHttpRefused(ValueError):
    """The address of a party starts with http:// and is not this machine."""


@dataclass(frozen=True)
class Party:
    """An outside party: its name for people, its base address and its headers."""

    name: str
    base_url: str
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    read_timeout: float = READ_TIMEOUT
    deadline: float = TOTAL_DEADLINE
    reply_limit: int = REPLY_LIMIT


@dataclass(frozen=True)
class Operation:
    """One operation of a party's interface and which JSON keys of it may be kept."""

    name: str
    kind: Kind
    method: str
    path: str
    keep_request: frozenset[str] = frozenset()
    keep_reply: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers, the whole body, and the record to keep."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    call: CallRecord

    def retry_after(self) -> float | None:
        """Seconds the party asks us to wait, when it says so in seconds."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() else None


@dataclass(frozen=True)
class Known:
    """What the caller knows of a body that it built: what may be kept, and the secrets in it."""

    kept: str
    secrets: tuple[str, ...]


class _Wire(threading.local):
    """What this thread's present call has done to the network so far."""

    deadline: "_Deadline | None" = None
    sent = False


_wire = _Wire()


class _Lines(io.BufferedReader):
    """Remembers the last line that was read."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class _WholeHead(HTTPResponse):
    """A reply whose head ends where it should: http.client takes a lost line for an empty one."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _Lines(self.fp.detach())

    def begin(self) -> None:
        head = self.fp
        super().begin()
        if isinstance(head, _Lines) and head.last not in (b"\r\n", b"\n"):
            raise IncompleteRead(head.last)


class _Watched(HTTPConnection):
    """Shows its line to the deadline, and notes whether a request may have left."""

    response_class = _WholeHead

    def _new_conn(self) -> socket.socket:
        line = super()._new_conn()
        try:
            _watch(line)
        except TimeoutError:
            line.close()
            raise
        return line

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _watch(self.sock)
            _wire.sent = True
        super().request(*args, **kwargs)

    def send(self, payload: Any) -> None:
        if self.sock is None:
            self.connect()
        _wire.sent = True
        if _wire.deadline is not None and self.sock is not None:
            # Until here the time to connect holds, in which a body of megabytes may not leave.
            self.sock.settimeout(_wire.deadline.seconds)
        super().send(payload)


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS: a failed handshake still proves that nothing was sent."""


def _watch(line: socket.socket) -> None:
    if _wire.deadline is not None:
        _wire.deadline.watch(line)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """Uses the watched connections and never retries by itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _PlainPool,
            "https": _TlsPool,
        }


class Session:
    """Calls one party. Not shared between threads; READ and REPEATABLE calls reuse connections."""

    def __init__(self, party: Party) -> None:
        refuse_plain_http(party.base_url)
        self.party = party
        self._requests = self._open()

    def call(
        self,
        operation: Operation,
        *,
        path_values: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        known: Known | None = None,
    ) -> Reply:
        """Make one call and return the reply, whatever its HTTP status.

        `known` saves a large body of our own making from being read again for the record.
        Raises `Unavailable`, `LookUpFirst`, `Unknown` or `Unexpected` when no whole reply came.
        """
        attempt = _Attempt(self.party, operation, path_values or {}, query or {}, body)
        attempt.known = known
        if operation.kind is Kind.ONCE:
            self.close()
            self._requests = self._open()
        return attempt.make(self._requests)

    def close(self) -> None:
        """Close kept connections."""
        self._requests.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.headers.clear()
        for prefix in ("http://", "https://"):
            session.mount(prefix, _Adapter(max_retries=0))
        return session


def refuse_plain_http(url: str) -> None:
    """Raise `PlainHttpRefused` unless the address uses TLS or is this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise PlainHttpRefused(f"{parts.scheme}://{parts.hostname} is not https; only loopback may be.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Failure(Exception):
    """Why no whole reply came; `sentence` is for people."""

    def __init__(self, sentence: str, *, promised: bool = True) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.promised = promised


class _Attempt:
    """One call from its start to its record."""

    def __init__(
        self,
        party: Party,
        operation: Operation,
        path_values: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes | None,
    ) -> None:
        self.party, self.operation, self.body = party, operation, body
        path = operation.path.format(**{k: _in_its_place(v) for k, v in path_values.items()})
        self.line = path + ("?" + urlencode(query) if query else "")
        self.url = party.base_url.rstrip("/") + self.line
        self.started_at = datetime.now(UTC)
        self.started = time.monotonic()
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.received = bytearray()
        self.known: Known | None = None

    def make(self, session: requests.Session) -> Reply:
        deadline = _Deadline(self.party.deadline)
        try:
            with deadline:
                status = self._exchange(session)
            if deadline.expired:
                raise _Failure("The time was used up while the reply ended.")
        except (_Failure, requests.RequestException, OSError) as problem:
            raise self._outcome(problem, expired=deadline.expired) from problem
        call = self._record("answered")
        if 300 <= status < 400:
            raise self._not_promised(
                "The party answered with a redirect, which is never followed.", call
            )
        return Reply(status, self.headers, bytes(self.received), call)

    def _exchange(self, session: requests.Session) -> int:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers["User-Agent"] = "supplier-portal"
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        # Prepared here: the session would merge in settings and cookies that it does not have.
        request = requests.Request(
            self.operation.method,
            self.url,
            headers={**headers, **self.party.headers, **self.party.secret_headers},
            data=self.body,
        ).prepare()
        with session.send(
            request,
            timeout=(CONNECT_TIMEOUT, self.party.read_timeout),
            allow_redirects=False,
            stream=True,
        ) as reply:
            self.status, self.headers = reply.status_code, reply.headers
            self._read(reply)
            return reply.status_code

    def _read(self, reply: requests.Response) -> None:
        """Read the body up to the limit."""
        if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Failure(
                "The reply is compressed although we asked for plain text.",
                promised=False,
            )
        for part in reply.iter_content(65_536):
            self.received += part
            if len(self.received) > self.party.reply_limit:
                raise _Failure(
                    f"The reply is larger than {self.party.reply_limit // 1024} kB.",
                    promised=False,
                )

    def _outcome(self, problem: Exception, *, expired: bool) -> Outcome:
        if isinstance(problem, _Failure) and not problem.promised:
            return self._not_promised(
                problem.sentence, self._record("unexpected", problem.sentence)
            )
        sentence = self._sentence(problem, expired=expired)
        if not _wire.sent:
            call = self._record("unavailable", sentence)
            return Unavailable(
                sentence,
                sent=False,
                call=call,
                next_step="The portal tries again by itself.",
            )
        outcome = lost(self.operation.kind, sentence, call=self._record("", sentence))
        if outcome.call:
            outcome.call = replace(outcome.call, outcome=outcome.name)
        return outcome

    def _not_promised(self, sentence: str, call: CallRecord) -> Outcome:
        if self.operation.kind is Kind.ONCE:
            call = replace(call, outcome=Unknown.name, problem=sentence)
            return lost(Kind.ONCE, sentence, call=call)
        call = replace(call, outcome=Unexpected.name, problem=sentence)
        return Unexpected(sentence, call=call, next_step="Tell the party; the reply is kept.")

    def _sentence(self, problem: Exception, *, expired: bool) -> str:
        name = self.party.name
        if expired:
            return f"{name} did not finish its answer within {self.party.deadline:g} seconds."
        if not _wire.sent:
            return f"{name} could not be reached; nothing was sent."
        if isinstance(problem, requests.Timeout) or _timed_out_in_body(problem):
            return f"{name} did not answer within {self.party.read_timeout:g} seconds."
        return f"{name} closed the connection before its answer was complete."

    def _record(self, outcome: str, problem: str = "") -> CallRecord:
        """Write down what may be kept of this call, also of a reply that broke off."""
        in_body = self.known.secrets if self.known else secrets_in(self.body or b"")
        secrets = [*self.party.secret_headers.values(), *in_body]
        body = bytes(self.received)
        kept, unread = keep_body(body, self.operation.keep_reply, secrets)
        sent = self._sent(secrets)
        return CallRecord(
            party=self.party.name,
            operation=self.operation.name,
            kind=self.operation.kind,
            started_at=self.started_at,
            duration_ms=int((time.monotonic() - self.started) * 1000),
            outcome=outcome,
            problem=problem,
            http_status=self.status,
            request_line=without(f"{self.operation.method} {self.line}", secrets),
            request_headers={
                **self.party.headers,
                **dict.fromkeys(self.party.secret_headers, REMOVED),
            },
            request_body=sent,
            reply_headers=keep_headers(self.headers, secrets),
            reply_body=kept,
            reply_unread=unread,
            reply_size=len(body),
            reply_sha256=hashlib.sha256(body).hexdigest() if body else "",
        )

    def _sent(self, secrets: list[str]) -> str:
        if self.known:
            return without(self.known.kept[:KEPT_TEXT], secrets)
        return keep_body(self.body or b"", self.operation.keep_request, secrets)[0]


def _in_its_place(value: str) -> str:
    """Encode a value for the path. Raises ValueError where it would lead to another address."""
    if not value.strip("."):
        raise ValueError("A value in the path must not be empty or only dots.")
    return quote(value, safe="")


def _timed_out_in_body(problem: Exception) -> bool:
    return any(isinstance(reason, ReadTimeoutError) for reason in problem.args)


class _Deadline:
    """Ends the call's line when the total time is used up, however slowly bytes arrive.

    It holds a second descriptor of the line, because TLS and a connection that closes before its
    reply is read give up the first. A line that opens after the end is not used.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = self.over = False
        self.seconds = seconds
        self._line: socket.socket | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        _wire.deadline, _wire.sent = self, False
        _clock.watch(self)

    def __exit__(self, *_: object) -> None:
        _wire.deadline = None
        with self._turn:
            self.over = True
            self._let_go()

    def watch(self, line: socket.socket) -> None:
        """Take the line of this call, new or kept. Raises TimeoutError when it is too late."""
        with self._turn:
            self._let_go()
            self._line = socket.socket(fileno=os.dup(line.fileno()))
        if self.expired:
            raise TimeoutError("The time was used up before the line was open.")

    def expire(self) -> None:
        """Cut the line, unless the call is over."""
        with self._turn:
            if not self.over:
                self.expired = True
                self._end()

    def _let_go(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _end(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


class _Clock:
    """One thread that expires every call of the process: a thread a call costs too much."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._calls: list[tuple[float, int, _Deadline]] = []
        self._count = itertools.count()
        self._thread: threading.Thread | None = None

    def watch(self, call: _Deadline) -> None:
        """Expire this call when its time comes, unless it is over by then."""
        entry = (time.monotonic() + call.seconds, next(self._count), call)
        with self._news:
            heapq.heappush(self._calls, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._calls[0] is entry:
                self._news.notify()

    def _run(self) -> None:
        while True:
            for call in self._next():
                call.expire()

    def _next(self) -> list[_Deadline]:
        """Wait until calls are late, and return them."""
        with self._news:
            while self._calls and self._calls[0][2].over:
                heapq.heappop(self._calls)
            wait = self._calls[0][0] - time.monotonic() if self._calls else None
            if wait is None or wait > 0:
                self._news.wait(wait)
                return []
            return [heapq.heappop(self._calls)[2]]


def _new_clock() -> None:
    """Start afresh: a forked process has the parent's calls, but not its thread."""
    global _clock  # noqa: PLW0603 - one a process
    _clock = _Clock()


_clock = _Clock()
os.register_at_fork(after_in_child=_new_clock)


# ---- What may be kept ------------------------------------------------------------------------


def keep_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Keep only reply headers on the list, without secrets that the party echoes."""
    return {
        name: without(value, secrets)
        for name, value in headers.items()
        if name.lower() in _KEPT_REPLY_HEADERS
    }


def secrets_in(body: bytes) -> list[str]:
    """List the keys and passwords of a JSON request, which a reply may echo."""
    try:
        return list(_secret_values(json.loads(body)))
    except (ValueError, RecursionError):
        return []


def _secret_values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (str(v) for k, v in value.items() if k.lower() in _SECRET_KEYS and v)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _secret_values(part)


def keep_body(body: bytes, allowed: frozenset[str], secrets: Iterable[str]) -> tuple[str, str]:
    """Split a body into what may be shown and what could not be read (kept encrypted).

    A JSON body keeps the values of listed keys; every other value becomes "[removed]". A body that
    is not JSON shows nothing: its first 20,000 characters go to the second part.
    """
    if not body:
        return "", ""
    try:
        kept = _in_lines(json.dumps(_keep(json.loads(body), allowed), ensure_ascii=False))
    except (ValueError, RecursionError):
        return "", without(body.decode("utf-8", "replace"), secrets)[:UNREAD_KEPT]
    return without(kept, secrets)[:KEPT_TEXT], ""


def _in_lines(text: str) -> str:
    """Indent JSON; `json.dumps` takes ten times as long for this, and has to do it for NaN."""
    try:
        return msgspec.json.format(text, indent=1)
    except ValueError:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)


def _keep(value: Any, allowed: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return dict(_kept_pairs(value, allowed))
    if isinstance(value, list):
        return [_keep(item, allowed) for item in value[:1000]]
    return REMOVED


def _kept_pairs(pairs: dict[str, Any], allowed: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, value in list(pairs.items())[:1000]:
        if isinstance(value, dict | list):
            yield key[:100], _keep(value, allowed)
        else:
            yield key[:100], _scalar(key, value, allowed)


def _scalar(key: str, value: Any, allowed: frozenset[str]) -> Any:
    return value if key in allowed and key.lower() not in _SECRET_KEYS else REMOVED


def without(text: str, secrets: Iterable[str]) -> str:
    """Take out secrets, the tokens of private links, and what a database cannot store."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    spelt = {way for secret in secrets if secret for way in _spellings(secret)}
    for secret in sorted(spelt, key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    return hide_tokens(text)


@functools.lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[str, ...]:
    """Spell a secret as it is, and as JSON, an address and a web page would."""
    as_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    return secret, *as_json, quote(secret, safe=""), quote_plus(secret), html.escape(secret)
