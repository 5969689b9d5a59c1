"""What demo data of every desk need: the sandbox's control pages, and waiting for the worker."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from core.http import Operation, Party, Session
from core.outcomes import Kind, Outcome

WAIT_SECONDS = 60


class SandboxMissing(Exception):
    """The sandbox does not answer, or what should be it is something else."""


def ask_sandbox(api_url: str, path: str, change: dict[str, Any] | None = None) -> Any:
    """Read from (or change) the sandbox behind a party's address. Raises `SandboxMissing`."""
    parts = urlsplit(api_url)
    base = f"{parts.scheme}://{parts.netloc}"
    method = "GET" if change is None else "POST"
    body = None if change is None else json.dumps(change).encode()
    try:
        with Session(Party(name="Sandbox", base_url=base)) as session:
            reply = session.call(Operation("control", Kind.READ, method, path), body=body)
            return json.loads(reply.body)
    except (Outcome, ValueError) as problem:
        raise SandboxMissing(
            f"No sandbox answers at {base}. Start it: manage.py sandbox"
        ) from problem


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for the worker to bring something about; False when it did not within a minute."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
