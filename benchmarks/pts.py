"""A month of 5,000 systems: checked, built and sent, and its page against one that does nothing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.seg_list import signed_in, times
from benchmarks.table import Measured
from tests.journeys.town import Town

SYSTEMS = 5000
PAGES = {"page of the month": "/pts/", "one status": "/pts/?status=passed"}


def measure() -> Iterator[Measured]:
    """Measure what leaves the portal, then what a member of staff sees."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        given = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ENV_FILE": "none",
            "VAR_DIR": folder,
        }
        for line in _said([], given):
            yield Measured(**line)
        yield from _pages(f"{folder}/town")


def _pages(folder: str) -> Iterator[Measured]:
    town = Town(folder)
    try:
        town.open()
        queries = _said([*PAGES.values()], town.given)
        session = signed_in(town, "maeve")
        reference = times(session, f"{town.url}/healthz")
        for name, path in PAGES.items():
            note = f"{queries[path]} queries; reference: /healthz"
            seconds = times(session, town.url + path)
            yield Measured(f"{SYSTEMS:,} systems, {name}", seconds, reference, note)
    finally:
        town.close()


def _said(paths: list[str], given: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "benchmarks.monthly_readings", *paths]
    done = subprocess.run(command, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
