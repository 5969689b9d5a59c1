"""Ways to put an answer on the wire, good and bad, with the raw socket in hand.

Each returns a `Delivered`: the status that was sent, if any, and whether every byte went out.
"""

import io
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.exchange import Answer

GAP = 0.05  # seconds between two looks at a caller who sent more than was read


@dataclass(frozen=True, slots=True)
class Settings:
    """How a fault is to behave."""

    seconds: float = 0.0
    retry_after: int = 30


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of an answer."""

    status: int | None
    written: bool


class Wire:
    """One connection of a caller: send, wait, drop."""

    def __init__(self, connection: socket.socket, reader: io.BufferedIOBase) -> None:
        self._connection = connection
        self._reader = reader
        self._arrivals = select.poll()
        self._arrivals.register(connection, select.POLLIN)
        self.keep_open = True

    def send(self, piece: bytes) -> bool:
        """Send everything; False when the caller has gone."""
        try:
            self._connection.sendall(piece)
        except OSError:
            self.keep_open = False
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Wait; False at once when the caller goes (or the sandbox stops)."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            try:
                readable = self._arrivals.poll(left * 1000)
                if readable and not self._connection.recv(1, socket.MSG_PEEK):
                    self.keep_open = False
                    return False
            except (OSError, ValueError):
                self.keep_open = False
                return False
            if readable:
                time.sleep(min(GAP, left))
        return True

    def reset(self) -> None:
        """Drop the connection with a reset (RST) instead of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        """Close the connection now, whatever has been read."""
        self.keep_open = False
        # The reader holds the socket open as well, so both have to go.
        self._reader.close()
        self._connection.close()


Reply = Callable[[], Answer]
Deliver = Callable[[Wire, Reply, Settings], Delivered]


def whole(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Send the answer as it should be."""
    answer = reply()
    return Delivered(answer.status, wire.send(answer.head() + answer.body))


def slow(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Wait, then send the answer."""
    answer = reply()
    if not wire.wait(settings.seconds):
        return Delivered(None, False)
    return whole(wire, lambda: answer, settings)


def drip(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Send the headers at once and the body byte by byte."""
    answer = reply()
    sent = wire.send(answer.head()) and _one_by_one(wire, answer.body, settings.seconds)
    return Delivered(answer.status, sent)


def drip_all(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Send headers and body byte by byte."""
    answer = reply()
    sent = _one_by_one(wire, answer.head() + answer.body, settings.seconds)
    return Delivered(answer.status, sent)


def _one_by_one(wire: Wire, text: Iterable[int], seconds: float) -> bool:
    return all(wire.wait(seconds) and wire.send(bytes([byte])) for byte in text)


def hang(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Answer nothing until the caller leaves or the time is up; then close."""
    wire.wait(settings.seconds)
    wire.keep_open = False
    return Delivered(None, False)


def reset(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Drop the connection after the request was read."""
    wire.reset()
    return Delivered(None, False)


def closed(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Close in good order after the request was read, without a byte of an answer."""
    wire.close()
    return Delivered(None, False)


def late(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Wait, then do what was asked, whether or not the caller is still there to hear of it."""
    wire.wait(settings.seconds)
    return whole(wire, reply, settings)


def after_doing(deliver: Deliver) -> Deliver:
    """Do what was asked, and only then fail in this way."""

    def deliver_after(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
        reply()
        return deliver(wire, reply, settings)

    return deliver_after


def cut(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Promise the whole body, send half of it, and close."""
    answer = reply()
    half = answer.body[: len(answer.body) // 2]
    wire.send(answer.head() + half)
    wire.keep_open = False
    return Delivered(answer.status, False)


def unread(wire: Wire, reply: Reply, settings: Settings) -> Delivered:
    """Close without an answer; used before the request is read."""
    wire.close()
    return Delivered(None, False)
