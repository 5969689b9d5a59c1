"""Eight clients that post over connections of their own, which stay open."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from urllib.parse import urlsplit

CLIENTS = 8


class Refused(RuntimeError):
    """The server answered something else than 200."""


def post(url: str, body: bytes) -> bytes:
    """Write a request with a result."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(url: str, cookie: str = "") -> bytes:
    """Write a request for a page."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    given = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{given}\r\n".encode()


class Run:
    """Requests on their way: `begun` and, after `join`, `seconds` by the clock."""

    def __init__(self, port: int, requests: Iterable[bytes], clients: int = CLIENTS) -> None:
        self._left = deque(requests)
        self._failed: list[BaseException] = []
        self.each: list[float] = []
        self.count = len(self._left)
        self._open = [socket.create_connection(("127.0.0.1", port), 120) for _ in range(clients)]
        self._threads = [threading.Thread(target=self._send, args=(one,)) for one in self._open]
        self.begun = time.perf_counter()
        for thread in self._threads:
            thread.start()

    def join(self) -> float:
        """Wait for the last answer. Returns the seconds since the first request."""
        for thread in self._threads:
            thread.join()
        seconds = time.perf_counter() - self.begun
        for one in self._open:
            one.close()
        if self._failed:
            raise self._failed[0]
        return seconds

    def _send(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                try:
                    request = self._left.popleft()
                except IndexError:
                    return
                begun = time.perf_counter()
                connection.sendall(request)
                _answer(connection)
                self.each.append(time.perf_counter() - begun)
        except (OSError, ValueError, Refused) as problem:
            self._failed.append(problem)


def _answer(connection: socket.socket) -> None:
    """Read one answer to its end."""
    got = b""
    while (end := got.find(b"\r\n\r\n")) < 0:
        got += _more(connection)
    head = got[:end].lower()
    if not head.startswith(b"http/1.1 200 "):
        raise Refused(got[:500].decode("utf-8", "replace"))
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    missing = end + 4 + length - len(got)
    while missing > 0:
        missing -= len(_more(connection))


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(262_144)
    if not received:
        raise Refused("The connection was closed.")
    return received
