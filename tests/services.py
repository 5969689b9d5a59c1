"""Run the suite on PostgreSQL and Redis: `python -m tests.services -n 2 -q`.

DATABASE_URL and REDIS_URL name other servers. What is missing is said before anything runs.
"""

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

# A name for each folder, so that two of them can be tested at the same time.
FOLDER = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:8]
DATABASE_URL = f"postgres://postgres:postgres@127.0.0.1:5432/portal_{FOLDER}"
REDIS_URL = "redis://127.0.0.1:6379/9"


def missing(database_url, redis_url):
    """Say what cannot be used, a sentence each."""
    database, queue = urlsplit(database_url), urlsplit(redis_url)
    try:
        psycopg.connect(urlunsplit(database._replace(path="/postgres")), connect_timeout=5).close()
    except psycopg.Error as problem:
        yield (
            f"PostgreSQL cannot be used at {database.hostname}:{database.port or 5432} "
            f"({str(problem).strip().splitlines()[0]}). Start it, or name another with "
            "DATABASE_URL; its user must be allowed to create databases."
        )
    try:
        redis.Redis.from_url(redis_url, socket_connect_timeout=5).ping()
    except redis.RedisError as problem:
        yield (
            f"Redis cannot be used at {queue.hostname}:{queue.port or 6379} ({problem}). "
            "Start it, or name another with REDIS_URL."
        )


def main():
    """Check both, then run pytest."""
    database_url = os.environ.get("DATABASE_URL") or DATABASE_URL
    redis_url = os.environ.get("REDIS_URL") or REDIS_URL
    if sentences := [*missing(database_url, redis_url)]:
        sys.exit("\n".join(sentences))
    os.environ.update(DATABASE_URL=database_url, REDIS_URL=redis_url)
    sys.exit(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
