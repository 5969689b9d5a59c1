"""From "Send" on the public form to the committed decision, over 200 clean applications.

On the embedded default: gunicorn, worker, beat and sandbox as the Procfile starts them. The form is
filled in beforehand; measured is what the customer waits for after the last button.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import requests

from benchmarks.customer import Customer
from benchmarks.table import Measured
from tests.journeys.town import Town

APPLICATIONS = 200
RATE = 5  # a second
AT_ONCE = 50  # connections in the burst; gunicorn serves eight of them at a time
PATIENCE = 300.0
DECIDED = """
    SELECT application.certificate_number, change.at
    FROM seg_application AS application
    JOIN core_statuschange AS change
      ON change.case_label = 'seg.application' AND change.case_id = application.id
    WHERE change.move = 'approve_clean'
"""


def measure() -> Iterator[Measured]:
    """Measure at a steady rate, then all at once."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        town = Town(folder, TRUSTED_PROXY_COUNT="1")
        try:
            town.open()
            steady = _run(town, _steadily)
            reference = _bare_reads(town)
            burst = _run(town, _at_once)
        finally:
            town.close()
    name = f"Send to decision, {APPLICATIONS}"
    note = "reference: the registry's bare reply"
    yield Measured(f"{name} at {RATE} a second", steady, reference, note)
    yield Measured(f"{name} at once", burst, reference, note)


def _run(town: Town, press_send: Callable[[list[Customer]], list[float]]) -> list[float]:
    numbers, customers = [], []
    for number in range(APPLICATIONS):
        certificate = town.certificate()
        numbers.append(certificate["number"])
        customers.append(Customer(town.url, number))
        customers[-1].fill_in(certificate)
    pressed = dict(zip(numbers, press_send(customers), strict=True))
    decided = _wait_for_all(Path(town.folder) / "portal.sqlite3", set(numbers))
    return [decided[number] - at for number, at in pressed.items()]


def _steadily(customers: list[Customer]) -> list[float]:
    begun, sent = time.monotonic(), []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for place, customer in enumerate(customers):
            time.sleep(max(begun + place / RATE - time.monotonic(), 0))
            sent.append(pool.submit(customer.send))
    return [one.result() for one in sent]


def _at_once(customers: list[Customer]) -> list[float]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(Customer.send, customers))


def _wait_for_all(database: Path, numbers: set[str]) -> dict[str, float]:
    """Read when each certificate's application was approved, as soon as all are."""
    until = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        while True:
            rows = connection.execute(DECIDED).fetchall()
            decided = {number: _seconds(at) for number, at in rows if number in numbers}
            if len(decided) == len(numbers):
                return decided
            if time.monotonic() > until:
                raise RuntimeError(f"Only {len(decided)} of {len(numbers)} were approved in time.")
            time.sleep(1)


def _seconds(stored: str) -> float:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).timestamp()


def _bare_reads(town: Town) -> list[float]:
    """Ask the registry itself for the same certificates, one after the other."""
    headers = {"User": town.given["SEG_API_USER"], "Authorisation": town.given["SEG_API_TOKEN"]}
    taken = []
    with requests.Session() as session:
        for number in range(APPLICATIONS):
            begun = time.perf_counter()
            url = f"{town.given['SEG_API_URL']}/GetInstallation/MCS-{80_000_001 + number}-A"
            session.get(url, headers=headers, timeout=10).raise_for_status()
            taken.append(time.perf_counter() - begun)
    return taken
