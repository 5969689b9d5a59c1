"""Meter results: read, acknowledged, stored and stored again, each against the plain thing.

On the PostgreSQL that DATABASE_URL names (in a database of its own), else on SQLite.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.table import Measured

DATABASE = "portal_benchmark_metering"


def measure() -> Iterator[Measured]:
    """Measure in a process with settings and a database of its own."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder, _database(folder) as url:
        given = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ENV_FILE": "none",
            "VAR_DIR": folder,
            "DATABASE_URL": url,
        }
        for command in (["manage.py", "migrate", "-v0"], ["-m", "benchmarks.meter_results"]):
            done = subprocess.run(
                [sys.executable, *command], env=given, check=True, stdout=subprocess.PIPE, text=True
            )
    for line in json.loads(done.stdout.splitlines()[-1]):
        yield Measured(**line)


@contextmanager
def _database(folder: str) -> Iterator[str]:
    """Make an empty database and drop it in the end."""
    named = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not named.scheme.startswith("postgres"):
        yield f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        return
    drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
    with psycopg.connect(urlunsplit(named._replace(path="/postgres")), autocommit=True) as server:
        server.execute(drop)
        server.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield urlunsplit(named._replace(path=f"/{DATABASE}"))
        finally:
            server.execute(drop)
