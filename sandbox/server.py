"""The sandbox's HTTP server: one shared port for everything, and a port for each party.

The shared port serves the control page and every party below `/<name>`. A party's own port serves
that party alone, below the same prefix, and can be closed, so that connections are really refused.
"""

import errno
import os
import socket
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox import guard
from sandbox.control import Control
from sandbox.delivery import Settings, Wire, whole
from sandbox.exchange import Answer, BadRequest, Request, json_answer
from sandbox.faults import Switched
from sandbox.parties import all_parties
from sandbox.party import Party
from sandbox.stage import Place, Stage
from sandbox.store import Store

STYLESHEET = Path(__file__).resolve().parents[1] / "static" / "portal.css"
LARGEST_BODY = 64_000_000
IDLE = 120.0  # seconds that an idle connection is kept


class CannotStart(Exception):
    """The sandbox cannot start; the text is one sentence for whoever started it."""


class PortTaken(CannotStart):
    """A port that the sandbox needs cannot be had."""


class NotLoopback(CannotStart):
    """The sandbox was asked to listen to other machines."""


class StateUnusable(CannotStart):
    """The file for state and log cannot be opened."""


class Conversation(BaseHTTPRequestHandler):
    """One connection of one caller, request after request (without pipelining)."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE
    server: "Doorway"

    def setup(self) -> None:
        """Join the connections that the doorway can close."""
        super().setup()
        self.wire = Wire(self.connection, self.rfile)
        self.server.enter(self.connection)

    def finish(self) -> None:
        """Leave them again."""
        try:
            super().finish()
        finally:
            self.server.leave(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Print nothing: the log is in the store."""

    def handle_one_request(self) -> None:
        """Look at the request before reading it, then read and answer it."""
        self.close_connection = True
        try:
            first = self.connection.recv(4096, socket.MSG_PEEK)
            if first and not self._dropped(first) and self._read():
                self._answer()
        except OSError:
            self.close_connection = True

    def _dropped(self, first: bytes) -> bool:
        """Apply a fault that strikes before the request is read."""
        method, _, rest = first.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        party = self.server.party or self.server.stage.party_of(target)
        if party is None:
            return False
        switched = self.server.stage.take_unread(party, method, target)
        if switched is not None:
            self._drop(switched)
        return switched is not None

    def _drop(self, switched: Switched) -> None:
        if switched.fault == "refuse":
            # The shared port cannot be closed, so the call is at least cut off at once.
            self.wire.reset()
        else:
            self.wire.close()

    def _read(self) -> bool:
        """Read the head and the body; False when there is nothing to answer."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return False
        length = self.headers.get("Content-Length", "0")
        if (
            not length.isdigit()
            or int(length) > LARGEST_BODY
            or "Transfer-Encoding" in self.headers
        ):
            self.close_connection = True
            self._send(json_answer({"details": "Send a Content-Length up to 64 MB."}, 413))
            return False
        self.body = self.rfile.read(int(length))
        return len(self.body) == int(length)

    def _answer(self) -> None:
        stage = self.server.stage
        path, _, query = self.path.partition("?")
        party = stage.party_of(path)
        request = Request(
            self.command, unquote(path), self.headers, self.body, dict(parse_qsl(query))
        )
        if party is None or self.server.party not in (None, party):
            self._send(self.server.elsewhere(request))
        elif problem := guard.host_problem(request):
            self._send(json_answer({"details": problem}, 403))
        else:
            below = request.path.removeprefix(f"/{party.name}") or "/"
            stage.perform(party, replace(request, path=below), self.path, self.wire)
        # A HEAD must not have the body that it got, so nothing may follow it.
        if not self.wire.keep_open or self.command == "HEAD":
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        whole(self.wire, lambda: answer, Settings())


class Doorway(ThreadingHTTPServer):
    """A listening port and the connections that came through it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], stage: Stage, party: Party | None) -> None:
        self.stage = stage
        self.party = party
        self.control: Control | None = None
        self._lock = threading.Lock()
        self._inside: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, Conversation)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        TCPServer.server_bind(self)

    def elsewhere(self, request: Request) -> Answer:
        """Answer what is not for a party."""
        if self.control is None:
            return json_answer({"details": "This port belongs to one party."}, 404)
        return self.control.answer(request)

    def enter(self, connection: socket.socket) -> None:
        """Note an open connection and its thread."""
        with self._lock:
            self._inside[connection] = threading.current_thread()

    def leave(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._inside.pop(connection, None)

    def end_conversations(self) -> None:
        """Close every open connection and wait for its thread."""
        with self._lock:
            inside = list(self._inside.items())
        for connection, _ in inside:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # It has just ended by itself.
        for _, thread in inside:
            thread.join(5)


class Door:
    """A port that can be opened and closed, and stays ours while it is closed."""

    def __init__(self, host: str, port: int, stage: Stage, party: Party | None = None) -> None:
        self._stage = stage
        self._party = party
        self._doorway: Doorway | None = None
        self._thread: threading.Thread | None = None
        # Bound but not listening: callers are refused, and nobody else gets the port.
        self._hold = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._hold.bind((host, port))
        except (OSError, OverflowError) as problem:
            self._hold.close()
            raise PortTaken(_taken(port, problem)) from problem
        self.host = host
        self.port = int(self._hold.getsockname()[1])
        self.url = f"http://{host}:{self.port}"

    def open(self, control: Control | None = None) -> None:
        """Listen; nothing happens when the door is open."""
        if self._doorway is not None:
            return
        try:
            self._doorway = Doorway((self.host, self.port), self._stage, self._party)
        except OSError as problem:
            raise PortTaken(_taken(self.port, problem)) from problem
        self._doorway.control = control
        self._thread = threading.Thread(target=self._doorway.serve_forever, args=(0.05,))
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end every conversation; the port stays held."""
        if self._doorway is None or self._thread is None:
            return
        self._doorway.shutdown()
        self._doorway.server_close()
        self._doorway.end_conversations()
        self._thread.join(5)
        self._doorway = self._thread = None

    def give_up(self) -> None:
        """Close the door and let the port go."""
        self.close()
        self._hold.close()


def _taken(port: int, problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.errno == errno.EADDRINUSE:
        return f"Port {port} is taken: stop what uses it, or choose another with SANDBOX_PORT."
    return f"Port {port} cannot be opened: {problem}."


def _opened(state: Path | str) -> Store:
    try:
        return Store(state)
    except (OSError, sqlite3.Error) as problem:
        raise StateUnusable(f"The state file {state} cannot be opened: {problem}.") from problem


def _all_parties() -> Sequence[Party]:
    try:
        return all_parties(os.environ)
    except BadRequest as problem:
        raise CannotStart(str(problem)) from problem


class RunningSandbox:
    """A sandbox that is being served; `.url` is its shared address."""

    def __init__(self, stage: Stage, control: Control, shared: Door, own: dict[str, Door]) -> None:
        self.stage = stage
        self.url = shared.url
        self._shared = shared
        self._own = own
        self._lock = threading.Lock()
        stage.port = shared.port
        for name, door in own.items():
            stage.places[name] = Place(f"{shared.url}/{name}", f"{door.url}/{name}")
        stage.sync_doors = self._sync_doors
        self._sync_doors()
        shared.open(control)
        stage.begin()

    def _sync_doors(self) -> None:
        """Close the doors of parties that refuse connections, open the others."""
        with self._lock:
            for name, door in self._own.items():
                if self.stage.board.refuses(name):
                    door.close()
                else:
                    door.open()

    def shared_url(self, party: str) -> str:
        """Give a party's base address on the shared port."""
        return self.stage.places[party].shared_url

    def party_url(self, party: str) -> str:
        """Give a party's base address on its own port, the one that can refuse connections."""
        return self.stage.places[party].own_url

    def switch_on(self, party: str, fault: str, **how: Any) -> Switched:
        """Switch a fault on, as `POST /control/faults` does."""
        switched = self.stage.board.switch_on(party, fault, **how)
        self._sync_doors()
        return switched

    def switch_off(self, party: str = "") -> None:
        """Switch off the faults of one party, or all."""
        self.stage.board.switch_off(party)
        self._sync_doors()

    def log(self, *, wait: float = 5.0, **choice: Any) -> list[dict[str, Any]]:
        """Give the log, newest first, after the answers under way are complete."""
        return self.stage.store.log(wait=wait, **choice)

    def reset(self) -> None:
        """Forget every change, fault and log row."""
        self.stage.reset()

    def stop(self) -> None:
        """Close every port and connection, then the store."""
        self.stage.store.stop_waiting()
        self.stage.end()
        for door in (self._shared, *self._own.values()):
            door.give_up()
        self.stage.store.close()


def start(
    port: int = 0,
    state: Path | str = ":memory:",
    *,
    host: str = "127.0.0.1",
    parties: Sequence[Party] | None = None,
    stylesheet: Path = STYLESHEET,
) -> RunningSandbox:
    """Start a sandbox in this process; port 0 picks free ports, else parties get port+1, port+2 ….

    Raises CannotStart.
    """
    if not guard.is_loopback(host):
        raise NotLoopback(f"The sandbox listens on this machine only, not on {host}.")
    doors: list[Door] = []
    store = _opened(state)
    try:
        stage = Stage(store, _all_parties() if parties is None else parties)
        doors.append(Door(host, port, stage))
        for place, party in enumerate(stage.parties.values(), start=1):
            doors.append(Door(host, port + place if port else 0, stage, party))
        own = dict(zip(stage.parties, doors[1:], strict=True))
        return RunningSandbox(stage, Control(stage, stylesheet), doors[0], own)
    except BaseException:
        for door in doors:
            door.give_up()
        store.close()
        raise
