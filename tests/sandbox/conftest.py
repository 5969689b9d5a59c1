"""A sandbox of its own for each test module, emptied before each test."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.server import RunningSandbox, start

CREDENTIALS = {"User": "sandbox@example.org", "Authorisation": "sandbox-registry-token"}


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Calls a sandbox over HTTP, one connection per call."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox

    def connect(self, base: str, timeout: float = 5) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(base).netloc, timeout=timeout)

    def send(self, method: str, url: str, body: Any = None, headers: Any = None) -> Reply:
        connection = self.connect(url)
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def look_up(self, number: str, headers: Any = CREDENTIALS, *, own: bool = False) -> Reply:
        base = self.sandbox.party_url("registry") if own else self.sandbox.shared_url("registry")
        return self.send("GET", f"{base}/GetInstallation/{number}", headers=headers)

    def control(self, method: str, path: str, content: Any = None) -> Reply:
        headers = {"Content-Type": "application/json"}
        body = None if content is None else json.dumps(content)
        return self.send(method, f"{self.sandbox.url}/control{path}", body, headers)


@pytest.fixture(scope="module")
def module_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    sandbox = start(0, tmp_path_factory.mktemp("state") / "sandbox.sqlite3")
    yield sandbox
    sandbox.stop()


@pytest.fixture
def played(module_sandbox: RunningSandbox) -> RunningSandbox:
    module_sandbox.reset()
    return module_sandbox


@pytest.fixture
def caller(played: RunningSandbox) -> Caller:
    return Caller(played)


@pytest.fixture
def caller_of() -> type[Caller]:
    return Caller
