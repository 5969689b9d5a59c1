"""Run the sandbox until it is told to stop: shared by `python -m sandbox` and manage.py."""

import os
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from sandbox.server import start

PROJECT = Path(__file__).resolve().parents[1]


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options; their defaults come from SANDBOX_PORT and SANDBOX_STATE."""
    environment = os.environ
    port = environment.get("SANDBOX_PORT") or "8100"
    state = environment.get("SANDBOX_STATE") or str(PROJECT / "var" / "sandbox.sqlite3")
    parser.add_argument("--port", type=int, default=port, help="0 picks free ports")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--state", default=state, help="the file of its state and its log")


def run(*, port: int, host: str, state: str, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; raises CannotStart."""
    sandbox = start(port, state, host=host)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    say(f"Sandbox on {sandbox.url}")
    for name, party in sandbox.stage.parties.items():
        say(f"{party.title}: {sandbox.shared_url(name)}, own port {sandbox.party_url(name)}")
    try:
        stopped.wait()
    finally:
        sandbox.stop()
