"""A portal on a PostgreSQL database of its own, to post results to.

Its processes are those of the Procfile (`tests.journeys.town`); beside them a clerk of ours sits
inside the portal (`benchmarks.metering_clerk`).
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
import requests

from benchmarks import clients, payloads
from benchmarks.payloads import Size
from tests.journeys.town import ROOT, Town, ends_with_us, procfile

DATABASE_URL = "postgres://postgres:postgres@127.0.0.1:5432/postgres"
REDIS_URL = "redis://127.0.0.1:6379"
QUEUES = (13, 14)  # Redis databases, taken only where they are empty
PATIENCE = 120.0
PAGES = 12


class NotThere(RuntimeError):
    """What the benchmark needs is missing; says what, and what to do."""


def services() -> tuple[str, tuple[str, str]]:
    """Say which PostgreSQL is used, and the Redis databases ("" twice where there is none).

    Raises `NotThere`.
    """
    return _server(), _queues()


def _server() -> str:
    url = os.environ.get("DATABASE_URL") or DATABASE_URL
    named = urlsplit(url)
    if not named.scheme.startswith("postgres"):
        raise NotThere("DATABASE_URL names no PostgreSQL.")
    server = urlunsplit(named._replace(path="/postgres"))
    try:
        with psycopg.connect(server, connect_timeout=5) as connection:
            row = connection.execute("SELECT current_setting('fsync')").fetchone()
    except psycopg.Error as problem:
        raise NotThere(
            f"PostgreSQL cannot be used at {named.hostname}:{named.port or 5432} "
            f"({str(problem).strip().splitlines()[0]}). Start it, or name another with "
            "DATABASE_URL; its user must be allowed to create databases."
        ) from problem
    if row != ("on",):
        raise NotThere("This PostgreSQL has fsync off: its figures would say nothing.")
    return server


def _queues() -> tuple[str, str]:
    named = urlsplit(os.environ.get("REDIS_URL") or REDIS_URL)
    urls = [urlunsplit(named._replace(path=f"/{number}")) for number in QUEUES]
    try:
        if any(redis.Redis.from_url(url, socket_connect_timeout=2).dbsize() for url in urls):
            return "", ""
    except redis.RedisError:
        return "", ""
    return urls[0], urls[1]


class Desk:
    """A running portal; `with` it, fill it, post to it."""

    def __init__(self, folder: Path, database: str, server: str, queue: str) -> None:
        self.database, self._server, self._queue = database, server, queue
        self._url = urlunsplit(urlsplit(server)._replace(path=f"/{database}"))
        self._folder = folder
        self.register = 0
        self._page = self._cookie = ""
        self._turns = count()

    def __enter__(self) -> Self:
        self._forget()
        with psycopg.connect(self._server, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {self.database}")
        settings = {
            "DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings",
            "DATABASE_URL": self._url,
            "METERING_RESULTS_PER_HOUR": "1000000",
            **({"REDIS_URL": self._queue} if self._queue else {}),
        }
        self._town = Town(self._folder, **settings)
        try:
            self._town.open()
            self._clerk = self._begin_clerk()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.url, self.port = self._town.url, self._town.port
        self._look = psycopg.connect(self._url, autocommit=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if clerk := getattr(self, "_clerk", None):
            clerk.kill()
            clerk.wait()
        self._town.close()
        if look := getattr(self, "_look", None):
            look.close()
        self._forget()

    def _forget(self) -> None:
        with psycopg.connect(self._server, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        if self._queue:
            redis.Redis.from_url(self._queue).flushdb()

    def _begin_clerk(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*ends_with_us(), sys.executable, "-m", "benchmarks.metering_clerk"],
            cwd=ROOT,
            env=self._town.given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "logs" / "bench-clerk.log").open("a"),
            text=True,
        )

    @property
    def said(self) -> str:
        """What it stands on."""
        version = self._look.info.server_version // 10_000
        queue = "Redis" if self._queue else "the embedded queue"
        return f"PostgreSQL {version} with fsync on, {queue}"

    def ask(self, what: str, **how: Any) -> Any:
        """Ask the clerk."""
        if self._clerk.stdin is None or self._clerk.stdout is None:
            raise RuntimeError("The clerk has no ears.")
        print(json.dumps([what, how]), file=self._clerk.stdin, flush=True)
        said = json.loads(self._clerk.stdout.readline() or '{"problem": "The clerk has ended."}')
        if "problem" in said:
            raise RuntimeError(f"{what}: {said['problem']}")
        return said["answer"]

    # ---- What is done to it ------------------------------------------------------------------

    def fill(self, registers: int) -> None:
        """Put a year of so many registers in."""
        told = self.ask("fill", registers=registers)
        self.register = told["register"]
        meter = self.ask("meter_of", register=self.register)
        self._cookie = self._signed_in()
        self._page = (
            f"{self.url}/metering/meters/{meter}/?period=year&on=2025-06-01&register=Register%200"
        )

    def _signed_in(self) -> str:
        session, url = requests.Session(), f"{self.url}/accounts/login/"
        session.get(url, timeout=30).raise_for_status()
        email, password = self._town.people["rafe"]
        token = session.cookies.get("csrftoken", "")
        said = {"login": email, "password": password, "csrfmiddlewaretoken": token}
        session.post(url, data=said, timeout=30).raise_for_status()
        return "; ".join(f"{each.name}={each.value}" for each in session.cookies)

    def results(self, size: Size, count: int, turn: int) -> list[bytes]:
        """Write requests with a result each, for reads that wait for it."""
        reads = self.ask("reads", size=size.name, count=count, turn=turn)
        bodies = payloads.bodies(size, turn, reads)
        return [
            clients.post(f"{self.url}/metering/results/{read['token']}", body)
            for read, body in zip(reads, bodies, strict=True)
        ]

    def acknowledge(self, requests: list[bytes], *, alone: bool) -> float:
        """How many a second are answered; `alone`: while the worker rests."""
        with self._resting() if alone else nullcontext():
            return len(requests) / clients.Run(self.port, requests).join()

    @contextmanager
    def _resting(self) -> Iterator[None]:
        group = self._town._running["worker"].pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def served(self, count: int) -> float:
        """How many times a second the empty view is answered."""
        request = clients.get(f"{self.url}/healthz")
        return count / clients.Run(self.port, [request] * count).join()

    def store(self, size: Size, count: int, turn: int) -> float:
        """Readings a second from the first post until the last reading is committed."""
        requests = self.results(size, count, turn)
        run = clients.Run(self.port, requests)
        run.join()
        self._wait()
        seconds = time.perf_counter() - run.begun
        self._count(size, count, turn)
        return size.readings * count / seconds

    def await_stored(self, size: Size, count: int, turn: int) -> float:
        """Wait until everything is stored, and count it. Returns the seconds waited."""
        begun = time.perf_counter()
        self._wait()
        waited = time.perf_counter() - begun
        self._count(size, count, turn)
        return waited

    def store_plainly(self, size: Size, count: int, turn: int) -> float:
        """Readings a second through the nested serializer."""
        reads = [
            {"reference": f"{turn}-{n}", "mpan": f"19{n:011d}", "serial": f"P{n}"}
            for n in range(count)
        ]
        bodies = list(payloads.bodies(size, turn, reads))
        run = clients.Run(self.port, [clients.post(f"{self.url}/plain/", one) for one in bodies])
        seconds = run.join()
        _same(self.ask("rows", table="plain_serialised"), size.readings * count * (turn + 1))
        return size.readings * count / seconds

    def copy(self, size: Size, turn: int, count: int) -> float:
        """Seconds of COPY."""
        taken: float = self.ask("copy", size=size.name, turn=turn, count=count)
        return taken

    def add_worker(self) -> None:
        """Start a second worker like the first; it works within a few seconds."""
        self._town.start("second worker", procfile()["worker"])

    def year_pages(self, *, anew: bool) -> list[bytes]:
        """Requests for the page of a meter with a year's chart; `anew`: each must be drawn."""
        ends = [f"&again={next(self._turns)}" if anew else "" for _ in range(PAGES)]
        return [clients.get(self._page + end, self._cookie) for end in ends]

    def page_seconds(self, requests: list[bytes]) -> float:
        """The median of one client's requests for pages."""
        run = clients.Run(self.port, requests, clients=1)
        run.join()
        return statistics.median(run.each)

    def _wait(self) -> None:
        """Wait until no delivery waits."""
        ends = time.monotonic() + PATIENCE
        question = "SELECT 1 FROM metering_delivery WHERE state = 'waiting' LIMIT 1"
        while self._look.execute(question).fetchone():
            if time.monotonic() > ends:
                raise RuntimeError(f"Not everything is stored.\n{self._town.said('worker')}")
            time.sleep(0.01)

    def _count(self, size: Size, count: int, turn: int) -> None:
        _same(self.ask("stored", size=size.name, turn=turn), size.readings * count)


def _same(stored: int, posted: int) -> None:
    if stored != posted:
        raise RuntimeError(f"{posted:,} readings were posted, {stored:,} are stored.")
