"""`python -m benchmarks.monthly_readings`: check, build and send a month. Prints JSON.

With paths behind it, it fills the present month with 5,000 reports and counts those pages' queries.

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
from typing import Any
from zoneinfo import ZoneInfo

import django
import requests
import structlog

SYSTEMS = 5000
TIMES = 40
OPEN = datetime(2026, 11, 29, 15, tzinfo=UTC)
Line = dict[str, Any]


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
    return line(f"Check {SYSTEMS:,} readings", seconds, note="processor time; no database")


def sent(url: str) -> Line:
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

    mine, plain, waited = [], [], []
    for _ in range(TIMES):
        mine.append(processor_time(ours))
        begun = time.perf_counter()
        plain.append(processor_time(bare))
        waited.append(time.perf_counter() - begun)
    size, median = sum(map(len, bodies)) / 1e6, statistics.median
    ratios = [median(mine) / median(plain), median(mine) / median(waited)]
    note = (
        f"processor time of {len(bodies)} batches, {size:.1f} MB; reference: requests.post of the "
        f"same bytes; median ÷ its processor time {ratios[0]:.2f}, ÷ its time {ratios[1]:.2f}"
    )
    return line(f"Build and send {SYSTEMS:,} systems", mine, note, plain)


def line(name: str, seconds: list[float], note: str, reference: list[float] | None = None) -> Line:
    """One line of the table."""
    return {"name": name, "seconds": seconds, "reference": reference or [], "note": note}


def fill() -> None:
    """Make 5,000 systems with a report each, in every status; nothing is due.

    Their statuses are set past the workflow's guard: rows without a history are enough for a page.
    """
    from django.db.models import QuerySet
    from django.utils import timezone

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


def main(paths: list[str]) -> None:
    """Measure; or fill a month for the pages that are named, and count their queries."""
    if paths:
        django.setup()
        logging.disable(logging.INFO)
        fill()
        print(json.dumps(counted(paths)))
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with receiver() as url:
        django.setup()
        print(json.dumps([checked(), sent(url)]))


if __name__ == "__main__":
    main(sys.argv[1:])
