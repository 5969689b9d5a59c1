"""Ways to post what a party sends by itself, good and bad, to this machine only.

Each way of sending returns what the receiver `Said`. Nothing follows a redirect.
"""

import http.client
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sandbox import guard
from sandbox.delivery import Settings

BIG = 20_000_000
PATIENCE = 30.0  # seconds that a receiver is given to take or say something
ANSWER_READ = 100_000
PIECES = 20


class NotHere(ValueError):
    """An address to which the sandbox does not post."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, where to, and the words by which a fault can choose it."""

    url: str
    body: bytes = b""
    method: str = "POST"
    about: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What the receiver said: status and text, and whether every byte of ours went out."""

    status: int | None
    text: str
    written: bool = True


def below(url: str, path: str) -> str:
    """Give the address of a path below another address."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()


def address(url: str) -> tuple[str, int, str]:
    """Give host, port and target of an address on this machine; raises NotHere."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme != "http" or not guard.is_loopback(host):
        raise NotHere("The sandbox posts to http addresses on this machine only.")
    target = parts.path or "/"
    return host, port or 80, f"{target}?{parts.query}" if parts.query else target


class Line:
    """One outgoing connection, which can be cut from another thread."""

    def __init__(self, letter: Letter) -> None:
        host, port, target = address(letter.url)
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self._letter, self._target = letter, target
        self.cut_off = threading.Event()

    def open(self) -> None:
        """Connect and send the headers, which promise the whole body."""
        self._connection.putrequest(self._letter.method, self._target)
        if self._letter.method != "GET":
            self._connection.putheader("Content-Type", "application/json; charset=utf-8")
            self._connection.putheader("Content-Length", str(len(self._letter.body)))
        self._connection.putheader("Connection", "close")
        self._connection.endheaders()

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        if piece:
            self._connection.send(piece)

    def answer(self) -> Said:
        """Wait for the answer."""
        response = self._connection.getresponse()
        return Said(response.status, response.read(ANSWER_READ).decode(errors="replace"))

    def cut(self) -> None:
        """End whatever is under way."""
        self.cut_off.set()
        open_socket = self._connection.sock
        if open_socket is not None:
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # It has just ended by itself.

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


Send = Callable[[Line, Letter, Settings], Said]


def whole(line: Line, letter: Letter, settings: Settings) -> Said:
    """Send it as it should be, and wait for the answer."""
    line.open()
    line.send(letter.body)
    return line.answer()


def slow(line: Line, letter: Letter, settings: Settings) -> Said:
    """Send the body in pieces, spread over the seconds of the fault."""
    line.open()
    size = len(letter.body) // PIECES + 1
    for start in range(0, len(letter.body), size):
        line.cut_off.wait(settings.seconds / PIECES)
        line.send(letter.body[start : start + size])
    return line.answer()


def cut(line: Line, letter: Letter, settings: Settings) -> Said:
    """Send half of the promised body and close."""
    line.open()
    line.send(letter.body[: len(letter.body) // 2])
    line.close()
    return Said(None, "Closed in the middle of the body, by us.", written=False)


def closed(line: Line, letter: Letter, settings: Settings) -> Said:
    """Send everything and close without waiting for the answer."""
    line.open()
    line.send(letter.body)
    line.close()
    return Said(None, "Closed before the answer, by us.")


def never(line: Line, letter: Letter, settings: Settings) -> Said:
    """Send nothing at all."""
    return Said(None, "Never sent.", written=False)


Spoil = Callable[[Letter], Letter]


def as_it_is(letter: Letter) -> Letter:
    """Leave the letter as it is."""
    return letter


def wrong_reference(letter: Letter) -> Letter:
    """Name another request in the body; the address keeps its token."""
    other = re.sub(rb'("requestReference": ?)"', rb'\1"not-', letter.body, count=1)
    return replace(letter, body=other)


def wrong_token(letter: Letter) -> Letter:
    """Change the part of the address before the operation; the body stays right."""
    base, _, operation = letter.url.rpartition("/")
    return replace(letter, url=f"{base}-not/{operation}")


def truncated(letter: Letter) -> Letter:
    """End the JSON in the middle; the promised length is that of what is sent."""
    return replace(letter, body=letter.body[: len(letter.body) // 2])


def big(letter: Letter) -> Letter:
    """Put twenty megabytes of padding first."""
    padding = b'{"padding": "' + b"x" * BIG + b'", '
    return replace(letter, body=padding + letter.body.lstrip(b"{"))


@dataclass(frozen=True, slots=True)
class PostFault:
    """One way in which posting goes wrong."""

    title: str
    spoil: Spoil = as_it_is
    send: Send = whole
    seconds: float = 0.0
    counted: bool = True
    unread: bool = False
