"""`python -m benchmarks.monthly_readings 1.5`: check, build and send a month. Prints JSON.

The number is the bound. With `pages` and paths, it fills the present month and a year before it
with 5,000 reports each, and counts those pages' queries.

Building and sending are compared with a bare `requests` post of the very same bytes to the same
trivial server in another process; only the processor time of this process counts.
"""

import json
import logging
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import django
import requests
import structlog

if TYPE_CHECKING:
    from pts.models import Window
    from pts.rules import Month

SYSTEMS = 5000
ROUNDS, TIMES = 5, 20
OPEN = datetime(2026, 11, 29, 15, tzinfo=UTC)
Line = tuple[str, dict[str, Any]]  # its kind in benchmarks.table, and its fields


class Receives(BaseHTTPRequestHandler):
    """Reads a body and answers 200 with nothing, as the specification has it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(tell: Connection) -> None:
    """Serve until the process is ended."""
    server = HTTPServer(("127.0.0.1", 0), Receives)
    tell.send(server.server_port)
    server.serve_forever()


@contextmanager
def receiver() -> Iterator[str]:
    """A server in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def processor_time(run: Callable[[], object]) -> float:
    """Seconds of processor time that this process needs."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def checked() -> Line:
    """Check 5,000 readings as the rules do."""
    from pts import rules
    from pts.rules import Facts, Known, Limits, WindowRule

    zone = ZoneInfo("America/New_York")
    window = rules.window_of(rules.Month(2026, 11), WindowRule(), zone)
    last = Known(Decimal(10_000), OPEN - timedelta(days=30))
    facts = Facts(
        capacity=Decimal(10), yearly_estimate=None, last=last, reported_to=rules.Month(2026, 10)
    )
    readings = [Known(Decimal(10_500) + n / Decimal(100), OPEN) for n in range(SYSTEMS)]

    def check() -> None:
        for reading in readings:
            rules.check(facts, reading, window=window, now=OPEN, limits=Limits(), zone=zone)

    seconds = [processor_time(check) for _ in range(5)]
    note = "processor time; no database"
    return "measured", {"name": f"Check {SYSTEMS:,} readings", "seconds": seconds, "note": note}


def sent(url: str, bound: float) -> Iterator[Line]:
    """Build the batches and send them, against posts of the same bytes, one after the other."""
    from django.conf import settings

    from pts import messages
    from pts.client import ProductionTracking

    settings.PTS_API_URL = url
    lines = [
        messages.Line(
            fk_system=1000 + n,
            meter_value=Decimal(f"{123456 + n}.{n % 10}000"),
            meter_date="2026-11-29T09:00:00",
        )
        for n in range(SYSTEMS)
    ]

    def ours() -> None:
        with ProductionTracking() as tracking:
            for batch in messages.batches(lines, limit=settings.PTS_BODY_LIMIT):
                tracking.post(batch, notes="November")

    bodies = [
        messages.post_body(batch, api_key=settings.PTS_API_KEY, notes="November")
        for batch in messages.batches(lines, limit=settings.PTS_BODY_LIMIT)
    ]

    def bare() -> None:
        for body in bodies:
            requests.post(f"{url}/ARPost", data=body, timeout=10).raise_for_status()

    _round(ours, bare)  # warms up
    rounds = [_round(ours, bare) for _ in range(ROUNDS)]
    mine, plain, waited = (statistics.median(column) * 1000 for column in zip(*rounds, strict=True))
    size = f"{len(bodies)} batches, {sum(map(len, bodies)) / 1e6:.1f} MB"
    name = f"Build and send {SYSTEMS:,} systems, processor time ÷"
    for against, column, median in (("time", 2, waited), ("processor time", 1, plain)):
        yield (
            "judged",
            {
                "name": f"{name} the {against} of `requests.post`",
                "bound": bound,
                "rounds": [each[0] / each[column] for each in rounds],
                "note": f"{mine:.1f} ms and {median:.1f} ms; {size}",
            },
        )


def _round(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float, float]:
    """Medians of our processor time, the bare post's, and the bare post's time; in turns."""
    mine, plain, waited = [], [], []
    for _ in range(TIMES):
        mine.append(processor_time(ours))
        begun = time.perf_counter()
        plain.append(processor_time(bare))
        waited.append(time.perf_counter() - begun)
    return statistics.median(mine), statistics.median(plain), statistics.median(waited)


def fill() -> None:
    """Make 5,000 systems with a report each, in every status; nothing is due.

    Their statuses are set past the workflow's guard: rows without a history are enough for a page.
    """
    from django.db.models import QuerySet
    from django.utils import timezone

    from pts import rules
    from pts.actions import open_reports
    from pts.models import Report, System, Window

    now = timezone.now()
    systems = [
        System(
            fk_system=1000 + n,
            system_id=f"NFG-NN100-{1000 + n:05d}",
            name=f"Roof {n}",
            capacity=Decimal(10),
        )
        for n in range(SYSTEMS)
    ]
    System.objects.bulk_create(systems, batch_size=500)
    window, _ = Window.objects.update_or_create(
        month=now.date().replace(day=1),
        defaults={
            "opens_at": now - timedelta(days=3),
            "closes_at": now + timedelta(days=7),
            "begun_at": now,
        },
    )
    open_reports(window=window, now=now)
    read = {
        "meter_value": Decimal(10_500),
        "meter_at": now,
        "produced": Decimal(500),
        "expected": Decimal(520),
    }
    for place, status in enumerate(Report.Status.values):
        keys = range(1000 + place, 1000 + SYSTEMS, len(Report.Status.values))
        some = Report.objects.filter(window=window, system__fk_system__in=keys)
        QuerySet.update(some, status=status, **({} if status == "missing" else read))
    for step in range(1, 13):
        _earlier(rules.month_of(window.month).plus(-step), window, step)


def _earlier(month: "Month", present: "Window", step: int) -> None:
    """A month that is over, all of it passed, so that the chart has a year to add up."""
    from django.db.models import QuerySet

    from pts.models import Report, System, Window

    back = timedelta(days=31 * step)
    window = Window.objects.create(
        month=month.first,
        opens_at=present.opens_at - back,
        closes_at=present.closes_at - back,
        begun_at=present.opens_at - back,
        closed_at=present.closes_at - back,
    )
    reports = [
        Report(
            reference=f"PTS-{step:02}-{place:05}",
            system=system,
            window=window,
            status=Report.FIRST,
            status_at=window.closes_at,
            created_at=window.opens_at,
            meter_value=Decimal(10_500 - 500 * step),
            meter_at=window.opens_at,
            produced=Decimal(500),
            expected=Decimal(520),
        )
        for place, system in enumerate(System.objects.all())
    ]
    Report.objects.bulk_create(reports, batch_size=500)
    QuerySet.update(Report.objects.filter(window=window), status=Report.Status.PASSED)


def counted(paths: list[str]) -> dict[str, int]:
    """Count the queries of pages for a member of the desk."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from core.models import User

    client = Client(headers={"host": "localhost"})
    client.force_login(
        User.objects.get(email="maeve.stroud@larkmoor.example"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    found = {}
    for path in paths:
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            client.get(path)
        found[path] = len(captured)
    return found


def main(words: list[str]) -> None:
    """Measure against a bound; or fill months for the pages that are named, and count queries."""
    if words[0] == "pages":
        django.setup()
        logging.disable(logging.INFO)
        fill()
        print(json.dumps(counted(words[1:])))
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with receiver() as url:
        django.setup()
        print(json.dumps([checked(), *sent(url, float(words[0]))]))


if __name__ == "__main__":
    main(sys.argv[1:])
