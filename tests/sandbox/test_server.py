"""Starting, stopping, connections, and what the sandbox may import."""

import ast
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management.base import CommandError

from sandbox.management.commands.sandbox import Command
from sandbox.server import NotLoopback, PortTaken, start

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = sorted((PROJECT / "sandbox").rglob("*.py"))


def run_sandbox(*options, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *options],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_by_itself_and_stops_when_told(tmp_path, how):
    process = run_sandbox("--port", "0", "--state", str(tmp_path / "new" / "s.sqlite3"))
    try:
        line = process.stdout.readline()
        assert line.startswith("Sandbox on http://127.0.0.1:")
        connection = http.client.HTTPConnection(urlsplit(line.split()[-1]).netloc, timeout=5)
        connection.request("GET", "/control/parties")
        assert connection.getresponse().status == 200
        process.send_signal(how)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
        connection.close()
    finally:
        process.kill()
        process.communicate()


def test_a_taken_port_is_one_clear_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = run_sandbox(
            SANDBOX_PORT=str(port), SANDBOX_STATE=str(tmp_path / "s.sqlite3"), COLUMNS="80"
        )
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert output == ""
    sentence = f"Port {port} is taken: stop what uses it, or choose another with SANDBOX_PORT.\n"
    assert errors == sentence


@pytest.mark.parametrize("content", [None, "no database, but long enough to be looked at " * 9])
def test_an_unusable_state_file_is_one_clear_sentence(tmp_path, content):
    state = tmp_path / "state"
    if content:
        state.write_text(content)
    else:
        state.mkdir()
    process = run_sandbox("--port", "0", "--state", str(state))
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.startswith(f"The state file {state} cannot be opened: ")
    assert errors.count("\n") == 1


def test_the_management_command_says_why_it_cannot_start(tmp_path):
    options = {"port": 70_000, "host": "127.0.0.1", "state": str(tmp_path / "s.sqlite3")}
    with pytest.raises(CommandError, match="Port 70000 cannot be opened"):
        Command().handle(**options)


def test_two_sandboxes_cannot_share_a_port(tmp_path, played):
    with pytest.raises(PortTaken):
        start(urlsplit(played.url).port, tmp_path / "s.sqlite3")
    with pytest.raises(PortTaken):
        start(urlsplit(played.party_url("registry")).port, tmp_path / "s.sqlite3")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "portal.example"])
def test_it_listens_on_this_machine_only(tmp_path, host):
    with pytest.raises(NotLoopback):
        start(0, tmp_path / "s.sqlite3", host=host)


def test_a_connection_is_kept(caller, played):
    connection = caller.connect(played.url)
    connection.connect()
    first = connection.sock
    for _ in range(50):
        connection.request("GET", "/registry/GetInstallation/x")
        assert connection.getresponse().read()
    assert connection.sock is first
    connection.close()


def test_a_body_is_read_and_logged_and_the_connection_stays_in_step(caller, played):
    connection = caller.connect(played.url)
    for body in ("one", "two"):
        connection.request("POST", "/registry/other", body, {"Content-Type": "text/plain"})
        assert connection.getresponse().read()
    connection.close()
    assert [entry["body"] for entry in played.log()] == ["two", "one"]


def test_a_body_without_a_length_is_not_accepted(caller, played):
    connection = caller.connect(played.url)
    connection.putrequest("POST", "/registry/x")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()  # nothing follows: the answer comes without waiting for it
    assert connection.getresponse().status == 413
    connection.close()


def test_a_partys_own_port_serves_that_party_only(caller, played):
    own = played.party_url("registry").removesuffix("/registry")
    assert caller.look_up("MCS-01109073-U", own=True).status == 200
    assert caller.send("GET", f"{own}/").status == 404
    assert caller.send("GET", f"{own}/control/faults").status == 404


def test_many_callers_at_once(caller, played):
    barrier, wrong = threading.Barrier(16), []

    def call(first):
        barrier.wait(5)
        for number in range(first, first + 10):
            certificate = f"MCS-800{number:05}-A"
            if caller.look_up(certificate).json["CertificateNumber"] != certificate:
                wrong.append(certificate)

    threads = [threading.Thread(target=call, args=(place * 10,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert wrong == []
    entries = played.log(limit=500)
    assert len(entries) == 160
    assert all(entry["status"] == 200 and entry["written"] for entry in entries)


def test_stopping_ends_calls_that_hang(tmp_path):
    sandbox = start(0, tmp_path / "s.sqlite3")
    sandbox.switch_on("registry", "hang")
    parts = urlsplit(sandbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(b"GET /registry/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Waiting for the answer to end is what stopping has to cut short.
        waiting = threading.Thread(target=sandbox.log, kwargs={"wait": 60})
        while not sandbox.log(wait=0):
            pass
        waiting.start()
        sandbox.stop()
        waiting.join(5)
        assert not waiting.is_alive()
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((parts.hostname, parts.port), timeout=5)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_it_needs_the_standard_library_and_itself(path):
    allowed = {"sandbox", *sys.stdlib_module_names}
    if path.parent.name == "commands":
        allowed |= {"django"}
    assert set(imports(path)) <= allowed
