"""The list of quotes with a million of them, against a page that does nothing. PostgreSQL only."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks import gas_place
from benchmarks.seg_list import signed_in, times
from benchmarks.table import Judged, percentile
from tests.journeys.town import Town

QUOTES = int(os.environ.get("GAS_QUOTES", "1000000"))
ROUNDS = int(os.environ.get("GAS_ROUNDS", "3"))
FIRST, LAST = "first page", "last page"
PAGES = {
    FIRST: "/gas-quotes/",
    LAST: f"/gas-quotes/?page={QUOTES // 50}",
    "page in the middle": f"/gas-quotes/?page={QUOTES // 100}",
    "a tab": "/gas-quotes/?status=ready",
    "a tab's page in the middle": f"/gas-quotes/?status=closed&page={QUOTES // 500}",
    "received in the last month": "/gas-quotes/?since={month}",
    "with nobody": "/gas-quotes/?who=nobody",
    "search by reference": f"/gas-quotes/?q=GQ-2611-{QUOTES // 2}",
    "search by MPRN": f"/gas-quotes/?q={4_000_000_000 + QUOTES // 2}",
}


def measure() -> Iterator[Judged]:
    """Measure the list as a member of staff sees it."""
    if gas_place.POSTGRESQL not in gas_place.kinds():
        return
    with (
        tempfile.TemporaryDirectory(prefix="portal-bench-") as folder,
        gas_place.database(gas_place.POSTGRESQL, folder) as url,
    ):
        town = Town(folder, DATABASE_URL=url)
        try:
            town.open()
            command = [sys.executable, "-m", "benchmarks.gas_rows", str(QUOTES)]
            subprocess.run(command, env=town.given, check=True)
            yield from _judged(town)
        finally:
            town.close()


def _judged(town: Town) -> Iterator[Judged]:
    session = signed_in(town, "maud")
    pages = {name: path.format(month=_a_month_ago()) for name, path in PAGES.items()}
    rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pages}
    print(f"   load average {gas_place.loads()}", flush=True)
    for _ in range(ROUNDS):
        for name, path in pages.items():
            empty = percentile(times(session, f"{town.url}/healthz"), 50)
            seconds = times(session, town.url + path)
            rounds[name].append((percentile(seconds, 95), percentile(seconds, 50), empty))
    for name, figures in rounds.items():
        most, median, empty = (percentile([each[n] for each in figures], 50) for n in range(3))
        note = f"{most * 1000:.0f} ms (median {median * 1000:.0f}) against {empty * 1000:.1f} ms"
        over = [slow / nothing for slow, _, nothing in figures]
        yield Judged(f"{QUOTES:,} quotes, {name}: 95 % against an empty view", 20, over, note)
    pairs = zip(rounds[LAST], rounds[FIRST], strict=True)
    yield Judged("Last page, median against the first", 2, [one[1] / two[1] for one, two in pairs])


def _a_month_ago() -> str:
    return f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%d}"
