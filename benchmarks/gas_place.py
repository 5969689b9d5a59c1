"""Databases of their own for gas quotes: PostgreSQL where there is one, and SQLite."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

SERVER = "postgres://postgres:postgres@127.0.0.1:5432/postgres"
POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"


def kinds() -> Iterator[str]:
    """The databases that can be used here; says so when PostgreSQL cannot."""
    try:
        psycopg.connect(_server(), connect_timeout=5).close()
    except psycopg.Error as problem:
        print(f"   Nothing on PostgreSQL: {str(problem).splitlines()[0]}", flush=True)
    else:
        yield POSTGRESQL
    yield SQLITE


@contextmanager
def database(kind: str, folder: str) -> Iterator[str]:
    """Make an empty database, yield its address and drop it in the end."""
    if kind == SQLITE:
        yield f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        return
    name = f"portal_bench_{os.getpid()}_gas"
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    with psycopg.connect(_server(), autocommit=True) as server:
        server.execute(drop)
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(_server())._replace(path=f"/{name}"))
        finally:
            server.execute(drop)


def _server() -> str:
    given = os.environ.get("DATABASE_URL", "")
    url = given if given.startswith("postgres") else SERVER
    return urlunsplit(urlsplit(url)._replace(path="/postgres"))


def loads() -> str:
    """The load average, for the record: on a busy machine a rate says little."""
    return ", ".join(f"{each:.1f}" for each in os.getloadavg())
