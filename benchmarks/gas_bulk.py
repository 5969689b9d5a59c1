"""Bulk look-ups against a service that takes 50 ms, 32 under way, and with a limit a minute.

Two worker processes, a crew each, on each database. The theoretical rate is 32 in 50 ms, 640 a
second. The service and what it saw stand outside the portal; so do the counts of the database.
"""

import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import gas_place
from benchmarks.table import Judged

LOOK_UPS = int(os.environ.get("GAS_LOOK_UPS", "10000"))
ROUNDS = int(os.environ.get("GAS_ROUNDS", "3"))
MILLISECONDS, AT_ONCE, WORKERS = 50, 32, 2
RATE = AT_ONCE * 1000 / MILLISECONDS
CREDENTIALS = (
    *("SEG_API_USER", "SEG_API_TOKEN", "GASQUOTES_API_KEY"),
    *("PTS_API_KEY", "PTS_SUBSCRIPTION_KEY", "SIP_API_KEY"),
)  # a start as in production wants every desk's
LIMIT, LIMITED_LOOK_UPS = 600, 800  # over 80 seconds: more than any one minute
QUOTES = 10_000


def measure() -> Iterator[Judged]:
    """Measure each in processes with settings and a database of their own."""
    seconds = []
    for kind in gas_place.kinds():
        rounds = [_unlimited(kind) for _ in range(ROUNDS)]
        seconds += rounds
        shares = [LOOK_UPS / took / RATE for took in rounds]
        note = f"{LOOK_UPS / statistics.median(rounds):,.0f} against {RATE:,.0f} a second"
        name = f"{LOOK_UPS:,} look-ups on {kind}, everything recorded, against the rate possible"
        yield Judged(name, 0.7, shares, note, at_least=True)
    one = min(seconds) / LOOK_UPS
    priced = [_work("price", str(QUOTES))["seconds"] for _ in range(ROUNDS)]
    shares = [took / QUOTES / one for took in priced]
    note = f"{statistics.median(priced):.2f} s, against the quickest round"
    yield Judged(f"Pricing {QUOTES:,} quotes, against looking them up", 0.1, shares, note)
    yield from _limited()


def _unlimited(kind: str) -> float:
    """One round: its seconds. Ends with an error if anything was lost, doubled or not counted."""
    before = gas_place.loads()
    told, seen = _run(LOOK_UPS, kind=kind, per_minute=6_000_000)
    different = len({mprn for _, mprn in seen})
    counts = (told["done"], told["look_ups"], told["calls"], told["counted"], len(seen), different)
    if set(counts) != {LOOK_UPS} or told["repeats"]:
        raise RuntimeError(f"Of {LOOK_UPS} look-ups came {counts}, {told['repeats']} repeats.")
    print(f"   {kind}: {told['seconds']:.1f} s; load average {before} before", flush=True)
    return float(told["seconds"])


def _limited() -> Iterator[Judged]:
    """With a limit: how much of it is used, and the most that the service saw in any minute."""
    kind = next(gas_place.kinds())
    _, seen = _run(LIMITED_LOOK_UPS, kind=kind, per_minute=LIMIT)
    times = sorted(at for at, _ in seen)
    rate = (len(times) - 1) / (times[-1] - times[0]) * 60
    most = max(bisect_left(times, at + 60) - place for place, at in enumerate(times))
    note = f"{len(times):,} calls over {times[-1] - times[0]:.0f} s on {kind}, seen by the service"
    name = f"Limit of {LIMIT} a minute"
    yield Judged(f"{name}: share of it that is used", 0.95, [rate / LIMIT], note, at_least=True)
    note = f"{most} calls in the fullest of all sliding minutes"
    yield Judged(f"{name}: the most in any minute, against it", 1, [most / LIMIT], note)


def _run(
    look_ups: int, *, kind: str, per_minute: int
) -> tuple[dict[str, Any], list[tuple[float, str]]]:
    """One run from start to end. Returns what the portal has and what the service saw."""
    with (
        tempfile.TemporaryDirectory(prefix="portal-bench-") as folder,
        gas_place.database(kind, folder) as url,
        service() as port,
    ):
        given = settings_for(
            folder,
            DATABASE_URL=url,
            GASQUOTES_API_URL=f"http://127.0.0.1:{port}",
            GASQUOTES_CALLS_PER_MINUTE=str(per_minute),
            GASQUOTES_AT_ONCE=str(AT_ONCE),
            GASQUOTES_CREWS=str(WORKERS),
        )
        _do(["manage.py", "migrate", "-v0"], given)
        _do(["-m", "benchmarks.gas_work", "prepare", str(look_ups)], given)
        crew = [sys.executable, "-m", "benchmarks.gas_work", "crew"]
        workers = [subprocess.Popen(crew, env=given) for _ in range(WORKERS)]
        for worker in workers:
            worker.wait()
        told = json.loads(_do(["-m", "benchmarks.gas_work", "told"], given).splitlines()[-1])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=30) as reply:
            return told, json.load(reply)


def _work(*words: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        given = settings_for(folder)
        _do(["manage.py", "migrate", "-v0"], given)
        answer = _do(["-m", "benchmarks.gas_work", *words], given)
        told: dict[str, Any] = json.loads(answer.splitlines()[-1])
        return told


def settings_for(folder: str, **more: str) -> dict[str, str]:
    """The environment of a process with a folder of its own, as in production."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": "none",
        "VAR_DIR": folder,
        "DEBUG": "off",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        **dict.fromkeys(CREDENTIALS, "benchmark"),
        "GASQUOTES_CALLS_PER_MONTH": "1000000",
        **more,
    }


def _do(command: list[str], given: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *command], env=given, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@contextmanager
def service() -> Iterator[int]:
    """The service in a process of its own; yields its port."""
    command = [sys.executable, "-m", "benchmarks.gas_service", str(MILLISECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.kill()
