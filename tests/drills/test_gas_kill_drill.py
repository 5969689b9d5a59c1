"""A worker killed in the middle of a bulk run: nothing is lost, little is asked again, all counted."""

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from json import load, loads

import pytest

from benchmarks.gas_bulk import AT_ONCE, service, settings_for
from gasquotes.crews import WRITTEN_AT_ONCE

pytestmark = pytest.mark.drill
LINES = 2_000
KILLED_AFTER = 300


def portal(given, *words):
    command = [sys.executable, "-m", "benchmarks.gas_work", *words]
    done = subprocess.run(command, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def told(given):
    return loads(portal(given, "told").splitlines()[-1])


def seen(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=10) as reply:
        return Counter(mprn for _, mprn in load(reply))


def test_a_kill_repeats_no_more_than_promised_and_counts_it():
    with tempfile.TemporaryDirectory() as folder, service() as port:
        given = settings_for(
            folder,
            GASQUOTES_API_URL=f"http://127.0.0.1:{port}",
            GASQUOTES_CALLS_PER_MINUTE="6000000",
        )
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=given, check=True)
        portal(given, "prepare", str(LINES))
        crew = [sys.executable, "-m", "benchmarks.gas_work", "crew"]
        workers = [subprocess.Popen(crew, env=given) for _ in range(2)]
        while sum(seen(port).values()) < KILLED_AFTER:
            time.sleep(0.01)
        for worker in workers:
            worker.kill()
            worker.wait()
        half_way = told(given)
        assert half_way["done"] < LINES
        again = [subprocess.Popen(crew, env=given) for _ in range(2)]
        assert [worker.wait(timeout=240) for worker in again] == [0, 0]
        end, asked = told(given), seen(port)
    twice = sum(times - 1 for times in asked.values())
    assert (end["done"], end["look_ups"], len(asked)) == (LINES, LINES, LINES)
    assert twice <= end["repeats"] <= AT_ONCE + WRITTEN_AT_ONCE
    assert end["counted"] >= sum(asked.values())
