"""Fixtures for every test: a network that ends here, the played registry, work, people."""

import ipaddress
import json
import os
import socket
import urllib.request
from dataclasses import dataclass
from uuid import uuid4

import pytest
import structlog
import time_machine
from celery import current_app
from django.core.cache import cache
from django.db.models import Min
from django.test import Client
from django.utils import timezone

ROUNDS = 500


# ---- The network ends here -------------------------------------------------------------------


class NotThisMachine(OSError):
    """A test tried to reach another machine."""


def _is_here(host):
    if host in {"localhost", "", None, "testserver", socket.gethostname()}:
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def only_this_machine():
    """Refuse connections beyond loopback; names other than localhost cannot be resolved."""
    patch = pytest.MonkeyPatch()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded(sock, address):
        if sock.family != socket.AF_UNIX and not _is_here(address[0]):
            raise NotThisMachine(f"Tests do not connect to {address[0]}.")
        return connect(sock, address)

    def resolved(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if not _is_here(name) and not _is_address(name):
            raise socket.gaierror(socket.EAI_NONAME, f"Tests do not resolve {name}.")
        return look_up(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded)
    patch.setattr(socket, "getaddrinfo", resolved)
    yield
    patch.undo()


def _is_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_left_over():
    """No cached counts of an earlier test, no case in the log's context."""
    cache.key_prefix = str(uuid4())
    structlog.contextvars.clear_contextvars()


# ---- The registry, played over HTTP ----------------------------------------------------------


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """The running sandbox (`sandbox.server.RunningSandbox`), one for each pytest process."""
    from sandbox.server import start

    running = start(port=0, state=tmp_path_factory.mktemp("sandbox") / "state.sqlite3")
    yield running
    running.stop()


@dataclass
class PlayedRegistry:
    """The installation registry as a test sees it; `url` is its base address."""

    running: object
    url: str

    def fault(self, name, *, calls=None, seconds=None, match="", **how):
        """Switch a fault on ("500", "hang", …), for so many calls or until the test ends."""
        settings = {"calls": calls, "seconds": seconds, "match": match, **how}
        return self.running.switch_on("registry", name, **settings)

    def mend(self):
        """Switch every fault off."""
        self.running.switch_off("registry")

    def log(self, **choice):
        """What the registry received, newest first."""
        return self.running.log(party="registry", **choice)

    def certificate(self, number):
        """A certificate as the sandbox holds it: number, certificate (properties), applicant."""
        return self._control(f"/certificates/{number}")

    def certificates(self, group="uat"):
        """Every fixed certificate of a group: "uat" or "special"."""
        return self._control(f"/certificates?group={group}")

    def change(self, number, **properties):
        """Change properties of a certificate until the test ends: change(number, Status=3)."""
        return self._control(f"/certificates/{number}", properties)

    def _control(self, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.running.url}/control{path}", body, headers, method="POST" if body else "GET"
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


@pytest.fixture
def registry(sandbox, settings):
    """The registry on its own port, without faults, changes or log; the desk's client calls it."""
    sandbox.reset()
    settings.SEG_API_URL = sandbox.party_url("registry")
    yield PlayedRegistry(sandbox, settings.SEG_API_URL)
    sandbox.reset()


# ---- The production tracking system, played over HTTP ------------------------------------------


@dataclass
class PlayedTracking:
    """The production tracking system as a test sees it; `url` is its base address."""

    running: object
    url: str

    def fault(self, name, *, calls=None, seconds=None, match="", **how):
        """Switch a fault on ("500", "lost", …), for so many calls or until the test ends."""
        settings = {"calls": calls, "seconds": seconds, "match": match, **how}
        return self.running.switch_on("production-tracking", name, **settings)

    def mend(self):
        """Switch every fault off."""
        self.running.switch_off("production-tracking")

    def log(self, path=""):
        """What it received, oldest first."""
        rows = self.running.log(party="production-tracking")[::-1]
        return [row for row in rows if row["path"].endswith(path)]

    def at(self, moment):
        """Set its clock to a moment and stop it there."""
        self.control("/clock", {"now": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "stopped": True})

    def options(self, **chosen):
        """Change how it behaves: window, validation_by, errors_count, …"""
        self.control("/options", chosen)

    def system(self, key, **changes):
        """A system as it holds it, with what is plausible now; changed when changes are given."""
        return self.control(f"/systems/{key}", changes or None)

    def counts(self, key):
        """Its own count of a system's submissions in the open window: valid, failed, undecided."""
        return self.control("/counts").get(str(key), {"valid": 0, "failed": 0, "undecided": 0})

    def submissions(self, key):
        """What ARPost brought of a system, newest first."""
        rows = self.control(f"/submissions?fk_system={key}")["submissions"]
        return [row for row in rows if not row["test"]]

    def decide(self, verdict, **which):
        """End validation now: "passed", "failed" or "own"."""
        self.control("/decide", {"verdict": verdict, **which})

    def control(self, path, content=None):
        """Call its control interface."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.running.url}/control/production-tracking{path}",
            body,
            headers,
            method="POST" if body else "GET",
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


@pytest.fixture
def production(sandbox, settings):
    """The production tracking system on its own port, without faults, submissions or log."""
    sandbox.reset()
    settings.PTS_API_URL = sandbox.party_url("production-tracking")
    yield PlayedTracking(sandbox, settings.PTS_API_URL)
    sandbox.reset()


# ---- Work ------------------------------------------------------------------------------------


class Work:
    """Does what the worker would: `work()` what is due now, `work(until=moment)` what comes due.

    With `until`, each row is worked on at the moment it comes due; the clock is back afterwards.
    """

    def __call__(self, *, until=None):
        done, moment = self._all_due(), timezone.now()
        while until is not None and moment < until:
            moment = self._next(moment, until)
            with time_machine.travel(moment, tick=True):
                done += self._all_due()
        return done

    def _all_due(self):
        done = 0
        for _ in range(ROUNDS):
            found = [*self._due()]
            if not found:
                return done
            for task, pk in found:
                current_app.tasks[task](pk)
                structlog.contextvars.clear_contextvars()
            done += len(found)
        raise AssertionError(f"Work does not end: {found[:5]} is due again and again.")

    def _due(self):
        from core.queue import all_queues

        now = timezone.now()
        for queue in all_queues():
            for pk in queue.free(now).order_by("due_at", "pk").values_list("pk", flat=True):
                yield queue.name, pk
            if queue.once:
                for pk in queue.abandoned(now).values_list("pk", flat=True):
                    yield queue.abandoned_task, pk

    def _next(self, after, until):
        """The moment at which the next row comes due, at most `until`."""
        from core.queue import all_queues

        waiting = (
            queue.rows().filter(due_at__gt=after, due_at__lt=until).aggregate(at=Min("due_at"))
            for queue in all_queues()
        )
        return min((row["at"] for row in waiting if row["at"] is not None), default=until)


@pytest.fixture
def work(db):
    """A worker without a worker: runs the tasks of due rows here, until nothing is due."""
    current_app.loader.import_default_modules()
    return Work()


@pytest.fixture
def bells(monkeypatch):
    """The (task, pk) of every bell rung from now on; none reaches a broker."""
    rung = []
    monkeypatch.setattr(
        current_app, "send_task", lambda task, args=(), **_: rung.append((task, *args))
    )
    return rung


@pytest.fixture(scope="session", autouse=True)
def no_bells_left():
    """Leave no message of the tests in a Redis that others use."""
    yield
    if os.environ.get("REDIS_URL"):
        current_app.control.purge()


# ---- People ----------------------------------------------------------------------------------


@pytest.fixture
def person(db):
    """Make somebody: person("supervisor"), person(admin=True), person(permissions=[…])."""
    from tests.factories import UserFactory

    return lambda role="", **fields: UserFactory(role=role, **fields)


@pytest.fixture
def decider(person):
    """A member of the export tariff desk."""
    return person("export tariff")


@pytest.fixture
def supervisor(person):
    """A supervisor."""
    return person("supervisor")


@pytest.fixture
def auditor(person):
    """An auditor: reads, changes nothing."""
    return person("auditor")


@pytest.fixture
def engineer(person):
    """An engineer."""
    return person("engineer")


@pytest.fixture
def nobody(person):
    """Somebody without a role."""
    return person()


@pytest.fixture
def signed_in():
    """A browser's session for somebody: signed_in(user).get(…)."""

    def sign_in(user):
        client = Client()
        client.force_login(user)
        return client

    return sign_in
