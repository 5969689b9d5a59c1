"""The list of applications with 5,000 of them, against a page that does nothing."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import requests

from benchmarks.table import Measured
from tests.journeys.town import Town

APPLICATIONS = 5000
TIMES = 60
PAGES = {
    "first page": "/seg/",
    "one status, sorted by name": "/seg/?status=review&sort=name",
    "last page": f"/seg/?status=all&page={APPLICATIONS // 50}",
    "a search that finds all": "/seg/?q=lark",
}


def measure() -> Iterator[Measured]:
    """Measure the list as a member of staff sees it."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        town = Town(folder)
        try:
            town.open()
            queries = _inside(town)
            session = signed_in(town)
            reference = times(session, f"{town.url}/healthz")
            for name, path in PAGES.items():
                seconds = times(session, town.url + path)
                note = f"{queries[path]} queries; reference: /healthz"
                yield Measured(f"List of {APPLICATIONS:,}, {name}", seconds, reference, note)
        finally:
            town.close()


def _inside(town: Town) -> dict[str, int]:
    """Make the rows and count queries, in a process with the town's settings."""
    command = [sys.executable, "-m", "benchmarks.inside", str(APPLICATIONS), *PAGES.values()]
    done = subprocess.run(command, env=town.given, check=True, stdout=subprocess.PIPE, text=True)
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


def signed_in(town: Town, name: str = "orla") -> requests.Session:
    """Sign in as one of the town's people."""
    session, url = requests.Session(), f"{town.url}/accounts/login/"
    session.get(url, timeout=30).raise_for_status()
    email, password = town.people[name]
    token = session.cookies.get("csrftoken", "")
    said = {"login": email, "password": password, "csrfmiddlewaretoken": token}
    session.post(url, data=said, timeout=30).raise_for_status()
    return session


def times(session: requests.Session, url: str) -> list[float]:
    """Ask for a page again and again; seconds of each."""
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        reply = session.get(url, timeout=30, allow_redirects=False)
        taken.append(time.perf_counter() - begun)
        if reply.status_code != requests.codes.ok:
            raise RuntimeError(f"{url} was answered with {reply.status_code}.")
    return taken
