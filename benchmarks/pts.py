"""A month of 5,000 systems: checked, built and sent, and its page against one that does nothing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.seg_list import signed_in, times
from benchmarks.table import Judged, Line, Measured, percentile, shown
from tests.journeys.town import Town

SYSTEMS = 5000
ROUNDS = 5
MOST_EMPTY_VIEWS = 20.0
MOST_POSTS = 1.5
PAGES = {"page of the month": "/pts/", "one status": "/pts/?status=passed"}
# The frame around a form of three fields, and what no person is signed in for.
EMPTY_PAGE, NO_PAGE = "/accounts/password/change/", "/healthz"
KINDS: dict[str, type[Line]] = {"measured": Measured, "judged": Judged}


def measure() -> Iterator[Line]:
    """Measure what leaves the portal, then what a member of staff sees."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        given = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ENV_FILE": "none",
            "VAR_DIR": folder,
        }
        for kind, fields in _said([str(MOST_POSTS)], given):
            yield KINDS[kind](**fields)
        yield from _pages(f"{folder}/town")


def _pages(folder: str) -> Iterator[Line]:
    town = Town(folder)
    try:
        town.open()
        queries = _said(["pages", *PAGES.values()], town.given)
        session = signed_in(town, "maeve")
        rounds: list[dict[str, list[float]]] = [
            {
                path: times(session, town.url + path)
                for path in (EMPTY_PAGE, NO_PAGE, *PAGES.values())
            }
            for _ in range(ROUNDS)
        ]
        for name, path in PAGES.items():
            yield _against(rounds, name, path, EMPTY_PAGE, queries[path], MOST_EMPTY_VIEWS)
            yield _against(rounds, name, path, NO_PAGE, queries[path], None)
    finally:
        town.close()


def _against(  # noqa: PLR0917 - one call for each of two lines
    rounds: list[dict[str, list[float]]],
    name: str,
    path: str,
    reference: str,
    queries: int,
    bound: float | None,
) -> Judged:
    """A page's 95th percentile against the median of another page in the same round."""
    pairs = [(percentile(each[path], 95), percentile(each[reference], 50)) for each in rounds]
    medians = [percentile(times_of, 50) for times_of in zip(*pairs, strict=True)]
    return Judged(
        f"{SYSTEMS:,} systems, {name}, 95 % ÷ `{reference}`",
        bound,
        [ours / plain for ours, plain in pairs],
        f"{shown(medians[0])} and {shown(medians[1])}; {queries} queries",
    )


def _said(words: list[str], given: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "benchmarks.monthly_readings", *words]
    done = subprocess.run(command, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
